//! What becomes of a held Ping: answered, or left to wait, and for what.

use std::time::Duration;

use super::{Awaits, CheckedBy, Lot, LotOptions, Outcome, Output, Resolve};
use crate::logic::eas::FolderId;
use crate::logic::hold::folders::{Standing, View};
use crate::logic::hold::registry::{Device, DeviceKey};
use crate::logic::hold::{Moment, SlotKey};

/// Answers without effect before a device is made to wait.
const UNHEEDED_MAX: u8 = 2;
/// Longest wait of a device that never heeds what it is told.
const PATIENCE_MAX_S: u64 = 60;

/// The first tick in which something that lasts until this second is over: within the tick before, it may still hold, and would be
/// looked at again and again.
fn tick_after(until_s: u32) -> u32 {
    Moment(u64::from(until_s) * 1_000_000).tick() + 1
}

impl LotOptions {
    /// How a device's folders look now.
    pub(super) fn view(&self, device: &Device, now: Moment) -> View<'_> {
        View { coverage: &self.coverage, guards: self.guards, now_s: now.seconds(), spread: device.spread }
    }

    /// Whether a check may be needed while the device's Ping is held.
    pub(super) fn may_check(&self, device: &Device) -> bool {
        self.resolve == Resolve::Check || device.unheeded >= UNHEEDED_MAX || !device.folders.is_covered(&self.coverage)
    }

    fn standing(&self, device: &Device, now: Moment) -> Standing {
        if device.hierarchy_change > device.hierarchy_fresh {
            return Standing::Dirty;
        }
        match (device.folders.standing(&self.view(device, now)), self.hierarchy_ends_s(device)) {
            (Standing::Clean { .. }, ends_s) if ends_s <= now.seconds() => Standing::ListInDoubt,
            (Standing::Clean { until_s }, ends_s) => Standing::Clean { until_s: until_s.min(ends_s) },
            (standing, _) => standing,
        }
    }

    /// The second at which the proof of the folder list ends; 0 when there is none. Nobody polls a list without a source.
    fn hierarchy_ends_s(&self, device: &Device) -> u32 {
        match device.hierarchy_proven_s.filter(|_| device.hierarchy_fresh >= self.coverage.epoch) {
            _ if !self.coverage.covers_hierarchy || !self.guards.restart => u32::MAX,
            Some(proven_s) => self.coverage.ends_s(proven_s, true, device.spread),
            None => 0,
        }
    }

    /// What there is to tell a device: what changed and what is in doubt, or that nothing did.
    fn outcome(&self, device: &Device, now: Moment) -> Outcome {
        let view = self.view(device, now);
        let named = |ids: &mut dyn Iterator<Item = &str>| ids.filter_map(|id| FolderId::new(id).ok()).collect::<Vec<_>>();
        if device.hierarchy_change > device.hierarchy_fresh {
            return Outcome::HierarchyChanged;
        }
        let mut changed = named(&mut device.folders.dirty(&view));
        if !changed.is_empty() {
            // It will Sync anyway: one more folder costs little, and a device that is woken often would never come to it.
            let dirty = changed.len();
            for id in device.folders.in_doubt(&view) {
                if !changed[..dirty].iter().any(|known| known.as_str() == id) {
                    changed.extend(FolderId::new(id));
                }
            }
            return Outcome::Changed(changed);
        }
        if self.hierarchy_ends_s(device) <= now.seconds() {
            return Outcome::HierarchyChanged;
        }
        let in_doubt = named(&mut device.folders.in_doubt(&view));
        if in_doubt.is_empty() { Outcome::Expired } else { Outcome::Changed(in_doubt) }
    }
}

impl<C> Lot<C> {
    /// Looks at a held Ping: answers it, or sets what it waits for. Returns whether it was answered.
    pub(super) fn judge(&mut self, slot: SlotKey, cause: Option<Moment>, now: Moment) -> bool {
        let Some(found) = self.slots.get(slot) else { return false };
        let (awaits, checked_by) = (found.awaits, found.checked_by);
        let Some(key) = found.held.and_then(|index| self.registry.key_at(index)) else { return false };
        let Some(device) = self.registry.device_mut(key) else { return false };
        let standing = self.options.standing(device, now);
        let prefers_check = self.options.resolve == Resolve::Check || device.unheeded >= UNHEEDED_MAX;
        let is_by_check = match standing {
            Standing::Doubt { is_uncovered } => checked_by != CheckedBy::Nobody && (is_uncovered || prefers_check),
            Standing::ListInDoubt => checked_by == CheckedBy::Ping && prefers_check,
            Standing::Dirty | Standing::Clean { .. } => false,
        };
        match standing {
            Standing::Dirty if device.unheeded >= UNHEEDED_MAX => self.be_patient(slot, now),
            Standing::Dirty => return self.tell(slot, key, cause, now),
            _ if awaits == Awaits::Leave => {}
            Standing::Clean { until_s } => {
                device.turn = 0;
                self.wait(slot, Awaits::ProofEnd, Moment::of_tick(tick_after(until_s)));
            }
            _ if awaits == Awaits::Patience => {}
            _ if is_by_check && (device.turn == 0 || device.turn > now.tick()) => {
                if !matches!(awaits, Awaits::Permit | Awaits::Finding | Awaits::Retry | Awaits::Turn) {
                    self.want_check(slot, key, now);
                }
            }
            _ if awaits == Awaits::Finding => {}
            _ if device.unheeded >= UNHEEDED_MAX => self.be_patient(slot, now),
            _ if awaits == Awaits::Turn => {}
            Standing::Doubt { .. } | Standing::ListInDoubt => {
                if self.take_turn(slot, key, cause, now) {
                    return true;
                }
            }
        }
        self.look_at_echo(slot, key, now);
        false
    }

