//! Devices that wait, and when each is to be looked at again.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::TcpStream;
use std::time::Instant;

use pushgate::gateway::tls::{Received, Wire};
use pushgate::standin::device::Dormant;

use crate::scenario::Manner;

/// A device that waits.
#[derive(Debug)]
pub struct Slot {
    /// Of this process.
    pub device: u32,
    /// Socket, keys, and what was received and not read; `None`: it has none.
    pub connection: Option<Connection>,
    packed: Packed,
    pub stage: Stage,
    /// When time is up: for the answer, or for the rest.
    pub until: Instant,
    /// When its network cuts the connection, and how.
    pub cut: Option<(Instant, Manner)>,
}

/// A waiting device's connection.
pub type Connection = (TcpStream, Wire, Received);

/// A packed device in the slot itself: small pieces of the heap, each among what devices need for a moment while they connect,
/// would keep the pages around them.
#[derive(Debug)]
struct Packed {
    length: u16,
    inline: [u8; INLINE_BYTES],
    /// Instead, where it is longer.
    elsewhere: Option<Box<[u8]>>,
}

/// Room for five folders with the ids of SOGo, the longest there are.
const INLINE_BYTES: usize = 254;

impl Packed {
    fn new(bytes: Box<[u8]>) -> Self {
        let mut inline = [0; INLINE_BYTES];
        match inline.get_mut(..bytes.len()) {
            Some(room) => {
                room.copy_from_slice(&bytes);
                Packed { length: bytes.len() as u16, inline, elsewhere: None }
            }
            None => Packed { length: 0, inline, elsewhere: Some(bytes) },
        }
    }

    fn into_bytes(self) -> Box<[u8]> {
        self.elsewhere.unwrap_or_else(|| self.inline[..usize::from(self.length)].into())
    }
}

/// What it waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// An answer; it has not been waited for long enough to call it held. The moment at which it will have been.
    Asked(Instant),
    /// An answer.
    Held,
    /// An answer that cannot come: the network dropped the connection and told nobody.
    Deaf,
    /// Time.
    Resting,
    /// Time, without a network: then it begins with a new connection.
    Offline,
}

/// A place; the generation tells the devices apart that were in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub index: u32,
    pub generation: u32,
}

/// All of them.
#[derive(Debug, Default)]
pub struct Slots {
    slots: Vec<(u32, Option<Slot>)>,
    free: Vec<u32>,
    /// Every device that waits is in here once with its next moment; stale entries too, up to as many again.
    moments: BinaryHeap<Reverse<(Instant, Place)>>,
}

impl Slots {
    /// Room for so many; the memory is touched as they come.
    pub fn with_capacity(devices: usize) -> Self {
        let moments = BinaryHeap::with_capacity(devices + SLACK);
        Slots { slots: Vec::with_capacity(devices), free: Vec::new(), moments }
    }

    /// Puts a device in.
    pub fn insert(&mut self, slot: Slot) -> Place {
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push((0, None));
            (self.slots.len() - 1) as u32
        });
        let (generation, place) = &mut self.slots[index as usize];
        let found = Place { index, generation: *generation };
        let moment = slot.next_moment();
        *place = Some(slot);
        self.await_moment(found, moment);
        found
    }

    /// Looks at a device; `None`: it is gone.
    pub fn at(&mut self, place: Place) -> Option<&mut Slot> {
        let (generation, slot) = self.slots.get_mut(place.index as usize)?;
        slot.as_mut().filter(|_| *generation == place.generation)
    }

    /// Takes a device out.
    pub fn remove(&mut self, place: Place) -> Option<Slot> {
        self.at(place)?;
        let (generation, slot) = &mut self.slots[place.index as usize];
        *generation = generation.wrapping_add(1);
        self.free.push(place.index);
        slot.take()
    }

    /// Every place that has a device.
    pub fn places(&self) -> Vec<Place> {
        let taken = self.slots.iter().enumerate().filter(|(_, (_, slot))| slot.is_some());
        taken.map(|(index, (generation, _))| Place { index: index as u32, generation: *generation }).collect()
    }

    /// The next moment at which anybody is to be looked at.
    pub fn next_moment(&self) -> Option<Instant> {
        self.moments.peek().map(|Reverse((moment, _))| *moment)
    }

    /// Somebody whose moment has come.
    pub fn due(&mut self, now: Instant) -> Option<Place> {
        while let Some(&Reverse((moment, place))) = self.moments.peek() {
            if moment > now {
                return None;
            }
            self.moments.pop();
            if self.at(place).is_some_and(|slot| slot.next_moment() <= now) {
                return Some(place);
            }
        }
        None
    }

    /// The device's next moment has changed.
    pub fn reschedule(&mut self, place: Place) {
        if let Some(moment) = self.at(place).map(|slot| slot.next_moment()) {
            self.await_moment(place, moment);
        }
    }

    fn await_moment(&mut self, place: Place, moment: Instant) {
        let devices = self.slots.len() - self.free.len();
        if self.moments.len() > 2 * devices + SLACK {
            // Devices that were woken long before their heartbeat ended have left their moments behind.
            let mut moments = std::mem::take(&mut self.moments).into_vec();
            moments.retain(|&Reverse((_, place))| self.at(place).is_some());
            self.moments = moments.into();
        }
        self.moments.push(Reverse((moment, place)));
    }
}

