//! A request on its way through the gateway to the backend and back.

use pushgate::logic::eas::folder_sync::FolderChange;
use pushgate::logic::hold::{HoldKind, Offer, SyncTraits};

use super::device::{Request, What};
use super::gateway::{Note, Tag};
use super::truth::{Item, folder_id};
use super::{Event, Reply, World};

/// What the backend says.
#[derive(Debug, Clone)]
pub(super) enum Answer {
    /// By folder: the new key, whether there is more, whether it brought anything; `None`: no such folder.
    Sync(Vec<(usize, Option<Synced>)>),
    FolderSync {
        changes: Vec<FolderChange>,
        tree: u64,
    },
    /// 503 and the like.
    Failed,
}

/// A folder's part of a Sync's answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Synced {
    pub(super) key: usize,
    pub(super) is_cut: bool,
    pub(super) brought: u32,
}

/// Items in one answer.
const WINDOW: usize = 4;

impl World {
    pub(super) fn arrives(&mut self, id: u64) {
        let Some(request) = self.requests.get(&id) else { return };
        let (device, connection) = (request.device, request.connection);
        let life = self.shell.life;
        let is_through = self.shell.is_up && self.connections.get(&connection).is_some_and(|c| !c.is_cut && !c.is_closed && c.life == life);
        if !is_through {
            let is_refused = self.connections.get(&connection).is_none_or(|c| !c.is_cut);
            if is_refused {
                self.after_ms(5, Event::Reply { request: id, reply: Reply::Broken });
            }
            return;
        }
        if self.connections.get(&connection).is_some_and(|c| c.is_parking) {
            return self.after_ms(5, Event::Arrives(id));
        }
        // Its first byte takes the connection out of the lot.
        let slot = self.connections.get_mut(&connection).and_then(|c| c.slot.take());
        if let Some(slot) = slot {
            self.shell.lot.release(slot);
            self.perform_outputs();
            self.after_lot();
        }
        let request = &self.requests[&id];
        match &request.what {
            What::Ping(ping) => {
                let mailbox = &self.mailboxes[self.devices[device].mailbox];
                let offer = Offer {
                    kind: HoldKind::Ping,
                    mailbox: mailbox.name.clone(),
                    hash: mailbox.hash,
                    device: self.devices[device].id(),
                    ping: ping.clone(),
                    received: self.now,
                    connection: Tag { connection },
                };
                if let Some(connection) = self.connections.get_mut(&connection) {
                    connection.ping = Some(id);
                }
                self.start_clock(device, connection);
                self.send(Note::Offer(offer));
            }
            What::Sync { folders, .. } => {
                let expected: Vec<usize> = folders.iter().filter(|(_, key)| key.is_some()).map(|(folder, _)| *folder).collect();
                if !expected.is_empty() {
                    self.expect(device, &expected);
                }
                self.forward_soon(id);
            }
            What::Hang { .. } => self.hanging_arrives(id),
            What::FolderSync { .. } => {
                self.expect(device, &[]);
                self.forward_soon(id);
            }
        }
    }

    pub(super) fn forward_soon(&mut self, request: u64) {
        let ms = self.rng.range(0, 5);
        self.after_ms(ms, Event::Forwarded { request, life: self.shell.life });
    }

    /// The number is read here: after the lot was told to expect it, before the backend is asked.
    pub(super) fn forwarded(&mut self, id: u64) {
        let as_of = self.as_of();
        let Some(request) = self.requests.get_mut(&id) else { return };
        request.as_of = Some(as_of);
        let ms = if self.rng.percent(5) { self.rng.range(100, 4_000) } else { self.rng.range(1, 20) };
        self.after_ms(ms, Event::AtBackend { request: id, life: self.shell.life });
    }

