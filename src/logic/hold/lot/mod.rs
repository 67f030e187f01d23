//! The lot: one state machine for the held Pings of the mailboxes whose home it is.
//!
//! Inputs are method calls with the time; what is to be done about them is left in the outputs, to be taken until empty.
//! `C` is whatever the shell needs to answer a connection; the lot stores it inline and never looks inside.
//!
//! ```text
//! offer ──► registered (device.held) ──► judged: dirty → Answer · clean → wait · doubt → check, or tell the device to Sync
//!   waits for: changed · checked · its timer (heartbeat, proof ends, pace) · hung_up · a newer offer of the device · drain
//! answered ──► idle: same slot, same connection, until the next request's first byte or the idle time is over
//! ```

use std::collections::VecDeque;
use std::time::Duration;

use super::change::{MailboxChange, Scope};
use super::folders::{Coverage, Standing};
use super::moment::Moment;
use super::path::PathMatch;
use super::registry::{Device, DeviceIndex, DeviceKey, Registry};
use super::slab::{Slab, SlotKey};
use super::wheel::{Link, Links, Wheel};
use crate::logic::decide::{PingBounds, PingRefusal, decide_ping};
use crate::logic::eas::folder_sync::FolderChange;
use crate::logic::eas::ping::{PingFolder, PingRequest};
use crate::logic::eas::{Class, DeviceId, FolderId, Mailbox};

/// How doubt about a held Ping is cleared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolve {
    /// Answer Status 2: the device Syncs once and is in step from then on.
    Sync,
    /// Ask the backend with its shortest Ping.
    Check,
}

/// What a lot must know of the configuration; durations and counts are this lot's share.
#[derive(Debug, Clone, Copy)]
pub struct LotOptions {
    /// Bounds of a Ping.
    pub ping: PingBounds,
    /// What the sources report.
    pub coverage: Coverage,
    /// How doubt is cleared.
    pub resolve: Resolve,
    /// Time between two devices told to Sync because of doubt.
    pub resolve_gap: Duration,
    /// How long a connection may stay between two requests.
    pub idle: Duration,
    /// Devices remembered.
    pub devices_max: usize,
    /// When an unseen device is forgotten.
    pub device_forget: Duration,
}

/// A Ping that wants to be held, with its connection.
pub struct Offer<C> {
    /// Whose.
    pub mailbox: Mailbox,
    /// Keyed hash of the mailbox name.
    pub hash: u64,
    /// Which device.
    pub device: DeviceId,
    /// What it asks for.
    pub ping: PingRequest,
    /// When its head arrived: the heartbeat counts from here.
    pub received: Moment,
    /// Where to answer.
    pub connection: C,
}

/// How a hold ends, or why a Ping is not held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The heartbeat is over (Status 1).
    Expired,
    /// Watched folders changed (Status 2).
    Changed(Vec<FolderId>),
    /// Refused: Status 3, 5 or 6.
    Refused(PingRefusal),
    /// The folder list changed, or the backend wants to speak to the device (Status 7).
    HierarchyChanged,
    /// The backend no longer accepts the credentials: the next request will tell (Status 1).
    VerdictLost,
    /// A newer Ping of the same device took over (Status 1).
    Replaced,
    /// The process leaves (Status 1, and the connection closes).
    Drained,
    /// No room (503 with Retry-After: devices repeat a Status 8 without delay).
    Overloaded,
}

