//! The devices of `cost` in front of the real lot; gateway and backend around it as far as they count.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::time::Duration;

use pushgate::logic::decide::PingBounds;
use pushgate::logic::eas::folder_sync::{Folder, FolderChange, FolderType};
use pushgate::logic::eas::ping::{PingFolder, PingRequest};
use pushgate::logic::eas::{Class, DeviceId, FolderId, Mailbox};
use pushgate::logic::hold::change::Scope;
use pushgate::logic::hold::folders::Coverage;
use pushgate::logic::hold::lot::CheckFinding;
use pushgate::logic::hold::{
    AsOf, HoldKind, Lot, LotOptions, MailboxChange, Moment, Offer, Outcome, Output, Resolve, SlotKey, SyncTraits, Who,
};

use crate::cost::{BEFORE_S, Backend, Cost, DAY_S, DEVICE_MS, DEVICES, HEARTBEAT_S, LATE_S, MAILS, NOTICE_MS, Random, SYNC_MS, Setting};

/// Defaults of the settings of these names.
const CHECKS_MAX: usize = 4;
const RESOLVE_PER_S: u32 = 20;
const POLL_S: u64 = 300;
const TRUST_S: u64 = 3_600;
const VERDICT_TTL_S: u64 = 900;
const SETTLE_S: u64 = 5;

const INBOX: &str = "1";

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Mail(usize),
    Notice(usize),
    FolderSync(usize),
    Ping(usize),
    Sync(usize, Vec<String>),
    Synced { device: usize, folders: Vec<String>, number: u64, at: u64, mails: usize },
    CheckEnds { slot: (u32, u32), device: usize, number: u64, at: u64 },
}

struct Device {
    mailbox: Mailbox,
    id: DeviceId,
    /// When its mails arrived; the first `fetched` of them are with the device.
    mails: Vec<u64>,
    fetched: usize,
    has_folders: bool,
    verdict_until: Moment,
    slot: Option<SlotKey>,
    /// When the classes without a source were last looked at.
    polled: Option<Moment>,
}

struct World {
    backend: Backend,
    folders: Vec<(&'static str, u8, Class)>,
    ttl: Duration,
    lot: Lot<usize>,
    now: Moment,
    events: BinaryHeap<Reverse<(u64, u64, Event)>>,
    sequence: u64,
    devices: Vec<Device>,
    number: u64,
    /// Workers of the backend busy with checks, and which of them still matter.
    checks: usize,
    awaited: HashMap<(u32, u32), ()>,
    cost: Cost,
    /// Looks at classes without a source, seconds between two in all, and the most.
    polls: (u64, f64, u64),
}

/// One day; `has_more`: Calendar and Contacts are watched too, and no source reports them.
pub fn day(backend: Backend, has_more: bool, setting: Setting) -> Cost {
    let mut world = World::new(backend, has_more, setting);
    let mut random = Random(1);
    for device in 0..DEVICES {
        let mails = random.mail_times();
        for &at in &mails {
            world.at(Moment(at), Event::Mail(device));
        }
        world.devices[device].mails = mails;
        world.at(Moment(random.below(u64::from(HEARTBEAT_S) * 1_000_000)), Event::FolderSync(device));
    }
    world.run(Moment(u64::from(BEFORE_S + DAY_S) * 1_000_000));
    let (count, seconds, longest_s) = world.polls;
    let polled_every_s = has_more.then(|| (seconds / count as f64, longest_s));
    Cost { mails: (DEVICES * MAILS) as f64, polled_every_s, ..world.cost }.per_device()
}

impl World {
    fn new(backend: Backend, has_more: bool, setting: Setting) -> Self {
        let is_lasting = setting == Setting::Lasting;
        let coverage = Coverage {
            covered: [Class::Email].into_iter().collect(),
            covers_hierarchy: false,
            epoch: 0,
            trust: Duration::from_secs(if is_lasting { 7 * u64::from(DAY_S) } else { TRUST_S }),
            poll: Duration::from_secs(POLL_S),
            settle: Duration::from_secs(SETTLE_S),
        };
        let options = LotOptions {
            ping: PingBounds { heartbeat_min_s: 60, heartbeat_max_s: 3_540, folders_max: 200 },
            coverage,
            resolve: Resolve::Sync,
            resolve_gap: Duration::from_secs(1) / RESOLVE_PER_S,
            idle: Duration::from_secs(3_600),
            devices_max: 2 * DEVICES,
            device_forget: Duration::from_secs(DAY_S.into()),
            guards: Default::default(),
        };
        let device = |number: usize| Device {
            mailbox: Mailbox::normalise(&format!("user{number}@example.org"), None, true).unwrap(),
            id: DeviceId::new(format!("DAY{number:06}").as_bytes()).unwrap(),
            mails: Vec::new(),
            fetched: 0,
            has_folders: false,
            verdict_until: Moment::default(),
            slot: None,
            polled: None,
        };
        let all = [(INBOX, 2, Class::Email), ("2", 8, Class::Calendar), ("3", 9, Class::Contacts)];
        World {
            backend,
            folders: all[..if has_more { 3 } else { 1 }].to_vec(),
            ttl: Duration::from_secs(if is_lasting { DAY_S.into() } else { VERDICT_TTL_S }),
            lot: Lot::new(options),
            now: Moment::default(),
            events: BinaryHeap::new(),
            sequence: 0,
            devices: (0..DEVICES).map(device).collect(),
            number: 1,
            checks: 0,
            awaited: HashMap::new(),
            cost: Cost::default(),
            polls: (0, 0.0, 0),
        }
    }