impl Slot {
    /// For a device that has begun to wait.
    pub fn new(device: u32, dormant: Dormant, stage: Stage, until: Instant, cut: Option<(Instant, Manner)>) -> Self {
        Slot { device, connection: dormant.connection, packed: Packed::new(dormant.packed), stage, until, cut }
    }

    /// To be put together again.
    pub fn into_dormant(self) -> Dormant {
        Dormant { connection: self.connection, packed: self.packed.into_bytes() }
    }

    fn next_moment(&self) -> Instant {
        let cut = self.cut.map(|(at, _)| at).filter(|_| matches!(self.stage, Stage::Asked(_) | Stage::Held));
        let ends = cut.map_or(self.until, |at| at.min(self.until));
        match self.stage {
            Stage::Asked(held_at) => held_at.min(ends),
            _ => ends,
        }
    }
}

/// Stale moments that do not matter.
const SLACK: usize = 256;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn slot(device: u32, stage: Stage, until: Instant) -> Slot {
        let dormant = Dormant { connection: None, packed: Box::default() };
        Slot::new(device, dormant, stage, until, None)
    }

    #[test]
    fn moments_come_in_order_and_only_for_who_is_still_there() {
        let now = Instant::now();
        let after = |ms| now + Duration::from_millis(ms);
        let mut slots = Slots::with_capacity(4);
        let late = slots.insert(slot(1, Stage::Held, after(300)));
        let gone = slots.insert(slot(2, Stage::Resting, after(100)));
        let asked = slots.insert(slot(3, Stage::Asked(after(200)), after(900)));
        assert!(slots.remove(gone).is_some() && slots.remove(gone).is_none());
        let next = slots.insert(slot(4, Stage::Held, after(400)));
        assert!(slots.at(gone).is_none() && slots.at(next).is_some_and(|slot| slot.device == 4), "the place is used again");
        assert_eq!(slots.due(after(150)), None);
        assert_eq!(slots.due(after(200)), Some(asked));
        slots.at(asked).expect("there").stage = Stage::Held;
        slots.reschedule(asked);
        assert_eq!((slots.due(after(300)), slots.due(after(300))), (Some(late), None));
        assert_eq!(slots.next_moment(), Some(after(400)));
    }

    #[test]
    fn moments_left_behind_are_few() {
        let now = Instant::now();
        let mut slots = Slots::with_capacity(1);
        for _ in 0..10_000 {
            let place = slots.insert(slot(1, Stage::Held, now + Duration::from_secs(3_600)));
            slots.remove(place);
        }
        assert!(slots.moments.len() <= SLACK + 2, "{}", slots.moments.len());
    }

    #[test]
    fn what_is_packed_comes_back_whatever_its_length() {
        for length in [0, 1, INLINE_BYTES, INLINE_BYTES + 1, 70_000] {
            let packed: Box<[u8]> = (0..length).map(|number| number as u8).collect();
            let dormant = Dormant { connection: None, packed: packed.clone() };
            let slot = Slot::new(1, dormant, Stage::Held, Instant::now(), None);
            assert!(slot.into_dormant().packed == packed, "{length}");
        }
    }

    #[test]
    fn a_slot_is_small() {
        assert!(size_of::<(u32, Option<Slot>)>() <= 480, "{}", size_of::<(u32, Option<Slot>)>());
    }
}
