//! The lot: one state machine for the held Pings of the mailboxes whose home it is.
//!
//! Inputs are method calls with the time; what is to be done about them is left in the outputs, to be taken until empty.
//! `C` is whatever the shell needs to answer a connection; the lot stores it inline and never looks inside.
//!
//! ```text
//! offer ──► registered (device.held) ──► judged: dirty → Answer · clean → wait · doubt → check, or tell the device to Sync
//!   waits for: changed · checked · its timer (heartbeat, proof ends, turn) · hung_up · a newer offer of the device · drain
//! answered ──► idle: same slot, same connection, until the next request's first byte or the idle time is over
//! ```
//!
//! * Here: connections in and out, time. * `terms`: what goes in and out. * `judge`: what becomes of a held Ping. * `learn`: what
//!   traffic and sources teach. * `checks`: the backend asked. * `audit`: do all the books agree.

mod audit;
mod checks;
mod judge;
mod learn;
mod terms;
#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::Duration;

use super::moment::Moment;
pub use super::registry::Who;
use super::registry::{DeviceIndex, DeviceKey, Registry};
use super::slab::{Slab, SlotKey};
use super::wheel::{Link, Links, Wheel};
use crate::logic::decide::{PingRefusal, decide_ping};
use crate::logic::eas::ping::{PingFolder, PingRequest};
use crate::logic::eas::{Class, DeviceId, FolderId, Mailbox};
pub use checks::CheckFinding;
pub use terms::{HeldView, HoldKind, LotOptions, Offer, Outcome, Output, Resolve};

/// What a held Ping waits for, besides a change and the end of its heartbeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Awaits {
    /// Clean: the end of its first proof.
    ProofEnd,
    /// In doubt: room for its check.
    Permit,
    /// In doubt: what its check finds.
    Finding,
    /// In doubt, and the last check got no answer: the time to ask again.
    Retry,
    /// In doubt: its turn to be told to Sync.
    Turn,
    /// It is to be told something, and was told before without doing anything: some patience, so that it cannot spin.
    Patience,
    /// The process leaves: its share of the time that takes.
    Leave,
}

impl Awaits {
    fn is_doubt(self) -> bool {
        matches!(self, Awaits::Permit | Awaits::Finding | Awaits::Retry | Awaits::Turn)
    }
}

/// What the shell keeps for asking the backend on behalf of what is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CheckedBy {
    /// Nothing.
    Nobody,
    /// A Ping of the device.
    Ping,
    /// The Sync itself, which says nothing of the list of folders.
    Sync,
}

/// An idle connection may stay this long once the process leaves: its last answer is on its way.
const IDLE_WHEN_LEAVING: Duration = Duration::from_secs(1);

