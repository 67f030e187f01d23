//! Changes that were sent, and what became of them.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// A change whose device has not been heard of since.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// When it was due to be sent.
    pub due: Instant,
    /// When it was.
    pub sent: Instant,
    /// The device could not have been woken: it was connecting, synchronising, or without a network.
    pub away: bool,
    /// Since when it can be woken; `None`: it cannot.
    pub reachable: Option<Instant>,
}

/// All of them, by device.
#[derive(Debug, Default)]
pub struct Pending {
    changes: HashMap<u32, Vec<Change>>,
    /// Lost ones that were told of one by one.
    told: u32,
}

/// One device has as many at most: more say nothing new.
const OF_ONE_MAX: usize = 64;
/// So many lost wakes are told of one by one; the rest are only counted.
const TOLD_MAX: u32 = 20;

impl Pending {
    /// A change is about to be sent.
    pub fn add(&mut self, device: usize, change: Change) {
        let changes = self.changes.entry(device as u32).or_default();
        if changes.len() < OF_ONE_MAX {
            changes.push(change);
        }
    }

    /// The device was told: what that answers.
    pub fn told(&mut self, device: usize, at: Instant) -> Vec<Change> {
        self.take(device, |change| change.sent <= at)
    }

    /// The device fetched what there was when `began`: what that answers.
    pub fn in_step(&mut self, device: usize, began: Instant) -> usize {
        self.take(device, |change| change.sent <= began).len()
    }

    /// The device can be woken from now on, or not any more.
    pub fn reachable(&mut self, device: usize, since: Option<Instant>) {
        for change in self.changes.get_mut(&(device as u32)).into_iter().flatten() {
            change.reachable = change.reachable.filter(|_| since.is_some()).or(since);
            change.away |= since.is_none();
        }
    }

    /// Takes out what is not answered although the device could have been woken for so long; how many.
    pub fn lost(&mut self, after: Duration, now: Instant) -> u64 {
        let Pending { changes, told } = self;
        let mut lost = 0;
        changes.retain(|device, changes| {
            changes.retain(|change| {
                let ago = |at: Instant| now.saturating_duration_since(at);
                let Some(since) = change.reachable.filter(|since| ago(change.sent.max(*since)) >= after) else { return true };
                if *told < TOLD_MAX {
                    *told += 1;
                    let (sent_s, since_s) = (ago(change.sent).as_secs_f64(), ago(since).as_secs_f64());
                    eprintln!(
                        "pushgate-loadtest: lost: device {device} could be woken for {since_s:.1} s, by a change of {sent_s:.1} s ago"
                    );
                }
                lost += 1;
                false
            });
            !changes.is_empty()
        });
        lost
    }

    /// Changes that could have been answered and are not.
    pub fn outstanding(&self) -> usize {
        self.changes.values().flatten().filter(|change| change.reachable.is_some()).count()
    }

    /// Whether a change of this device is not answered.
    pub fn is_awaited(&self, device: usize) -> bool {
        self.changes.contains_key(&(device as u32))
    }

    fn take(&mut self, device: usize, is_answered: impl Fn(&Change) -> bool) -> Vec<Change> {
        let Some(changes) = self.changes.get_mut(&(device as u32)) else { return Vec::new() };
        let (answered, left) = changes.iter().partition(|change| is_answered(change));
        *changes = left;
        if changes.is_empty() {
            self.changes.remove(&(device as u32));
        }
        answered
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn change(sent: Instant, is_held: bool) -> Change {
        Change { due: sent, sent, away: !is_held, reachable: is_held.then_some(sent) }
    }

    #[test]
    fn a_change_is_answered_by_a_wake_or_a_sync_after_it() {
        let now = Instant::now();
        let mut pending = Pending::default();
        pending.add(1, change(now + SECOND, true));
        assert!(pending.told(1, now).is_empty() && pending.in_step(1, now) == 0, "that was before");
        pending.add(1, change(now + 3 * SECOND, true));
        assert_eq!(pending.told(1, now + 2 * SECOND).len(), 1);
        assert_eq!((pending.in_step(1, now + 4 * SECOND), pending.outstanding()), (1, 0));
    }

    #[test]
    fn who_cannot_be_woken_loses_nothing_until_it_can() {
        let now = Instant::now();
        let mut pending = Pending::default();
        pending.add(1, change(now, false));
        pending.add(2, change(now, true));
        assert_eq!((pending.outstanding(), pending.lost(5 * SECOND, now + 5 * SECOND)), (1, 1));
        pending.reachable(1, Some(now + 10 * SECOND));
        assert_eq!(pending.lost(5 * SECOND, now + 14 * SECOND), 0);
        assert_eq!(pending.lost(5 * SECOND, now + 15 * SECOND), 1);
    }

    #[test]
    fn a_device_that_goes_away_with_a_change_pending_starts_anew() {
        let now = Instant::now();
        let mut pending = Pending::default();
        pending.add(1, change(now, true));
        pending.reachable(1, None);
        assert_eq!(pending.lost(SECOND, now + 9 * SECOND), 0);
        pending.reachable(1, Some(now + 9 * SECOND));
        pending.reachable(1, Some(now + 11 * SECOND));
        let told = pending.told(1, now + 12 * SECOND);
        assert!(told[0].away && told[0].reachable == Some(now + 9 * SECOND), "{told:?}");
    }
}
