//! Devices: six ways to hold a heartbeat, to take an answer and to try again (eas-protocol: 3.7).

use std::collections::{BTreeMap, BTreeSet};

use pushgate::logic::eas::ping::PingFolder;
use pushgate::logic::eas::{Class, DeviceId, PingRequest};
use pushgate::logic::hold::{AsOf, Moment};

use super::backend::Answer;
use super::rng::Rng;
use super::shadow::Clock;
use super::truth::folder_id;
use super::{Connection, Event, Reply, World};

/// How a kind of device behaves.
#[derive(Debug)]
pub(super) struct Manners {
    /// First, shortest, longest heartbeat and how much it moves, in seconds.
    heartbeat: (u32, u32, u32, u32),
    /// Never again longer once it had to be shortened.
    is_burnt_once: bool,
    /// Successes before a step up.
    successes: u32,
    /// Patience beyond the heartbeat, seconds.
    patience_s: u64,
    /// Before it pings again, milliseconds.
    pub(super) pause_ms: (u64, u64),
    /// Leaves out of a Ping what did not change.
    is_brief: bool,
    /// Ends its Ping before it syncs of its own accord; the others sync beside it.
    pub(super) interrupts: bool,
    /// After an error it syncs everything first.
    pub(super) is_cautious: bool,
    /// Its Syncs hang; it never Pings.
    pub(super) hangs: bool,
    classes: &'static [Class],
}

const ALL: &[Class] = &[Class::Email, Class::Calendar, Class::Contacts];
const MAIL: &[Class] = &[Class::Email];

const KINDS: [Manners; 6] = [
    // iOS-like.
    Manners {
        heartbeat: (900, 300, 3_540, 300),
        is_burnt_once: false,
        successes: 1,
        patience_s: 30,
        pause_ms: (50, 800),
        is_brief: true,
        interrupts: true,
        is_cautious: true,
        hangs: false,
        classes: ALL,
    },
    // Android until 2014.
    Manners {
        heartbeat: (470, 290, 1_010, 180),
        is_burnt_once: true,
        successes: 1,
        patience_s: 20,
        pause_ms: (0, 0),
        is_brief: false,
        interrupts: true,
        is_cautious: false,
        hangs: false,
        classes: ALL,
    },
    // Android since.
    Manners {
        heartbeat: (480, 480, 1_680, 300),
        is_burnt_once: false,
        successes: 1,
        patience_s: 5,
        pause_ms: (0, 0),
        is_brief: false,
        interrupts: true,
        is_cautious: false,
        hangs: false,
        classes: MAIL,
    },
    // Windows-Mobile-like.
    Manners {
        heartbeat: (480, 480, 1_080, 300),
        is_burnt_once: false,
        successes: 2,
        patience_s: 30,
        pause_ms: (100, 2_000),
        is_brief: true,
        interrupts: false,
        is_cautious: false,
        hangs: false,
        classes: ALL,
    },
    // Outlook-like.
    Manners {
        heartbeat: (600, 60, 1_800, 600),
        is_burnt_once: false,
        successes: 1,
        patience_s: 60,
        pause_ms: (200, 3_000),
        is_brief: false,
        interrupts: false,
        is_cautious: true,
        hangs: false,
        classes: ALL,
    },
    // Windows-Mail-like: hanging Sync instead of Ping.
    Manners {
        heartbeat: (480, 120, 3_540, 300),
        is_burnt_once: false,
        successes: 1,
        patience_s: 60,
        pause_ms: (10, 500),
        is_brief: false,
        interrupts: true,
        is_cautious: false,
        hangs: true,
        classes: ALL,
    },
];

/// What a request asks.
#[derive(Debug, Clone)]
pub(super) enum What {
    Ping(PingRequest),
    /// Folders with the device's keys, and the folder in which it changed something itself.
    Sync {
        folders: Vec<(usize, Option<usize>)>,
        sent: Option<usize>,
    },
    /// A Sync that waits for something to say: folders with their keys.
    Hang {
        folders: Vec<(usize, usize)>,
        heartbeat_s: u32,
    },
    FolderSync {
        tree: u64,
    },
}

impl What {
    /// Of a Sync that hangs or not: folders with the device's keys, and the folder in which it changed something itself.
    pub(super) fn synced(&self) -> (Vec<(usize, Option<usize>)>, Option<usize>) {
        match self {
            What::Sync { folders, sent } => (folders.clone(), *sent),
            What::Hang { folders, .. } => (folders.iter().map(|(folder, key)| (*folder, Some(*key))).collect(), None),
            What::Ping(_) | What::FolderSync { .. } => (Vec::new(), None),
        }
    }
}

/// A request that was sent and is not over.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) device: usize,
    pub(super) connection: u64,
    pub(super) what: What,
    pub(super) received_heartbeat_s: u32,
    /// When it came to the gateway, for hanging Syncs.
    pub(super) arrived: Moment,
    pub(super) as_of: Option<AsOf>,
}