struct Slot<C> {
    connection: C,
    link: Link,
    /// Whose Ping is held here; a held device is never forgotten, so its index names it.
    held: Option<DeviceIndex>,
    /// Tick at which the heartbeat is over.
    expires: u32,
    heartbeat_s: u16,
    awaits: Awaits,
    checked_by: CheckedBy,
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
    /// Slots that await a permit, by the tick of their doubt; some no longer do.
    checks: BinaryHeap<Reverse<(u32, SlotKey)>>,
    fired: Vec<u32>,
    held: usize,
    held_syncs: usize,
    in_doubt: usize,
    checks_wanted: usize,
    last_number: u64,
    next_turn: Moment,
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
            checks: BinaryHeap::new(),
            fired: Vec::new(),
            held: 0,
            held_syncs: 0,
            in_doubt: 0,
            checks_wanted: 0,
            last_number: 0,
            next_turn: Moment::default(),
            is_draining: false,
        }
    }

    /// Pings held now.
    pub fn held_count(&self) -> usize {
        self.held
    }

    /// Those of them that are hanging Syncs.
    pub fn held_sync_count(&self) -> usize {
        self.held_syncs
    }

    /// Held Pings of which it cannot be said that nothing changed: the backlog of checks and of Syncs to be told.
    pub fn doubt_count(&self) -> usize {
        self.in_doubt
    }

    /// Connections parked between two requests.
    pub fn idle_count(&self) -> usize {
        self.slots.len() - self.held
    }

    /// Slots that wait for a check to start.
    pub fn checks_waiting(&self) -> usize {
        self.checks_wanted
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

    /// Address and bytes of the memory that slots live in, oldest first; it only ever grows.
    pub fn slot_memory(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        self.slots.pages()
    }

    /// Whether what is held in this slot is in doubt: it waits for a check, or for its turn to be told to Sync.
    pub fn is_in_doubt(&self, slot: SlotKey) -> bool {
        self.slots.get(slot).is_some_and(|s| s.held.is_some() && s.awaits.is_doubt())
    }

    /// Whether a Ping is held in this slot.
    pub fn is_held(&self, slot: SlotKey) -> bool {
        self.slots.get(slot).is_some_and(|s| s.held.is_some())
    }

    /// How long the Ping in this slot has been held; `None` if none is.
    pub fn hold_of(&self, slot: SlotKey, now: Moment) -> Option<Duration> {
        self.slots.get(slot).filter(|s| s.held.is_some()).map(|s| held_for(s, now))
    }

    /// Whose Ping is held in this slot, and on which device.
    pub fn holder(&self, slot: SlotKey) -> Option<(&Mailbox, &DeviceId)> {
        self.device_at(self.slots.get(slot)?.held?)
    }

    /// Whose device that is, and which: of an [`Output`] just taken, for people to read.
    pub fn device_at(&self, index: DeviceIndex) -> Option<(&Mailbox, &DeviceId)> {
        let key = self.registry.key_at(index)?;
        Some((self.registry.mailbox_of(key)?, &self.registry.device(key)?.id))
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
        let Offer { mailbox, hash, device, ping, kind, received, connection } = offer;
        let slot = self.insert(connection);
        let who = Who { hash, mailbox: &mailbox, device: &device };
        let Some(key) = self.device(&who, now) else {
            self.answer_unheld(slot, None, Outcome::Overloaded, now);
            return slot;
        };
        if let Some(other) = self.registry.device(key).and_then(|d| d.held) {
            // A hanging Sync comes back when it found nothing; by then there may be one that is newer.
            let is_newer = self.slots.get(other).is_some_and(|s| began(s).tick() > received.tick());
            if is_newer {
                self.answer_unheld(slot, Some(key), Outcome::Replaced, now);
                return slot;
            }
            self.answer(other, Outcome::Replaced, None, now);
        }
        if self.is_draining {
            self.answer_unheld(slot, Some(key), Outcome::Drained, now);
            return slot;
        }
        match self.register(slot, key, (&ping, kind), received, now) {
            Ok(heartbeat_s) => {
                let needs_checks = self.slots.get(slot).is_some_and(|s| s.checked_by != CheckedBy::Nobody);
                self.outputs.push_back(Output::Held { slot, heartbeat_s, needs_checks });
                self.judge(slot, None, now);
            }
            Err(refusal) => self.answer_unheld(slot, Some(key), Outcome::Refused(refusal), now),
        }
        slot
    }

    /// Takes a connection that waits for its next request.
    pub fn park(&mut self, connection: C, now: Moment) -> SlotKey {
        let slot = self.insert(connection);
        self.set_idle(slot, now);
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

    /// Ends every hold by `by`, spread evenly; idle connections close at once, new Pings are sent away.
    pub fn drain(&mut self, by: Moment, now: Moment) {
        self.is_draining = true;
        let (held, idle): (Vec<_>, Vec<_>) = self.slots.iter().map(|(key, s)| (key, s.held.is_some())).partition(|(_, is_held)| *is_held);
        let step = by.since(now) / u32::try_from(held.len().max(1)).unwrap_or(u32::MAX);
        for (position, (slot, _)) in held.into_iter().enumerate() {
            self.wait(slot, Awaits::Leave, now + step * position as u32);
        }
        self.outputs.extend(idle.into_iter().map(|(slot, _)| Output::Close { slot }));
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

    /// Devices for which something is held, from that slot on: out of `count` slots; and where the rest begins.
    pub fn held_page(&self, from: u32, count: usize) -> (Vec<(Mailbox, DeviceId)>, Option<u32>) {
        let (end, last) = (self.slots.capacity() as u32, from.saturating_add(count as u32));
        let keys = (from..last.min(end)).filter_map(|index| self.registry.key_at(self.slots.at(index)?.1.held?));
        let devices = keys.filter_map(|key| Some((self.registry.mailbox_of(key)?.clone(), self.registry.device(key)?.id.clone())));
        (devices.collect(), Some(last).filter(|last| *last < end))
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
                kind: if s.checked_by == CheckedBy::Sync { HoldKind::Sync } else { HoldKind::Ping },
                heartbeat_s: u32::from(s.heartbeat_s),
                held: held_for(s, now),
                folders: device.folders.watched().filter_map(|(id, _)| FolderId::new(id).ok()).collect(),
                is_in_doubt: s.awaits.is_doubt(),
            })
        })
    }

    fn insert(&mut self, connection: C) -> SlotKey {
        let awaits = Awaits::ProofEnd;
        self.slots.insert(Slot {
            connection,
            link: Link::default(),
            held: None,
            expires: 0,
            heartbeat_s: 0,
            awaits,
            checked_by: CheckedBy::Nobody,
        })
    }

    /// The record of a device, made when it is new.
    fn device(&mut self, who: &Who<'_>, now: Moment) -> Option<DeviceKey> {
        self.registry.find_or_add(who, now.seconds(), self.last_number, self.options.devices_max)
    }

    /// Remembers what the Ping brought and makes its device findable by changes, before anything is looked at.
    fn register(
        &mut self,
        slot: SlotKey,
        key: DeviceKey,
        (ping, kind): (&PingRequest, HoldKind),
        received: Moment,
        now: Moment,
    ) -> Result<u32, PingRefusal> {
        let last_number = self.last_number;
        let device = self.registry.device_mut(key).ok_or(PingRefusal::MissingParameters)?;
        let remembered = ((device.heartbeat_s != 0).then_some(u32::from(device.heartbeat_s)), device.has_folders);
        let heartbeat_s = decide_ping(ping, remembered, &self.options.ping)?;
        let is_ping = kind == HoldKind::Ping;
        if is_ping {
            device.heartbeat_s = heartbeat_s as u16;
        }
        if let Some(folders) = &ping.folders {
            let view = self.options.view(device, now);
            // A Sync does not say what its folders hold, and a guess would make them look covered.
            device.folders.watch(folders.iter().map(|f| (f.id.as_str(), is_ping.then_some(f.class))), last_number, &view);
            device.has_folders = is_ping;
        }
        device.held = Some(slot);
        let checked_by = match kind {
            HoldKind::Sync => CheckedBy::Sync,
            HoldKind::Ping if self.options.may_check(device) => CheckedBy::Ping,
            HoldKind::Ping => CheckedBy::Nobody,
        };
        if let Some(found) = self.slots.get_mut(slot) {
            found.held = Some(DeviceIndex::of(key));
            found.heartbeat_s = heartbeat_s as u16;
            found.expires = (received + Duration::from_secs(u64::from(heartbeat_s))).tick();
            found.checked_by = checked_by;
            self.held += 1;
            self.held_syncs += usize::from(!is_ping);
        }
        Ok(heartbeat_s)
    }

    fn answer(&mut self, slot: SlotKey, outcome: Outcome, cause: Option<Moment>, now: Moment) {
        let (held, device) = self.slots.get(slot).map_or((Duration::ZERO, None), |s| (held_for(s, now), s.held));
        self.end_hold(slot);
        self.set_idle(slot, now);
        self.outputs.push_back(Output::Answer { slot, device, outcome, cause, held });
    }

    fn answer_unheld(&mut self, slot: SlotKey, device: Option<DeviceKey>, outcome: Outcome, now: Moment) {
        self.set_idle(slot, now);
        let device = device.map(DeviceIndex::of);
        self.outputs.push_back(Output::Answer { slot, device, outcome, cause: None, held: Duration::ZERO });
    }

    /// The slot no longer holds a Ping; its device can be offered anew.
    fn end_hold(&mut self, slot: SlotKey) {
        self.set_awaits(slot, Awaits::ProofEnd);
        let Some(found) = self.slots.get_mut(slot) else { return };
        let Some(key) = found.held.take().and_then(|index| self.registry.key_at(index)) else { return };
        self.held -= 1;
        self.held_syncs -= usize::from(std::mem::replace(&mut found.checked_by, CheckedBy::Nobody) == CheckedBy::Sync);
        if let Some(device) = self.registry.device_mut(key).filter(|d| d.held == Some(slot)) {
            device.held = None;
        }
    }

    /// The one way in which a held Ping comes to wait: for what, and until when at the latest, never beyond its heartbeat.
    fn wait(&mut self, slot: SlotKey, awaits: Awaits, until: Moment) {
        self.set_awaits(slot, awaits);
        if let Some(expires) = self.slots.get(slot).map(|s| s.expires) {
            self.wheel.set(&mut self.slots, slot.index, until.tick().min(expires));
        }
    }

    fn set_awaits(&mut self, slot: SlotKey, awaits: Awaits) {
        let Some(found) = self.slots.get_mut(slot) else { return };
        let before = std::mem::replace(&mut found.awaits, awaits);
        if before == Awaits::Finding && awaits != Awaits::Finding {
            self.outputs.push_back(Output::CancelCheck { slot });
        }
        self.in_doubt = self.in_doubt + usize::from(awaits.is_doubt()) - usize::from(before.is_doubt());
        self.checks_wanted = self.checks_wanted + usize::from(awaits == Awaits::Permit) - usize::from(before == Awaits::Permit);
    }

    fn set_idle(&mut self, slot: SlotKey, now: Moment) {
        let idle = if self.is_draining { IDLE_WHEN_LEAVING.min(self.options.idle) } else { self.options.idle };
        if self.slots.get(slot).is_some() {
            self.wheel.set(&mut self.slots, slot.index, (now + idle).tick());
        }
    }
}

fn held_for<C>(slot: &Slot<C>, now: Moment) -> Duration {
    now.since(began(slot))
}

/// When the request that is held came.
fn began<C>(slot: &Slot<C>) -> Moment {
    Moment::of_tick(slot.expires) - Duration::from_secs(u64::from(slot.heartbeat_s))
}
