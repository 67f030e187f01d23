//! Changes that are being worked off, at the pace of `ping.wakes_per_s`.
//!
//! When one event wakes everybody, everybody Syncs: the backend would have all of them at the same time. Above the set rate changes
//! therefore wait here, before the lot hears of them; a device that Syncs meanwhile is in step with the change and is not woken for it.
//! The batches take turns, so that a single mail does not wait for an announcement to thousands.

use std::collections::VecDeque;
use std::time::Duration;

use crate::config::limits::WAKING_BATCHES_MAX;
use crate::gateway::lots::Batch;
use crate::logic::hold::Moment;
use crate::logic::spacing::Spacing;

/// Batches of changes, and when the next device may be woken.
#[derive(Default)]
pub(super) struct Batches {
    batches: VecDeque<Batch>,
    /// Between two wakes; `None`: no pace.
    gap: Option<Duration>,
    spacing: Spacing,
}

impl Batches {
    /// `per_s`: of all lots; 0: no pace.
    pub(super) fn new(per_s: u32, lots: usize) -> Self {
        let mut batches = Batches::default();
        batches.set_pace(per_s, lots);
        batches
    }

    /// Another pace from now on.
    pub(super) fn set_pace(&mut self, per_s: u32, lots: usize) {
        self.gap = (per_s > 0).then(|| Duration::from_secs(1) * lots as u32 / per_s);
    }

    pub(super) fn push(&mut self, batch: Batch) {
        self.batches.push_back(batch);
    }

    /// Whether what is here goes first, before anything else of the inbox.
    pub(super) fn goes_first(&self) -> bool {
        !self.batches.is_empty() && self.gap.is_none() || self.batches.len() >= WAKING_BATCHES_MAX
    }

    /// Whether a change may be worked off now.
    pub(super) fn may_step(&self, now: Moment) -> bool {
        !self.batches.is_empty() && (self.gap.is_none() || self.spacing.is_free(now))
    }

    /// The batch whose turn it is; it is to be put back if it has more.
    pub(super) fn take(&mut self) -> Option<Batch> {
        self.batches.pop_front()
    }

    /// Without a pace one batch is finished before the next.
    pub(super) fn put_back(&mut self, batch: Batch) {
        match self.gap {
            Some(_) => self.batches.push_back(batch),
            None => self.batches.push_front(batch),
        }
    }

    /// So many devices were woken. `jitter`: any byte; processes that began together drift apart.
    pub(super) fn woke(&mut self, count: usize, jitter: u8, now: Moment) {
        if let Some(gap) = self.gap.filter(|_| count > 0) {
            self.spacing.spend(now, gap * count as u32 * (768 + 2 * u32::from(jitter)) / 1_024);
        }
    }

    /// When a change may be worked off; `None`: there is none, or it does not wait for its time.
    pub(super) fn poll_timeout(&self) -> Option<Moment> {
        self.gap.filter(|_| !self.batches.is_empty()).map(|_| self.spacing.next())
    }
}
