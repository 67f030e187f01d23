//! What is true of each device, and what must hold whatever happens.
//!
//! The shadow never knows less than a lot can: where the two may differ, it takes the device to be in step, or the folder to be gone.
//! So what it finds missing is missing.

use std::collections::BTreeMap;
use std::time::Duration;

use pushgate::logic::eas::folder_sync::FolderChange;
use pushgate::logic::hold::folders::Coverage;
use pushgate::logic::hold::{AsOf, LotOptions, Moment, Outcome, Scope, SlotKey, SyncTraits};

use super::truth::{self, DEVICES, FOLDERS};

/// One tick of the lot's wheel.
const TICK: Duration = Duration::from_micros(16_384);
/// After a Sync that sent changes, what is reported may be its echo: 3 s, the time to settle, and rounding.
const ECHO: Duration = Duration::from_secs(11);
/// Until a device that is held hears of a change: the time for which it may be an echo, the patience with one that heeds nothing
/// (64 s), and rounding.
const TOLD_WITHIN: Duration = Duration::from_secs(11 + 64 + 2);
/// Unheard of for so long, a device may be forgotten.
const FORGOTTEN: Duration = Duration::from_secs(80_000);

/// One folder of one device.
#[derive(Debug, Clone, Copy, Default)]
struct Standing {
    /// Up to which number it is in step, and when that was last shown.
    fresh: Option<(u64, Moment)>,
    /// The last number that it is owed.
    owed: u64,
    /// The last of these that the lot knows of for certain, while the device is held.
    known: u64,
    /// When it last sent changes.
    sent: Option<Moment>,
    /// The device was told that it is no more.
    is_gone: bool,
    /// The lot may have lost what it knew, and be in doubt where it would know of a change.
    is_vague: bool,
}

impl Standing {
    fn is_behind(&self) -> bool {
        self.fresh.is_none_or(|(number, _)| self.owed > number)
    }

    fn may_be_echo(&self, now: Moment) -> bool {
        self.sent.is_some_and(|sent| now.since(sent) < ECHO)
    }
}

#[derive(Debug, Clone, Default)]
struct Device {
    folders: [Standing; FOLDERS.len()],
    list: Standing,
    watched: Vec<usize>,
    touched: Moment,
}

/// A request that waits for its answer.
#[derive(Debug)]
struct Asked {
    device: usize,
    folders: Option<Vec<usize>>,
    received: Moment,
    heartbeat_s: Option<u32>,
    /// Since when there is something to tell that the lot must know.
    dirty_since: Option<Moment>,
}

/// All devices, and all requests that wait.
pub(super) struct Shadow {
    devices: Vec<Device>,
    asked: BTreeMap<SlotKey, Asked>,
    coverage: Coverage,
    /// There is not room for all: some are forgotten at any time.
    is_crowded: bool,
    leaves_by: Option<Moment>,
}

impl Shadow {
    pub(super) fn new(options: &LotOptions) -> Self {
        Shadow {
            devices: vec![Device::default(); DEVICES],
            asked: BTreeMap::new(),
            coverage: options.coverage,
            is_crowded: options.devices_max < DEVICES,
            leaves_by: None,
        }
    }

    // --- what happens

    /// The lot hears of a device, and may have forgotten it meanwhile.
    pub(super) fn touch(&mut self, device: usize, now: Moment) {
        let device = &mut self.devices[device];
        if now.since(device.touched) > FORGOTTEN {
            device.folders.iter_mut().chain([&mut device.list]).for_each(|standing| standing.fresh = None);
        }
        device.touched = now;
    }

    pub(super) fn asks(&mut self, slot: SlotKey, device: usize, folders: Option<Vec<usize>>, now: Moment) {
        let asked = Asked { device, folders, received: now, heartbeat_s: None, dirty_since: None };
        assert!(self.asked.insert(slot, asked).is_none(), "{slot:?} holds two");
    }

    pub(super) fn held(&mut self, slot: SlotKey, heartbeat_s: u32, now: Moment) {
        let asked = self.asked.get_mut(&slot).expect("what is held was asked");
        asked.heartbeat_s = Some(heartbeat_s);
        let device = &mut self.devices[asked.device];
        if let Some(folders) = asked.folders.take() {
            folders.iter().for_each(|folder| device.folders[*folder].is_gone = false);
            device.watched = folders;
        }
        device.folders.iter_mut().chain([&mut device.list]).for_each(|standing| standing.known = 0);
        for folder in &device.watched {
            let standing = &mut device.folders[*folder];
            // A folder that was once in step is known to the lot, and so is what it is owed since.
            if standing.fresh.is_some() && standing.is_behind() && !standing.is_vague && !self.is_crowded {
                standing.known = standing.owed;
                asked.dirty_since = Some(now);
            }
        }
    }

