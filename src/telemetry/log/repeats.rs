//! Lets only so many lines from one place through in a window: whatever ten thousand devices do at once must not fill a disk, nor hide
//! what else happens. What is left out is counted, and said when the window ends.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};

use tracing::callsite::Identifier;
use tracing::{Level, Metadata};

use crate::config::limits::{DEBUG_LOG_LINES_MAX, LOG_REPEATS_MAX};
use crate::telemetry::metrics::LOG_LINES_LEFT_OUT_TOTAL;

/// Of the process.
pub(super) static REPEATS: LazyLock<Repeats> = LazyLock::new(Repeats::default);

/// What was let through and what was not, in this window.
#[derive(Default)]
pub(super) struct Repeats(Mutex<Counts>);

#[derive(Default)]
struct Counts {
    /// As many as the program has such lines.
    places: HashMap<Identifier, Count>,
    debug_lines: u32,
}

struct Count {
    metadata: &'static Metadata<'static>,
    lines: u32,
}

impl Repeats {
    /// A line that the level asks for. Debugging is not held back: whoever asks for all of it wants all.
    pub(super) fn lets_pass(&self, metadata: &'static Metadata<'static>) -> bool {
        if *metadata.level() > Level::INFO {
            return true;
        }
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.places.entry(metadata.callsite()).or_insert(Count { metadata, lines: 0 });
        count.lines = count.lines.saturating_add(1);
        counted(count.lines <= LOG_REPEATS_MAX)
    }

    /// A line that only the debug log of a mailbox asks for: what one device does must not fill a disk either.
    pub(super) fn lets_debugging_pass(&self) -> bool {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.debug_lines = counts.debug_lines.saturating_add(1);
        counted(counts.debug_lines <= DEBUG_LOG_LINES_MAX)
    }

    /// Places of which lines were left out, and how many.
    pub(super) fn end_window(&self) -> Vec<(String, u32)> {
        let Counts { places, debug_lines } = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        let place = |metadata: &Metadata<'_>| format!("{}:{}", metadata.target(), metadata.line().unwrap_or_default());
        let over = places.values().filter(|count| count.lines > LOG_REPEATS_MAX);
        let mut left_out: Vec<_> = over.map(|count| (place(count.metadata), count.lines - LOG_REPEATS_MAX)).collect();
        if debug_lines > DEBUG_LOG_LINES_MAX {
            left_out.push(("debug logs of mailboxes".to_owned(), debug_lines - DEBUG_LOG_LINES_MAX));
        }
        left_out
    }
}

fn counted(passes: bool) -> bool {
    if !passes {
        metrics::counter!(LOG_LINES_LEFT_OUT_TOTAL.name).increment(1);
    }
    passes
}
