//! The shell of one lot: an inbox that is first in, first out, the counter of changes, checks, and outputs performed.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use pushgate::logic::eas::folder_sync::FolderChange;
use pushgate::logic::eas::{DeviceId, FolderId};
use pushgate::logic::hold::folders::Coverage;
use pushgate::logic::hold::losses::Losses;
use pushgate::logic::hold::lot::CheckFinding;
use pushgate::logic::hold::{AsOf, Lot, LotOptions, MailboxChange, Moment, Offer, Outcome, Output, SlotKey, SyncTraits, Who};

use super::device::What;
use super::truth::folder_id;
use super::{Connection, Event, Reply, World};

/// What the lot keeps of a connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tag {
    pub(super) connection: u64,
}

/// What a lot is told; as in the real inbox.
#[derive(Debug)]
pub(super) enum Note {
    Offer(Offer<Tag>),
    Park(Tag),
    Changed { change: MailboxChange, hash: u64, number: u64, received: Moment },
    Expect { device: usize, ids: Vec<FolderId> },
    Synced { device: usize, folders: Vec<(FolderId, SyncTraits)>, as_of: AsOf },
    Learnt { device: usize, is_full: bool, changes: Vec<FolderChange>, as_of: u64 },
    Checked { slot: SlotKey, finding: CheckFinding, as_of: AsOf, number: u64 },
    Coverage(Coverage),
}

/// A check under way.
pub(super) struct Check {
    as_of: AsOf,
    device: usize,
    folders: Vec<FolderId>,
    finding: CheckFinding,
}

/// One process.
pub(super) struct Shell {
    pub(super) lot: Lot<Tag>,
    pub(super) number: u64,
    pub(super) inbox: VecDeque<Note>,
    /// Which process this is.
    pub(super) life: u32,
    pub(super) is_up: bool,
    pub(super) checks: BTreeMap<SlotKey, Check>,
    is_turn_planned: bool,
    /// Reports that found no room since the lot last looked, and before.
    pub(super) has_lost_reports: bool,
    losses: Losses,
    timer: Option<Moment>,
}

/// `backend.checks_max`.
const CHECKS_MAX: usize = 2;

impl Shell {
    pub(super) fn new(options: LotOptions, life: u32) -> Self {
        Shell {
            lot: Lot::new(options),
            number: 1,
            inbox: VecDeque::new(),
            life,
            is_up: true,
            checks: BTreeMap::new(),
            is_turn_planned: false,
            has_lost_reports: false,
            losses: Losses::default(),
            timer: None,
        }
    }

    fn next_number(&mut self) -> u64 {
        self.number += 1;
        self.number
    }
}

impl World {
    pub(super) fn as_of(&self) -> AsOf {
        AsOf { number: self.shell.number, at: self.now }
    }

    pub(super) fn next_number(&mut self) -> u64 {
        self.shell.next_number()
    }

    pub(super) fn send(&mut self, note: Note) {
        self.shell.inbox.push_back(note);
        self.plan_turn();
    }

    pub(super) fn plan_turn(&mut self) {
        let has_work = !self.shell.inbox.is_empty() || self.shell.has_lost_reports;
        if !self.shell.is_turn_planned && has_work {
            self.shell.is_turn_planned = true;
            // A thread that sleeps wakes at once; one that is busy takes its time.
            let ms = if self.rng.percent(3) { self.rng.range(100, 1_500) } else { self.rng.range(0, 20) };
            self.after_ms(ms, Event::LotTurn { life: self.shell.life });
        }
    }

    pub(super) fn lot_turn(&mut self) {
        self.shell.is_turn_planned = false;
        self.take_back_proofs();
        for _ in 0..self.rng.range(1, 8) {
            let Some(note) = self.shell.inbox.pop_front() else { break };
            self.take(note);
            self.perform_outputs();
        }
        self.after_lot();
        self.plan_turn();
    }

    /// As the real lot thread does at the beginning of each turn.
    fn take_back_proofs(&mut self) {
        let now = self.now;
        if std::mem::take(&mut self.shell.has_lost_reports) {
            self.shell.losses.lost(now);
        }
        if self.shell.losses.are_due(now, Duration::from_secs(super::bounds::SETTLE_S)) {
            let number = self.next_number();
            self.shell.lot.reports_lost(number, now);
            self.perform_outputs();
            self.all_in_doubt();
        }
        if let Some(next) = self.shell.losses.next() {
            self.at(next, Event::LotTurn { life: self.shell.life });
        }
    }

