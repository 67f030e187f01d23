//! A hanging Sync on its way: asked without its wait, held when there is nothing to say, asked again when there may be.

use std::time::Duration;

use pushgate::logic::eas::ping::PingFolder;
use pushgate::logic::eas::{Class, PingRequest};
use pushgate::logic::hold::{HoldKind, Offer, Outcome, SlotKey};

use super::backend::Answer;
use super::device::What;
use super::gateway::{Note, Tag};
use super::truth::folder_id;
use super::{Event, Reply, World};

impl World {
    /// It comes for the first time.
    pub(super) fn hanging_arrives(&mut self, id: u64) {
        let now = self.now;
        let Some(request) = self.requests.get_mut(&id) else { return };
        request.arrived = now;
        let (device, connection) = (request.device, request.connection);
        if let Some(connection) = self.connections.get_mut(&connection) {
            connection.ping = Some(id);
        }
        self.start_clock(device, connection);
        self.ask_backend(id);
    }

    /// A wake, or a turn to be checked: the connection leaves the lot, and the backend says what there is.
    pub(super) fn ask_again(&mut self, slot: SlotKey, id: u64) {
        let Some(Tag { connection }) = self.shell.lot.release(slot) else { return };
        if let Some(connection) = self.connections.get_mut(&connection) {
            (connection.slot, connection.ping) = (None, Some(id));
        }
        self.ask_backend(id);
    }

    /// With the keys of the answers that passed: another Sync of the device may have moved them on.
    fn ask_backend(&mut self, id: u64) {
        let Some(request) = self.requests.get_mut(&id) else { return };
        let device = request.device;
        let What::Hang { folders, .. } = &mut request.what else { return };
        let known = &self.devices[device].folders;
        for (folder, key) in folders.iter_mut() {
            *key = known.get(folder).copied().flatten().unwrap_or(*key).max(*key);
        }
        let expected: Vec<usize> = folders.iter().map(|(folder, _)| *folder).collect();
        self.expect(device, &expected);
        self.forward_soon(id);
    }

    /// Whether an answer says nothing, so that it is not given to the device.
    pub(super) fn is_quiet_answer(what: &What, answer: &Answer) -> bool {
        let (What::Hang { folders, .. }, Answer::Sync(answered)) = (what, answer) else { return false };
        let is_same = |(folder, key): &(usize, usize)| {
            let found = answered.iter().find(|(answered, _)| answered == folder).and_then(|(_, synced)| *synced);
            found.is_some_and(|synced| synced.key == *key && synced.brought == 0 && !synced.is_cut)
        };
        folders.iter().all(is_same)
    }

    /// Nothing to say: it is held, unless its time is over.
    pub(super) fn hold_hanging(&mut self, id: u64) {
        let Some(request) = self.requests.get(&id) else { return };
        let (device, connection, arrived) = (request.device, request.connection, request.arrived);
        let What::Hang { folders, heartbeat_s } = &request.what else { return };
        if self.now >= arrived + Duration::from_secs(u64::from(*heartbeat_s)) {
            return self.answer_hanging(id, Reply::Ping(Outcome::Expired));
        }
        self.stats.hanging += 1;
        let folders: Vec<_> = folders.iter().map(|(folder, _)| PingFolder { id: folder_id(*folder), class: Class::Email }).collect();
        let mailbox = &self.mailboxes[self.devices[device].mailbox];
        let offer = Offer {
            kind: HoldKind::Sync,
            mailbox: mailbox.name.clone(),
            hash: mailbox.hash,
            device: self.devices[device].id(),
            ping: PingRequest { heartbeat_s: Some(*heartbeat_s), folder_count: folders.len(), folders: Some(folders) },
            received: arrived,
            connection: Tag { connection },
        };
        self.devices[device].clock.offered = self.now;
        self.send(Note::Offer(offer));
    }

    /// The device is answered by a task, not by the lot.
    pub(super) fn answer_hanging(&mut self, id: u64, reply: Reply) {
        let Some(request) = self.requests.get(&id) else { return };
        let (device, connection) = (request.device, request.connection);
        self.stop_clock(device, connection);
        let Some(found) = self.connections.get_mut(&connection) else { return };
        found.ping = None;
        if !found.is_cut && !found.is_closed {
            let ms = self.latency_ms(device);
            self.after_ms(ms, Event::Reply { request: id, reply });
        }
    }
}