    pub(super) fn at_backend(&mut self, id: u64, life: u32) {
        let Some(Request { device, what, .. }) = self.requests.get(&id) else { return };
        let (device, what) = (*device, what.clone());
        let fails = !self.is_quiet() && self.rng.percent(self.plan.failures);
        let answer = match what {
            _ if fails => Answer::Failed,
            What::Sync { folders, sent } => {
                self.stats.syncs += 1;
                let answered = folders.into_iter().map(|(folder, key)| (folder, self.sync(device, folder, key, sent)));
                Answer::Sync(answered.collect::<Vec<_>>())
            }
            What::Hang { folders, .. } => {
                self.stats.syncs += 1;
                let answered = folders.into_iter().map(|(folder, key)| (folder, self.sync(device, folder, Some(key), None)));
                Answer::Sync(answered.collect::<Vec<_>>())
            }
            What::FolderSync { tree } => {
                let mailbox = &self.mailboxes[self.devices[device].mailbox];
                self.issued[device].tree = mailbox.tree;
                Answer::FolderSync { changes: mailbox.folder_sync(tree), tree: mailbox.tree }
            }
            What::Ping(_) => return,
        };
        let ms = if self.rng.percent(5) { self.rng.range(500, 8_000) } else { self.rng.range(5, 400) };
        self.after_ms(ms, Event::Answered { request: id, life, answer });
    }

    fn sync(&mut self, device: usize, folder: usize, key: Option<usize>, sent: Option<usize>) -> Option<Synced> {
        let mailbox = self.devices[device].mailbox;
        if !self.mailboxes[mailbox].folders[folder].exists {
            return None;
        }
        let Some(key) = key else {
            // The first Sync of a folder brings a key and no items.
            self.issued[device].keys.insert(folder, 0);
            return Some(Synced { key: 0, is_cut: false, brought: 0 });
        };
        if sent == Some(folder) {
            self.add_item(mailbox, folder, Item { by: Some(device) });
        }
        let found = &self.mailboxes[mailbox].folders[folder];
        let key_now = found.visible.min(key + WINDOW).max(key);
        let brought = found.items[key..key_now].iter().filter(|item| item.by != Some(device)).count() as u32;
        self.issued[device].keys.insert(folder, key_now);
        Some(Synced { key: key_now, is_cut: key_now < found.visible, brought })
    }

    /// The answer passes the gateway, which learns from it.
    pub(super) fn answered(&mut self, id: u64, answer: Answer) {
        let Some(Request { device, what, as_of, connection, .. }) = self.requests.get(&id) else { return };
        let (device, connection) = (*device, *connection);
        let as_of = as_of.expect("it was forwarded");
        let note = match (&answer, what) {
            (Answer::Sync(answered), What::Sync { .. } | What::Hang { .. }) => {
                let (folders, sent) = what.synced();
                let is_cut = answered.iter().any(|(_, synced)| synced.is_some_and(|s| s.is_cut));
                let met = answered.iter().filter_map(|(folder, synced)| {
                    // Servers leave out what has no changes, and when they cut their answer short perhaps more.
                    let Synced { is_cut: has_more, brought, .. } = synced.filter(|s| s.is_cut || s.brought > 0 || !is_cut)?;
                    let asked = folders.iter().any(|(asked, key)| asked == folder && key.is_some());
                    let traits = SyncTraits { brought, sent: sent == Some(*folder), is_cut: has_more };
                    asked.then(|| (folder_id(*folder), traits))
                });
                Some(Note::Synced { device, folders: met.collect(), as_of })
            }
            (Answer::FolderSync { changes, .. }, What::FolderSync { tree }) => {
                Some(Note::Learnt { device, is_full: *tree == 0, changes: changes.clone(), as_of: as_of.number })
            }
            _ => None,
        };
        // What a FolderSync taught waits for room in the inbox: a later one would not repeat it.
        let is_losable = matches!(note, Some(Note::Synced { .. }));
        let is_lost = is_losable && !self.is_quiet() && self.rng.percent(self.plan.lost_lessons);
        if let Some(note) = note.filter(|_| !is_lost) {
            self.send(note);
        }
        let what = &self.requests[&id].what;
        if let What::Hang { .. } = what {
            return if Self::is_quiet_answer(what, &answer) {
                self.hold_hanging(id)
            } else {
                self.answer_hanging(id, Reply::Backend(answer))
            };
        }
        let Some(found) = self.connections.get(&connection) else { return };
        if found.is_cut || found.is_closed {
            return;
        }
        if self.rng.percent(50) {
            if let Some(found) = self.connections.get_mut(&connection) {
                found.is_parking = true;
            }
            self.send(Note::Park(Tag { connection }));
        }
        let ms = self.latency_ms(device);
        self.after_ms(ms, Event::Reply { request: id, reply: Reply::Backend(answer) });
    }
}
