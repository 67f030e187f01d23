//! Drives one lot: sockets and notes in, the lot's outputs performed. One thread, one poller, nothing shared but inbox and figures.
//!
//! Sockets are registered edge-triggered: whoever stops reading one must be sure to look again later. There are two places
//! that stop early: a held Ping with a whole request already waiting behind it (looked at when the Ping is answered), and
//! an answer that did not fit the socket (looked at when it is writable).

mod answering;
mod batches;
mod checking;
mod counting;
mod saying;

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};
use std::time::{Duration, SystemTime};

use mio::event::Event;
use mio::{Events, Interest, Token};
use tokio::task::AbortHandle;

use batches::Batches;
use counting::Counting;

use super::Gateway;
use super::check::Place;
use super::lots::{Door, Fact, HeldFilter, Inbox, KNOCK, Lesson, Note};
use super::parked::{Parked, Peer};
use super::tls::Incoming;
use crate::config::limits::LOT_TURN_NOTES_MAX;
use crate::logic::hold::early::EarlyChanges;
use crate::logic::hold::losses::Losses;
use crate::logic::hold::lot::HeldView;
use crate::logic::hold::{Lot, Moment, Output, SlotKey, Who};

/// Socket events taken at once.
const EVENTS: usize = 1_024;
/// One TLS record and its header.
const READ_BYTES: usize = 16_384 + 512;

/// A lot thread.
pub(crate) struct LotThread {
    gateway: Arc<Gateway>,
    /// Which lot this is.
    number: usize,
    lot: Lot<Parked>,
    inbox: Inbox,
    /// Changes being worked off, a turn's worth at a time.
    batches: Batches,
    /// Pages of slots that core dumps leave out already.
    left_out: usize,
    losses: Losses,
    early: EarlyChanges,
    /// Checks under way, each with a number of its own: what one that was given up finds is not the finding of the next.
    checks: HashMap<SlotKey, (u64, AbortHandle)>,
    last_check: u64,
    wakes: Vec<Duration>,
    scratch: Scratch,
    counting: Counting,
}

/// Dropped when a lot panics or its poller fails. Its mailboxes would stay without an answer while the process looks healthy to
/// everybody: better to begin anew, which costs every device one reconnect.
struct EndsTheProcess {
    lot: usize,
}

impl Drop for EndsTheProcess {
    fn drop(&mut self) {
        tracing::error!(lot = self.lot, "a lot ended without being told to; the process ends with it");
        std::process::abort();
    }
}

/// Buffers used again for every answer.
struct Scratch {
    read: Box<[u8]>,
    body: Vec<u8>,
    plain: Vec<u8>,
    sealed: Vec<u8>,
    date: String,
    date_s: u64,
}

impl LotThread {
    pub(crate) fn new(gateway: Arc<Gateway>, number: usize, inbox: Inbox) -> Self {
        let (lot, now) = (Lot::new(gateway.lot_options()), gateway.lots.now());
        let batches = Batches::new(gateway.config.ping.wakes_per_s, gateway.lots.count());
        let scratch = Scratch {
            read: vec![0; READ_BYTES].into(),
            body: Vec::new(),
            plain: Vec::new(),
            sealed: Vec::new(),
            date: String::new(),
            date_s: 0,
        };
        LotThread {
            gateway,
            number,
            lot,
            inbox,
            batches,
            left_out: 0,
            losses: Losses::default(),
            early: EarlyChanges::new(now),
            checks: HashMap::new(),
            last_check: 0,
            wakes: Vec::new(),
            scratch,
            counting: Counting::new(),
        }
    }

    /// Turns until told to stop. Should the lot end for any other reason, the process ends with it.
    pub(crate) fn run(self) {
        let number = self.number;
        let untold = EndsTheProcess { lot: number };
        match self.turn_until_told() {
            Ok(()) => std::mem::forget(untold),
            Err(error) => tracing::error!(lot = number, %error, "the poller failed"),
        }
    }

    fn turn_until_told(mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(EVENTS);
        let mut is_behind = false;
        loop {
            self.sleep(&mut events, is_behind)?;
            for event in events.iter().filter(|event| event.token() != KNOCK) {
                self.handle_socket(event);
            }
            self.take_back_proofs();
            let Some(more_notes) = self.take_notes() else { return Ok(()) };
            let more_timers = self.lot.advance(self.gateway.lots.now(), LOT_TURN_NOTES_MAX);
            self.perform_outputs();
            self.start_checks();
            self.leave_out_of_core_dumps();
            self.publish();
            self.door().figures.turns.fetch_add(1, Ordering::Relaxed);
            is_behind = more_notes || more_timers;
        }
    }