    fn at(&mut self, when: Moment, event: Event) {
        // What happens at the same moment happens in the order in which it was arranged.
        self.sequence += 1;
        self.events.push(Reverse((when.0, self.sequence, event)));
    }

    fn after_ms(&mut self, ms: u64, event: Event) {
        self.at(self.now + Duration::from_millis(ms), event);
    }

    fn run(&mut self, end: Moment) {
        loop {
            let next = self.events.peek().map_or(end, |Reverse((at, ..))| Moment(*at));
            let timer = self.lot.poll_timeout().unwrap_or(end).max(self.now);
            if next.min(timer) >= end {
                return;
            }
            if timer <= next {
                self.now = timer;
                self.lot.advance(self.now, usize::MAX);
            } else if let Some(Reverse((at, _, event))) = self.events.pop() {
                self.now = Moment(at);
                self.handle(event);
            }
            self.perform_outputs();
            self.start_checks();
        }
    }

    fn handle(&mut self, event: Event) {
        match event {
            // The backend sees it at once: it is in `mails`, and its time has come.
            Event::Mail(device) => self.after_ms(NOTICE_MS, Event::Notice(device)),
            Event::Notice(device) => {
                self.number += 1;
                let mailbox = self.devices[device].mailbox.clone();
                let change = MailboxChange { mailbox, scope: Scope::FolderName("INBOX".into()) };
                self.lot.changed(&change, device as u64, self.number, self.now, self.now);
            }
            Event::FolderSync(device) => self.folder_sync(device),
            Event::Ping(device) => self.ping(device),
            Event::Sync(device, folders) => self.sync(device, folders),
            Event::Synced { device, folders, number, at, mails } => self.synced(device, &folders, AsOf { number, at: Moment(at) }, mails),
            Event::CheckEnds { slot, device, number, at } => self.check_ends(slot, device, AsOf { number, at: Moment(at) }),
        }
    }

    fn folder_sync(&mut self, device: usize) {
        self.leave_slot(device);
        self.count(|cost| cost.other += 1.0);
        // A command that the backend accepted.
        self.devices[device].verdict_until = self.now + self.ttl;
        let folder = |&(id, kind, _): &(&str, u8, Class)| {
            FolderChange::Add(Folder {
                id: FolderId::new(id).unwrap(),
                parent: FolderId::new("0").unwrap(),
                name: format!("folder {id}"),
                kind: FolderType(kind),
            })
        };
        let is_first = !std::mem::replace(&mut self.devices[device].has_folders, true);
        // Later ones bring nothing: nobody changes the tree.
        let changes: Vec<FolderChange> = self.folders.iter().map(folder).filter(|_| is_first).collect();
        let Device { mailbox, id, .. } = &self.devices[device];
        let who = Who { hash: device as u64, mailbox, device: id };
        self.lot.learnt(&who, is_first, &changes, self.number, self.now);
        let all = self.folders.iter().map(|(id, ..)| (*id).to_owned()).collect();
        self.after_ms(DEVICE_MS, if is_first { Event::Sync(device, all) } else { Event::Ping(device) });
    }

    fn ping(&mut self, device: usize) {
        self.leave_slot(device);
        if self.now >= self.devices[device].verdict_until {
            self.count(|cost| cost.options += 1.0);
            self.devices[device].verdict_until = self.now + self.ttl;
        }
        let folders: Vec<PingFolder> =
            self.folders.iter().map(|&(id, _, class)| PingFolder { id: FolderId::new(id).unwrap(), class }).collect();
        let ping = PingRequest { heartbeat_s: Some(HEARTBEAT_S), folder_count: folders.len(), folders: Some(folders) };
        let Device { mailbox, id, .. } = &self.devices[device];
        let offer = Offer {
            mailbox: mailbox.clone(),
            hash: device as u64,
            device: id.clone(),
            ping,
            kind: HoldKind::Ping,
            received: self.now,
            connection: device,
        };
        let slot = self.lot.offer(offer, self.now);
        self.devices[device].slot = Some(slot);
    }

    /// The next request takes the connection out of the lot.
    fn leave_slot(&mut self, device: usize) {
        if let Some(slot) = self.devices[device].slot.take() {
            self.lot.release(slot);
        }
    }

