//! What has been asked: counters, and the last requests as they came.

use std::collections::{HashMap, VecDeque};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use bytes::Bytes;
use http::{HeaderMap, Method, Uri, Version as HttpVersion};

use super::shared::lock;
use crate::logic::eas::Command;

/// A request as the HTTP parser saw it.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// When it was complete.
    pub at: Instant,
    /// Method.
    pub method: Method,
    /// Path and query as sent.
    pub uri: Uri,
    /// HTTP version.
    pub http_version: HttpVersion,
    /// Headers in order; names in lower case.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
}

/// Requests that are no command of the protocol.
#[derive(Debug, Default)]
pub(super) struct Records {
    commands: [AtomicU64; Command::ALL.len()],
    by_user: Mutex<HashMap<(String, Command), u64>>,
    pub(super) total: AtomicU64,
    pub(super) options: AtomicU64,
    pub(super) autodiscovers: AtomicU64,
    pub(super) unauthorized: AtomicU64,
    pub(super) turned_away: AtomicU64,
    last: Mutex<VecDeque<Recorded>>,
    last_max: usize,
}

impl Records {
    pub(super) fn new(last_max: usize) -> Self {
        Records { last_max, ..Records::default() }
    }

    pub(super) fn count(&self, mailbox: &str, command: Command) {
        self.commands[command as usize].fetch_add(1, Ordering::Relaxed);
        *lock(&self.by_user).entry((mailbox.to_owned(), command)).or_default() += 1;
    }

    pub(super) fn of(&self, command: Command) -> u64 {
        self.commands[command as usize].load(Ordering::Relaxed)
    }

    pub(super) fn of_user(&self, mailbox: &str, command: Command) -> u64 {
        lock(&self.by_user).get(&(mailbox.to_owned(), command)).copied().unwrap_or(0)
    }

    pub(super) fn keep(&self, recorded: impl FnOnce() -> Recorded) {
        if self.last_max > 0 {
            let mut last = lock(&self.last);
            if last.len() == self.last_max {
                last.pop_front();
            }
            last.push_back(recorded());
        }
    }

    pub(super) fn last(&self) -> Vec<Recorded> {
        lock(&self.last).iter().cloned().collect()
    }
}
