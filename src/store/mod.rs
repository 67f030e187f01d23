//! Policies, partnerships, tokens and the audit trail, in SQLite or PostgreSQL; and what the data plane reads of them, in memory.
//!
//! * The data plane asks [`Store::snapshot`] and [`Store::known`], which look into memory only, and tells with [`Store::note`] (what was
//!   merely seen; written every few seconds) and [`Store::record`] (what must not be forgotten; says when it is on the disk).
//! * Administrators act through the other methods. Each act is one transaction, its entry in the audit trail included, and is done when
//!   the method returns; whoever read an older revision gets [`StoreError::Conflict`].
//! * One thread writes, one reads. When the database is away, devices are served from memory and what they do waits (bounded, see
//!   `config::limits`), while administrators get [`StoreError::Unavailable`]. Several processes may share one database.
//!
//! Nothing here decides: `logic::policy` does. Statements are written once for both databases; `sql` is the only place that knows two.

mod alarms;
mod audit;
mod change;
mod dense;
mod device_acts;
mod devices;
mod directory_acts;
mod error;
mod flush;
mod foresight;
mod gate;
mod key;
mod mailbox_acts;
mod mailboxes;
mod migrations;
mod news;
mod pending;
mod place;
mod policy_acts;
mod reader;
mod refresh;
mod report;
mod retention;
mod rows;
mod shared;
mod snapshot;
mod sql;
pub(crate) mod tls;
mod tokens;
mod told;
mod transaction;
mod writer;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use tokio::sync::{Semaphore, oneshot};

pub use alarms::Alarm;
pub(crate) use audit::DIRECTORY;
pub use audit::{AuditFilter, By, Deed, Entry};
pub use change::DeviceChange;
pub use device_acts::Removal;
pub use devices::{DeviceFilter, DevicePage};
pub use directory_acts::Taken;
pub use error::{OpenError, StoreError};
pub use foresight::Foreseen;
pub use gate::GATE_RECORD_BYTES;
pub use mailbox_acts::{DomainPolicy, MailboxEdit, MembersEdit};
pub use news::{Happened, News};
pub use pending::Seen;
pub use report::Health;
pub use rows::Stored;
pub use snapshot::{MailboxRecord, MembersKind, MembersRecord, Origin, Snapshot};
pub use tokens::{NewToken, Role, TOKEN_FILE, Token, TokenUse};

use change::DeviceWrite;
use gate::GateMap;
use key::SealingKey;
use pending::{Change, Inbox};
use place::Place;
use reader::Reader;
use shared::Shared;
use sql::{Sql, SqlError};
use transaction::Tx;
use writer::Writer;

use crate::config;
use crate::logic::eas::{DeviceId, DeviceType, Mailbox};
use crate::logic::policy::{Attempt, Partnership, Timestamp};

/// How long a device waits for its change to be written before it is answered from memory: a disk that is slow for once.
const SAVED: Duration = Duration::from_secs(2);
/// How long [`Store::close`] waits for the last flush.
const CLOSING: Duration = Duration::from_secs(5);
/// Slow hashes of tokens computed at once.
const PROVING: usize = 2;

/// The store; cheap to clone. The last one that goes away writes what waits.
#[derive(Clone)]
pub struct Store(Arc<Handle>);

struct Handle {
    shared: Arc<Shared>,
    reader: Reader,
    writer_left: tokio::sync::Mutex<Option<oneshot::Receiver<()>>>,
}

/// What became of a device's change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Recorded {
    /// It is on the disk.
    Saved,
    /// The database is away or slow: it is in memory, in effect, and will be written.
    Kept,
    /// As before, but there was no room to keep it for writing: it is in effect until the process ends.
    InMemoryOnly,
}

/// The present time.
pub(crate) fn now() -> Timestamp {
    Timestamp(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()))
}

/// By a clock that nobody sets: the time of the start, and what has passed since. For waits: if the time of day is set back by hours,
/// nobody is to wait for hours.
pub(crate) fn steady() -> Timestamp {
    static START: OnceLock<(Instant, Timestamp)> = OnceLock::new();
    let (began, then) = *START.get_or_init(|| (Instant::now(), now()));
    then.plus(began.elapsed().as_secs())
}

