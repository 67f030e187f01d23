//! Which backend gets a request: the same one for a mailbox as long as it is up.
//!
//! Rendezvous hashing: each backend gets a weight from its name and the key, the heaviest wins. Losing one
//! moves only the mailboxes it had, and every process that knows the same names decides the same.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

/// Failures in a row, short of a refused connection, after which a backend is left out.
pub(super) const FAILURES_MAX: u32 = 3;

/// Indexes of `names`, best first.
pub(super) fn ranked<'a>(names: impl Iterator<Item = &'a str>, key: &[u8]) -> Vec<usize> {
    let mut weights: Vec<(u64, usize)> = names.enumerate().map(|(index, name)| (weight(name, key), index)).collect();
    weights.sort_unstable_by(|a, b| b.cmp(a));
    weights.into_iter().map(|(_, index)| index).collect()
}

/// FNV-1a, then a mixing step: FNV alone leaves the weights of similar names in similar order.
/// Fixed forever, because processes side by side must agree.
fn weight(name: &str, key: &[u8]) -> u64 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in name.bytes().chain([0]).chain(key.iter().copied()) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

/// What recent exchanges say about one backend. Times are milliseconds of any one clock that starts above 0.
pub(super) struct Health {
    failures: AtomicU32,
    /// 0: up. Otherwise left out until then.
    down_until_ms: AtomicU64,
    down_ms: u64,
    trial_ms: u64,
}

impl Health {
    /// `down`: how long a failed backend is left out. `trial`: how long one request may try it before the next one may.
    pub(super) fn new(down: Duration, trial: Duration) -> Self {
        let ms = |d: Duration| u64::try_from(d.as_millis()).unwrap_or(u64::MAX / 4);
        Health { failures: AtomicU32::new(0), down_until_ms: AtomicU64::new(0), down_ms: ms(down), trial_ms: ms(trial) }
    }

    /// Whether a request should go there. When the time out is over exactly one request is let through to try;
    /// the others stay away until it has come back, so that a dead backend does not stall everybody at once.
    pub(super) fn admits(&self, now_ms: u64) -> bool {
        let until = self.down_until_ms.load(Ordering::Relaxed);
        if until == 0 {
            return true;
        }
        let trial_until = now_ms.saturating_add(self.trial_ms);
        now_ms >= until && self.down_until_ms.compare_exchange(until, trial_until, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// It answered, with something other than 502, 503 or 504.
    pub(super) fn note_success(&self) {
        // Read first: the common case must not bounce a cache line between cores.
        if self.failures.load(Ordering::Relaxed) != 0 {
            self.failures.store(0, Ordering::Relaxed);
        }
        if self.down_until_ms.load(Ordering::Relaxed) != 0 {
            self.down_until_ms.store(0, Ordering::Relaxed);
        }
    }

    /// No connection could be made: nothing sent there will do better, so it is left out at once.
    /// Whether that is news.
    pub(super) fn note_unreachable(&self, now_ms: u64) -> bool {
        self.failures.store(FAILURES_MAX, Ordering::Relaxed);
        self.leave_out(now_ms)
    }

    /// It took the request and failed it; one bad mailbox does that too, so only a row of them counts.
    /// Whether it is left out now and was not before.
    pub(super) fn note_failure(&self, now_ms: u64) -> bool {
        self.failures.fetch_add(1, Ordering::Relaxed) + 1 >= FAILURES_MAX && self.leave_out(now_ms)
    }

    fn leave_out(&self, now_ms: u64) -> bool {
        self.down_until_ms.swap(now_ms.saturating_add(self.down_ms).max(1), Ordering::Relaxed) == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 3] = ["cas1.example.org", "cas2.example.org", "cas3.example.org"];

    fn best(names: &[&'static str], key: &str) -> &'static str {
        names[ranked(names.iter().copied(), key.as_bytes())[0]]
    }

    #[test]
    fn losing_one_backend_moves_only_its_own_mailboxes() {
        for user in 0..1_000 {
            let key = format!("user{user}@example.org");
            let before = best(&NAMES, &key);
            let after = best(&NAMES[..2], &key);
            assert!(before == after || before == NAMES[2], "{key} moved from {before} to {after}");
        }
    }

    #[test]
    fn mailboxes_spread_evenly() {
        let mut counts = [0; 3];
        for user in 0..3_000 {
            counts[ranked(NAMES.into_iter(), format!("user{user}@example.org").as_bytes())[0]] += 1;
        }
        assert!(counts.iter().all(|&count| (850..1_150).contains(&count)), "{counts:?}");
    }

    #[test]
    fn the_choice_does_not_change_between_releases() {
        assert_eq!(weight("cas1.example.org", b"hew@example.org"), 0xc593_1aeb_1cb3_7c0e);
    }

    #[test]
    fn three_failures_in_a_row_leave_a_backend_out_and_one_success_brings_it_back() {
        let health = Health::new(Duration::from_secs(10), Duration::from_secs(1));
        assert!(!health.note_failure(1) && !health.note_failure(2));
        health.note_success();
        assert!(!health.note_failure(3) && !health.note_failure(4));
        assert!(health.admits(5), "a success in between starts the row anew");
        assert!(health.note_failure(5) && !health.note_failure(5), "worth a line in the log once");
        assert!(!health.admits(10_004));
        assert!(health.admits(10_005), "the first request after the time out tries it");
        assert!(!health.admits(10_006), "the second one waits for the first");
        health.note_success();
        assert!(health.admits(10_007));
    }

    #[test]
    fn a_trial_that_never_comes_back_is_followed_by_another() {
        let health = Health::new(Duration::from_secs(10), Duration::from_secs(1));
        assert!(health.note_unreachable(1) && !health.note_unreachable(1));
        assert!(!health.admits(10_000));
        assert!(health.admits(10_001));
        assert!(!health.admits(11_000));
        assert!(health.admits(11_001));
    }
}
