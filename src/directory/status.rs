//! How readings of the directory went, for those who ask.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::logic::policy::Timestamp;

/// Since the start of this process.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Status {
    /// The last reading that counted.
    pub read_at: Option<Timestamp>,
    /// Since when readings fail; `None` if the last one counted.
    pub failing_since: Option<Timestamp>,
    /// Why the last one failed. Holds no password, but names the server's own words.
    pub error: Option<String>,
    /// Groups found by the last reading.
    pub groups: usize,
    /// Memberships in all of them.
    pub mailboxes: usize,
    /// Members that are neither a person with a mailbox nor a group.
    pub strangers: usize,
    /// Groups that could not be taken, by name: their name is unusable, another one's too, or that of a group made by hand.
    pub skipped: Vec<String>,
}

impl Status {
    /// One sentence for the readiness answer, which anybody may read; `None` if there is nothing to say.
    pub fn trouble(&self) -> Option<String> {
        let since = self.failing_since?;
        let known = self.read_at.map_or_else(|| "of before the start".to_owned(), |at| format!("of {at}"));
        Some(format!("The directory cannot be read since {since}; its groups are those {known}."))
    }
}

/// Nothing is done under the lock that could panic half-way.
pub(super) fn lock(status: &Mutex<Status>) -> MutexGuard<'_, Status> {
    status.lock().unwrap_or_else(PoisonError::into_inner)
}