    /// What is in doubt may wait long, for its check or its turn; what is held back as a possible echo beside it does not wait with it.
    fn look_at_echo(&mut self, slot: SlotKey, key: DeviceKey, now: Moment) {
        let Some((awaits, expires)) = self.slots.get(slot).map(|s| (s.awaits, s.expires)) else { return };
        let Some(device) = self.registry.device(key).filter(|_| awaits.is_doubt()) else { return };
        let until_s = device.folders.held_back_until_s(&self.options.view(device, now));
        if until_s != u32::MAX {
            let turn = if matches!(awaits, Awaits::Permit | Awaits::Turn) { device.turn } else { u32::MAX };
            self.wheel.set(&mut self.slots, slot.index, tick_after(until_s).min(turn).min(expires));
        }
    }

    pub(super) fn handle_timer(&mut self, slot: SlotKey, now: Moment) {
        let Some(found) = self.slots.get(slot) else { return };
        let (awaits, is_over) = (found.awaits, found.expires <= now.tick());
        let Some(key) = found.held.and_then(|index| self.registry.key_at(index)) else {
            return self.outputs.push_back(Output::Close { slot });
        };
        let Some(device) = self.registry.device(key) else { return };
        match awaits {
            _ if self.is_draining => self.answer(slot, Outcome::Drained, None, now),
            // What is not known to be unchanged is never called unchanged.
            _ if is_over => self.answer(slot, self.options.outcome(device, now), None, now),
            // Its turn, but the check has begun meanwhile; or the end of what was held back as an echo.
            Awaits::Finding => {
                self.wait(slot, Awaits::Finding, Moment(u64::MAX));
                self.judge(slot, None, now);
            }
            // If something made it clean meanwhile, there is nothing to tell.
            Awaits::Turn | Awaits::Patience if !matches!(self.options.standing(device, now), Standing::Clean { .. }) => {
                self.tell(slot, key, None, now);
            }
            _ => {
                self.set_awaits(slot, Awaits::ProofEnd);
                self.judge(slot, None, now);
            }
        }
    }

    /// Gives a device in doubt its turn; one that had a turn and pings anew keeps it, or it might never come to it.
    fn take_turn(&mut self, slot: SlotKey, key: DeviceKey, cause: Option<Moment>, now: Moment) -> bool {
        let Some(device) = self.registry.device_mut(key) else { return false };
        let turn = self.next_turn.max(now);
        // Later than the last turn given is only what a check was waited for.
        if device.turn <= now.tick() || device.turn > turn.tick() {
            // Between three and five quarters of the gap: processes and lots that began together drift apart.
            self.next_turn = turn + self.options.resolve_gap * (768 + 2 * u32::from(device.spread)) / 1_024;
            device.turn = turn.tick();
        }
        if device.turn <= now.tick() {
            return self.tell(slot, key, cause, now);
        }
        let turn = Moment::of_tick(device.turn);
        self.wait(slot, Awaits::Turn, turn);
        false
    }

    /// A device that did nothing about what it was told waits a little longer each time.
    fn be_patient(&mut self, slot: SlotKey, now: Moment) {
        let Some(found) = self.slots.get(slot).filter(|s| !matches!(s.awaits, Awaits::Patience | Awaits::Leave)) else { return };
        let device = found.held.and_then(|index| self.registry.key_at(index)).and_then(|key| self.registry.device(key));
        let unheeded = device.map_or(0, |d| d.unheeded.saturating_sub(UNHEEDED_MAX));
        let wait_s = (1u64 << unheeded.min(6)).min(PATIENCE_MAX_S);
        self.wait(slot, Awaits::Patience, now + Duration::from_secs(wait_s));
    }

    /// Tells a device what changed, or what is in doubt.
    fn tell(&mut self, slot: SlotKey, key: DeviceKey, cause: Option<Moment>, now: Moment) -> bool {
        let Some(device) = self.registry.device_mut(key) else { return false };
        let outcome = self.options.outcome(device, now);
        device.unheeded = device.unheeded.saturating_add(1);
        device.turn = 0;
        if !self.options.guards.dead_connection {
            device.folders.forget_dirty();
        }
        self.answer(slot, outcome, cause, now);
        true
    }
}