    pub(super) fn covered(&mut self, coverage: &Coverage) {
        self.coverage = *coverage;
    }

    pub(super) fn leaves(&mut self, by: Moment) {
        self.leaves_by = Some(self.leaves_by.map_or(by, |before| before.max(by)));
    }

    pub(super) fn reported(&mut self, of: usize, folder: usize, scope: &Scope, number: u64, now: Moment) {
        for device in (0..DEVICES).filter(|device| device % 2 == of % 2) {
            let state = &mut self.devices[device];
            let is_meant = |other: usize| match scope {
                Scope::Mailbox => true,
                Scope::Class(class) => truth::class(other) == *class,
                Scope::FolderName(_) | Scope::FolderId(_) => other == folder,
                Scope::Hierarchy => false,
            };
            let meant: Vec<usize> = (0..FOLDERS.len()).filter(|other| is_meant(*other) && !state.folders[*other].is_gone).collect();
            meant.iter().for_each(|folder| state.folders[*folder].owed = number);
            let is_list = *scope == Scope::Hierarchy;
            if is_list {
                (state.list.owed, state.list.known) = (number, number);
            }
            let watched: Vec<usize> = meant.into_iter().filter(|folder| state.watched.contains(folder)).collect();
            watched.iter().for_each(|folder| state.folders[*folder].known = number);
            if (is_list || !watched.is_empty())
                && let Some(asked) = self.held_of(device)
            {
                asked.dirty_since = asked.dirty_since.or(Some(now));
            }
        }
    }

    pub(super) fn synced(&mut self, device: usize, folder: usize, traits: SyncTraits, as_of: AsOf, now: Moment) {
        let standing = &mut self.devices[device].folders[folder];
        if !traits.is_cut {
            standing.prove(as_of.number, now);
            if traits.sent {
                standing.sent = Some(now);
                // What was reported before it ended may be its echo: the time to find out begins anew.
                if let Some(asked) = self.held_of(device) {
                    asked.dirty_since = asked.dirty_since.map(|_| now);
                }
            }
        }
        self.settle(device);
    }

    pub(super) fn learnt(&mut self, device: usize, is_full: bool, changes: &[FolderChange], as_of: u64, now: Moment) {
        let state = &mut self.devices[device];
        state.list.prove(as_of, now);
        let gone = Standing { is_gone: true, ..Standing::default() };
        let mut is_listed = [false; FOLDERS.len()];
        for change in changes {
            match change {
                FolderChange::Add(folder) | FolderChange::Update(folder) => {
                    let folder = truth::folder_of(&folder.id);
                    is_listed[folder] = true;
                    state.folders[folder].is_gone = false;
                }
                FolderChange::Delete(id) => state.folders[truth::folder_of(id)] = gone,
            }
        }
        for folder in (0..FOLDERS.len()).filter(|folder| is_full && !is_listed[*folder]) {
            state.folders[folder] = gone;
        }
        self.becomes_vague(device);
    }

    /// Folders may be called something else: which of them was meant by what was reported is in doubt.
    pub(super) fn becomes_vague(&mut self, device: usize) {
        let state = &mut self.devices[device];
        state.folders.iter_mut().for_each(|standing| (standing.is_vague, standing.known) = (true, 0));
        state.list.known = 0;
        if let Some(asked) = self.held_of(device) {
            asked.dirty_since = None;
        }
    }

    pub(super) fn undelivered(&mut self, device: usize, folders: &[usize], has_folder_list: bool, number: u64) {
        let state = &mut self.devices[device];
        for folder in folders {
            let standing = &mut state.folders[*folder];
            if !standing.is_gone {
                standing.owed = number;
            }
        }
        if has_folder_list {
            state.list.owed = number;
        }
    }

    /// What the backend would find for a device, if it is asked now: in what it watches, and in its list.
    pub(super) fn news(&self, slot: SlotKey, device: usize) -> (bool, bool) {
        assert!(self.asked.contains_key(&slot), "a check for nobody");
        let state = &self.devices[device];
        let is_news = |folder: &usize| !state.folders[*folder].is_gone && state.folders[*folder].is_behind();
        (state.watched.iter().any(is_news), state.list.is_behind())
    }

    pub(super) fn unchanged(&mut self, slot: SlotKey, device: usize, as_of: AsOf, now: Moment) {
        if !self.asked.contains_key(&slot) {
            return;
        }
        let state = &mut self.devices[device];
        for folder in &state.watched {
            state.folders[*folder].prove(as_of.number, now);
        }
        state.list.prove(as_of.number, now);
        self.settle(device);
    }

    /// Nobody waits there any more.
    pub(super) fn gone(&mut self, slot: SlotKey) {
        self.asked.remove(&slot);
    }