    fn take(&mut self, note: Note) {
        let now = self.now;
        self.trace(|| format!("  {note:?}"));
        match note {
            Note::Offer(offer) => {
                let tag = offer.connection;
                let slot = self.shell.lot.offer(offer, now);
                self.settle_in(tag, slot);
            }
            Note::Park(tag) => {
                let slot = self.shell.lot.park(tag, now);
                self.settle_in(tag, slot);
            }
            Note::Changed { change, hash, number, received } => drop(self.shell.lot.changed(&change, hash, number, received, now)),
            Note::Expect { device, ids } => {
                let (mailbox, id) = self.names(device);
                let who = Who { hash: self.mailboxes[mailbox].hash, mailbox: &self.mailboxes[mailbox].name, device: &id };
                self.shell.lot.expect(&who, ids.iter().map(FolderId::as_str), now);
            }
            Note::Synced { device, folders, as_of } => {
                let (mailbox, id) = self.names(device);
                let who = Who { hash: self.mailboxes[mailbox].hash, mailbox: &self.mailboxes[mailbox].name, device: &id };
                self.shell.lot.synced(&who, folders.iter().map(|(id, traits)| (id.as_str(), *traits)), as_of, now);
            }
            Note::Learnt { device, is_full, changes, as_of } => {
                let (mailbox, id) = self.names(device);
                let who = Who { hash: self.mailboxes[mailbox].hash, mailbox: &self.mailboxes[mailbox].name, device: &id };
                self.shell.lot.learnt(&who, is_full, &changes, as_of, now);
            }
            Note::Checked { slot, finding, as_of, number } => self.shell.lot.checked(slot, &finding, as_of, number, now),
            Note::Coverage(coverage) => self.shell.lot.set_coverage(coverage, now),
        }
    }

    fn names(&self, device: usize) -> (usize, DeviceId) {
        (self.devices[device].mailbox, self.devices[device].id())
    }

    /// A connection is in the lot now; if it closed on its way there, that shows at once.
    fn settle_in(&mut self, tag: Tag, slot: SlotKey) {
        let Some(connection) = self.connections.get_mut(&tag.connection) else {
            self.shell.lot.release(slot);
            return;
        };
        (connection.slot, connection.is_parking) = (Some(slot), false);
        if connection.is_closed && !connection.is_cut {
            self.hung_up(slot);
        }
    }

    pub(super) fn hung_up(&mut self, slot: SlotKey) {
        if let Some(tag) = self.shell.lot.release(slot)
            && let Some(connection) = self.connections.get_mut(&tag.connection)
        {
            connection.slot = None;
            let device = connection.device;
            if connection.ping.take().is_some() {
                self.stop_clock(device, tag.connection);
            }
        }
        self.perform_outputs();
        self.after_lot();
    }

    pub(super) fn perform_outputs(&mut self) {
        while let Some(output) = self.shell.lot.poll_output() {
            match output {
                Output::Answer { slot, outcome, .. } => self.answer_ping(slot, outcome),
                Output::Held { .. } => self.stats.pings += 1,
                Output::CancelCheck { slot } => drop(self.shell.checks.remove(&slot)),
                Output::Close { slot } => self.close(slot),
            }
        }
    }

    fn answer_ping(&mut self, slot: SlotKey, outcome: Outcome) {
        let Some(Tag { connection: id }) = self.shell.lot.connection(slot).copied() else {
            // Gone before it could be answered, as in the real shell.
            return;
        };
        let life = self.shell.life;
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let (device, is_cut, closes) = (connection.device, connection.is_cut, outcome.closes());
        let Some(ping) = connection.ping.take() else {
            return self.fail(format!("device {device} is answered {outcome:?} without having asked, or twice"));
        };
        self.trace(|| format!("  device {device}, request {ping}: {outcome:?}"));
        let is_asked = matches!(outcome, Outcome::Changed(_) | Outcome::VerdictLost);
        if is_asked && self.requests.get(&ping).is_some_and(|request| matches!(request.what, What::Hang { .. })) {
            return self.ask_again(slot, ping);
        }
        self.judge_answer(ping, device, id, &outcome);
        if is_cut {
            // The kernel finds out after half a minute; sometimes never.
            if self.rng.percent(70) {
                self.after_ms(30_500, Event::HungUp { slot, life });
            }
        } else {
            let ms = self.latency_ms(device);
            self.after_ms(ms, Event::Reply { request: ping, reply: Reply::Ping(outcome) });
        }
        if closes {
            self.close(slot);
        }
    }

    fn close(&mut self, slot: SlotKey) {
        let Some(tag) = self.shell.lot.release(slot) else { return };
        if let Some(connection) = self.connections.get_mut(&tag.connection) {
            connection.slot = None;
            connection.is_closed = true;
        }
    }

