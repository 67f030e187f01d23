//! The lots as the rest of the program sees them: bounded inboxes, the counter of changes, and figures to look at.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering, fence};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc, oneshot};

use super::parked::{Parked, Peer};
use crate::logic::eas::folder_sync::FolderChange;
use crate::logic::eas::{DeviceId, FolderId, Mailbox};
use crate::logic::hold::folders::Coverage;
use crate::logic::hold::lot::{CheckFinding, HeldView};
use crate::logic::hold::trials::Trials;
use crate::logic::hold::{AsOf, LotOptions, MailboxChange, Moment, Offer, SlotKey, SyncTraits};
use crate::telemetry::metrics::INBOX_FULL_TOTAL;

/// Where a mailbox lives, and its keyed hash.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Home {
    lot: usize,
    pub(crate) hash: u64,
}

/// What a lot thread is told. Anything large is behind a pointer: an inbox is an array of these.
pub(crate) enum Note {
    Offer(Box<Offer<Parked>>),
    Park(Box<Parked>),
    Changed(Batch),
    Learn(Box<Lesson>),
    Checked {
        slot: SlotKey,
        check: u64,
        finding: CheckFinding,
        as_of: AsOf,
        number: u64,
    },
    Coverage(Coverage),
    /// The configuration changed.
    Options(Box<LotOptions>),
    /// A page of the devices for which something is held, from that slot on.
    Holding {
        from: u32,
        count: usize,
        reply: oneshot::Sender<HeldPage>,
    },
    List {
        filter: Box<HeldFilter>,
        reply: oneshot::Sender<Vec<(HeldView, Peer)>>,
    },
    Drain {
        by: Moment,
    },
    Stop,
}

/// Devices for which something is held, and where the next page begins.
pub(crate) type HeldPage = (Vec<(Mailbox, DeviceId)>, Option<u32>);

/// Which held Pings to list.
#[derive(Debug, Clone)]
pub struct HeldFilter {
    /// Only of this mailbox.
    pub mailbox: Option<Mailbox>,
    /// Only of this device.
    pub device: Option<DeviceId>,
    /// At most so many.
    pub limit: usize,
}

/// A lot's inbox is full: nothing of the batch may be assumed applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InboxFull;

/// Changes of one notification that belong to one lot.
pub(crate) struct Batch {
    pub(crate) changes: std::vec::IntoIter<(u64, u64, MailboxChange)>,
    pub(crate) received: Moment,
    pub(crate) woken: usize,
    pub(crate) reply: Option<oneshot::Sender<usize>>,
}

/// What passing traffic says of a device.
pub(crate) struct Lesson {
    pub(crate) hash: u64,
    pub(crate) mailbox: Mailbox,
    pub(crate) device: DeviceId,
    pub(crate) fact: Fact,
}

/// See the methods of the lot with the same names.
pub(crate) enum Fact {
    Expect(Vec<FolderId>),
    Synced { folders: Vec<(FolderId, SyncTraits)>, as_of: AsOf },
    Learnt { is_full: bool, changes: Vec<FolderChange>, as_of: u64 },
    Unreadable,
    Recalled,
    Undelivered { folders: Vec<FolderId>, has_folder_list: bool, number: u64 },
}

/// A lot's figures: written by its thread, read by anybody.
#[derive(Default)]
pub(crate) struct Figures {
    pub(crate) held: AtomicUsize,
    pub(crate) held_syncs: AtomicUsize,
    pub(crate) idle: AtomicUsize,
    pub(crate) devices: AtomicUsize,
    pub(crate) mailboxes: AtomicUsize,
    pub(crate) in_doubt: AtomicUsize,
    pub(crate) checks_waiting: AtomicUsize,
    pub(crate) wakes: AtomicU64,
    /// Turns since the start: a lot that lives takes one when it is knocked at.
    pub(crate) turns: AtomicU64,
}

pub(crate) struct Door {
    pub(crate) sender: mpsc::Sender<Note>,
    waker: mio::Waker,
    pub(crate) is_asleep: AtomicBool,
    /// A change found no room in the inbox. Raised by whoever had it, lowered by the lot before it takes a new number.
    pub(crate) lost_changes: AtomicBool,
    pub(crate) figures: Figures,
}

