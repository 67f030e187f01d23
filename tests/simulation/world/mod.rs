//! A seeded world around the real lot: mailboxes, a backend, a source, networks and devices; time is driven by hand.
//!
//! `run` plays one seed and returns what went wrong, if anything did. Events are handled in the order of their time; after
//! each of them the shadow (what is true, and who has seen it) is compared with what the gateway did.
//!
//! * `plan`: what kind of world. * `truth`: mailboxes and the backend's memory. * `gateway`: the shell of a lot.
//! * `backend`: answers. * `hanging`: hanging Syncs. * `device`: six behaviours. * `reaction`: what they make of an answer. * `trouble`: what happens to them. * `shadow`: what must hold.
//! * `bounds`: how long a change may stay unseen, and why.

mod backend;
mod bounds;
mod device;
mod gateway;
mod hanging;
mod plan;
mod reaction;
mod rng;
mod shadow;
mod trouble;
mod truth;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;

use pushgate::logic::hold::guards::Guards;
use pushgate::logic::hold::{Moment, Outcome, SlotKey};

use backend::Answer;
use device::{Device, Request};
use gateway::Shell;
use plan::Plan;
use rng::Rng;
use truth::{Issued, TrueMailbox};

/// What is to happen.
#[derive(Debug)]
enum Event {
    /// Something changes in a mailbox.
    Change(usize),
    /// A mailbox's folder list changes.
    TreeChange(usize),
    /// The backend's view of a mailbox catches up.
    Refresh(usize),
    /// A source's report arrives: of which mailbox, in which gap-free stretch it was sent.
    Notice {
        mailbox: usize,
        scope: pushgate::logic::hold::Scope,
        stretch: u32,
    },
    SourceGone,
    SourceMissed,
    SourceBack,
    Restart {
        is_loud: bool,
    },
    Drain,
    /// The network of a device fails.
    Trouble(usize),
    /// The user of a device does something.
    User(usize),
    /// A device acts, unless it has been told otherwise since.
    Act {
        device: usize,
        plan: u64,
    },
    /// A device's patience with a request ends.
    GivesUp {
        device: usize,
        request: u64,
    },
    /// A request arrives at the gateway, is forwarded, reaches the backend, is answered.
    Arrives(u64),
    Forwarded {
        request: u64,
        life: u32,
    },
    AtBackend {
        request: u64,
        life: u32,
    },
    Answered {
        request: u64,
        life: u32,
        answer: Answer,
    },
    /// An answer reaches the device.
    Reply {
        request: u64,
        reply: Reply,
    },
    /// The gateway learns that a connection is gone.
    HungUp {
        slot: SlotKey,
        life: u32,
    },
    LotTurn {
        life: u32,
    },
    LotTimer {
        life: u32,
        at: Moment,
    },
    CheckLooks {
        slot: SlotKey,
        life: u32,
    },
    CheckEnds {
        slot: SlotKey,
        life: u32,
    },
}

/// What a device hears.
#[derive(Debug)]
enum Reply {
    Ping(Outcome),
    Backend(Answer),
    /// The connection broke.
    Broken,
}

/// A connection of a device, as both ends see it.
#[derive(Debug, Default)]
struct Connection {
    device: usize,
    /// Nothing passes any more, and nobody was told.
    is_cut: bool,
    /// The device's end is closed.
    is_closed: bool,
    /// The gateway's end: parked here.
    slot: Option<SlotKey>,
    /// On its way to the lot, between two requests.
    is_parking: bool,
    life: u32,
    /// The Ping that waits for its answer.
    ping: Option<u64>,
}

/// What a world was like, for those who look whether it is interesting.
#[derive(Debug, Default, Clone)]
pub struct Stats {
    pub events: u64,
    pub changes: u64,
    pub pings: u64,
    pub hanging: u64,
    pub wakes: u64,
    pub syncs: u64,
    pub checks: u64,
}

impl Stats {
    pub fn add(&mut self, other: &Stats) {
        self.events += other.events;
        self.changes += other.changes;
        self.pings += other.pings;
        self.hanging += other.hanging;
        self.wakes += other.wakes;
        self.syncs += other.syncs;
        self.checks += other.checks;
    }
}

pub struct World {
    plan: Plan,
    rng: Rng,
    now: Moment,
    order: u64,
    events: BinaryHeap<Reverse<(Moment, u64, usize)>>,
    bodies: Vec<Option<Event>>,
    free: Vec<usize>,
    mailboxes: Vec<TrueMailbox>,
    devices: Vec<Device>,
    issued: Vec<Issued>,
    connections: BTreeMap<u64, Connection>,
    requests: BTreeMap<u64, Request>,
    last_id: u64,
    shell: Shell,
    source: trouble::Source,
    stats: Stats,
    failure: Option<String>,
    /// Says every step on stderr.
    is_traced: bool,
}

