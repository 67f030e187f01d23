//! Which lines are written: those of the level; and, whatever the level, those about a mailbox that has a debug log.
//!
//! While nobody has one, a line below the level costs what it always did: a look at one number, that says that nobody listens.

use std::fmt;

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Filter};
use tracing_subscriber::registry::LookupSpan;

use super::repeats::REPEATS;
use super::{IN_FORCE, debugged};

/// Decides it.
pub(super) struct Wanted;

/// On a span: whose exchange it is.
struct Whose(String);

/// Our own lines from `level` on. Libraries only from `warn` on: what they say below that is about their insides, and may
/// quote what devices send.
fn is_of_level(level: Level, metadata: &Metadata<'_>) -> bool {
    *metadata.level() <= if is_ours(metadata) { level } else { level.min(Level::WARN) }
}

fn is_ours(metadata: &Metadata<'_>) -> bool {
    metadata.target().split("::").next() == Some(env!("CARGO_PKG_NAME"))
}

/// Whether a debug log could want it.
fn may_be_debugging(metadata: &Metadata<'_>) -> bool {
    debugged::any() && is_ours(metadata) && *metadata.level() <= Level::DEBUG
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Filter<S> for Wanted {
    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        // Never always: whatever is wanted may yet be one too many, and a filter that is not asked first may not say no afterwards.
        match is_of_level(IN_FORCE.load().level, metadata) || may_be_debugging(metadata) {
            true => Interest::sometimes(),
            false => Interest::never(),
        }
    }

    fn enabled(&self, metadata: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        is_of_level(IN_FORCE.load().level, metadata) || may_be_debugging(metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        let level = IN_FORCE.load().level;
        Some(LevelFilter::from_level(if debugged::any() { level.max(Level::DEBUG) } else { level }))
    }

    fn event_enabled(&self, event: &Event<'_>, context: &Context<'_, S>) -> bool {
        if is_of_level(IN_FORCE.load().level, event.metadata()) {
            return REPEATS.lets_pass(event.metadata());
        }
        let mut reader = OfMailbox::default();
        event.record(&mut reader);
        let is_meant = match &reader.0 {
            Some(mailbox) => debugged::is_of_one(mailbox),
            None => is_in_debugged_span(event, context),
        };
        is_meant && REPEATS.lets_debugging_pass()
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        mark(id, &context, |reader| attributes.record(reader));
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        mark(id, &context, |reader| values.record(reader));
    }
}

/// Notes on a span whose it is, once that is said.
fn mark<S: Subscriber + for<'a> LookupSpan<'a>>(id: &Id, context: &Context<'_, S>, record: impl FnOnce(&mut OfMailbox)) {
    if !debugged::any() {
        return;
    }
    let mut reader = OfMailbox::default();
    record(&mut reader);
    if let Some((mailbox, span)) = reader.0.zip(context.span(id)) {
        span.extensions_mut().replace(Whose(mailbox));
    }
}

fn is_in_debugged_span<S: Subscriber + for<'a> LookupSpan<'a>>(event: &Event<'_>, context: &Context<'_, S>) -> bool {
    let mut spans = context.event_scope(event).into_iter().flatten();
    spans.any(|span| span.extensions().get::<Whose>().is_some_and(|Whose(mailbox)| debugged::is_of_one(mailbox)))
}

/// Reads the field `mailbox`.
#[derive(Default)]
struct OfMailbox(Option<String>);

impl Visit for OfMailbox {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "mailbox" {
            self.0 = Some(format!("{value:?}"));
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "mailbox" {
            self.0 = Some(value.to_owned());
        }
    }
}
