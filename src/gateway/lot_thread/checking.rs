//! Which checks start, and when.

use super::LotThread;
use crate::gateway::check::{Check, Hearing, Place};
use crate::gateway::parked::Parked;
use crate::logic::eas::PingFolder;
use crate::logic::hold::lot::CheckFinding;
use crate::logic::hold::{Moment, SlotKey};

impl LotThread {
    pub(super) fn can_start_check(&self) -> bool {
        let lots = &self.gateway.lots;
        self.lot.checks_waiting() > 0 && lots.0.checks.available_permits() > 0 && lots.trials().may_start(lots.now())
    }

    /// When a check may start that only has to wait for its time. Whoever gives a permit back, or ends a trial, knocks.
    pub(super) fn next_check(&self) -> Option<Moment> {
        let lots = &self.gateway.lots;
        let is_ready = self.lot.checks_waiting() > 0 && lots.0.checks.available_permits() > 0;
        is_ready.then(|| lots.trials().next()).flatten()
    }

    /// Starts checks while there are slots that want one, permits, and a backend that answers.
    pub(super) fn start_checks(&mut self) {
        while self.lot.checks_waiting() > 0 {
            let Ok(permit) = self.gateway.lots.0.checks.clone().try_acquire_owned() else { return };
            let Some(hearing) = Hearing::begin(&self.gateway.lots) else { return };
            let Some(slot) = self.lot.start_check() else { return };
            let place = Place::take(&self.gateway, permit, hearing);
            if self.lot.connection(slot).is_some_and(Parked::is_sync) {
                let held = self.lot.hold_of(slot, self.gateway.lots.now()).unwrap_or_default();
                self.ask_again(slot, "asked_again", held, Some(place));
                continue;
            }
            let folders: Vec<PingFolder> = self.lot.watched(slot);
            let Some((peer, recipe)) = self.lot.connection(slot).and_then(|p| Some((p.peer, p.extra.as_ref()?.recipe.as_ref()?))) else {
                // A source covered all its folders when the Ping came, and its password was thrown away. A folder turned out to be
                // of another class since: the device clears the doubt itself.
                self.find_changed(slot, &folders);
                continue;
            };
            let (target, headers) = recipe.unpack();
            let mailbox = self.lot.mailbox_of(slot).cloned();
            self.last_check += 1;
            let check = Check { number: self.last_check, slot, lot: self.number, mailbox, peer, target, headers, folders };
            self.checks.insert(slot, (self.last_check, check.start(&self.gateway, place)));
        }
    }

    /// In place of a check: everything watched may have changed.
    fn find_changed(&mut self, slot: SlotKey, folders: &[PingFolder]) {
        let finding = CheckFinding::Changed(folders.iter().map(|folder| folder.id.clone()).collect());
        let (as_of, number) = (self.gateway.lots.as_of(), self.gateway.lots.next_number());
        self.lot.checked(slot, &finding, as_of, number, as_of.at);
        self.perform_outputs();
    }
}