/// Plays one seed. The error says what was lost, and when.
pub fn run(seed: u64, guards: Guards, is_traced: bool) -> Result<Stats, String> {
    let mut world = World::new(Plan::new(seed, guards));
    world.is_traced = is_traced;
    world.play().map(|()| world.stats.clone()).map_err(|error| format!("{error}\n  world: {:?}", world.plan))
}

impl World {
    fn new(plan: Plan) -> Self {
        let mut rng = Rng::new(plan.seed ^ 0x5EED);
        let mailboxes: Vec<_> = (0..plan.mailboxes).map(TrueMailbox::new).collect();
        let mut devices = Vec::new();
        for mailbox in 0..mailboxes.len() {
            for _ in 0..rng.range(1, plan.devices_each) {
                devices.push(Device::new(devices.len(), mailbox, &mut rng));
            }
        }
        let issued = vec![Issued::default(); devices.len()];
        World {
            shell: Shell::new(plan.lot_options(0, true), 0),
            plan,
            rng,
            now: Moment::default(),
            order: 0,
            events: BinaryHeap::new(),
            bodies: Vec::new(),
            free: Vec::new(),
            mailboxes,
            devices,
            issued,
            connections: BTreeMap::new(),
            requests: BTreeMap::new(),
            last_id: 0,
            source: trouble::Source::default(),
            stats: Stats::default(),
            failure: None,
            is_traced: false,
        }
    }

    fn play(&mut self) -> Result<(), String> {
        self.begin();
        let end = Moment::default() + Duration::from_secs(bounds::FAULTS_END_S + bounds::QUIET_S);
        while let Some(Reverse((at, _, body))) = self.events.pop() {
            if at > end {
                break;
            }
            self.now = at;
            self.stats.events += 1;
            let event = self.bodies[body].take().expect("an event happens once");
            self.free.push(body);
            self.handle(event);
            self.look()?;
        }
        self.now = end;
        self.look_at_the_end()?;
        self.close_everything()
    }

    fn trace(&self, what: impl FnOnce() -> String) {
        if self.is_traced {
            eprintln!("{:>12.3} {}", self.now.0 as f64 / 1e6, what());
        }
    }

    fn handle(&mut self, event: Event) {
        self.trace(|| format!("{event:?}"));
        match event {
            Event::Change(mailbox) => self.change(mailbox),
            Event::TreeChange(mailbox) => self.change_tree(mailbox),
            Event::Refresh(mailbox) => self.refresh(mailbox),
            Event::Notice { mailbox, scope, stretch } => self.notice(mailbox, scope, stretch),
            Event::SourceGone => self.source_gone(),
            Event::SourceMissed => self.source_missed(),
            Event::SourceBack => self.source_back(),
            Event::Restart { is_loud } => self.restart(is_loud),
            Event::Drain => self.drain(),
            Event::Trouble(device) => self.trouble(device),
            Event::User(device) => self.user(device),
            Event::Act { device, plan } => self.act(device, plan),
            Event::GivesUp { device, request } => self.give_up(device, request),
            Event::Arrives(request) => self.arrives(request),
            Event::Forwarded { request, life } if life == self.shell.life => self.forwarded(request),
            Event::AtBackend { request, life } => self.at_backend(request, life),
            Event::Answered { request, life, answer } if life == self.shell.life => self.answered(request, answer),
            Event::Reply { request, reply } => self.reply(request, reply),
            Event::HungUp { slot, life } if life == self.shell.life => self.hung_up(slot),
            Event::LotTurn { life } if life == self.shell.life => self.lot_turn(),
            Event::LotTimer { life, at } if life == self.shell.life => self.lot_timer(at),
            Event::CheckLooks { slot, life } if life == self.shell.life => self.check_looks(slot),
            Event::CheckEnds { slot, life } if life == self.shell.life => self.check_ends(slot),
            // Of a gateway that is no more.
            _ => {}
        }
    }

    fn at(&mut self, at: Moment, event: Event) {
        let body = self.free.pop().unwrap_or_else(|| {
            self.bodies.push(None);
            self.bodies.len() - 1
        });
        self.bodies[body] = Some(event);
        self.order += 1;
        self.events.push(Reverse((at.max(self.now), self.order, body)));
    }

    fn after_ms(&mut self, ms: u64, event: Event) {
        self.at(self.now + Duration::from_millis(ms), event);
    }

    /// About so many seconds from now.
    fn after_about_s(&mut self, mean_s: u64, event: Event) {
        let ms = self.rng.range(mean_s * 100, mean_s * 1_900);
        self.after_ms(ms, event);
    }

    fn is_quiet(&self) -> bool {
        self.now.seconds() >= bounds::FAULTS_END_S as u32
    }

    fn fresh_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    /// A failure found in the middle of something; the step ends with it.
    fn fail(&mut self, sentence: String) {
        self.failure.get_or_insert(sentence);
    }
}