/// A device and what it knows.
pub(super) struct Device {
    number: usize,
    pub(super) mailbox: usize,
    pub(super) manners: &'static Manners,
    pub(super) heartbeat_s: u32,
    successes: u32,
    was_burnt: bool,
    /// Folders it knows, with the last key it applied.
    pub(super) folders: BTreeMap<usize, Option<usize>>,
    pub(super) tree: u64,
    pub(super) wants_folder_sync: bool,
    pub(super) wants_sync: BTreeSet<usize>,
    /// The folder in which its user changed something.
    pub(super) own_change: Option<usize>,
    pub(super) must_be_full: bool,
    told_folders: Vec<usize>,
    told_heartbeat_s: u32,
    pub(super) waiting: Option<u64>,
    pub(super) beside: Option<u64>,
    pub(super) connection: Option<u64>,
    plan: u64,
    pub(super) offline_until_s: u32,
    /// Wakes that it is going to ignore.
    pub(super) deaf: u32,
    pub(super) failures: u32,
    pub(super) clock: Clock,
}

impl Device {
    pub(super) fn new(number: usize, mailbox: usize, rng: &mut Rng) -> Self {
        let manners = &KINDS[rng.below(KINDS.len())];
        Device {
            number,
            mailbox,
            manners,
            heartbeat_s: manners.heartbeat.0,
            successes: 0,
            was_burnt: false,
            folders: BTreeMap::new(),
            tree: 0,
            wants_folder_sync: true,
            wants_sync: BTreeSet::new(),
            own_change: None,
            must_be_full: true,
            told_folders: Vec::new(),
            told_heartbeat_s: 0,
            waiting: None,
            beside: None,
            connection: None,
            plan: 0,
            offline_until_s: 0,
            deaf: 0,
            failures: 0,
            clock: Clock::default(),
        }
    }

    pub(super) fn id(&self) -> DeviceId {
        DeviceId::new(format!("device{}", self.number).as_bytes()).expect("an id")
    }

    /// What its Ping watches.
    pub(super) fn watches(&self, folder: usize, class: Class) -> bool {
        self.folders.get(&folder).is_some_and(Option::is_some) && self.manners.classes.contains(&class)
    }

    pub(super) fn waiting_on(&self, requests: &BTreeMap<u64, Request>) -> Vec<u64> {
        [self.waiting, self.beside].into_iter().flatten().filter(|id| requests.contains_key(id)).collect()
    }

    pub(super) fn is_up(&mut self) {
        let (_, _, max, step) = self.manners.heartbeat;
        self.successes += 1;
        if self.successes >= self.manners.successes && !(self.manners.is_burnt_once && self.was_burnt) {
            (self.successes, self.heartbeat_s) = (0, (self.heartbeat_s + step).min(max));
        }
    }

    pub(super) fn is_down(&mut self) {
        let (_, min, _, step) = self.manners.heartbeat;
        (self.successes, self.was_burnt) = (0, true);
        self.heartbeat_s = self.heartbeat_s.saturating_sub(step).max(min);
    }
}

impl World {
    /// Acts, unless something else was decided since.
    pub(super) fn act(&mut self, number: usize, plan: u64) {
        let now_s = self.now.seconds();
        let device = &self.devices[number];
        if device.plan != plan || device.waiting.is_some() {
            return;
        }
        if device.offline_until_s > now_s {
            let ms = u64::from(device.offline_until_s - now_s) * 1_000;
            return self.act_in(number, ms);
        }
        if device.beside.is_some() {
            return self.act_in(number, 250);
        }
        let what = match () {
            () if device.wants_folder_sync => What::FolderSync { tree: device.tree },
            () if !device.wants_sync.is_empty() => self.sync_of(number),
            () if device.manners.hangs && device.folders.values().any(Option::is_some) => self.hang_of(number),
            () => self.ping_of(number),
        };
        let id = self.ask(number, what, false);
        self.devices[number].waiting = Some(id);
    }

    pub(super) fn act_in(&mut self, number: usize, ms: u64) {
        let device = &mut self.devices[number];
        device.plan += 1;
        let plan = device.plan;
        self.after_ms(ms, Event::Act { device: number, plan });
    }

    pub(super) fn sync_of(&self, number: usize) -> What {
        let device = &self.devices[number];
        let folders = device.wants_sync.iter().filter_map(|folder| Some((*folder, *device.folders.get(folder)?)));
        let folders: Vec<_> = folders.collect();
        let sent = device.own_change.filter(|own| folders.iter().any(|(folder, key)| folder == own && key.is_some()));
        What::Sync { folders, sent }
    }

