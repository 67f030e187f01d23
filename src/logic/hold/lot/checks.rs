//! Checks: the backend asked on behalf of a held Ping, because nobody else can say whether anything changed.

use std::cmp::Reverse;
use std::time::Duration;

use super::{Awaits, Lot, Outcome};
use crate::logic::eas::FolderId;
use crate::logic::hold::folders::AsOf;
use crate::logic::hold::registry::DeviceKey;
use crate::logic::hold::{Moment, SlotKey};

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

impl CheckFinding {
    /// In a word.
    pub fn label(&self) -> &'static str {
        match self {
            CheckFinding::Unchanged => "unchanged",
            CheckFinding::Changed(_) => "changed",
            CheckFinding::Hierarchy => "folder_list",
            CheckFinding::Refused => "refused",
            CheckFinding::Failed => "failed",
        }
    }
}

/// After a check that got no answer.
const CHECK_AGAIN: Duration = Duration::from_secs(30);

impl<C> Lot<C> {
    /// The next slot whose check may start now.
    pub fn start_check(&mut self) -> Option<SlotKey> {
        loop {
            let Reverse((_, slot)) = self.checks.pop()?;
            if self.slots.get(slot).is_some_and(|s| s.held.is_some() && s.awaits == Awaits::Permit) {
                self.set_awaits(slot, Awaits::Finding);
                return Some(slot);
            }
        }
    }

    /// A check ended. `as_of` was read before it was sent, `number` was taken when its answer came.
    pub fn checked(&mut self, slot: SlotKey, finding: &CheckFinding, as_of: AsOf, number: u64, now: Moment) {
        let Some(found) = self.slots.get_mut(slot).filter(|s| s.awaits == Awaits::Finding) else { return };
        let Some(key) = found.held.and_then(|index| self.registry.key_at(index)) else { return };
        // It has ended: there is nothing to cancel.
        found.awaits = Awaits::Retry;
        let Some(device) = self.registry.device_mut(key) else { return };
        let view = self.options.view(device, now);
        match finding {
            CheckFinding::Unchanged => {
                device.folders.prove_watched(as_of, &view);
                device.prove_hierarchy(as_of.number, now.seconds());
            }
            CheckFinding::Changed(ids) => device.folders.mark_found(ids.iter().map(FolderId::as_str), number),
            CheckFinding::Hierarchy => device.hierarchy_change = device.hierarchy_change.max(number),
            CheckFinding::Refused => return self.answer(slot, Outcome::VerdictLost, None, now),
            CheckFinding::Failed => return self.wait(slot, Awaits::Retry, now + CHECK_AGAIN),
        }
        self.last_number = self.last_number.max(number);
        self.set_awaits(slot, Awaits::ProofEnd);
        self.judge(slot, None, now);
    }

    /// Queues a slot for a check, behind those that have been in doubt for longer. One that gets none within a heartbeat is told to
    /// Sync instead, however many Pings the device has sent anew since.
    pub(super) fn want_check(&mut self, slot: SlotKey, key: DeviceKey, now: Moment) {
        let heartbeat = Duration::from_secs(self.slots.get(slot).map_or(0, |s| s.heartbeat_s.into()));
        let Some(device) = self.registry.device_mut(key) else { return };
        if device.turn == 0 {
            device.turn = (now + heartbeat).tick();
        }
        let turn = Moment::of_tick(device.turn);
        self.wait(slot, Awaits::Permit, turn);
        // Slots that stopped waiting leave their places behind; they may not pile up while no check gets through.
        if self.checks.len() >= 2 * self.checks_wanted + 64 {
            let slots = &self.slots;
            self.checks.retain(|Reverse((_, slot))| slots.get(*slot).is_some_and(|s| s.awaits == Awaits::Permit));
        }
        self.checks.push(Reverse(((turn - heartbeat).tick(), slot)));
    }
}
