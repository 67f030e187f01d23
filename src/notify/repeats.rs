//! Ids of recent notifications, to notice a repeat.
//!
//! A repeat would only wake a device for nothing, so forgetting an id is harmless and the window is bounded in number and
//! age. The opposite mistake would lose a wake, so an id counts only together with the change it came with (senders number per
//! folder, per mailbox, as they please), and is remembered only after the change was handed over.

use std::collections::hash_map::RandomState;
use std::collections::{HashSet, VecDeque};
use std::hash::BuildHasher;
use std::time::{Duration, Instant};

use crate::logic::hold::MailboxChange;

/// Hashes instead of texts: 64 keyed bits, so that nobody can aim at a collision.
pub(super) struct Repeats {
    hasher: RandomState,
    seen: HashSet<u64>,
    order: VecDeque<(Instant, u64)>,
    len_max: usize,
    age_max: Duration,
}

impl Repeats {
    pub(super) fn new(len_max: usize, age_max: Duration) -> Repeats {
        Repeats { hasher: RandomState::new(), seen: HashSet::new(), order: VecDeque::new(), len_max, age_max }
    }

    pub(super) fn key(&self, change: &MailboxChange, id: &str) -> u64 {
        self.hasher.hash_one((change, id))
    }

    pub(super) fn contains(&mut self, key: u64, now: Instant) -> bool {
        while self.order.front().is_some_and(|(at, _)| now.saturating_duration_since(*at) >= self.age_max) {
            self.forget_oldest();
        }
        self.seen.contains(&key)
    }

    pub(super) fn remember(&mut self, key: u64, now: Instant) {
        if self.seen.insert(key) {
            self.order.push_back((now, key));
        }
        while self.order.len() > self.len_max {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some((_, key)) = self.order.pop_front() {
            self.seen.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logic::eas::Mailbox;
    use crate::logic::hold::Scope;

    #[test]
    fn an_id_counts_only_together_with_its_change() {
        let repeats = Repeats::new(10, Duration::from_secs(60));
        let change = |mailbox, scope| MailboxChange { mailbox: Mailbox::normalise(mailbox, None, true).expect("a name"), scope };
        let inbox = || Scope::FolderName("INBOX".into());
        let first = repeats.key(&change("a", inbox()), "5");
        assert_eq!(first, repeats.key(&change("a", inbox()), "5"));
        for other in [change("b", inbox()), change("a", Scope::FolderName("Work".into())), change("a", Scope::Mailbox)] {
            assert_ne!(first, repeats.key(&other, "5"));
        }
    }

    #[test]
    fn the_window_is_bounded_in_number_and_age() {
        let (start, age) = (Instant::now(), Duration::from_secs(60));
        let mut repeats = Repeats::new(2, age);
        for key in [1, 2, 2, 3] {
            repeats.remember(key, start);
        }
        assert_eq!([1, 2, 3].map(|key| repeats.contains(key, start)), [false, true, true]);
        assert_eq!((repeats.seen.len(), repeats.order.len()), (2, 2));
        assert!(!repeats.contains(3, start + age));
        assert_eq!((repeats.seen.len(), repeats.order.len()), (0, 0));
    }
}