    /// If changes did not get into the inbox, nothing that was proven before counts any more. The number is taken after the flag
    /// is lowered, so that it is above all that was lost.
    fn take_back_proofs(&mut self) {
        let now = self.gateway.lots.now();
        if self.door().lost_changes.swap(false, Ordering::SeqCst) && self.losses.lost(now) {
            let lot = self.number;
            tracing::warn!(lot, "changes found no room (limits.inbox_max); the backend is asked about all devices of this lot, paced");
        }
        if self.losses.are_due(now, self.gateway.config.notify.settle) {
            self.lot.reports_lost(self.gateway.lots.next_number(), now);
            self.perform_outputs();
        }
    }

    fn door(&self) -> &Door {
        &self.gateway.lots.0.doors[self.number]
    }

    /// Waits for sockets, a knock or the next timer. The flag is raised before the last look at inbox and permits, so that
    /// whoever sends a note or gives a permit back after that look knocks.
    fn sleep(&mut self, events: &mut Events, is_behind: bool) -> io::Result<()> {
        self.door().is_asleep.store(true, Ordering::SeqCst);
        // The other half of the fence in `Door::knock`.
        fence(Ordering::SeqCst);
        let is_behind = is_behind || !(self.inbox.receiver.is_empty() || self.batches.goes_first()) || self.can_start_check();
        let timers =
            self.lot.poll_timeout().into_iter().chain(self.losses.next()).chain(self.next_check()).chain(self.batches.poll_timeout());
        let until_timer = || timers.min().map(|at| at.since(self.gateway.lots.now()));
        let timeout = if is_behind { Some(Duration::ZERO) } else { until_timer() };
        let result = match self.inbox.poll.poll(events, timeout) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            result => result,
        };
        self.door().is_asleep.store(false, Ordering::SeqCst);
        result
    }

    /// Works off a turn's worth of notes. `None`: told to stop; else whether more are waiting.
    fn take_notes(&mut self) -> Option<bool> {
        for _ in 0..LOT_TURN_NOTES_MAX {
            let now = self.gateway.lots.now();
            if self.batches.may_step(now) {
                self.step_batch(now);
                continue;
            }
            if self.batches.goes_first() {
                return Some(false);
            }
            let Ok(note) = self.inbox.receiver.try_recv() else { return Some(false) };
            match note {
                Note::Offer(offer) => {
                    let hash = offer.hash;
                    let slot = self.lot.offer(*offer, now);
                    self.tell_of_early_change(slot, hash, now);
                    self.register(slot);
                }
                Note::Park(parked) => {
                    let slot = self.lot.park(*parked, now);
                    self.register(slot);
                }
                Note::Changed(batch) => self.batches.push(batch),
                Note::Learn(lesson) => self.learn(*lesson, now),
                Note::Checked { slot, check, finding, as_of, number } => {
                    if self.checks.get(&slot).is_some_and(|(under_way, _)| *under_way == check) {
                        self.checks.remove(&slot);
                        self.say_checked(slot, &finding);
                        self.lot.checked(slot, &finding, as_of, number, now);
                    }
                }
                Note::Coverage(coverage) => self.lot.set_coverage(coverage, now),
                Note::Options(options) => {
                    self.batches.set_pace(self.gateway.config.ping.wakes_per_s, self.gateway.lots.count());
                    self.lot.set_options(*options, now);
                }
                Note::Holding { from, count, reply } => drop(reply.send(self.lot.held_page(from, count))),
                Note::List { filter, reply } => drop(reply.send(self.list(&filter, now))),
                Note::Drain { by } => self.lot.drain(by, now),
                Note::Stop => return None,
            }
            self.perform_outputs();
        }
        Some(true)
    }

    /// One change of the batch whose turn it is.
    fn step_batch(&mut self, now: Moment) {
        let Some(mut batch) = self.batches.take() else { return };
        match batch.changes.next() {
            Some((hash, number, change)) => {
                let woken = self.lot.changed(&change, hash, number, batch.received, now);
                batch.woken += woken;
                tracing::debug!(mailbox = %change.mailbox, scope = change.scope.label(), woken, "a change of the mailbox was reported");
                self.batches.woke(woken, number as u8, now);
                self.batches.put_back(batch);
                self.early.note(&change, hash, now);
                self.perform_outputs();
            }
            None => {
                let woken = batch.woken;
                // Nobody may be waiting for the count.
                let _ = batch.reply.take().map(|reply| reply.send(woken));
            }
        }
    }

    /// A device in doubt whose mailbox has changed since the start does not wait for its turn. The change has a new number: the device may
    /// have been registered after the old one, and what it is in step with nobody knows.
    fn tell_of_early_change(&mut self, slot: SlotKey, hash: u64, now: Moment) {
        if self.lot.is_in_doubt(slot)
            && let Some(change) = self.early.of(hash, now)
        {
            self.lot.changed(&change, hash, self.gateway.lots.next_number(), now, now);
        }
    }

    fn learn(&mut self, lesson: Lesson, now: Moment) {
        let Lesson { hash, mailbox, device, fact } = lesson;
        let who = Who { hash, mailbox: &mailbox, device: &device };
        match fact {
            Fact::Expect(ids) => self.lot.expect(&who, ids.iter().map(|id| id.as_str()), now),
            Fact::Synced { folders, as_of } => self.lot.synced(&who, folders.iter().map(|(id, traits)| (id.as_str(), *traits)), as_of, now),
            Fact::Learnt { is_full, changes, as_of } => self.lot.learnt(&who, is_full, &changes, as_of, now),
            Fact::Unreadable => self.lot.lose_paths(&who, now),
            Fact::Recalled => self.lot.recall(&who, now),
            Fact::Undelivered { folders, has_folder_list, number } => {
                self.lot.undelivered(&who, &folders, has_folder_list, number, now);
            }
        }
    }

    fn list(&self, filter: &HeldFilter, now: Moment) -> Vec<(HeldView, Peer)> {
        let matches = |view: &HeldView| {
            filter.mailbox.as_ref().is_none_or(|mailbox| *mailbox == view.mailbox)
                && filter.device.as_ref().is_none_or(|device| *device == view.device)
        };
        let with_peer = |view: HeldView| self.lot.connection(view.slot).map(|parked| (view, parked.peer));
        self.lot.held_views(now).filter(matches).filter_map(with_peer).take(filter.limit).collect()
    }

    /// Makes the poller watch a new slot's socket. One that is readable or gone already shows at once; what came along
    /// with the request shows only here.
    fn register(&mut self, slot: SlotKey) {
        let Some(parked) = self.lot.connection_mut(slot) else { return };
        if let Err(error) = self.inbox.poll.registry().register(&mut parked.stream, token(slot), Interest::READABLE) {
            tracing::warn!(%error, "a connection could not be watched and is closed");
            return self.close(slot);
        }
        // One that is not held is being answered, which looks at what came after it by itself.
        if self.lot.is_held(slot) {
            self.receive(slot, 0);
        }
    }

    fn handle_socket(&mut self, event: &Event) {
        let slot = slot_of(event.token());
        if event.is_writable() {
            self.send_unsent(slot);
        }
        if event.is_readable() || event.is_error() || event.is_read_closed() {
            self.read(slot);
        }
        // Behind a request that waits for its turn the end cannot be read, and the Ping in front would outlive its device.
        if (event.is_error() || event.is_read_closed()) && self.lot.is_held(slot) {
            self.hung_up(slot);
        }
    }

    /// Reads what came: the next request sends an idle connection back to a task, the end frees the slot.
    fn read(&mut self, slot: SlotKey) {
        loop {
            let is_held = self.lot.is_held(slot);
            let Some(parked) = self.lot.connection_mut(slot) else { return };
            if is_held && !parked.received.plaintext().is_empty() {
                return;
            }
            let count = match parked.stream.read(&mut self.scratch.read) {
                Ok(0) => return self.hung_up(slot),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => return self.hung_up(slot),
            };
            if self.receive(slot, count) {
                return;
            }
        }
    }

    /// Opens what waits and the first `count` bytes just read. Returns whether that is the end of reading for now.
    fn receive(&mut self, slot: SlotKey, count: usize) -> bool {
        let is_held = self.lot.is_held(slot);
        let Some(parked) = self.lot.connection_mut(slot) else { return true };
        match parked.wire.receive(&mut parked.received, &self.scratch.read[..count]) {
            Ok(Incoming::Nothing) => return false,
            Ok(Incoming::Data) if is_held => {}
            Ok(Incoming::Data) => self.resume(slot),
            Ok(Incoming::Closed) => {
                self.scratch.sealed.clear();
                parked.wire.seal_close_notify(&mut self.scratch.sealed);
                // A courtesy to a peer that is leaving.
                let _ = parked.stream.write(&self.scratch.sealed);
                self.hung_up(slot);
            }
            Err(error) => {
                self.scratch.sealed.clear();
                parked.wire.seal_alert(error, &mut self.scratch.sealed);
                let _ = parked.stream.write(&self.scratch.sealed);
                tracing::debug!(peer = %parked.peer, error = error.label(), "a parked connection broke the TLS rules");
                metrics::counter!(crate::telemetry::metrics::TLS_ERRORS_TOTAL.name, "error" => error.label()).increment(1);
                self.hung_up(slot);
            }
        }
        true
    }

    fn perform_outputs(&mut self) {
        while let Some(output) = self.lot.poll_output() {
            match output {
                Output::Answer { slot, device, outcome, cause, held } => {
                    self.say_ended(device, outcome.label(), held);
                    self.answer(slot, &outcome, cause, held);
                }
                Output::Held { slot, heartbeat_s, needs_checks } => {
                    self.say_held(slot, heartbeat_s);
                    self.counting.heartbeat.record(f64::from(heartbeat_s));
                    self.gateway.note_heartbeat(u16::try_from(heartbeat_s).unwrap_or(u16::MAX));
                    if let (false, Some(parked)) = (needs_checks, self.lot.connection_mut(slot)) {
                        parked.forget_request();
                    }
                }
                Output::CancelCheck { slot } => drop(self.checks.remove(&slot).map(|(_, check)| check.abort())),
                Output::Close { slot } => self.close(slot),
            }
        }
    }

    /// Back to a task: the next request is arriving.
    fn resume(&mut self, slot: SlotKey) {
        if self.lot.connection(slot).is_some_and(|parked| parked.extra.as_ref().is_some_and(|extra| !extra.unsent.is_empty())) {
            return;
        }
        if let Some(parked) = self.take(slot) {
            super::connection::resume(&self.gateway, parked, None);
        }
    }

    /// Back to a task: the hanging Sync that was held here is asked again, and its answer is the device's.
    fn ask_again(&mut self, slot: SlotKey, outcome: &'static str, held: Duration, place: Option<Place>) {
        let Some(parked) = self.take(slot) else { return };
        self.counting.ended(true, outcome);
        self.record_hold(parked.peer, outcome, held);
        super::connection::resume(&self.gateway, parked, place);
    }

    fn hung_up(&mut self, slot: SlotKey) {
        let now = self.gateway.lots.now();
        if let Some((held, parked)) = self.lot.hold_of(slot, now).zip(self.lot.connection(slot)) {
            let (peer, is_sync) = (parked.peer, parked.is_sync());
            self.counting.ended(is_sync, "hung_up");
            self.record_hold(peer, "hung_up", held);
            self.say_hung_up(slot, held);
        }
        // A check that this leaves running is cancelled when the turn performs its outputs.
        drop(self.take(slot));
    }

    fn close(&mut self, slot: SlotKey) {
        if let Some(mut parked) = self.take(slot) {
            if !parked.closes {
                self.scratch.sealed.clear();
                parked.wire.seal_close_notify(&mut self.scratch.sealed);
                let _ = parked.stream.write(&self.scratch.sealed);
            }
            // Lets the device read our last bytes before it sees the end.
            let _ = parked.stream.shutdown(std::net::Shutdown::Write);
        }
    }

    fn take(&mut self, slot: SlotKey) -> Option<Parked> {
        let mut parked = self.lot.release(slot)?;
        // A socket that is closed anyway leaves the poller by itself.
        let _ = self.inbox.poll.registry().deregister(&mut parked.stream);
        Some(parked)
    }

    /// New slots are in use by now; a dump at any later time has none of their keys.
    fn leave_out_of_core_dumps(&mut self) {
        for (address, bytes) in self.lot.slot_memory().skip(self.left_out) {
            super::core_dumps::leave_out(address, bytes);
            self.left_out += 1;
        }
    }

    /// Puts this turn's figures where others can read them.
    fn publish(&mut self) {
        let figures = &self.door().figures;
        figures.held.store(self.lot.held_count(), Ordering::Relaxed);
        figures.held_syncs.store(self.lot.held_sync_count(), Ordering::Relaxed);
        figures.idle.store(self.lot.idle_count(), Ordering::Relaxed);
        figures.devices.store(self.lot.registry().device_count(), Ordering::Relaxed);
        figures.mailboxes.store(self.lot.registry().mailbox_count(), Ordering::Relaxed);
        figures.in_doubt.store(self.lot.doubt_count(), Ordering::Relaxed);
        figures.checks_waiting.store(self.lot.checks_waiting(), Ordering::Relaxed);
        if !self.wakes.is_empty() {
            let mut histogram = self.gateway.lots.0.wakes.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            for latency in self.wakes.drain(..) {
                histogram.saturating_record(latency.as_micros() as u64);
            }
        }
    }
}

impl Scratch {
    fn refresh_date(&mut self) {
        let now = SystemTime::now();
        let second = now.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |d| d.as_secs());
        if second != self.date_s || self.date.is_empty() {
            (self.date, self.date_s) = (httpdate::fmt_http_date(now), second);
        }
    }
}

/// Index and generation of a slot, as the poller hands them back.
fn token(slot: SlotKey) -> Token {
    Token(slot.index as usize | (slot.generation as usize) << 32)
}

fn slot_of(token: Token) -> SlotKey {
    SlotKey { index: token.0 as u32, generation: (token.0 >> 32) as u32 }
}
