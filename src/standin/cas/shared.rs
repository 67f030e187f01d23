//! What all requests of a stand-in share: its state, its workers, its counters.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::faults::Faults;
use super::mailbox::{Folder, Mailbox};
use super::manners::{self, Manners};
use super::record::Records;
use super::workers::Workers;
use super::{CasOptions, ItemId};
use crate::logic::eas::Version;

/// Everything behind one address.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) options: CasOptions,
    pub(super) manners: Manners,
    pub(super) records: Records,
    pub(super) faults: Faults,
    pub(super) workers: Workers,
    /// Pings being served, those whose device has hung up included.
    pub(super) pings: AtOnce,
    mailboxes: Mutex<HashMap<String, Mailbox>>,
    items: AtomicU64,
}

/// Who asks.
#[derive(Debug, Clone)]
pub(super) struct Who {
    /// The mailbox: `user@domain`, lower case.
    pub(super) mailbox: String,
    /// The device id, lower case.
    pub(super) device: String,
    pub(super) version: Version,
}

impl Shared {
    pub(super) fn new(options: CasOptions) -> Self {
        Shared {
            manners: Manners::of(&options),
            records: Records::new(options.record_max),
            faults: Faults::default(),
            workers: Workers::new(options.workers, options.queue_max),
            pings: AtOnce::default(),
            mailboxes: Mutex::default(),
            items: AtomicU64::new(0),
            options,
        }
    }

    /// Works on a mailbox, which is made on first use. Short: everything waits for it.
    pub(super) fn with_mailbox<T>(&self, mailbox: &str, work: impl FnOnce(&mut Mailbox) -> T) -> T {
        let mut mailboxes = lock(&self.mailboxes);
        if !mailboxes.contains_key(mailbox) {
            mailboxes.insert(mailbox.to_owned(), Mailbox::new());
        }
        work(mailboxes.get_mut(mailbox).expect("just looked"))
    }

    /// The one spelling of a user's mailbox: `DOMAIN\user`, `user` and `user@domain` are the same.
    pub(super) fn mailbox_name(&self, user: &str) -> String {
        let user = user.rsplit_once('\\').map_or(user, |(_, user)| user).to_lowercase();
        if user.contains('@') { user } else { format!("{user}@{}", self.options.domain) }
    }

    pub(super) fn folder_id(&self, who: &Who, folder: &Folder) -> String {
        manners::folder_id(self.options.kind, &who.mailbox, &who.device, folder.number, folder.folder_type)
    }

    /// The folder of that id, if it is there.
    pub(super) fn folder_number(&self, who: &Who, mailbox: &Mailbox, id: &str) -> Option<u32> {
        let mut there = mailbox.folders.iter().filter(|folder| !folder.is_gone);
        there.find(|folder| self.folder_id(who, folder) == id).map(|folder| folder.number)
    }

    pub(super) fn next_item(&self) -> ItemId {
        ItemId(self.items.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// Protocol seconds in real time.
    pub(super) fn seconds(&self, seconds: u32) -> Duration {
        // A month is for ever here, and keeps the product in range.
        self.options.second.saturating_mul(seconds.min(30 * 86_400))
    }
}

/// A poisoned lock means that a test has failed already; what it holds is still good enough to end with.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How many of something there are at once, and the most so far.
#[derive(Debug, Default)]
pub(super) struct AtOnce {
    now: AtomicUsize,
    max: AtomicUsize,
}

/// One of them, until it is dropped.
pub(super) struct Entered<'a>(&'a AtOnce);

impl AtOnce {
    pub(super) fn enter(&self) -> Entered<'_> {
        let now = self.now.fetch_add(1, Ordering::Relaxed) + 1;
        self.max.fetch_max(now, Ordering::Relaxed);
        Entered(self)
    }

    pub(super) fn max(&self) -> usize {
        self.max.load(Ordering::Relaxed)
    }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, Ordering::Relaxed);
    }
}