    /// After every turn: checks, and the one timer.
    pub(super) fn after_lot(&mut self) {
        while self.shell.checks.len() < CHECKS_MAX {
            let Some(slot) = self.shell.lot.start_check() else { break };
            let Some(found) = self.shell.lot.connection(slot).and_then(|tag| self.connections.get(&tag.connection)) else { break };
            let (device, ping) = (found.device, found.ping);
            let hanging = ping.filter(|id| self.requests.get(id).is_some_and(|request| matches!(request.what, What::Hang { .. })));
            if let Some(id) = hanging {
                self.ask_again(slot, id);
                self.perform_outputs();
                continue;
            }
            self.stats.checks += 1;
            let folders = self.shell.lot.watched(slot).into_iter().map(|folder| folder.id).collect();
            let check = Check { as_of: self.as_of(), device, folders, finding: CheckFinding::Failed };
            self.shell.checks.insert(slot, check);
            let ms = self.rng.range(1, 500);
            self.after_ms(ms, Event::CheckLooks { slot, life: self.shell.life });
        }
        let next = self.shell.lot.poll_timeout();
        if let Some(at) = next.filter(|_| next != self.shell.timer) {
            self.shell.timer = next;
            self.at(at, Event::LotTimer { life: self.shell.life, at });
        }
    }

    pub(super) fn lot_timer(&mut self, at: Moment) {
        if self.shell.timer != Some(at) {
            return;
        }
        self.shell.timer = None;
        while self.shell.lot.advance(self.now, 4) {
            self.perform_outputs();
        }
        self.perform_outputs();
        self.after_lot();
    }

    pub(super) fn check_looks(&mut self, slot: SlotKey) {
        let fails = !self.is_quiet() && self.rng.percent(self.plan.failures);
        let Some(check) = self.shell.checks.get(&slot) else { return };
        let (device, issued) = (check.device, &self.issued[check.device]);
        let mailbox = &self.mailboxes[self.devices[device].mailbox];
        let is_changed = |id: &&FolderId| {
            let folder = super::truth::folder_of(id.as_str());
            issued.keys.get(&folder).is_none_or(|key| mailbox.has_news(folder, *key, device))
        };
        let changed: Vec<FolderId> = check.folders.iter().filter(is_changed).cloned().collect();
        let finding = match changed.is_empty() {
            _ if fails => CheckFinding::Failed,
            _ if issued.tree < mailbox.tree => CheckFinding::Hierarchy,
            true => CheckFinding::Unchanged,
            false => CheckFinding::Changed(changed),
        };
        if let Some(check) = self.shell.checks.get_mut(&slot) {
            check.finding = finding;
        }
        // Some backends look once and answer at the end of their shortest heartbeat.
        let ms = self.rng.range(5, 10_000);
        self.after_ms(ms, Event::CheckEnds { slot, life: self.shell.life });
    }

    pub(super) fn check_ends(&mut self, slot: SlotKey) {
        let Some(Check { as_of, finding, .. }) = self.shell.checks.remove(&slot) else { return };
        let number = self.next_number();
        self.send(Note::Checked { slot, finding, as_of, number });
        self.after_lot();
    }

    /// A new process; what the old one knew is gone.
    pub(super) fn begin_life(&mut self, is_loud: bool) {
        let life = self.shell.life + 1;
        for connection in std::mem::take(&mut self.connections).into_values() {
            self.hang_up_device(connection, is_loud);
        }
        self.shell = Shell::new(self.plan.lot_options(1, self.source.is_covering), life);
    }

    fn hang_up_device(&mut self, connection: Connection, is_loud: bool) {
        let waiting = self.devices[connection.device].waiting_on(&self.requests);
        self.stop_all_clocks(connection.device);
        for request in waiting.into_iter().filter(|_| is_loud && !connection.is_cut) {
            let ms = self.rng.range(1, 300);
            self.after_ms(ms, Event::Reply { request, reply: Reply::Broken });
        }
    }

    pub(super) fn latency_ms(&mut self, device: usize) -> u64 {
        let _ = device;
        if self.rng.percent(3) { self.rng.range(500, 3_000) } else { self.rng.range(20, 200) }
    }

    /// Everything the device asks about, as the gateway tells the lot to expect it.
    pub(super) fn expect(&mut self, device: usize, folders: &[usize]) {
        let ids = folders.iter().map(|folder| folder_id(*folder)).collect();
        self.send(Note::Expect { device, ids });
    }

    /// Everything is over: connections close, devices are forgotten.
    pub(super) fn close_everything(&mut self) -> Result<(), String> {
        let slots: Vec<SlotKey> = self.connections.values().filter_map(|connection| connection.slot).collect();
        self.shell.inbox.clear();
        for slot in slots {
            self.hung_up(slot);
        }
        self.now = self.now + Duration::from_secs(super::bounds::DEVICE_FORGET_S + 4_000);
        for _ in 0..200 {
            self.shell.lot.advance(self.now, 100);
            self.perform_outputs();
        }
        self.shell.lot.check_invariants()?;
        let (held, idle, doubt) = (self.shell.lot.held_count(), self.shell.lot.idle_count(), self.shell.lot.doubt_count());
        let (devices, mailboxes) = (self.shell.lot.registry().device_count(), self.shell.lot.registry().mailbox_count());
        match (held, idle, doubt, devices, mailboxes) {
            (0, 0, 0, 0, 0) => Ok(()),
            left => Err(format!("left at the end (held, idle, in doubt, devices, mailboxes): {left:?}")),
        }
    }
}
