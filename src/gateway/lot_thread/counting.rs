//! A lot thread's ends of the metrics. Looked up once each and kept: a look-up copies its labels to the heap, three times an
//! answer, which shows when everybody is woken at once.

use std::time::Duration;

use metrics::{Counter, Histogram};

use crate::telemetry::metrics::{HANGING_SYNCS_TOTAL, HEARTBEAT_SECONDS, HOLD_SECONDS, PINGS_TOTAL, WAKE_SECONDS};

/// The label of networks that nobody configured.
const OTHER: &str = "other";

/// See the module. Lists, since there are some ten outcomes: hashing one takes longer than looking for it.
pub(super) struct Counting {
    pub(super) wake: Histogram,
    pub(super) heartbeat: Histogram,
    /// By outcome; first of Pings, then of hanging Syncs.
    ended: [Vec<(&'static str, Counter)>; 2],
    /// By network (others first, then as configured) and outcome.
    held: Vec<Vec<(&'static str, Histogram)>>,
}

impl Counting {
    pub(super) fn new() -> Self {
        Counting {
            wake: metrics::histogram!(WAKE_SECONDS.name),
            heartbeat: metrics::histogram!(HEARTBEAT_SECONDS.name),
            ended: Default::default(),
            held: Vec::new(),
        }
    }

    /// One held request, or one answered at once, ended so.
    pub(super) fn ended(&mut self, is_sync: bool, outcome: &'static str) {
        let total = if is_sync { HANGING_SYNCS_TOTAL } else { PINGS_TOTAL };
        let list = &mut self.ended[usize::from(is_sync)];
        found(list, outcome, || metrics::counter!(total.name, "outcome" => outcome)).increment(1);
    }

    /// It had been held for so long; `network` gives the name that belongs to the place.
    pub(super) fn held(&mut self, place: Option<usize>, network: impl Fn(usize) -> String, outcome: &'static str, held: Duration) {
        let index = place.map_or(0, |place| place + 1);
        if self.held.len() <= index {
            self.held.resize_with(index + 1, Vec::new);
        }
        let new = || {
            let network = place.map_or_else(|| OTHER.to_owned(), network);
            metrics::histogram!(HOLD_SECONDS.name, "network" => network, "outcome" => outcome)
        };
        found(&mut self.held[index], outcome, new).record(held.as_secs_f64());
    }
}

/// The metric of an outcome, looked up the first time.
fn found<'a, T>(list: &'a mut Vec<(&'static str, T)>, outcome: &'static str, new: impl FnOnce() -> T) -> &'a T {
    let index = list.iter().position(|(known, _)| *known == outcome).unwrap_or_else(|| {
        list.push((outcome, new()));
        list.len() - 1
    });
    &list[index].1
}
