//! What sources report and passing traffic teaches.

use super::{Awaits, Lot, LotOptions, Outcome};
use crate::logic::eas::FolderId;
use crate::logic::eas::folder_sync::FolderChange;
use crate::logic::hold::change::{MailboxChange, Scope};
use crate::logic::hold::folders::{AsOf, Coverage, SyncTraits};
use crate::logic::hold::path::PathMatch;
use crate::logic::hold::registry::Who;
use crate::logic::hold::{Moment, SlotKey};

impl<C> Lot<C> {
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
            next = self.registry.after(key);
            let Some(device) = self.registry.device_mut(key) else { break };
            let held = device.held;
            if self.options.guards.sync_to_ping || held.is_some() {
                let is_asked =
                    held.and_then(|slot| self.slots.get(slot)).is_some_and(|s| matches!(s.awaits, Awaits::Permit | Awaits::Finding));
                if is_asked && !self.options.guards.check_to_registration {
                    continue;
                }
                let view = self.options.view(device, now);
                let is_news = if change.scope == Scope::Hierarchy {
                    device.hierarchy_change = device.hierarchy_change.max(number);
                    device.hierarchy_change > device.hierarchy_fresh
                } else {
                    device.folders.mark(&change.scope, path.as_ref(), number, &view)
                };
                // Clean may mean that it is held back as a possible echo: then its timer is to be set.
                if let Some(slot) = held {
                    let is_answered = self.judge(slot, Some(received).filter(|_| is_news), now);
                    woken += usize::from(is_answered && is_news);
                }
            }
        }
        woken
    }

    /// A Sync of these folders is about to be forwarded; called before its `as_of` is read.
    pub fn expect<'a>(&mut self, who: &Who<'_>, ids: impl Iterator<Item = &'a str>, now: Moment) {
        let last_number = self.last_number;
        if let Some(device) = self.device(who, now).and_then(|key| self.registry.device_mut(key)) {
            device.folders.expect(ids, last_number);
        }
    }

    /// A Sync brought the device in step with these folders, or nearer to it, up to the number read before it was forwarded.
    pub fn synced<'a>(&mut self, who: &Who<'_>, folders: impl Iterator<Item = (&'a str, SyncTraits)>, as_of: AsOf, now: Moment) {
        let Some(device) = self.registry.find(who).and_then(|key| self.registry.device_mut(key)) else { return };
        let view = self.options.view(device, now);
        let (mut is_barren, mut is_fruitful) = (false, false);
        for (id, traits) in folders {
            is_barren |= device.folders.prove(id, as_of, traits, &view);
            is_fruitful |= traits.brought > 0 || traits.sent;
        }
        device.seen_s = now.seconds();
        // A wake of which nothing comes, again and again, is a loop: whoever causes it, it is slowed.
        if is_fruitful || !is_barren {
            device.unheeded = 0;
        }
        if let Some(slot) = device.held {
            self.judge(slot, None, now);
        }
    }

    /// FolderSync (or another folder command) taught the folder list, as of a number read before it was forwarded.
    pub fn learnt(&mut self, who: &Who<'_>, is_full: bool, changes: &[FolderChange], as_of: u64, now: Moment) {
        let last_number = self.last_number;
        let Some(device) = self.device(who, now).and_then(|key| self.registry.device_mut(key)) else { return };
        device.prove_hierarchy(as_of, now.seconds());
        if !changes.is_empty() {
            device.unheeded = 0;
        }
        device.folders.learn(is_full, changes, last_number);
        if let Some(slot) = device.held {
            self.judge(slot, None, now);
        }
    }

    /// An answer that had something for the device in these folders (and changes of its folder list) never arrived. `number` is above
    /// what its request was as of, and at or under what every later one is as of.
    pub fn undelivered(&mut self, who: &Who<'_>, folders: &[FolderId], has_folder_list: bool, number: u64, now: Moment) {
        let last_number = self.last_number;
        let Some(device) = self.device(who, now).and_then(|key| self.registry.device_mut(key)) else { return };
        // A device that is new here is behind in folders that nobody announced.
        device.folders.expect(folders.iter().map(FolderId::as_str), last_number);
        for id in folders {
            device.folders.mark_undelivered(id.as_str(), number);
        }
        if has_folder_list {
            device.miss_hierarchy(number);
        }
        if let Some(slot) = device.held {
            self.judge(slot, None, now);
        }
    }

    /// The device may no longer wait: it was blocked, is to be erased, or has to fetch its policy. Its next FolderSync tells it which.
    pub fn recall(&mut self, who: &Who<'_>, now: Moment) {
        if let Some(slot) = self.registry.find(who).and_then(|key| self.registry.device(key)?.held) {
            self.answer(slot, Outcome::HierarchyChanged, None, now);
        }
    }

    /// A FolderSync's answer could not be read: which folder is called what is not known until a whole list is.
    pub fn lose_paths(&mut self, who: &Who<'_>, now: Moment) {
        let last_number = self.last_number;
        let Some(device) = self.registry.find(who).and_then(|key| self.registry.device_mut(key)) else { return };
        device.folders.lose_paths(last_number);
        if let Some(slot) = device.held {
            self.judge(slot, None, now);
        }
    }

    /// Reports were lost on their way here, all of them before this new number: whatever was proven before it is in doubt.
    pub fn reports_lost(&mut self, number: u64, now: Moment) {
        if self.options.guards.full_inbox {
            self.last_number = self.last_number.max(number);
            self.set_coverage(Coverage { epoch: number, ..self.options.coverage }, now);
        }
    }

    /// The configuration changed. What is held stays as it was decided; what the sources cover stays, but for how often the backend is
    /// asked instead.
    pub fn set_options(&mut self, options: LotOptions, now: Moment) {
        let (poll, settle) = (options.coverage.poll, options.coverage.settle);
        let coverage = self.options.coverage;
        self.options = LotOptions { coverage, ..options };
        if (poll, settle) != (coverage.poll, coverage.settle) {
            self.set_coverage(Coverage { poll, settle, ..coverage }, now);
        }
    }

    /// What the sources cover, or since when, changed: every held Ping is looked at again.
    pub fn set_coverage(&mut self, coverage: Coverage, now: Moment) {
        // The sources know of their own gaps only, not of what got lost here since.
        let epoch = coverage.epoch.max(self.options.coverage.epoch);
        self.options.coverage = Coverage { epoch, ..coverage };
        let held: Vec<SlotKey> = self.slots.iter().filter(|(_, s)| s.held.is_some()).map(|(key, _)| key).collect();
        for slot in held {
            self.judge(slot, None, now);
        }
    }
}
