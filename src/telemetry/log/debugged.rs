//! Debug logs of single mailboxes: for a time, whatever the level, all that is said of one mailbox is written. They end by themselves,
//! and with the process.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant, SystemTime};

use crate::config::limits::DEBUG_LOGS_MAX;
use crate::logic::eas::Mailbox;

/// A debug log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DebugLog {
    /// Of this mailbox.
    pub mailbox: Mailbox,
    /// When it began.
    pub since: SystemTime,
    /// When it ends by itself.
    pub until: SystemTime,
    /// The same on a clock that nobody sets.
    ends: Instant,
}

/// Why there is no debug log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DebugLogError {
    /// There are [`DEBUG_LOGS_MAX`] others.
    TooMany,
}

impl fmt::Display for DebugLogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DebugLogError::TooMany => write!(f, "there are {DEBUG_LOGS_MAX} debug logs already: end one of them first"),
        }
    }
}

impl std::error::Error for DebugLogError {}

/// By name: lines know no more than that.
static LOGS: RwLock<BTreeMap<String, DebugLog>> = RwLock::new(BTreeMap::new());
/// How many there are. Nobody but [`any`] and who changes [`LOGS`] looks at it.
static COUNT: AtomicUsize = AtomicUsize::new(0);

/// Whether a debug log of a mailbox may begin now, or has begun.
///
/// # Errors
/// There are too many.
pub fn has_room_for_debug_log(mailbox: &Mailbox) -> Result<(), DebugLogError> {
    end_those_due();
    let logs = read();
    if logs.len() >= DEBUG_LOGS_MAX && !logs.contains_key(mailbox.as_str()) { Err(DebugLogError::TooMany) } else { Ok(()) }
}

/// Begins the debug log of a mailbox, or gives it another end.
///
/// # Errors
/// There are too many.
pub fn begin_debug_log(mailbox: &Mailbox, time: Duration) -> Result<DebugLog, DebugLogError> {
    end_those_due();
    let (now, instant) = (SystemTime::now(), Instant::now());
    let mut logs = write();
    let before = logs.get(mailbox.as_str()).map(|log| log.since);
    if before.is_none() && logs.len() >= DEBUG_LOGS_MAX {
        return Err(DebugLogError::TooMany);
    }
    let log = DebugLog { mailbox: mailbox.clone(), since: before.unwrap_or(now), until: now + time, ends: instant + time };
    logs.insert(mailbox.as_str().to_owned(), log.clone());
    settle(logs);
    tracing::info!(%mailbox, minutes = time.as_secs() / 60, "the debug log of a mailbox begins");
    Ok(log)
}

/// Ends it; whether there was one.
pub fn end_debug_log(mailbox: &Mailbox) -> bool {
    end_those_due();
    let mut logs = write();
    let was_there = logs.remove(mailbox.as_str()).is_some();
    settle(logs);
    if was_there {
        tracing::info!(%mailbox, "the debug log of a mailbox ends: it was ended");
    }
    was_there
}

/// Of a mailbox, if there is one.
pub fn debug_log_of(mailbox: &Mailbox) -> Option<DebugLog> {
    read().get(mailbox.as_str()).filter(|log| log.ends > Instant::now()).cloned()
}

/// All of them, by mailbox.
pub fn debug_logs() -> Vec<DebugLog> {
    let now = Instant::now();
    read().values().filter(|log| log.ends > now).cloned().collect()
}

/// Whether there is any.
pub(super) fn any() -> bool {
    COUNT.load(Ordering::Relaxed) > 0
}

/// Whether lines about this mailbox are to be written.
pub(super) fn is_of_one(mailbox: &str) -> bool {
    any() && read().get(mailbox).is_some_and(|log| log.ends > Instant::now())
}

/// Forgets those whose time is over, and says so. Their lines ended with their time.
pub(super) fn end_those_due() {
    let now = Instant::now();
    if !read().values().any(|log| log.ends <= now) {
        return;
    }
    let mut logs = write();
    let due: Vec<Mailbox> = logs.values().filter(|log| log.ends <= now).map(|log| log.mailbox.clone()).collect();
    logs.retain(|_, log| log.ends > now);
    settle(logs);
    for mailbox in due {
        tracing::info!(%mailbox, "the debug log of a mailbox ends: its time is over");
    }
}

/// Counts them; with the first and after the last, every place that logs is told whether somebody listens.
fn settle(logs: RwLockWriteGuard<'_, BTreeMap<String, DebugLog>>) {
    let (before, count) = (COUNT.load(Ordering::Relaxed), logs.len());
    COUNT.store(count, Ordering::Relaxed);
    drop(logs);
    if (before == 0) != (count == 0) {
        tracing::callsite::rebuild_interest_cache();
    }
}

fn read() -> RwLockReadGuard<'static, BTreeMap<String, DebugLog>> {
    LOGS.read().unwrap_or_else(PoisonError::into_inner)
}

fn write() -> RwLockWriteGuard<'static, BTreeMap<String, DebugLog>> {
    LOGS.write().unwrap_or_else(PoisonError::into_inner)
}