/// What the shell is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Write the answer; the slot is idle from now on.
    Answer {
        /// Whose.
        slot: SlotKey,
        /// What.
        outcome: Outcome,
        /// When the change that caused it was received.
        cause: Option<Moment>,
        /// How long it was held.
        held: Duration,
    },
    /// A Ping is held; checks will never be needed unless `needs_checks`.
    Held {
        /// Whose.
        slot: SlotKey,
        /// Seconds.
        heartbeat_s: u32,
        /// A check may be asked for while it is held.
        needs_checks: bool,
    },
    /// The check of this slot no longer matters.
    CancelCheck {
        /// Whose.
        slot: SlotKey,
    },
    /// The connection is to be closed: take it with `release`.
    Close {
        /// Whose.
        slot: SlotKey,
    },
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckFinding {
    /// Nothing new in any watched folder.
    Unchanged,
    /// These folders changed.
    Changed(Vec<FolderId>),
    /// The backend wants a FolderSync, a Provision, or refuses the device: let it ask.
    Hierarchy,
    /// The credentials are no longer good.
    Refused,
    /// No answer: ask again later.
    Failed,
}

/// A held Ping, for people to look at.
#[derive(Debug, Clone)]
pub struct HeldView {
    /// Slot it is in.
    pub slot: SlotKey,
    /// Whose mailbox.
    pub mailbox: Mailbox,
    /// Which device.
    pub device: DeviceId,
    /// Seconds asked for.
    pub heartbeat_s: u32,
    /// How long held so far.
    pub held: Duration,
    /// Ids watched.
    pub folders: Vec<FolderId>,
    /// What it waits for besides a change.
    pub is_in_doubt: bool,
}

const CHECK_WANTED: u8 = 1;
const CHECK_RUNS: u8 = 2;
/// The device was told before and did nothing: the answer waits for the timer.
const SLOWED: u8 = 4;
/// Waits for its turn to be told to Sync.
const PACED: u8 = 8;

/// After a check that got no answer.
const CHECK_AGAIN: Duration = Duration::from_secs(30);
/// Longest wait of a device that never heeds what it is told.
const SLOW_MAX_S: u64 = 60;

struct Slot<C> {
    connection: C,
    link: Link,
    /// Whose Ping is held here; a held device is never forgotten, so its index names it.
    held: Option<DeviceIndex>,
    /// Tick at which the heartbeat is over.
    expires: u32,
    heartbeat_s: u16,
    flags: u8,
}

impl<C> Links for Slab<Slot<C>> {
    fn link(&mut self, index: u32) -> &mut Link {
        &mut self.at_mut(index).expect("only tenants have timers").link
    }
}

/// Held Pings, idle connections, and all that is remembered of their devices.
pub struct Lot<C> {
    options: LotOptions,
    slots: Slab<Slot<C>>,
    wheel: Wheel,
    registry: Registry,
    outputs: VecDeque<Output>,
    checks: VecDeque<SlotKey>,
    fired: Vec<u32>,
    held: usize,
    last_number: u64,
    next_told: Moment,
    is_draining: bool,
}

impl<C> Lot<C> {
    /// Bytes a slot takes, its place in the slab included.
    pub const SLOT_BYTES: usize = Slab::<Slot<C>>::ENTRY_BYTES;

    /// An empty lot.
    pub fn new(options: LotOptions) -> Self {
        Lot {
            options,
            slots: Slab::default(),
            wheel: Wheel::default(),
            registry: Registry::default(),
            outputs: VecDeque::new(),
            checks: VecDeque::new(),
            fired: Vec::new(),
            held: 0,
            last_number: 0,
            next_told: Moment::default(),
            is_draining: false,
        }
    }

    /// Pings held now.
    pub fn held_count(&self) -> usize {
        self.held
    }

    /// Connections parked between two requests.
    pub fn idle_count(&self) -> usize {
        self.slots.len() - self.held
    }

    /// Slots that wait for a check to start.
    pub fn checks_waiting(&self) -> usize {
        self.checks.len()
    }

    /// What is remembered.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// The connection in a slot.
    pub fn connection(&self, slot: SlotKey) -> Option<&C> {
        self.slots.get(slot).map(|s| &s.connection)
    }

    /// The connection in a slot.
    pub fn connection_mut(&mut self, slot: SlotKey) -> Option<&mut C> {
        self.slots.get_mut(slot).map(|s| &mut s.connection)
    }