impl Door {
    /// Puts a note in if there is room, without waiting. Else it comes back.
    fn try_send(&self, note: Note) -> Result<(), Note> {
        match self.sender.try_send(note) {
            Ok(()) => {
                self.knock();
                Ok(())
            }
            Err(mpsc::error::TrySendError::Full(note)) => Err(note),
            // The lot's thread is gone, and the process is leaving.
            Err(mpsc::error::TrySendError::Closed(_)) => Ok(()),
        }
    }

    /// Changes had no room, and their sender may never repeat them: the lot must ask the backend about all it knows.
    fn lose_changes(&self) {
        self.lost_changes.store(true, Ordering::SeqCst);
        self.knock();
    }

    /// Lets a sleeping lot thread look at its inbox. One system call at most a sleep.
    pub(crate) fn knock(&self) {
        // What was sent must be visible before the flag is read: the lot raises the flag, then looks (`LotThread::sleep`).
        fence(Ordering::SeqCst);
        if self.is_asleep.swap(false, Ordering::SeqCst) {
            // It fails only when the poller is gone, and with it everybody who could be told.
            let _ = self.waker.wake();
        }
    }
}

pub(crate) struct Inner {
    pub(crate) doors: Vec<Door>,
    /// The last change number given out.
    number: AtomicU64,
    hasher: RandomState,
    started: Instant,
    /// Permits of `backend.checks_max`, shared by all lots.
    pub(crate) checks: Arc<Semaphore>,
    /// Whether the backend answers them. Taken when a check starts or ends, for a moment.
    trials: Mutex<Trials>,
    pub(crate) wakes: Mutex<Histogram<u64>>,
    pub(crate) notifications: AtomicU64,
}

/// All lots; cheap to clone.
#[derive(Clone)]
pub struct Lots(pub(crate) Arc<Inner>);

/// One lot thread's end of an inbox, with the poller its waker belongs to.
pub(crate) struct Inbox {
    pub(crate) receiver: mpsc::Receiver<Note>,
    pub(crate) poll: mio::Poll,
}

/// The token of the waker: no slot has it, since slabs never grow that far.
pub(crate) const KNOCK: mio::Token = mio::Token(usize::MAX);

impl Lots {
    /// Inboxes for `count` lot threads.
    pub(crate) fn new(count: usize, inbox_max: usize, checks_max: usize) -> std::io::Result<(Self, Vec<Inbox>)> {
        let (mut doors, mut inboxes) = (Vec::with_capacity(count), Vec::with_capacity(count));
        for _ in 0..count {
            let poll = mio::Poll::new()?;
            let waker = mio::Waker::new(poll.registry(), KNOCK)?;
            let (sender, receiver) = mpsc::channel(inbox_max);
            doors.push(Door {
                sender,
                waker,
                is_asleep: AtomicBool::new(false),
                lost_changes: AtomicBool::new(false),
                figures: Figures::default(),
            });
            inboxes.push(Inbox { receiver, poll });
        }
        let inner = Inner {
            doors,
            // Zero would be "before everything"; the first number a Sync can be in step with is one.
            number: AtomicU64::new(1),
            hasher: RandomState::new(),
            started: Instant::now(),
            checks: Arc::new(Semaphore::new(checks_max)),
            trials: Mutex::default(),
            wakes: Mutex::new(Histogram::new_with_bounds(1, 60_000_000, 3).expect("these bounds are legal")),
            notifications: AtomicU64::new(0),
        };
        Ok((Lots(Arc::new(inner)), inboxes))
    }

    /// Now, as lots count time.
    pub(crate) fn now(&self) -> Moment {
        Moment::default() + self.0.started.elapsed()
    }

    /// Time since the start.
    pub(crate) fn uptime(&self) -> Duration {
        self.0.started.elapsed()
    }

    /// The home lot of a mailbox.
    pub(crate) fn home(&self, mailbox: &Mailbox) -> Home {
        let hash = self.0.hasher.hash_one(mailbox);
        // Middle bits: the table inside the lot uses the top and the bottom ones.
        Home { lot: (hash >> 24) as u32 as usize % self.0.doors.len(), hash }
    }