    fn ping_of(&mut self, number: usize) -> What {
        let mailbox = &self.mailboxes[self.devices[number].mailbox];
        let device = &mut self.devices[number];
        let watched: Vec<usize> = device.folders.keys().copied().filter(|f| device.watches(*f, mailbox.folders[*f].class())).collect();
        let omits_folders = device.manners.is_brief && !device.must_be_full && watched == device.told_folders;
        let omits_heartbeat = device.manners.is_brief && !device.must_be_full && device.told_heartbeat_s == device.heartbeat_s;
        let list = watched.iter().map(|folder| PingFolder { id: folder_id(*folder), class: mailbox.folders[*folder].class() });
        let folders: Option<Vec<_>> = (!omits_folders).then(|| list.collect());
        (device.told_folders, device.told_heartbeat_s, device.must_be_full) = (watched, device.heartbeat_s, false);
        let heartbeat_s = (!omits_heartbeat).then_some(device.heartbeat_s);
        What::Ping(PingRequest { heartbeat_s, folder_count: folders.as_ref().map_or(0, Vec::len), folders })
    }

    fn hang_of(&self, number: usize) -> What {
        let mailbox = &self.mailboxes[self.devices[number].mailbox];
        let device = &self.devices[number];
        let watched = device.folders.iter().filter(|(f, _)| device.watches(**f, mailbox.folders[**f].class()));
        // The gateway holds none for longer than it would hold a Ping, and its refusal names what it would.
        let heartbeat_s = device.heartbeat_s.min(self.plan.heartbeat_max_s);
        What::Hang { folders: watched.filter_map(|(folder, key)| Some((*folder, (*key)?))).collect(), heartbeat_s }
    }

    /// Sends a request, on the connection there is or on a new one.
    pub(super) fn ask(&mut self, number: usize, what: What, is_beside: bool) -> u64 {
        let id = self.fresh_id();
        let life = self.shell.life;
        let old = self.devices[number].connection.filter(|_| !is_beside);
        let may_reuse = old.and_then(|old| self.connections.get(&old)).is_some_and(|c| !c.is_closed && c.life == life);
        let reuses = may_reuse && self.rng.percent(70);
        let connection = match old {
            Some(old) if reuses => old,
            _ => {
                if let Some(old) = old {
                    self.close_device_end(old);
                }
                let fresh = self.fresh_id();
                self.connections.insert(fresh, Connection { device: number, life, ..Connection::default() });
                if !is_beside {
                    self.devices[number].connection = Some(fresh);
                }
                fresh
            }
        };
        let device = &self.devices[number];
        let received_heartbeat_s = if let What::Hang { heartbeat_s, .. } = &what { *heartbeat_s } else { device.heartbeat_s };
        let patience_s = match &what {
            What::Ping(_) | What::Hang { .. } => u64::from(device.heartbeat_s) + device.manners.patience_s,
            _ => 45,
        };
        self.trace(|| format!("  device {number} sends {id} on {connection}: {what:?}"));
        let request = Request { device: number, connection, what, received_heartbeat_s, arrived: self.now, as_of: None };
        self.requests.insert(id, request);
        let ms = self.latency_ms(number);
        self.after_ms(ms, Event::Arrives(id));
        self.after_ms(patience_s * 1_000 + ms, Event::GivesUp { device: number, request: id });
        id
    }

    /// The device closes; the gateway hears of it unless the network is gone.
    pub(super) fn close_device_end(&mut self, id: u64) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        connection.is_closed = true;
        let (slot, life, device, is_cut) = (connection.slot, connection.life, connection.device, connection.is_cut);
        if self.devices[device].connection == Some(id) {
            self.devices[device].connection = None;
        }
        self.stop_clock(device, id);
        if let Some(slot) = slot.filter(|_| !is_cut) {
            let ms = self.latency_ms(device);
            self.after_ms(ms, Event::HungUp { slot, life });
        }
    }

    pub(super) fn give_up(&mut self, number: usize, request: u64) {
        let device = &self.devices[number];
        if device.waiting == Some(request) || device.beside == Some(request) {
            self.reply(request, Reply::Broken);
        }
    }

    pub(super) fn reply(&mut self, id: u64, reply: Reply) {
        let Some(request) = self.requests.get(&id) else { return };
        let (number, connection) = (request.device, request.connection);
        let is_lost = self.connections.get(&connection).is_some_and(|c| c.is_cut) && !matches!(reply, Reply::Broken);
        let (is_main, is_beside) = (self.devices[number].waiting == Some(id), self.devices[number].beside == Some(id));
        if is_lost || !(is_main || is_beside) {
            return;
        }
        let request = self.requests.remove(&id).expect("just seen");
        if is_main {
            self.devices[number].waiting = None;
        } else {
            self.devices[number].beside = None;
            self.close_device_end(connection);
        }
        let pause_ms = match reply {
            Reply::Broken => self.take_error(number, connection, &request.what),
            Reply::Backend(Answer::Failed) => self.take_failure(number),
            Reply::Backend(answer) => self.take_answer(number, answer),
            Reply::Ping(outcome) => self.take_outcome(number, &outcome),
        };
        if is_main {
            self.act_in(number, pause_ms);
        }
    }
}