/// A moment of the steady clock as the time of day shows it now.
pub(crate) fn shown(moment: Timestamp) -> Timestamp {
    Timestamp(now().0.saturating_sub(steady().since(moment)))
}

impl Store {
    /// Opens the database, brings its tables to this program's version, and reads what the data plane needs.
    ///
    /// # Errors
    /// See [`OpenError`]; the database is as it was before.
    pub async fn open(settings: &config::Store) -> Result<Self, OpenError> {
        let place = Place::new(settings)?;
        let shared = Arc::new(Shared {
            inbox: Inbox::default(),
            gate: GateMap::new(),
            alarms: alarms::Alarms::new(),
            newsroom: news::Newsroom::new(),
            snapshot: ArcSwap::default(),
            key: SealingKey::load_or_create(&settings.key_file)?,
            connected: AtomicBool::new(false),
            takes_writes: AtomicBool::new(true),
            flush: settings.flush,
            audit_keep: settings.audit_keep,
            proved: Mutex::default(),
            proving_key: hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new()).expect("the system has randomness"),
            proving: Semaphore::new(PROVING),
        });
        let no_thread = |error: std::io::Error| OpenError::Database(format!("no thread for it: {error}"));
        let (opened, is_open) = oneshot::channel();
        let left = writer::start(place.clone(), shared.clone(), opened).map_err(no_thread)?;
        is_open.await.unwrap_or_else(|_| Err(OpenError::Database("its thread ended".into())))?;
        let reader = reader::start(place, shared.clone()).map_err(no_thread)?;
        Ok(Store(Arc::new(Handle { shared, reader, writer_left: tokio::sync::Mutex::new(Some(left)) })))
    }

    /// Writes what waits and lets the database go; gives up after five seconds.
    pub async fn close(&self) {
        self.0.leave();
        let left = self.0.writer_left.lock().await.take();
        if let Some(left) = left
            && tokio::time::timeout(CLOSING, left).await.is_err()
        {
            tracing::warn!("the database did not take everything in time");
        }
    }

    /// Everything but devices. Never waits.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.0.shared.snapshot.load_full()
    }

    /// What the gate and `provisioning` look at of a device; `None` if it is not known. Never waits.
    ///
    /// Exact in: provisioning, a standing order to erase, what was said of the device, its access state, first and last time. The reason of
    /// the access state is either that ActiveSync is off or [`Default`](crate::logic::policy::access::AccessWhy::Default); whether it
    /// described itself is told by any `information_at`; the rest is empty. To show a partnership, use [`Store::device`].
    pub fn known(&self, mailbox: &Mailbox, device_id: &DeviceId, device_type: &DeviceType) -> Option<Partnership> {
        self.0.shared.gate.find(mailbox, device_id, device_type)
    }

    /// Partnerships of a mailbox. Never waits.
    pub fn devices_of(&self, mailbox: &Mailbox) -> u32 {
        self.0.shared.gate.devices_of(mailbox)
    }

    /// Bytes that the records of all devices take in memory.
    pub fn gate_bytes(&self) -> usize {
        self.0.shared.gate.bytes()
    }

    /// What a request showed of its device. Written within `store.flush_s`, merged with what else is seen until then. Never waits; a
    /// device that is not known becomes so.
    pub fn note(&self, mailbox: &Mailbox, device_id: &DeviceId, attempt: &Attempt<'_>, seen: Seen) {
        let (gate, now) = (&self.0.shared.gate, now());
        let key = gate.key(mailbox, device_id);
        if gate.contains(key) {
            gate.seen(key, now);
        } else {
            let change = DeviceChange::Seen { version: attempt.version, user_agent: attempt.user_agent.map(str::to_owned) };
            drop(self.enqueue(mailbox, device_id, attempt.device_type, vec![change], now));
        }
        // What finds no room is counted there and told by the writer.
        let _ = self.0.shared.inbox.lock().note(key, (mailbox, device_id), attempt, seen, now);
    }

    /// Changes of a device that must not be forgotten: in effect at once, and on the disk when the future says [`Recorded::Saved`]. With
    /// the database away it ends at once, otherwise within two seconds. Dropping the future changes nothing.
    pub async fn record(&self, mailbox: &Mailbox, device_id: &DeviceId, device_type: &DeviceType, changes: Vec<DeviceChange>) -> Recorded {
        if changes.is_empty() {
            return Recorded::Saved;
        }
        let Some(saved) = self.enqueue(mailbox, device_id, device_type, changes, now()) else { return Recorded::InMemoryOnly };
        if !self.0.shared.connected.load(Ordering::Acquire) {
            return Recorded::Kept;
        }
        match tokio::time::timeout(SAVED, saved).await {
            Ok(Ok(())) => Recorded::Saved,
            _ => Recorded::Kept,
        }
    }

    /// As [`Store::record`], for changes that nobody waits for: in effect at once, on the disk soon.
    pub fn change(&self, mailbox: &Mailbox, device_id: &DeviceId, device_type: &DeviceType, changes: Vec<DeviceChange>) {
        if !changes.is_empty() {
            drop(self.enqueue(mailbox, device_id, device_type, changes, now()));
        }
    }

    /// In effect at once; `None` if there is no room in the queue.
    fn enqueue(
        &self,
        mailbox: &Mailbox,
        device_id: &DeviceId,
        device_type: &DeviceType,
        changes: Vec<DeviceChange>,
        at: Timestamp,
    ) -> Option<flush::Saved> {
        let Shared { gate, inbox, .. } = &*self.0.shared;
        let write = DeviceWrite { mailbox: mailbox.clone(), device_id: device_id.clone(), device_type: device_type.clone(), at, changes };
        let key = gate.key(mailbox, device_id);
        let (saved, wait) = oneshot::channel();
        // Both under the lock: who reads the database anew puts on top what waits.
        let mut queues = inbox.lock();
        gate.change(key, write.base(), |partnership| write.apply(partnership));
        let is_kept = queues.push_change(Change { key, write, saved: Some(saved) }).is_ok();
        drop(queues);
        inbox.ring();
        is_kept.then_some(wait)
    }

    fn shared(&self) -> &Shared {
        &self.0.shared
    }

    /// An act of an administrator: `work` and its entry in the audit trail, both or neither. What is refused is entered as well.
    async fn act<T: Send + 'static>(
        &self,
        by: &By,
        deed: Deed,
        work: impl FnOnce(&mut Tx<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let by = by.clone();
        self.write(move |writer| {
            let done = writer.transact(|tx| {
                let done = work(tx)?;
                let mut deed = deed.clone();
                if let Some(told) = tx.told.take() {
                    deed.detail = told;
                }
                tx.audit(&deed.entry(&by, tx.now, "done"))?;
                Ok(done)
            });
            if let Some(error) = done.as_ref().err().filter(|error| !error.is_passing()) {
                let detail = format!("{}{}{error}", deed.detail, if deed.detail.is_empty() { "" } else { ": " });
                let entry = deed.detail(detail).entry(&by, now(), error.outcome());
                // The act was refused and stays refused, whether or not this can be written.
                let _ = writer.transact(|tx| tx.audit(&entry));
            }
            done
        })
        .await
    }

    /// Something for the writing thread.
    async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Writer) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        if !self.0.shared.connected.load(Ordering::Acquire) {
            return Err(StoreError::Unavailable("the database is away".into()));
        }
        let (answer, answered) = oneshot::channel();
        let job = Box::new(move |writer: &mut Writer| drop(answer.send(work(writer))));
        let too_many = |_| StoreError::Unavailable("too many acts at once; try again".into());
        self.0.shared.inbox.push_job(job).map_err(too_many)?;
        answered.await.unwrap_or_else(|_| Err(StoreError::Unavailable("pushgate is leaving".into())))
    }

    /// Something for the reading thread.
    async fn read<T: Send + 'static>(
        &self,
        question: impl FnOnce(&mut dyn Sql) -> Result<T, SqlError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.0.reader.ask(question).await
    }
}

impl Handle {
    fn leave(&self) {
        self.shared.inbox.lock().is_closing = true;
        self.shared.inbox.ring();
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.leave();
    }
}