    /// The number that everything reported so far is at or under, and the time. Read it *before* asking the backend.
    pub(crate) fn as_of(&self) -> AsOf {
        AsOf { number: self.0.number.load(Ordering::SeqCst), at: self.now() }
    }

    /// As [`Lots::as_of`], for a request whose answer is on its way for a while: the number after it stays free, so that the loss
    /// of the answer is newer than what the request was as of, and older than what any later request is as of.
    pub(crate) fn as_of_request(&self) -> AsOf {
        AsOf { number: self.0.number.fetch_add(1, Ordering::SeqCst), at: self.now() }
    }

    /// A new number, above all that were read before.
    pub(crate) fn next_number(&self) -> u64 {
        self.0.number.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// Hands a Ping to its home lot, waiting while the inbox is full.
    pub(crate) async fn offer(&self, home: Home, offer: Offer<Parked>) {
        self.send(home.lot, Note::Offer(Box::new(offer))).await;
    }

    /// Parks a connection between two requests, in the lot with the fewest.
    pub(crate) async fn park(&self, parked: Parked) {
        let figures = |lot: &usize| &self.0.doors[*lot].figures;
        let load = |lot: &usize| figures(lot).held.load(Ordering::Relaxed) + figures(lot).idle.load(Ordering::Relaxed);
        let lot = (0..self.0.doors.len()).min_by_key(load).unwrap_or_default();
        self.send(lot, Note::Park(Box::new(parked))).await;
    }

    /// Tells a mailbox's lot what traffic taught. Notes of one sender arrive in order.
    pub(crate) async fn learn(&self, home: Home, mailbox: Mailbox, device: DeviceId, fact: Fact) {
        self.send(home.lot, Note::Learn(Box::new(Lesson { hash: home.hash, mailbox, device, fact }))).await;
    }

    /// As [`Lots::learn`], from where nobody can wait. A full inbox loses what a Sync proved, which costs one check or Sync
    /// later; what a FolderSync taught, or that a device is behind, is never repeated, so it waits in a task (at most one for each
    /// exchange that ends).
    pub(crate) fn learn_now(&self, home: Home, mailbox: Mailbox, device: DeviceId, fact: Fact) {
        let is_repeated = matches!(fact, Fact::Synced { .. });
        let note = Note::Learn(Box::new(Lesson { hash: home.hash, mailbox, device, fact }));
        let Err(note) = self.0.doors[home.lot].try_send(note) else { return };
        if is_repeated {
            metrics::counter!(INBOX_FULL_TOTAL.name, "note" => "lesson").increment(1);
        } else if let Ok(runtime) = Handle::try_current() {
            // Without a runtime the process is leaving, and the lots with it.
            self.send_later(home.lot, note, &runtime);
        }
    }

    /// As [`Lots::send`], from where nobody can wait.
    pub(crate) fn send_later(&self, lot: usize, note: Note, runtime: &Handle) {
        if let Err(note) = self.0.doors[lot].try_send(note) {
            let lots = self.clone();
            runtime.spawn(async move { lots.send(lot, note).await });
        }
    }

    /// Whether the backend answers checks, and when the next one may go out.
    pub(crate) fn trials(&self) -> MutexGuard<'_, Trials> {
        self.0.trials.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Pause between two checks of a backend that answers none; zero while it answers.
    pub(crate) fn check_pause(&self) -> Duration {
        self.trials().pause()
    }

    /// Random for each process.
    pub(crate) fn jitter(&self) -> u8 {
        self.0.hasher.hash_one(self.0.started.elapsed()) as u8
    }

    pub(crate) async fn send(&self, lot: usize, note: Note) {
        // A lot whose thread is gone takes its connections with it: the process is leaving.
        let _ = self.0.doors[lot].sender.send(note).await;
        self.0.doors[lot].knock();
    }

    /// Tells every lot.
    pub(crate) async fn send_all(&self, note: impl Fn() -> Note) {
        for lot in 0..self.0.doors.len() {
            self.send(lot, note()).await;
        }
    }

    /// Held Pings that match.
    pub async fn list(&self, filter: HeldFilter) -> Vec<(HeldView, Peer)> {
        let mut found = Vec::new();
        for lot in 0..self.0.doors.len() {
            let (reply, answer) = oneshot::channel();
            let filter = HeldFilter { limit: filter.limit - found.len(), ..filter.clone() };
            self.send(lot, Note::List { filter: Box::new(filter), reply }).await;
            found.extend(answer.await.unwrap_or_default());
        }
        found
    }

    /// Turns each lot has taken, and a knock that makes it take another.
    pub(crate) fn feel(&self) -> Vec<u64> {
        let feel = |door: &Door| {
            let turns = door.figures.turns.load(Ordering::Relaxed);
            door.knock();
            turns
        };
        self.0.doors.iter().map(feel).collect()
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.0.doors.len()
    }

    /// Parked connections, held or idle.
    pub(crate) fn parked(&self) -> usize {
        let load = |door: &Door| door.figures.held.load(Ordering::Relaxed) + door.figures.idle.load(Ordering::Relaxed);
        self.0.doors.iter().map(load).sum()
    }

    /// Held Pings.
    pub(crate) fn held(&self) -> usize {
        self.0.doors.iter().map(|door| door.figures.held.load(Ordering::Relaxed)).sum()
    }

    /// Those of them that are hanging Syncs.
    pub(crate) fn held_syncs(&self) -> usize {
        self.0.doors.iter().map(|door| door.figures.held_syncs.load(Ordering::Relaxed)).sum()
    }

    /// Held Pings that wait for a check.
    pub(crate) fn checks_waiting(&self) -> usize {
        self.0.doors.iter().map(|door| door.figures.checks_waiting.load(Ordering::Relaxed)).sum()
    }

    /// Held Pings of which it cannot be said that nothing changed: the backlog after a restart or a source's absence.
    pub fn in_doubt(&self) -> usize {
        self.0.doors.iter().map(|door| door.figures.in_doubt.load(Ordering::Relaxed)).sum()
    }

    /// Wake latencies so far: (median, 99th percentile) in milliseconds.
    pub(crate) fn wake_percentiles_ms(&self) -> Option<(f64, f64)> {
        let wakes = self.0.wakes.lock().unwrap_or_else(PoisonError::into_inner);
        let ms = |quantile| wakes.value_at_quantile(quantile) as f64 / 1_000.0;
        (!wakes.is_empty()).then(|| (ms(0.5), ms(0.99)))
    }

    /// Notes waiting for a lot.
    pub(crate) fn inbox_length(&self, lot: usize) -> usize {
        let sender = &self.0.doors[lot].sender;
        sender.max_capacity() - sender.capacity()
    }

    /// Hands changes to their lots without waiting for any work. Each receiver gives the number of held Pings that one lot
    /// wakes, once it has decided.
    ///
    /// # Errors
    /// An inbox is full. The other lots have got theirs; that one asks the backend about all its devices, as soon as it can and at
    /// its pace, because not every sender repeats.
    pub fn changed(&self, changes: Vec<MailboxChange>) -> Result<Vec<oneshot::Receiver<usize>>, InboxFull> {
        let received = self.now();
        self.0.notifications.fetch_add(changes.len() as u64, Ordering::Relaxed);
        let mut batches: Vec<Vec<(u64, u64, MailboxChange)>> = self.0.doors.iter().map(|_| Vec::new()).collect();
        // All numbers at once: they are consecutive, and nobody reads one before it was given out.
        let before = self.0.number.fetch_add(changes.len() as u64, Ordering::SeqCst);
        for (number, change) in (before + 1..).zip(changes) {
            let home = self.home(&change.mailbox);
            batches[home.lot].push((home.hash, number, change));
        }
        let mut pending = Vec::new();
        let mut is_all_in = true;
        for (lot, batch) in batches.into_iter().enumerate().filter(|(_, batch)| !batch.is_empty()) {
            let (reply, woken) = oneshot::channel();
            let batch = Batch { changes: batch.into_iter(), received, woken: 0, reply: Some(reply) };
            if let Err(note) = self.0.doors[lot].try_send(Note::Changed(batch)) {
                let lost = if let Note::Changed(batch) = note { batch.changes.len() } else { 0 };
                metrics::counter!(INBOX_FULL_TOTAL.name, "note" => "change").increment(lost as u64);
                self.0.doors[lot].lose_changes();
                is_all_in = false;
            }
            pending.push(woken);
        }
        if is_all_in { Ok(pending) } else { Err(InboxFull) }
    }
}
