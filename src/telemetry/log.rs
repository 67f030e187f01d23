//! Logs: one line an event on standard error, for people or for machines. Standard output belongs to commands.

use std::io::IsTerminal;

use anyhow::anyhow;
use tracing::Level;
use tracing_subscriber::EnvFilter;

use crate::config::Log;

/// Starts logging for the whole process. An error when logging was started before.
pub fn start(log: &Log) -> anyhow::Result<()> {
    let builder = tracing_subscriber::fmt().with_env_filter(filter(log.level)).with_writer(std::io::stderr);
    let started = if log.json {
        builder.json().flatten_event(true).with_current_span(true).with_span_list(false).try_init()
    } else {
        builder.with_ansi(std::io::stderr().is_terminal()).try_init()
    };
    started.map_err(|error| anyhow!("cannot start logging: {error}"))
}

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