    /// Whether a Ping is held in this slot.
    pub fn is_held(&self, slot: SlotKey) -> bool {
        self.slots.get(slot).is_some_and(|s| s.held.is_some())
    }

    /// How long the Ping in this slot has been held; `None` if none is.
    pub fn hold_of(&self, slot: SlotKey, now: Moment) -> Option<Duration> {
        self.slots.get(slot).filter(|s| s.held.is_some()).map(|s| held_for(s, now))
    }

    /// Whose Ping is held in this slot.
    pub fn mailbox_of(&self, slot: SlotKey) -> Option<&Mailbox> {
        self.registry.mailbox_of(self.registry.key_at(self.slots.get(slot)?.held?)?)
    }

    /// The folders that the Ping held in this slot watches.
    pub fn watched(&self, slot: SlotKey) -> Vec<PingFolder> {
        let device = self.slots.get(slot).and_then(|s| self.registry.device(self.registry.key_at(s.held?)?));
        let folders = device.into_iter().flat_map(|d| d.folders.watched());
        folders.filter_map(|(id, class)| Some(PingFolder { id: FolderId::new(id).ok()?, class: class.unwrap_or(Class::Email) })).collect()
    }

    /// Next thing to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When `advance` is to be called at the latest.
    pub fn poll_timeout(&self) -> Option<Moment> {
        self.wheel.next_tick().map(Moment::of_tick)
    }

    /// Takes a connection with a Ping: registers first, then looks.
    pub fn offer(&mut self, offer: Offer<C>, now: Moment) -> SlotKey {
        let Offer { mailbox, hash, device, ping, received, connection } = offer;
        let slot = self.slots.insert(Slot { connection, link: Link::default(), held: None, expires: 0, heartbeat_s: 0, flags: 0 });
        let Some(key) = self.registry.find_or_add(hash, &mailbox, &device, now.seconds(), self.options.devices_max) else {
            self.answer_unheld(slot, Outcome::Overloaded, now);
            return slot;
        };
        if let Some(older) = self.registry.device(key).and_then(|d| d.held) {
            self.answer(older, Outcome::Replaced, None, now);
        }
        if self.is_draining {
            self.answer_unheld(slot, Outcome::Drained, now);
            return slot;
        }
        match self.register(slot, key, &ping, received) {
            Ok(heartbeat_s) => {
                let needs_checks = self.needs_checks(key);
                self.outputs.push_back(Output::Held { slot, heartbeat_s, needs_checks });
                self.judge(slot, None, now);
            }
            Err(refusal) => self.answer_unheld(slot, Outcome::Refused(refusal), now),
        }
        slot
    }

    /// Takes a connection that waits for its next request.
    pub fn park(&mut self, connection: C, now: Moment) -> SlotKey {
        let slot = self.slots.insert(Slot { connection, link: Link::default(), held: None, expires: 0, heartbeat_s: 0, flags: 0 });
        self.set_timer(slot, now + self.options.idle);
        if self.is_draining {
            self.outputs.push_back(Output::Close { slot });
        }
        slot
    }

    /// Gives a connection back: its next request arrives, it is to be closed, or it hung up. A hold it had ends unanswered.
    pub fn release(&mut self, slot: SlotKey) -> Option<C> {
        self.end_hold(slot);
        self.slots.get(slot)?;
        self.wheel.clear(&mut self.slots, slot.index);
        self.slots.remove(slot).map(|s| s.connection)
    }

