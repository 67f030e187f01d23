//! Logs: one line an event on standard error, for people or for machines. Standard output belongs to commands.
//!
//! Every line passes here, and three things are decided of it, each in one place: `wanted` (is it written at all: the level, the
//! debug log of a mailbox, how often it may repeat), `fields` (what each field says, and what stands for it under `log.redact`)
//! and `lines` (how it looks).

mod debugged;
mod fields;
mod lines;
mod pseudonyms;
mod repeats;
#[cfg(test)]
mod tests;
mod wanted;

use std::io::IsTerminal;
use std::sync::{Arc, LazyLock};

use anyhow::anyhow;
use arc_swap::ArcSwap;
use tracing::Level;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Registry, fmt};

pub use debugged::{DebugLog, DebugLogError, begin_debug_log, debug_log_of, debug_logs, end_debug_log, has_room_for_debug_log};
use pseudonyms::Pseudonyms;

use crate::config::Log;
use crate::config::limits::LOG_WINDOW;
use crate::logic::eas::Mailbox;

/// What is in force.
struct InForce {
    /// Least severe level written.
    level: Level,
    is_json: bool,
    /// `log.redact`: what stands for names.
    pseudonyms: Option<Pseudonyms>,
}

static IN_FORCE: LazyLock<ArcSwap<InForce>> =
    LazyLock::new(|| ArcSwap::from_pointee(InForce { level: Level::INFO, is_json: false, pseudonyms: None }));

/// Starts logging for the whole process. An error when logging was started before.
pub fn start(log: &Log) -> anyhow::Result<()> {
    put_in_force(log);
    let lines = fmt::layer::<Registry>().with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal());
    let lines = lines.fmt_fields(lines::SpanFields).event_format(lines::Lines).with_filter(wanted::Wanted);
    tracing_subscriber::registry().with(lines).try_init().map_err(|error| anyhow!("cannot start logging: {error}"))?;
    let thread = std::thread::Builder::new().name("log".into());
    thread.spawn(|| {
        loop {
            std::thread::sleep(LOG_WINDOW);
            end_window();
        }
    })?;
    Ok(())
}

/// Puts other settings in force: the next line is written by them.
pub fn put_in_force(log: &Log) {
    let pseudonyms = log.redacts.then(|| Pseudonyms::new(log.redact_key.reveal()));
    IN_FORCE.store(Arc::new(InForce { level: log.level, is_json: log.json, pseudonyms }));
    tracing::callsite::rebuild_interest_cache();
}

/// Says what was left out of the log since this was last done; also when the process leaves.
pub fn end_window() {
    debugged::end_those_due();
    for (place, left_out) in repeats::REPEATS.end_window() {
        tracing::warn!(place, left_out, "more lines like these were left out of the log");
    }
}

/// Whether anybody listens at level `debug`: a look at one number. (`tracing::enabled!` would also ask the filter of the lines, which keeps the
/// answer for the next line.)
pub fn listens() -> bool {
    LevelFilter::current() >= LevelFilter::DEBUG
}

/// What stands for a mailbox in the log; `None` while its name does.
pub fn pseudonym_of(mailbox: &Mailbox) -> Option<String> {
    IN_FORCE.load().pseudonyms.as_ref().map(|pseudonyms| pseudonyms.of(fields::Says::Mailbox, mailbox.as_str()))
}
