//! Do all the books agree? For tests and the simulation; a scan over everything.

use std::cmp::Reverse;

use super::{Awaits, CheckedBy, Lot};
use crate::logic::hold::registry::DeviceIndex;

impl<C> Lot<C> {
    /// Whether slots, timers, index and counters agree, once all outputs are performed; a sentence about the first that does not.
    ///
    /// # Errors
    /// That sentence.
    pub fn check_invariants(&self) -> Result<(), String> {
        let held = self.slots.iter().filter(|(_, s)| s.held.is_some()).count();
        let in_doubt = self.slots.iter().filter(|(_, s)| s.awaits.is_doubt()).count();
        let wanted = self.slots.iter().filter(|(_, s)| s.awaits == Awaits::Permit).count();
        let syncs = self.slots.iter().filter(|(_, s)| s.held.is_some() && s.checked_by == CheckedBy::Sync).count();
        let counters = [
            ("held", self.held, held),
            ("held Syncs", self.held_syncs, syncs),
            ("in doubt", self.in_doubt, in_doubt),
            ("checks wanted", self.checks_wanted, wanted),
        ];
        for (name, counted, found) in counters {
            if counted != found {
                return Err(format!("{name}: counted {counted}, found {found}"));
            }
        }
        if self.wheel.len() != self.slots.len() {
            return Err(format!("{} timers for {} slots", self.wheel.len(), self.slots.len()));
        }
        for (key, slot) in self.slots.iter() {
            let deadline = slot.link.deadline();
            let Some(index) = slot.held else {
                match slot.awaits {
                    Awaits::ProofEnd => continue,
                    awaits => return Err(format!("the idle {key:?} awaits {awaits:?}")),
                }
            };
            if deadline.is_none_or(|deadline| deadline > slot.expires) {
                return Err(format!("{key:?} expires at {} and its timer is set for {deadline:?}", slot.expires));
            }
            let holder = self.registry.key_at(index).and_then(|device| self.registry.device(device));
            if holder.is_none_or(|device| device.held != Some(key)) {
                return Err(format!("{key:?} is held for a device that is not held there"));
            }
            if slot.awaits == Awaits::Permit && !self.checks.iter().any(|Reverse((_, slot))| *slot == key) {
                return Err(format!("{key:?} waits for a check in no queue"));
            }
        }
        for (key, device) in self.registry.devices() {
            let slot = device.held.map(|slot| self.slots.get(slot).and_then(|s| s.held));
            if slot.is_some_and(|held| held != Some(DeviceIndex::of(key))) {
                return Err(format!("device {} is held in a slot that does not hold it", device.id));
            }
        }
        if self.checks.len() > 2 * self.checks_wanted + self.slots.len() + 65 {
            return Err(format!("{} places in the queue of checks for {} that wait", self.checks.len(), self.checks_wanted));
        }
        self.registry.check_invariants()
    }
}