    /// A source reported a change under this number; returns how many held Pings it wakes.
    pub fn changed(&mut self, change: &MailboxChange, hash: u64, number: u64, received: Moment, now: Moment) -> usize {
        self.last_number = self.last_number.max(number);
        let path = match &change.scope {
            Scope::FolderName(name) => Some(PathMatch::new(name)),
            _ => None,
        };
        let mut woken = 0;
        let mut next = self.registry.devices_of(hash, &change.mailbox).next();
        while let Some(key) = next {
            next = self.registry.device(key).and_then(Device::next);
            let Some(device) = self.registry.device_mut(key) else { break };
            let is_news = if change.scope == Scope::Hierarchy {
                device.hierarchy_change = device.hierarchy_change.max(number);
                device.hierarchy_change > device.hierarchy_fresh
            } else {
                device.folders.mark(&change.scope, path.as_ref(), number)
            };
            if let (true, Some(slot)) = (is_news, device.held) {
                woken += usize::from(self.judge(slot, Some(received), now));
            }
        }
        woken
    }

    /// A Sync of these folders is about to be forwarded; called before its `as_of` is read.
    pub fn expect<'a>(&mut self, hash: u64, mailbox: &Mailbox, device: &DeviceId, ids: impl Iterator<Item = &'a str>, now: Moment) {
        let last_number = self.last_number;
        if let Some(key) = self.registry.find_or_add(hash, mailbox, device, now.seconds(), self.options.devices_max) {
            if let Some(device) = self.registry.device_mut(key) {
                device.folders.expect(ids, last_number);
            }
        }
    }

    /// A Sync left the device in step with these folders, up to the number read before it was forwarded.
    pub fn synced<'a>(
        &mut self,
        hash: u64,
        mailbox: &Mailbox,
        device: &DeviceId,
        ids: impl Iterator<Item = &'a str>,
        as_of: u64,
        now: Moment,
    ) {
        let Some(key) = self.registry.find(hash, mailbox, device) else { return };
        let Some(device) = self.registry.device_mut(key) else { return };
        (device.seen_s, device.unheeded) = (now.seconds(), 0);
        ids.for_each(|id| device.folders.prove(id, as_of, now.seconds()));
        if let Some(slot) = device.held {
            self.judge(slot, None, now);
        }
    }

    /// FolderSync (or another folder command) taught the folder list, as of a number read before it was forwarded.
    #[expect(clippy::too_many_arguments, reason = "the facts of one exchange; a struct would be built only to be taken apart")]
    pub fn learnt(
        &mut self,
        hash: u64,
        mailbox: &Mailbox,
        device: &DeviceId,
        is_full: bool,
        changes: &[FolderChange],
        as_of: u64,
        now: Moment,
    ) {
        let last_number = self.last_number;
        let Some(key) = self.registry.find_or_add(hash, mailbox, device, now.seconds(), self.options.devices_max) else { return };
        let Some(device) = self.registry.device_mut(key) else { return };
        device.hierarchy_fresh = device.hierarchy_fresh.max(as_of);
        device.unheeded = 0;
        device.folders.learn(is_full, changes, last_number);
    }

    /// The next slot whose check may start now.
    pub fn start_check(&mut self) -> Option<SlotKey> {
        loop {
            let slot = self.checks.pop_front()?;
            if let Some(found) = self.slots.get_mut(slot).filter(|s| s.held.is_some() && s.flags & CHECK_WANTED != 0) {
                found.flags = (found.flags & !CHECK_WANTED) | CHECK_RUNS;
                return Some(slot);
            }
        }
    }

    /// A check ended. `as_of` was read before it was sent, `number` was taken when its answer came.
    pub fn checked(&mut self, slot: SlotKey, finding: &CheckFinding, as_of: u64, number: u64, now: Moment) {
        let Some(found) = self.slots.get_mut(slot) else { return };
        let Some(index) = found.held.filter(|_| found.flags & CHECK_RUNS != 0) else { return };
        found.flags &= !CHECK_RUNS;
        let Some(key) = self.registry.key_at(index) else { return };
        let Some(device) = self.registry.device_mut(key) else { return };
        match finding {
            CheckFinding::Unchanged => device.folders.prove_watched(as_of, now.seconds()),
            CheckFinding::Changed(ids) => ids.iter().for_each(|id| device.folders.mark_id(id.as_str(), number)),
            CheckFinding::Hierarchy => device.hierarchy_change = device.hierarchy_change.max(number),
            CheckFinding::Refused => return self.answer(slot, Outcome::VerdictLost, None, now),
            CheckFinding::Failed => return self.set_timer_within(slot, now + CHECK_AGAIN),
        }
        self.last_number = self.last_number.max(number);
        self.judge(slot, None, now);
    }

    /// What the sources cover, or since when, changed: every held Ping is looked at again.
    pub fn set_coverage(&mut self, coverage: Coverage, now: Moment) {
        self.options.coverage = coverage;
        let held: Vec<SlotKey> = self.slots.iter().filter(|(_, s)| s.held.is_some()).map(|(key, _)| key).collect();
        for slot in held {
            self.judge(slot, None, now);
        }
    }

    /// Ends every hold by `by`, spread evenly; idle connections close at once, new Pings are sent away.
    pub fn drain(&mut self, by: Moment, now: Moment) {
        self.is_draining = true;
        let (held, idle): (Vec<SlotKey>, Vec<SlotKey>) = {
            let (held, idle): (Vec<_>, Vec<_>) = self.slots.iter().partition(|(_, s)| s.held.is_some());
            (held.into_iter().map(|(k, _)| k).collect(), idle.into_iter().map(|(k, _)| k).collect())
        };
        let step = by.since(now) / u32::try_from(held.len().max(1)).unwrap_or(u32::MAX);
        for (position, slot) in held.into_iter().enumerate() {
            self.set_timer_within(slot, now + step * position as u32);
        }
        self.outputs.extend(idle.into_iter().map(|slot| Output::Close { slot }));
    }

    /// Time passes; at most `max` timers are handled. Returns whether more are due.
    pub fn advance(&mut self, now: Moment, max: usize) -> bool {
        let mut fired = std::mem::take(&mut self.fired);
        let more = self.wheel.advance(&mut self.slots, now.tick(), max, &mut fired);
        for index in fired.drain(..) {
            if let Some((slot, _)) = self.slots.at(index) {
                self.handle_timer(slot, now);
            }
        }
        self.fired = fired;
        self.registry.sweep(now.seconds().saturating_sub(self.options.device_forget.as_secs() as u32), 8);
        more
    }

    /// Held Pings, for people to look at.
    pub fn held_views(&self, now: Moment) -> impl Iterator<Item = HeldView> {
        self.slots.iter().filter_map(move |(slot, s)| {
            let key = self.registry.key_at(s.held?)?;
            let device = self.registry.device(key)?;
            Some(HeldView {
                slot,
                mailbox: self.registry.mailbox_of(key)?.clone(),
                device: device.id.clone(),
                heartbeat_s: u32::from(s.heartbeat_s),
                held: held_for(s, now),
                folders: device.folders.watched().filter_map(|(id, _)| FolderId::new(id).ok()).collect(),
                is_in_doubt: s.flags & (CHECK_WANTED | CHECK_RUNS | PACED) != 0,
            })
        })
    }

    fn handle_timer(&mut self, slot: SlotKey, now: Moment) {
        let Some(found) = self.slots.get_mut(slot) else { return };
        let (expires, is_turn) = (found.expires, found.flags & PACED != 0);
        found.flags &= !PACED;
        match found.held.and_then(|index| self.registry.key_at(index)) {
            None => self.outputs.push_back(Output::Close { slot }),
            Some(_) if self.is_draining => self.answer(slot, Outcome::Drained, None, now),
            Some(key) if expires <= now.tick() => {
                let outcome = self.registry.device(key).map_or(Outcome::Expired, expiry);
                self.answer(slot, outcome, None, now);
            }
            // Its turn to clear doubt; if something did so meanwhile, there is nothing to tell.
            Some(key) if is_turn && matches!(self.standing(key, now), Standing::Doubt { .. }) => drop(self.tell(slot, key, None, now)),
            Some(_) => drop(self.judge(slot, None, now)),
        }
    }

    /// Remembers what the Ping brought and makes its device findable by changes, before anything is looked at.
    fn register(&mut self, slot: SlotKey, key: DeviceKey, ping: &PingRequest, received: Moment) -> Result<u32, PingRefusal> {
        let last_number = self.last_number;
        let device = self.registry.device_mut(key).ok_or(PingRefusal::MissingParameters)?;
        let remembered = ((device.heartbeat_s != 0).then_some(u32::from(device.heartbeat_s)), device.has_folders);
        let heartbeat_s = decide_ping(ping, remembered, &self.options.ping)?;
        device.heartbeat_s = heartbeat_s as u16;
        if let Some(folders) = &ping.folders {
            device.folders.watch(folders.iter().map(|f| (f.id.as_str(), f.class)), last_number);
            device.has_folders = true;
        }
        device.held = Some(slot);
        if let Some(found) = self.slots.get_mut(slot) {
            found.held = Some(DeviceIndex::of(key));
            found.heartbeat_s = heartbeat_s as u16;
            found.expires = (received + Duration::from_secs(u64::from(heartbeat_s))).tick();
            self.held += 1;
        }
        Ok(heartbeat_s)
    }

    /// Looks at a held Ping: answers it, or sets what it waits for. Returns whether it was answered because of a change.
    fn judge(&mut self, slot: SlotKey, cause: Option<Moment>, now: Moment) -> bool {
        let Some(found) = self.slots.get_mut(slot) else { return false };
        let (expires, flags) = (found.expires, found.flags);
        let Some(key) = found.held.and_then(|index| self.registry.key_at(index)) else { return false };
        let standing = self.standing(key, now);
        if standing == Standing::Dirty {
            return self.tell(slot, key, cause, now);
        }
        self.clear_flag(slot, SLOWED);
        match standing {
            Standing::Clean { until_s } => {
                // The tick after: within the tick itself the proof may still hold, and would be looked at again and again.
                let proof_ends = Moment(u64::from(until_s) * 1_000_000).tick() + 1;
                self.wheel.set(&mut self.slots, slot.index, expires.min(proof_ends));
            }
            Standing::Doubt { is_uncovered } if is_uncovered || self.options.resolve == Resolve::Check => {
                if flags & (CHECK_WANTED | CHECK_RUNS) == 0 {
                    self.set_flag(slot, CHECK_WANTED);
                    self.checks.push_back(slot);
                }
                self.wheel.set(&mut self.slots, slot.index, expires);
            }
            _ if flags & PACED == 0 => {
                let turn = self.next_told.max(now);
                self.next_told = turn + self.options.resolve_gap;
                if turn <= now {
                    return self.tell(slot, key, cause, now);
                }
                self.set_flag(slot, PACED);
                self.wheel.set(&mut self.slots, slot.index, expires.min(turn.tick().max(now.tick() + 1)));
            }
            _ => {}
        }
        false
    }

    /// Tells a device what changed, unless it has ignored that before: then it waits, so that it cannot spin.
    fn tell(&mut self, slot: SlotKey, key: DeviceKey, cause: Option<Moment>, now: Moment) -> bool {
        let Some(device) = self.registry.device_mut(key) else { return false };
        let Some(found) = self.slots.get_mut(slot) else { return false };
        if device.unheeded >= 2 {
            if found.flags & SLOWED == 0 {
                let wait_s = (1u64 << (device.unheeded - 2).min(6)).min(SLOW_MAX_S);
                found.flags |= SLOWED;
                self.set_timer_within(slot, now + Duration::from_secs(wait_s));
                return false;
            }
            if found.link.deadline().is_some() {
                return false;
            }
        }
        device.unheeded = device.unheeded.saturating_add(1);
        let outcome = if device.hierarchy_change > device.hierarchy_fresh {
            Outcome::HierarchyChanged
        } else {
            let (coverage, now_s) = (&self.options.coverage, now.seconds());
            Outcome::Changed(device.folders.to_tell(coverage, now_s).filter_map(|id| FolderId::new(id).ok()).collect())
        };
        self.answer(slot, outcome, cause, now);
        true
    }

    fn answer(&mut self, slot: SlotKey, outcome: Outcome, cause: Option<Moment>, now: Moment) {
        let held = self.slots.get(slot).map_or(Duration::ZERO, |s| held_for(s, now));
        self.end_hold(slot);
        self.set_timer(slot, now + self.options.idle);
        self.outputs.push_back(Output::Answer { slot, outcome, cause, held });
    }

    fn answer_unheld(&mut self, slot: SlotKey, outcome: Outcome, now: Moment) {
        self.set_timer(slot, now + self.options.idle);
        self.outputs.push_back(Output::Answer { slot, outcome, cause: None, held: Duration::ZERO });
    }

    /// The slot no longer holds a Ping; its device can be offered anew.
    fn end_hold(&mut self, slot: SlotKey) {
        let Some(found) = self.slots.get_mut(slot) else { return };
        let flags = std::mem::take(&mut found.flags);
        let Some(key) = found.held.take().and_then(|index| self.registry.key_at(index)) else { return };
        self.held -= 1;
        if flags & CHECK_RUNS != 0 {
            self.outputs.push_back(Output::CancelCheck { slot });
        }
        if let Some(device) = self.registry.device_mut(key).filter(|d| d.held == Some(slot)) {
            device.held = None;
        }
    }

    fn standing(&self, key: DeviceKey, now: Moment) -> Standing {
        match self.registry.device(key) {
            Some(device) if device.hierarchy_change > device.hierarchy_fresh => Standing::Dirty,
            Some(device) => device.folders.standing(&self.options.coverage, now.seconds()),
            None => Standing::Clean { until_s: u32::MAX },
        }
    }

    fn needs_checks(&self, key: DeviceKey) -> bool {
        let is_covered = self.registry.device(key).is_some_and(|d| d.folders.is_covered(&self.options.coverage));
        self.options.resolve == Resolve::Check || !is_covered
    }

    fn set_flag(&mut self, slot: SlotKey, flag: u8) {
        if let Some(found) = self.slots.get_mut(slot) {
            found.flags |= flag;
        }
    }

    fn clear_flag(&mut self, slot: SlotKey, flag: u8) {
        if let Some(found) = self.slots.get_mut(slot) {
            found.flags &= !flag;
        }
    }

    fn set_timer(&mut self, slot: SlotKey, at: Moment) {
        if self.slots.get(slot).is_some() {
            self.wheel.set(&mut self.slots, slot.index, at.tick());
        }
    }

    /// Sets a held Ping's timer, never beyond its heartbeat.
    fn set_timer_within(&mut self, slot: SlotKey, at: Moment) {
        if let Some(expires) = self.slots.get(slot).map(|s| s.expires) {
            self.wheel.set(&mut self.slots, slot.index, at.tick().min(expires));
        }
    }
}

fn held_for<C>(slot: &Slot<C>, now: Moment) -> Duration {
    let heartbeat = Duration::from_secs(u64::from(slot.heartbeat_s));
    now.since(Moment::of_tick(slot.expires) - heartbeat)
}

/// At the end of the heartbeat a device whose answer was being slowed still hears of what changed.
fn expiry(device: &Device) -> Outcome {
    let dirty: Vec<FolderId> = device.folders.dirty().filter_map(|id| FolderId::new(id).ok()).collect();
    match dirty.is_empty() {
        _ if device.hierarchy_change > device.hierarchy_fresh => Outcome::HierarchyChanged,
        true => Outcome::Expired,
        false => Outcome::Changed(dirty),
    }
}

#[cfg(test)]
mod tests;
