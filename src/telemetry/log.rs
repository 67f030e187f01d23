//! Logs: one line an event on standard error, for people or for machines. Standard output belongs to commands.

use std::io::IsTerminal;
use std::sync::OnceLock;

use anyhow::anyhow;
use tracing::Level;
use tracing_subscriber::EnvFilter;

use crate::config::Log;

/// Starts logging for the whole process. An error when logging was started before.
pub fn start(log: &Log) -> anyhow::Result<()> {
    let builder = tracing_subscriber::fmt().with_writer(std::io::stderr);
    let started = if log.json {
        let builder = builder.json().flatten_event(true).with_current_span(true).with_span_list(false);
        let builder = builder.with_env_filter(filter(log.level)).with_filter_reloading();
        let handle = builder.reload_handle();
        builder.try_init().map(|()| drop(LEVEL.set(Box::new(move |level| drop(handle.reload(filter(level)))))))
    } else {
        let builder = builder.with_ansi(std::io::stderr().is_terminal());
        let builder = builder.with_env_filter(filter(log.level)).with_filter_reloading();
        let handle = builder.reload_handle();
        builder.try_init().map(|()| drop(LEVEL.set(Box::new(move |level| drop(handle.reload(filter(level)))))))
    };
    started.map_err(|error| anyhow!("cannot start logging: {error}"))
}

/// Sets the level of the running log, if it was started here.
pub fn set_level(level: Level) {
    if let Some(set) = LEVEL.get() {
        set(level);
    }
}

/// How the level is set: the two formats are two types.
static LEVEL: OnceLock<Box<dyn Fn(Level) + Send + Sync>> = OnceLock::new();

/// Our own lines from `level` on. Libraries only from `warn` on: what they say below that is about their insides, and may
/// quote what devices send.
fn filter(level: Level) -> EnvFilter {
    let libraries = level.min(Level::WARN);
    EnvFilter::new(format!("{libraries},pushgate={level}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_never_louder_than_warnings() {
        assert_eq!(filter(Level::DEBUG).to_string(), "pushgate=debug,warn");
        assert_eq!(filter(Level::ERROR).to_string(), "pushgate=error,error");
    }
}
