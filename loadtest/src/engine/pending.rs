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

/// All of them.
#[derive(Debug, Default)]
pub struct Pending {
    devices: HashMap<u32, OfDevice>,
    /// Lost ones that were told of one by one.
    said: u32,
}

/// Those of one device.
#[derive(Debug, Default)]
struct OfDevice {
    /// Not answered, oldest first.
    changes: Vec<Change>,
    /// Answered by a wake, and not fetched yet.
    to_fetch: usize,
}

/// One device has as many at most: more say nothing new.
const OF_ONE_MAX: usize = 64;
/// So many lost wakes are told of one by one; the rest are only counted.
const SAID_MAX: u32 = 20;

impl Pending {
    /// A change is about to be sent.
    pub fn add(&mut self, device: usize, change: Change) {
        let changes = &mut self.devices.entry(device as u32).or_default().changes;
        if changes.len() < OF_ONE_MAX {
            changes.push(change);
        }
    }

    /// The device was told: what that answers.
    pub fn told(&mut self, device: usize, at: Instant) -> Vec<Change> {
        let Some(of) = self.devices.get_mut(&(device as u32)) else { return Vec::new() };
        let answered = of.take(|change| change.sent <= at);
        of.to_fetch += answered.len();
        answered
    }

    /// The device fetched what there was when `began`, and so many items in all. Whatever was sent before that is answered. Of what
    /// was sent while it fetched, the oldest is, as far as there were more items than that: it has them, and nobody has to tell it.
    pub fn in_step(&mut self, device: usize, began: Instant, brought: usize) {
        let Some(of) = self.devices.get_mut(&(device as u32)) else { return };
        let expected = std::mem::take(&mut of.to_fetch) + of.take(|change| change.sent <= began).len();
        let more = brought.saturating_sub(expected).min(of.changes.len());
        of.changes.drain(..more);
        if of.changes.is_empty() {
            self.devices.remove(&(device as u32));
        }
    }

    /// The device can be woken from now on, or not any more.
    pub fn reachable(&mut self, device: usize, since: Option<Instant>) {
        for change in self.devices.get_mut(&(device as u32)).into_iter().flat_map(|of| &mut of.changes) {
            change.reachable = change.reachable.filter(|_| since.is_some()).or(since);
            change.away |= since.is_none();
        }
    }

    /// Takes out what is not answered although the device could have been woken for so long; how many.
    pub fn lost(&mut self, after: Duration, now: Instant) -> u64 {
        let Pending { devices, said } = self;
        let mut lost = 0;
        devices.retain(|device, of| {
            of.changes.retain(|change| {
                let ago = |at: Instant| now.saturating_duration_since(at);
                let Some(since) = change.reachable.filter(|since| ago(change.sent.max(*since)) >= after) else { return true };
                if *said < SAID_MAX {
                    *said += 1;
                    let (sent_s, since_s) = (ago(change.sent).as_secs_f64(), ago(since).as_secs_f64());
                    eprintln!(
                        "pushgate-loadtest: lost: device {device} could be woken for {since_s:.1} s, by a change of {sent_s:.1} s ago"
                    );
                }
                lost += 1;
                false
            });
            !of.changes.is_empty() || of.to_fetch > 0
        });
        lost
    }

    /// Changes that could have been answered and are not.
    pub fn outstanding(&self) -> usize {
        self.devices.values().flat_map(|of| &of.changes).filter(|change| change.reachable.is_some()).count()
    }

    /// Whether a change of this device is not answered.
    pub fn is_awaited(&self, device: usize) -> bool {
        self.devices.get(&(device as u32)).is_some_and(|of| !of.changes.is_empty())
    }
}

impl OfDevice {
    fn take(&mut self, is_answered: impl Fn(&Change) -> bool) -> Vec<Change> {
        let (answered, left) = self.changes.iter().partition(|change| is_answered(change));
        self.changes = left;
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
        assert!(pending.told(1, now).is_empty(), "that was before");
        pending.in_step(1, now, 0);
        pending.add(1, change(now + 3 * SECOND, true));
        assert_eq!(pending.told(1, now + 2 * SECOND).len(), 1);
        pending.in_step(1, now + 4 * SECOND, 0);
        assert_eq!(pending.outstanding(), 0);
    }

    #[test]
    fn what_a_sync_brought_that_began_before_the_change_was_fetched_all_the_same() {
        let now = Instant::now();
        let mut pending = Pending::default();
        (1..=4).for_each(|second| pending.add(1, change(now + second * SECOND, true)));
        assert_eq!(pending.told(1, now + SECOND).len(), 1);
        pending.in_step(1, now + 2 * SECOND, 3);
        assert_eq!(pending.outstanding(), 1, "one told of, one there when it began, one that came meanwhile; not the fourth");
        pending.in_step(1, now + 2 * SECOND, 0);
        assert_eq!(pending.outstanding(), 1);
        pending.in_step(1, now + 2 * SECOND, 1);
        assert_eq!((pending.outstanding(), pending.devices.len()), (0, 0));
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
