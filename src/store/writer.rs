//! The one thread that writes. A turn: acts of administrators (if there are any, after the oldest of devices' changes), then devices' changes,
//! then (when due) what was seen, then a look at what other processes did. Nobody else touches this connection, and the data plane never waits for it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::error::{OpenError, StoreError};
use super::migrations;
use super::place::Place;
use super::shared::Shared;
use super::sql::{Sql, SqlError, in_transaction};
use super::transaction::{Touched, Tx, next_generation};
use crate::telemetry::metrics::STORE_ERRORS_TOTAL;

/// How often the others' changes are looked for.
const POLL: Duration = Duration::from_secs(1);
/// The first and the longest wait before connecting again.
const RETRY: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(15));

/// The thread's state.
pub(super) struct Writer {
    place: Place,
    pub(super) shared: Arc<Shared>,
    pub(super) sql: Option<Box<dyn Sql>>,
    /// Up to which the records in memory are those of the database.
    pub(super) generation: u64,
    retry_at: Instant,
    retry: Duration,
    /// A database that is there and cannot write (a full disk) is left alone until then.
    pub(super) rest_until: Instant,
    next_flush: Instant,
    next_poll: Instant,
    pub(super) next_discovery: Instant,
    pub(super) next_expiry: Instant,
    pub(super) said: super::report::Said,
}

/// Starts the thread; tables are made and everything is loaded when the answer comes.
pub(super) fn start(
    place: Place,
    shared: Arc<Shared>,
    opened: oneshot::Sender<Result<(), OpenError>>,
) -> std::io::Result<oneshot::Receiver<()>> {
    let (leaving, left) = oneshot::channel();
    let thread = std::thread::Builder::new().name("store-writer".into());
    thread
        .spawn(move || {
            let now = Instant::now();
            let mut writer = Writer {
                place,
                shared,
                sql: None,
                generation: 0,
                retry_at: now,
                retry: RETRY.0,
                rest_until: now,
                next_flush: now,
                next_poll: now,
                next_discovery: now,
                next_expiry: now,
                said: Default::default(),
            };
            let result = writer.open();
            let is_open = result.is_ok();
            // The opener may have given up; then there is nobody to write for.
            if opened.send(result).is_ok() && is_open {
                writer.run();
            }
            writer.shared.connected.store(false, Ordering::Release);
            drop(writer);
            // Nobody may be waiting.
            let _ = leaving.send(());
        })
        .map(|_| left)
}

impl Writer {
    fn open(&mut self) -> Result<(), OpenError> {
        let mut sql = self.place.connect()?;
        migrations::migrate(&mut *sql)?;
        self.sql = Some(sql);
        self.load()?;
        self.shared.connected.store(true, Ordering::Release);
        Ok(())
    }

    fn run(&mut self) {
        loop {
            let is_closing = self.sleep();
            self.connect_if_due();
            let jobs = std::mem::take(&mut self.shared.inbox.lock().jobs);
            if !jobs.is_empty() {
                // An act on a device that has just come finds it. One transaction: in a storm nobody waits for all of it.
                self.save_some_changes();
            }
            for job in jobs {
                job(self);
            }
            self.save_changes();
            let now = Instant::now();
            if now >= self.next_flush || is_closing {
                self.next_flush = now + self.shared.flush;
                self.flush();
            }
            if now >= self.next_poll {
                self.next_poll = now + POLL;
                self.poll();
                self.try_to_write();
            }
            self.report();
            if is_closing {
                let queues = self.shared.inbox.lock();
                if !queues.changes.is_empty() || !queues.facts.is_empty() {
                    let (changes, seen) = (queues.changes.len(), queues.facts.len());
                    tracing::error!(changes, seen, "the database did not take what devices did before pushgate left: it is lost");
                }
                break;
            }
        }
    }

    /// Until there is something to do; whether it is the last turn.
    fn sleep(&mut self) -> bool {
        let now = Instant::now();
        let queues = self.shared.inbox.lock();
        let can_write = self.sql.is_some() && now >= self.rest_until;
        let is_closing = queues.is_closing;
        let has_work = !queues.jobs.is_empty() || can_write && !queues.changes.is_empty();
        if !has_work && !is_closing {
            let mut until = self.next_flush.min(self.next_poll);
            if self.sql.is_none() {
                until = until.min(self.retry_at);
            }
            self.shared.inbox.wait(queues, until.saturating_duration_since(now));
        }
        is_closing
    }

