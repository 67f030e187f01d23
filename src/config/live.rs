//! What is in force, readable anywhere without a lock, and replaced while everything runs.

use std::ops::Deref;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::limits::CONFIGS_MAX;

/// Gives a plain `&T`, always of the newest one. Whoever borrowed from an older one keeps it: none is dropped before the gateway is.
/// Each is some kilobytes, and only one that differs takes a place, so the places last for years of reloads.
pub struct Live<T> {
    /// Each behind a pointer: most places stay empty.
    versions: Box<[OnceLock<Box<T>>]>,
    newest: AtomicUsize,
}

impl<T> Live<T> {
    /// In force from the start.
    pub fn new(first: T) -> Self {
        let versions: Box<[OnceLock<Box<T>>]> = (0..CONFIGS_MAX).map(|_| OnceLock::new()).collect();
        // A new cell is empty.
        let _ = versions[0].set(Box::new(first));
        Live { versions, newest: AtomicUsize::new(0) }
    }

    /// Whether there is a place for one more.
    pub fn has_room(&self) -> bool {
        self.newest.load(Ordering::Acquire) + 1 < self.versions.len()
    }

    /// Puts another one in force. One caller at a time; false when every place is taken, and nothing changed.
    pub fn replace(&self, next_one: T) -> bool {
        let next = self.newest.load(Ordering::Acquire) + 1;
        let is_set = self.versions.get(next).is_some_and(|place| place.set(Box::new(next_one)).is_ok());
        if is_set {
            self.newest.store(next, Ordering::Release);
        }
        is_set
    }
}

impl<T> Deref for Live<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.versions[self.newest.load(Ordering::Acquire)].get().expect("a place is filled before it is named the newest")
    }
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::*;

    fn config(folders_max: usize) -> Config {
        Config::parse(&format!("[ping]\nfolders_max = {folders_max}\n"), std::iter::empty()).expect("valid")
    }

    #[test]
    fn what_was_borrowed_before_a_reload_stays_as_it_was() {
        let live = Live::new(config(1));
        let before = &live.ping;
        assert!(live.replace(config(2)));
        assert_eq!((before.folders_max, live.ping.folders_max), (1, 2));
    }

    #[test]
    fn when_every_place_is_taken_the_newest_stays() {
        let live = Live::new(config(1));
        let taken = (2..).take_while(|_| live.has_room() && live.replace(config(7))).count();
        assert_eq!(taken, CONFIGS_MAX - 1);
        assert!(!live.replace(config(8)));
        assert_eq!(live.ping.folders_max, 7);
    }
}
