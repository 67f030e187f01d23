//! Behaviour of the lot, with a hand-driven clock.

mod doubt;
mod holding;
mod lost;

use super::*;
use crate::logic::decide::PingBounds;
use crate::logic::eas::folder_sync::{Folder, FolderChange, FolderType};
use crate::logic::eas::ping::PingFolder;
use crate::logic::eas::{Class, ClassSet, DeviceId};
use crate::logic::hold::folders::{AsOf, Coverage, SyncTraits};
use crate::logic::hold::guards::Guards;
use crate::logic::hold::{MailboxChange, Scope};

/// A lot with Email and Calendar covered by a source, driven by hand.
struct Scene {
    lot: Lot<&'static str>,
    now: Moment,
    number: u64,
}

fn options(resolve: Resolve) -> LotOptions {
    LotOptions {
        ping: PingBounds { heartbeat_min_s: 60, heartbeat_max_s: 3_540, folders_max: 5 },
        coverage: Coverage {
            covered: ClassSet::from_iter([Class::Email, Class::Calendar]),
            covers_hierarchy: false,
            epoch: 0,
            trust: Duration::from_secs(3_600),
            poll: Duration::from_secs(300),
            settle: Duration::from_secs(5),
        },
        resolve,
        resolve_gap: Duration::from_millis(50),
        idle: Duration::from_secs(3_600),
        devices_max: 1_000,
        device_forget: Duration::from_secs(86_400),
        guards: Guards::default(),
    }
}

fn scene(resolve: Resolve) -> Scene {
    Scene { lot: Lot::new(options(resolve)), now: Moment(1_000_000), number: 1 }
}

fn mailbox(name: &str) -> Mailbox {
    Mailbox::normalise(name, Some("example.org"), true).expect("a name")
}

fn device(id: &str) -> DeviceId {
    DeviceId::new(id.as_bytes()).expect("an id")
}

fn ping(heartbeat_s: u32, folders: &[(&str, Class)]) -> PingRequest {
    let list = folders.iter().map(|(id, class)| PingFolder { id: FolderId::new(id).expect("short"), class: *class });
    let list: Vec<_> = list.collect();
    PingRequest {
        heartbeat_s: (heartbeat_s > 0).then_some(heartbeat_s),
        folder_count: list.len(),
        folders: (!list.is_empty()).then_some(list),
    }
}

const FETCHED: SyncTraits = SyncTraits { brought: 9, sent: false, is_cut: false };
const INBOX: &[(&str, Class)] = &[("5", Class::Email)];

impl Scene {
    fn offer(&mut self, who: &str, id: &str, ping: PingRequest) -> SlotKey {
        let offer = Offer {
            mailbox: mailbox(who),
            hash: 7,
            device: device(id),
            ping,
            kind: HoldKind::Ping,
            received: self.now,
            connection: "connection",
        };
        self.lot.offer(offer, self.now)
    }

    /// A Sync of folders 5 and 1 passes through, brings something and ends in step.
    fn sync(&mut self, who: &str, id: &str) {
        self.expect(who, id, &["5", "1"]);
        self.synced(who, id, &["5", "1"], SyncTraits { brought: 9, sent: false, is_cut: false }, self.number);
    }

    fn expect(&mut self, who: &str, id: &str, ids: &[&str]) {
        let (mailbox, device) = (mailbox(who), device(id));
        self.lot.expect(&Who { hash: 7, mailbox: &mailbox, device: &device }, ids.iter().copied(), self.now);
    }

    fn synced(&mut self, who: &str, id: &str, ids: &[&str], traits: SyncTraits, number: u64) {
        let (mailbox, device) = (mailbox(who), device(id));
        let as_of = AsOf { number, at: self.now };
        self.lot.synced(&Who { hash: 7, mailbox: &mailbox, device: &device }, ids.iter().map(|id| (*id, traits)), as_of, self.now);
    }

    fn checked(&mut self, slot: SlotKey, finding: &CheckFinding, as_of: u64, number: u64) {
        self.lot.checked(slot, finding, AsOf { number: as_of, at: self.now }, number, self.now);
        self.number = self.number.max(number);
    }

    fn change(&mut self, who: &str, scope: Scope) -> usize {
        self.number += 1;
        self.lot.changed(&MailboxChange { mailbox: mailbox(who), scope }, 7, self.number, self.now, self.now)
    }

    fn wait(&mut self, seconds: u64) {
        let until = self.now + Duration::from_secs(seconds);
        while let Some(next) = self.lot.poll_timeout().filter(|next| *next <= until) {
            self.now = self.now.max(next);
            while self.lot.advance(self.now, 100) {}
        }
        self.now = until;
        while self.lot.advance(self.now, 100) {}
    }

    fn answers(&mut self) -> Vec<(SlotKey, Outcome)> {
        std::iter::from_fn(|| self.lot.poll_output())
            .filter_map(|output| match output {
                Output::Answer { slot, outcome, .. } => Some((slot, outcome)),
                _ => None,
            })
            .collect()
    }

    fn teach(&mut self, who: &str, id: &str, folders: &[(&str, &str, u8)]) {
        let add = |(id, name, kind): &(&str, &str, u8)| {
            FolderChange::Add(Folder {
                id: FolderId::new(id).expect("short"),
                parent: FolderId::new("0").expect("short"),
                name: (*name).into(),
                kind: FolderType(*kind),
            })
        };
        let changes: Vec<_> = folders.iter().map(add).collect();
        self.learn(who, id, true, &changes, self.number);
    }
}

impl Scene {
    fn learn(&mut self, who: &str, id: &str, is_full: bool, changes: &[FolderChange], as_of: u64) {
        let (mailbox, device) = (mailbox(who), device(id));
        self.lot.learnt(&Who { hash: 7, mailbox: &mailbox, device: &device }, is_full, changes, as_of, self.now);
    }
}

fn changed(ids: &[&str]) -> Outcome {
    Outcome::Changed(ids.iter().map(|id| FolderId::new(id).expect("short")).collect())
}
