//! A lot with many mailboxes of one device each, all of them known, in step and with a connection.

use std::time::Duration;

use pushgate::gateway::Parked;
use pushgate::logic::decide::PingBounds;
use pushgate::logic::eas::{Class, ClassSet, DeviceId, FolderId, Mailbox, PingRequest};
use pushgate::logic::hold::folders::Coverage;
use pushgate::logic::hold::lot::Who;
use pushgate::logic::hold::{
    AsOf, HoldKind, Lot, LotOptions, MailboxChange, Moment, Offer, Outcome, Output, Resolve, Scope, SlotKey, SyncTraits,
};

use super::wbxml;

/// Mailboxes of a crowd.
pub const MANY: usize = 100_000;
/// Devices that one run is about.
pub const STEPS: usize = 256;
/// What every device asks for.
pub const HEARTBEAT: Duration = Duration::from_secs(600);
/// Between the heartbeats of one device and the next: all of them fill one heartbeat.
pub const GAP: Duration = Duration::from_micros(HEARTBEAT.as_micros() as u64 / MANY as u64);
/// Folders of a list that a device of the crowd knows.
const FOLDERS: usize = 7;
/// Large, and without a divisor in common with the number of mailboxes: neighbours in turn are not neighbours in memory.
const STRIDE: usize = 61_803;

/// Stands for a connection: as many bytes, so that slots lie in memory as they do in the program.
pub type Connection = [u64; size_of::<Parked>() / 8];

/// Somebody with a device.
pub struct Person {
    pub mailbox: Mailbox,
    pub device: DeviceId,
    pub hash: u64,
    pub slot: SlotKey,
}

impl Person {
    /// As the lot is asked.
    pub fn who(&self) -> Who<'_> {
        Who { hash: self.hash, mailbox: &self.mailbox, device: &self.device }
    }
}

pub struct Crowd {
    pub lot: Lot<Connection>,
    pub people: Vec<Person>,
    pub now: Moment,
    /// Of the last change.
    pub number: u64,
    /// Which of the people a slot belongs to.
    pub whose: Vec<u32>,
    /// Where the next run begins.
    next: usize,
    /// The folders a device has, by id.
    ids: Vec<FolderId>,
}

impl Crowd {
    /// Everybody's Ping is held; they came one [`GAP`] after the other.
    pub fn new() -> Self {
        let ids = (0..FOLDERS).map(wbxml::folder_id).collect();
        let (lot, people, whose) = (Lot::new(options()), Vec::with_capacity(MANY), vec![0; MANY]);
        let mut crowd = Crowd { lot, people, now: Moment(1_000_000), number: 1, whose, next: 0, ids };
        let list = wbxml::folder_list(FOLDERS);
        let ping = wbxml::ping();
        for index in 0..MANY {
            let mailbox = Mailbox::normalise(&format!("somebody.{index:06}"), Some("example.org"), true).expect("a name");
            let device = DeviceId::new(format!("ApplDMPL{index:08}").as_bytes()).expect("an id");
            let slot = crowd.lot.park(Connection::default(), crowd.now);
            crowd.people.push(Person { mailbox, device, hash: hash(index), slot });
            crowd.lot.learnt(&crowd.people[index].who(), true, &list, crowd.number, crowd.now);
            crowd.sync(index);
            crowd.now = crowd.now + GAP;
            let offer = crowd.offer(index, ping.clone());
            crowd.hold(index, offer);
        }
        crowd
    }

    /// Whose turn it is in this run.
    pub fn turn(&self) -> impl Iterator<Item = usize> + use<> {
        let first = self.next;
        (first..first + STEPS).map(|step| step * STRIDE % MANY)
    }

    /// The next run is about the next devices.
    pub fn go_on(&mut self) {
        self.next = (self.next + STEPS) % MANY;
    }

    /// A Sync of its folders passes through and brings the device in step.
    pub fn sync(&mut self, index: usize) {
        let Crowd { lot, people, now, number, ids, .. } = self;
        let who = people[index].who();
        lot.expect(&who, ids.iter().map(FolderId::as_str), *now);
        let traits = SyncTraits { brought: 1, sent: false, is_cut: false };
        lot.synced(&who, ids.iter().map(|id| (id.as_str(), traits)), AsOf { number: *number, at: *now }, *now);
    }

    /// A Ping of this device.
    pub fn offer(&self, index: usize, ping: PingRequest) -> Offer<Connection> {
        let Person { mailbox, device, hash, .. } = &self.people[index];
        let (mailbox, device, hash) = (mailbox.clone(), device.clone(), *hash);
        Offer { mailbox, hash, device, ping, kind: HoldKind::Ping, received: self.now, connection: Connection::default() }
    }

    /// Its connection is taken back and offered with this Ping, which is held.
    pub fn hold(&mut self, index: usize, mut offer: Offer<Connection>) {
        offer.connection = self.lot.release(self.people[index].slot).expect("everybody has a connection");
        let slot = self.lot.offer(offer, self.now);
        self.people[index].slot = slot;
        self.whose[slot.index as usize] = index as u32;
        let output = self.lot.poll_output();
        assert!(matches!(output, Some(Output::Held { .. })), "{output:?}");
    }

    /// Brings the device in step; its connection is parked without a Ping.
    pub fn idle(&mut self, index: usize) {
        self.sync(index);
        let connection = self.lot.release(self.people[index].slot).expect("everybody has a connection");
        self.people[index].slot = self.lot.park(connection, self.now);
    }

    /// A source reports this; returns how many Pings it wakes.
    pub fn change(&mut self, change: &MailboxChange, hash: u64) -> usize {
        self.number += 1;
        self.lot.changed(change, hash, self.number, self.now, self.now)
    }

    /// New mail for this person, in a folder of that name.
    pub fn mail(&self, index: usize, folder: &str) -> MailboxChange {
        MailboxChange { mailbox: self.people[index].mailbox.clone(), scope: Scope::FolderName(folder.into()) }
    }

    /// The next answer, if there is one.
    pub fn answer(&mut self) -> Option<(SlotKey, Outcome)> {
        match self.lot.poll_output()? {
            Output::Answer { slot, outcome, .. } => Some((slot, outcome)),
            output => panic!("only answers should come: {output:?}"),
        }
    }
}

/// Any mixing does (splitmix64): the program's is keyed anew each time, and would make each run another.
pub fn hash(index: usize) -> u64 {
    let mut z = (index as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Mail and calendars are covered, and no proof ends while anybody measures.
fn options() -> LotOptions {
    let forever = Duration::from_secs(30_000_000);
    LotOptions {
        ping: PingBounds { heartbeat_min_s: 60, heartbeat_max_s: 3_540, folders_max: 200 },
        coverage: Coverage {
            covered: ClassSet::from_iter([Class::Email, Class::Calendar]),
            covers_hierarchy: false,
            epoch: 0,
            trust: forever,
            poll: forever,
            settle: Duration::from_secs(5),
        },
        resolve: Resolve::Sync,
        resolve_gap: Duration::from_millis(50),
        idle: forever,
        devices_max: MANY + 1,
        device_forget: forever,
        guards: Default::default(),
    }
}