    fn sync(&mut self, device: usize, folders: Vec<String>) {
        self.leave_slot(device);
        self.count(|cost| cost.syncs += 1.0);
        let Device { mailbox, id, .. } = &self.devices[device];
        let who = Who { hash: device as u64, mailbox, device: id };
        self.lot.expect(&who, folders.iter().map(String::as_str), self.now);
        let (number, at) = (self.number, self.now.0);
        let mails = self.delivered(device);
        self.after_ms(SYNC_MS, Event::Synced { device, folders, number, at, mails });
    }

    fn synced(&mut self, device: usize, folders: &[String], as_of: AsOf, mails: usize) {
        let now = self.now;
        let is_of_mail = folders.iter().any(|id| id == INBOX);
        let brought = if is_of_mail { mails - self.devices[device].fetched } else { 0 };
        if brought > 0 {
            let fetched = std::mem::replace(&mut self.devices[device].fetched, mails);
            let arrived = &self.devices[device].mails[fetched..mails];
            self.cost.late += arrived.iter().filter(|&&at| now.since(Moment(at)) > Duration::from_secs(LATE_S)).count();
        }
        // A command that the backend accepted.
        self.devices[device].verdict_until = now + self.ttl;
        let traits = |id: &str| SyncTraits { brought: if id == INBOX { brought as u32 } else { 0 }, ..SyncTraits::default() };
        let Device { mailbox, id, .. } = &self.devices[device];
        let who = Who { hash: device as u64, mailbox, device: id };
        self.lot.synced(&who, folders.iter().map(|id| (id.as_str(), traits(id))), as_of, now);
        if folders.iter().any(|id| id != INBOX) {
            self.polled(device);
        }
        self.after_ms(DEVICE_MS, Event::Ping(device));
    }

    fn perform_outputs(&mut self) {
        while let Some(output) = self.lot.poll_output() {
            match output {
                Output::Answer { slot, outcome, .. } => {
                    let Some(&device) = self.lot.connection(slot) else { continue };
                    self.count(|cost| cost.answered_pings += 1.0);
                    let next = match outcome {
                        Outcome::Expired => Event::Ping(device),
                        Outcome::Changed(ids) => Event::Sync(device, ids.iter().map(ToString::to_string).collect()),
                        Outcome::HierarchyChanged => Event::FolderSync(device),
                        other => panic!("a device in good order was answered {other:?}"),
                    };
                    self.after_ms(DEVICE_MS, next);
                }
                // The backend goes on with it, and its place is taken until then.
                Output::CancelCheck { slot } => drop(self.awaited.remove(&(slot.index, slot.generation))),
                Output::Held { .. } => {}
                Output::Close { slot } => panic!("{slot:?}: no device is idle for an hour"),
            }
        }
    }

    fn start_checks(&mut self) {
        while self.checks < CHECKS_MAX && self.lot.checks_waiting() > 0 {
            let Some(slot) = self.lot.start_check() else { return };
            let Some(&device) = self.lot.connection(slot) else { continue };
            // Whatever is new is said at once; else it takes the whole of the shortest heartbeat.
            let is_new = self.delivered(device) > self.devices[device].fetched;
            let takes_ms = if is_new { 10 } else { u64::from(self.backend.check_s()) * 1_000 };
            self.count(|cost| {
                cost.pings += 1.0;
                cost.held_s += takes_ms as f64 / 1_000.0;
            });
            self.checks += 1;
            let slot = (slot.index, slot.generation);
            self.awaited.insert(slot, ());
            let (number, at) = (self.number, self.now.0);
            self.after_ms(takes_ms, Event::CheckEnds { slot, device, number, at });
        }
    }

    fn check_ends(&mut self, slot: (u32, u32), device: usize, as_of: AsOf) {
        self.checks -= 1;
        if self.awaited.remove(&slot).is_none() {
            return;
        }
        let is_new = self.delivered(device) > self.devices[device].fetched;
        let finding = if is_new { CheckFinding::Changed(vec![FolderId::new(INBOX).unwrap()]) } else { CheckFinding::Unchanged };
        // It was accepted, so the credentials are still right.
        self.devices[device].verdict_until = self.now + self.ttl;
        self.number += 1;
        let slot = SlotKey { index: slot.0, generation: slot.1 };
        self.lot.checked(slot, &finding, as_of, self.number, self.now);
        self.polled(device);
    }

    /// Mails in a device's mailbox.
    fn delivered(&self, device: usize) -> usize {
        self.devices[device].mails.partition_point(|&at| at <= self.now.0)
    }

    fn polled(&mut self, device: usize) {
        let now = self.now;
        let before = self.devices[device].polled.replace(now);
        if let (true, Some(before)) = (self.is_counted(), before) {
            let gap = now.since(before);
            let (count, seconds, most_s) = self.polls;
            self.polls = (count + 1, seconds + gap.as_secs_f64(), most_s.max(gap.as_secs()));
        }
    }

    fn is_counted(&self) -> bool {
        self.now.seconds() >= BEFORE_S
    }

    fn count(&mut self, add: impl FnOnce(&mut Cost)) {
        if self.is_counted() {
            add(&mut self.cost);
        }
    }
}
