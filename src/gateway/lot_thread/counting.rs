//! A lot thread's ends of the metrics. Looked up once each and kept: a look-up copies its labels to the heap, three times an
//! answer, which shows when everybody is woken at once.

use std::collections::HashMap;
use std::time::Duration;

use metrics::{Counter, Histogram};

use crate::telemetry::metrics::{HANGING_SYNCS_TOTAL, HEARTBEAT_SECONDS, HOLD_SECONDS, PINGS_TOTAL, WAKE_SECONDS};

/// The label of networks that nobody configured.
const OTHER: &str = "other";

/// See the module.
pub(super) struct Counting {
    pub(super) wake: Histogram,
    pub(super) heartbeat: Histogram,
    /// By whether it was a hanging Sync, and outcome.
    ended: HashMap<(bool, &'static str), Counter>,
    /// By network (its place in the configuration) and outcome; both are few.
    held: HashMap<(Option<usize>, &'static str), Histogram>,
}

impl Counting {
    pub(super) fn new() -> Self {
        Counting {
            wake: metrics::histogram!(WAKE_SECONDS.name),
            heartbeat: metrics::histogram!(HEARTBEAT_SECONDS.name),
            ended: HashMap::new(),
            held: HashMap::new(),
        }
    }

    /// One held request, or one answered at once, ended so.
    pub(super) fn ended(&mut self, is_sync: bool, outcome: &'static str) {
        let total = if is_sync { HANGING_SYNCS_TOTAL } else { PINGS_TOTAL };
        let counter = self.ended.entry((is_sync, outcome));
        counter.or_insert_with(|| metrics::counter!(total.name, "outcome" => outcome)).increment(1);
    }

    /// It had been held for so long; `network` gives the name that belongs to the place.
    pub(super) fn held(&mut self, place: Option<usize>, network: impl Fn(usize) -> String, outcome: &'static str, held: Duration) {
        let new = || {
            let network = place.map_or_else(|| OTHER.to_owned(), network);
            metrics::histogram!(HOLD_SECONDS.name, "network" => network, "outcome" => outcome)
        };
        self.held.entry((place, outcome)).or_insert_with(new).record(held.as_secs_f64());
    }
}
