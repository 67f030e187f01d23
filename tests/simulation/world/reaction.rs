//! What a device makes of an answer, of an error, and of its user.

use pushgate::logic::decide::PingRefusal;
use pushgate::logic::eas::folder_sync::FolderChange;
use pushgate::logic::hold::Outcome;

use super::backend::Answer;
use super::device::What;
use super::truth::folder_of;
use super::{Event, World};

impl World {
    /// Each of these returns the milliseconds until the device acts again.
    pub(super) fn take_error(&mut self, number: usize, connection: u64, what: &What) -> u64 {
        self.close_device_end(connection);
        let device = &mut self.devices[number];
        device.failures += 1;
        if let What::Ping(_) | What::Hang { .. } = what {
            device.is_down();
            device.must_be_full = true;
            if device.manners.is_cautious {
                device.wants_sync.extend(device.folders.keys());
            }
        }
        let most = 1_000 << device.failures.min(4);
        self.rng.range(500, most.max(501))
    }

    pub(super) fn take_failure(&mut self, number: usize) -> u64 {
        self.devices[number].failures += 1;
        let most = 2_000 << self.devices[number].failures.min(5);
        self.rng.range(1_000, most)
    }

    pub(super) fn take_answer(&mut self, number: usize, answer: Answer) -> u64 {
        let device = &mut self.devices[number];
        device.failures = 0;
        match answer {
            Answer::FolderSync { changes, tree } => {
                if device.tree == 0 {
                    device.folders.clear();
                }
                device.wants_folder_sync = false;
                device.tree = tree;
                for change in &changes {
                    match change {
                        FolderChange::Add(folder) => {
                            device.folders.insert(folder_of(folder.id.as_str()), None);
                            device.wants_sync.insert(folder_of(folder.id.as_str()));
                        }
                        FolderChange::Update(_) => {}
                        FolderChange::Delete(id) => {
                            device.folders.remove(&folder_of(id.as_str()));
                            device.wants_sync.remove(&folder_of(id.as_str()));
                        }
                    }
                }
            }
            Answer::Sync(answered) => {
                let mut gone = false;
                for (folder, synced) in answered {
                    match synced {
                        Some(synced) => {
                            let known = device.folders.insert(folder, Some(synced.key)).flatten();
                            if synced.is_cut {
                                device.wants_sync.insert(folder);
                            }
                            if known.is_some() && !synced.is_cut {
                                device.wants_sync.remove(&folder);
                                device.own_change = device.own_change.filter(|own| *own != folder);
                            }
                        }
                        None => {
                            gone = true;
                            device.folders.remove(&folder);
                            device.wants_sync.remove(&folder);
                        }
                    }
                }
                device.wants_folder_sync |= gone;
            }
            Answer::Failed => {}
        }
        self.seen(number);
        let (low, high) = self.devices[number].manners.pause_ms;
        self.rng.range(low, high)
    }

    pub(super) fn take_outcome(&mut self, number: usize, outcome: &Outcome) -> u64 {
        let device = &mut self.devices[number];
        device.failures = 0;
        match outcome {
            Outcome::Expired | Outcome::VerdictLost | Outcome::Replaced | Outcome::Drained => device.is_up(),
            Outcome::Changed(_) | Outcome::HierarchyChanged if device.deaf > 0 => device.deaf -= 1,
            Outcome::Changed(ids) => device.wants_sync.extend(ids.iter().map(|id| folder_of(id.as_str()))),
            Outcome::HierarchyChanged => device.wants_folder_sync = true,
            Outcome::Refused(PingRefusal::HeartbeatOutOfRange { heartbeat_s }) => device.heartbeat_s = *heartbeat_s,
            Outcome::Refused(_) => device.must_be_full = true,
            Outcome::Overloaded => return 300_000,
        }
        // Told of something it no longer has.
        device.wants_sync.retain(|folder| device.folders.contains_key(folder));
        let (low, high) = device.manners.pause_ms;
        self.rng.range(low, high)
    }

    /// The user reads, flags or deletes something.
    pub(super) fn user(&mut self, number: usize) {
        if !self.is_quiet() {
            self.after_about_s(900, Event::User(number));
        }
        let mailbox = &self.mailboxes[self.devices[number].mailbox];
        let device = &mut self.devices[number];
        let known: Vec<usize> =
            device.folders.iter().filter(|(f, key)| key.is_some() && mailbox.folders[**f].exists).map(|(f, _)| *f).collect();
        if known.is_empty() || device.beside.is_some() || device.offline_until_s > self.now.seconds() {
            return;
        }
        let folder = known[self.rng.below(known.len())];
        device.own_change = Some(folder);
        device.wants_sync.insert(folder);
        let is_pinging =
            device.waiting.and_then(|id| self.requests.get(&id)).is_some_and(|r| matches!(r.what, What::Ping(_) | What::Hang { .. }));
        let (interrupts, waiting) = (device.manners.interrupts, device.waiting);
        match waiting {
            Some(ping) if is_pinging && interrupts => {
                self.requests.remove(&ping);
                // Nobody said that it arrived.
                (self.devices[number].waiting, self.devices[number].must_be_full) = (None, true);
                if let Some(connection) = self.devices[number].connection {
                    self.close_device_end(connection);
                }
                self.act_in(number, 5);
            }
            Some(_) if is_pinging => {
                let what = self.sync_of(number);
                let id = self.ask(number, what, true);
                self.devices[number].beside = Some(id);
            }
            _ => {}
        }
    }
}
