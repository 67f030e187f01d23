//! What was reported in the time after the start, for devices that are not back yet.
//!
//! A lot that has just begun knows nobody: a change finds no device, and the device that comes back a moment later is one in
//! doubt among thousands, whose turn to be told to Sync may be minutes away. Its mailbox is known to have changed, so it does not
//! wait for that turn. What came while nobody was there to be told (the restart itself) cannot be known, and takes its turn.

use std::collections::HashMap;

use super::{MailboxChange, Moment, Scope};
use crate::config::limits::{EARLY_CHANGES_MAX, EARLY_TIME};

/// Changes since the start, the last of each mailbox.
#[derive(Debug)]
pub struct EarlyChanges {
    ends: Moment,
    /// By the keyed hash of the mailbox; of two that share one, each wakes the other's devices once for nothing.
    changes: HashMap<u64, MailboxChange>,
}

impl EarlyChanges {
    /// From the start on, for so long.
    pub fn new(start: Moment) -> Self {
        EarlyChanges { ends: start + EARLY_TIME, changes: HashMap::new() }
    }

    /// A change was reported.
    pub fn note(&mut self, change: &MailboxChange, hash: u64, now: Moment) {
        if !self.goes_on(now) || (self.changes.len() >= EARLY_CHANGES_MAX && !self.changes.contains_key(&hash)) {
            return;
        }
        let kept = self.changes.entry(hash).or_insert_with(|| change.clone());
        if kept.scope != change.scope {
            kept.scope = if Scope::Hierarchy == change.scope { Scope::Hierarchy } else { Scope::Mailbox };
        }
    }

    /// What was reported for the mailbox of a device that is in doubt.
    pub fn of(&mut self, hash: u64, now: Moment) -> Option<MailboxChange> {
        if self.goes_on(now) { self.changes.get(&hash).cloned() } else { None }
    }

    /// Until everybody had the time to come back; then the memory is given back.
    fn goes_on(&mut self, now: Moment) -> bool {
        let goes_on = now < self.ends;
        if !goes_on {
            self.changes = HashMap::new();
        }
        goes_on
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logic::eas::Mailbox;

    fn change(scope: Scope) -> MailboxChange {
        MailboxChange { mailbox: Mailbox::normalise("hew", None, true).expect("a name"), scope }
    }

    fn second(s: u64) -> Moment {
        Moment(s * 1_000_000)
    }

    #[test]
    fn the_last_change_of_a_mailbox_is_kept_until_everybody_had_time_to_come_back() {
        let mut early = EarlyChanges::new(second(0));
        early.note(&change(Scope::FolderName("INBOX".into())), 1, second(1));
        assert_eq!(early.of(1, second(2)).map(|c| c.scope), Some(Scope::FolderName("INBOX".into())));
        assert_eq!(early.of(2, second(2)), None);
        early.note(&change(Scope::FolderName("Work".into())), 1, second(3));
        assert_eq!(early.of(1, second(4)).map(|c| c.scope), Some(Scope::Mailbox), "two folders are the mailbox");
        early.note(&change(Scope::Hierarchy), 1, second(5));
        early.note(&change(Scope::Hierarchy), 1, second(6));
        assert_eq!(early.of(1, second(7)).map(|c| c.scope), Some(Scope::Hierarchy));
        assert_eq!(early.of(1, second(0) + EARLY_TIME), None);
        early.note(&change(Scope::Mailbox), 1, second(0) + EARLY_TIME);
        assert!(early.changes.is_empty());
    }

    #[test]
    fn there_is_an_end_to_what_is_kept() {
        let mut early = EarlyChanges::new(second(0));
        for hash in 0..EARLY_CHANGES_MAX as u64 + 10 {
            early.note(&change(Scope::Mailbox), hash, second(1));
        }
        assert_eq!(early.changes.len(), EARLY_CHANGES_MAX);
        early.note(&change(Scope::Hierarchy), 1, second(1));
        assert_eq!(early.of(1, second(1)).map(|c| c.scope), Some(Scope::Hierarchy), "those that are kept are kept up to date");
    }
}