    pub(super) fn poll_at_once(&mut self) {
        self.next_poll = Instant::now();
    }

    fn connect_if_due(&mut self) {
        if self.sql.is_some() || Instant::now() < self.retry_at {
            return;
        }
        let connected = self.place.connect().and_then(|sql| {
            self.sql = Some(sql);
            self.refresh()
        });
        match connected {
            Ok(_) => {
                self.retry = RETRY.0;
                self.shared.connected.store(true, Ordering::Release);
                tracing::info!("the database is back");
            }
            Err(error) => {
                self.sql = None;
                self.failed("connect", &error);
                self.retry_at = Instant::now() + self.retry;
                self.retry = (self.retry * 2).min(RETRY.1);
            }
        }
    }

    /// A database that took no writes may have nothing to write any more: whether it would is to be known all the same. A new generation is
    /// written: what stays as it was would not be.
    fn try_to_write(&mut self) {
        if self.shared.takes_writes.load(Ordering::Acquire) || Instant::now() < self.rest_until {
            return;
        }
        if self.sql.is_some() {
            // What comes of it is noted there.
            let _ = self.transact(|_| Ok(()));
        }
    }

    /// A transaction went through, or failed with this.
    fn note_writes(&self, failure: Option<&str>) {
        let did = self.shared.takes_writes.swap(failure.is_none(), Ordering::AcqRel);
        match failure {
            Some(error) if did => {
                tracing::error!(%error, "the database takes no writes: devices are served from memory, administrators have to wait");
            }
            None if !did => tracing::info!("the database takes writes again"),
            _ => {}
        }
    }

    /// Counts a failure and says so.
    pub(super) fn failed(&self, what: &'static str, error: &SqlError) {
        metrics::counter!(STORE_ERRORS_TOTAL.name, "what" => what).increment(1);
        tracing::warn!(what, %error, "the database failed");
    }

    /// After a failed statement: is the connection still good?
    pub(super) fn look_after_connection(&mut self) {
        let Some(sql) = self.sql.as_deref_mut() else { return };
        if let Err(error) = sql.query("SELECT generation FROM store_state", &[]) {
            self.sql = None;
            self.shared.connected.store(false, Ordering::Release);
            self.retry = RETRY.0;
            self.retry_at = Instant::now();
            tracing::error!(%error, "the database is away: devices are served from memory, administrators have to wait");
        }
    }

    /// One acknowledged transaction, its result told to the data plane.
    pub(super) fn transact<T>(&mut self, work: impl FnOnce(&mut Tx<'_>) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let shared = self.shared.clone();
        let snapshot = shared.snapshot.load_full();
        let Some(sql) = self.sql.as_deref_mut() else { return Err(StoreError::Unavailable("the database is away".into())) };
        let (mut generation, mut touched, mut is_committing) = (0, Touched::default(), false);
        let done = in_transaction(sql, |sql| {
            generation = next_generation(sql)?;
            let now = super::now();
            let mut tx = Tx { sql, generation, now, key: &shared.key, snapshot: &snapshot, touched: Touched::default(), told: None };
            let done = work(&mut tx)?;
            tx.finish()?;
            touched = tx.touched;
            is_committing = true;
            Ok(done)
        });
        match done {
            Ok(done) => {
                self.note_writes(None);
                self.committed(generation, &touched);
                shared.newsroom.publish(touched.news);
                Ok(done)
            }
            Err(StoreError::Unavailable(message)) => {
                metrics::counter!(STORE_ERRORS_TOTAL.name, "what" => "write").increment(1);
                self.look_after_connection();
                if self.sql.is_some() {
                    self.note_writes(Some(&message));
                }
                let is_uncertain = is_committing && self.sql.is_none();
                Err(if is_uncertain { StoreError::Uncertain(message) } else { StoreError::Unavailable(message) })
            }
            Err(StoreError::Broken(message)) => {
                metrics::counter!(STORE_ERRORS_TOTAL.name, "what" => "write").increment(1);
                Err(StoreError::Broken(message))
            }
            Err(error) => Err(error),
        }
    }

    /// What was committed is what the data plane reads from now on.
    fn committed(&mut self, generation: u64, touched: &Touched) {
        self.tell(touched);
        if generation == self.generation + 1 {
            self.generation = generation;
        }
        if (touched.snapshot || generation != self.generation)
            && let Err(error) = self.refresh()
        {
            self.failed("refresh", &error);
            self.look_after_connection();
        }
    }
}