    /// Nothing to tell is left, if nothing is.
    fn settle(&mut self, device: usize) {
        let state = &self.devices[device];
        let owes = |standing: &Standing| standing.known > standing.fresh.map_or(0, |(number, _)| number) && !standing.is_gone;
        let is_dirty = owes(&state.list) || state.watched.iter().any(|folder| owes(&state.folders[*folder]));
        if !is_dirty && let Some(asked) = self.held_of(device) {
            asked.dirty_since = None;
        }
    }

    fn held_of(&mut self, device: usize) -> Option<&mut Asked> {
        self.asked.values_mut().find(|asked| asked.device == device && asked.heartbeat_s.is_some())
    }

    // --- what must hold

    /// After every step: whoever is held has been told.
    pub(super) fn look(&self, now: Moment) {
        for (slot, asked) in &self.asked {
            let heartbeat_s = asked.heartbeat_s.unwrap_or_else(|| panic!("{slot:?} is neither held nor answered"));
            let due = asked.received + Duration::from_secs(heartbeat_s.into());
            assert!(now <= due + TICK, "{slot:?} is held beyond its heartbeat");
            // When the process leaves, who heeds nothing is not told once more: all are answered by then.
            let Some(since) = asked.dirty_since.filter(|_| self.leaves_by.is_none()) else { continue };
            let state = &self.devices[asked.device];
            assert!(now.since(since) <= TOLD_WITHIN, "device {} is held since {since:?} and not told: {state:?}", asked.device);
        }
        if let Some(by) = self.leaves_by {
            assert!(now <= by + TICK || self.asked.is_empty(), "somebody is held after the process left: {:?}", self.asked);
        }
    }

    /// A connection that is only closed has nothing to wait for.
    pub(super) fn closes(&self, slot: SlotKey) {
        assert!(!self.asked.contains_key(&slot), "{slot:?} is closed unanswered");
    }

    pub(super) fn answered(&mut self, slot: SlotKey, outcome: &Outcome, now: Moment) {
        let asked = self.asked.remove(&slot).unwrap_or_else(|| panic!("{slot:?} is answered {outcome:?} without having asked, or twice"));
        let is_held = asked.heartbeat_s.is_some();
        match outcome {
            Outcome::Expired => {
                let due = asked.received + Duration::from_secs(asked.heartbeat_s.expect("only what is held expires").into());
                assert!(now + TICK >= due, "Status 1 at {now:?}, due at {due:?}");
                self.must_be_in_step(asked.device, now);
            }
            Outcome::Changed(ids) => {
                assert!(is_held && !ids.is_empty(), "Status 2 without folders");
                let told: Vec<usize> = ids.iter().map(truth::folder_of).collect();
                let state = &self.devices[asked.device];
                let missing = state.watched.iter().find(|folder| {
                    let standing = &state.folders[**folder];
                    standing.is_behind() && !standing.is_gone && !standing.may_be_echo(now) && !told.contains(folder)
                });
                assert!(missing.is_none(), "device {} is told of {told:?} and not of {missing:?}: {state:?}", asked.device);
                assert!(told.iter().all(|folder| state.watched.contains(folder)), "told of {told:?}, which it does not watch");
            }
            Outcome::HierarchyChanged | Outcome::VerdictLost => assert!(is_held),
            Outcome::Refused(_) | Outcome::Overloaded => assert!(!is_held),
            Outcome::Drained => assert!(self.leaves_by.is_some()),
            Outcome::Replaced => {}
        }
    }

    /// Only what is known to be unchanged is called unchanged.
    fn must_be_in_step(&self, device: usize, now: Moment) {
        let state = &self.devices[device];
        for folder in &state.watched {
            let standing = &state.folders[*folder];
            if !standing.is_gone && !standing.may_be_echo(now) {
                let is_covered = self.coverage.covered.contains(truth::class(*folder));
                self.must_be_proven(standing, is_covered, now, || format!("device {device}, folder {folder}: {state:?}"));
            }
        }
        if self.coverage.covers_hierarchy {
            self.must_be_proven(&state.list, true, now, || format!("device {device}, its list: {state:?}"));
        }
    }

    fn must_be_proven(&self, standing: &Standing, is_covered: bool, now: Moment, what: impl Fn() -> String) {
        assert!(!standing.is_behind(), "called unchanged: {}", what());
        let Some((number, at)) = standing.fresh else { return };
        assert!(!is_covered || number >= self.coverage.epoch, "called unchanged across a gap: {}", what());
        let lasts = if is_covered { self.coverage.trust } else { self.coverage.poll };
        assert!(now.since(at) <= lasts + Duration::from_secs(2), "called unchanged too long after: {}", what());
    }
}

impl Standing {
    fn prove(&mut self, number: u64, now: Moment) {
        let known = self.fresh.map_or(0, |(number, _)| number);
        if number >= known {
            (self.fresh, self.is_vague) = (Some((number, now)), false);
        }
    }
}
