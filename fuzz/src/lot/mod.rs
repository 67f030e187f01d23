//! A lot and its devices: any sequence of what may happen to them, one byte a decision.
//!
//! The shell here is the smallest there can be: outputs are performed at once, a number is taken for each change, a Sync is announced
//! before its number is read. What must hold is in `shadow`: no wake is lost, nothing is called unchanged that is not known to be, every
//! Ping is answered once, and the books agree after every step. The simulation (`tests/simulation`) plays whole days of devices
//! with manners; here nobody has any, and what no device would do in this order is tried as well.
//!
//! * Here: what happens. * `shadow`: what is true of each device, and what must hold. * `truth`: mailboxes, folders, names.

mod shadow;
mod truth;

use std::collections::BTreeMap;
use std::time::Duration;

use pushgate::logic::decide::PingBounds;
use pushgate::logic::eas::{Class, ClassSet, PingRequest};
use pushgate::logic::hold::folders::Coverage;
use pushgate::logic::hold::guards::Guards;
use pushgate::logic::hold::lot::CheckFinding;
use pushgate::logic::hold::{
    AsOf, HoldKind, Lot, LotOptions, MailboxChange, Moment, Offer, Output, Resolve, Scope, SlotKey, SyncTraits, Who,
};

use super::choices::Choices;
use shadow::Shadow;
use truth::{DEVICES, FOLDERS};

/// Steps of one input: longer ones say nothing new and take long.
const STEPS_MAX: usize = 400;
/// How far time goes in one step, in milliseconds.
const WAITS_MS: [u64; 12] = [1, 20, 700, 1_500, 3_000, 6_000, 11_000, 35_000, 65_000, 310_000, 1_000_000, 3_700_000];
/// `backend.checks_max`.
const CHECKS_MAX: usize = 2;
/// Places for devices in a lot of a few: one page of its slab.
const PLACES: usize = 512;

/// Plays an input: what kind of lot it is, and then step by step what happens.
///
/// # Panics
/// When something is lost that was promised.
pub fn play(bytes: &[u8]) {
    play_with(bytes, Guards::default());
}

/// The same with a lot that lacks guards: what it loses must be seen.
///
/// # Panics
/// As above.
pub fn play_with(bytes: &[u8], guards: Guards) {
    let mut choices = Choices::new(bytes);
    let mut world = World::new(&mut choices, guards);
    for _ in 0..STEPS_MAX {
        if !choices.has_more() {
            break;
        }
        world.step(&mut choices);
        world.perform();
        if let Err(sentence) = world.lot.check_invariants() {
            panic!("{sentence}");
        }
        world.shadow.look(world.now);
    }
    world.end();
}

/// A Sync or a FolderSync on its way.
enum UnderWay {
    Sync { device: usize, folders: Vec<usize>, as_of: AsOf },
    FolderSync { device: usize, as_of: u64 },
}

/// A check on its way, and whether the backend sees anything new.
struct Check {
    as_of: AsOf,
    device: usize,
    has_news: bool,
    has_folder_news: bool,
}

struct World {
    lot: Lot<usize>,
    options: LotOptions,
    now: Moment,
    number: u64,
    under_way: Vec<UnderWay>,
    checks: BTreeMap<SlotKey, Check>,
    /// Every connection that the lot has.
    parked: Vec<SlotKey>,
    shadow: Shadow,
}

impl World {
    fn new(choices: &mut Choices<'_>, guards: Guards) -> Self {
        let options = LotOptions {
            ping: PingBounds { heartbeat_min_s: 60, heartbeat_max_s: 3_540, folders_max: FOLDERS.len() - 1 },
            coverage: coverage(choices, 0),
            resolve: choices.pick(&[Resolve::Sync, Resolve::Check]),
            resolve_gap: Duration::from_millis(50),
            idle: Duration::from_secs(1_800),
            devices_max: choices.pick(&[100, 2]),
            device_forget: Duration::from_secs(86_400),
            guards,
        };
        World {
            lot: Lot::new(options),
            now: Moment(1_000_000),
            number: 1,
            under_way: Vec::new(),
            checks: BTreeMap::new(),
            parked: Vec::new(),
            shadow: Shadow::new(&options),
            options,
        }
    }

    fn step(&mut self, choices: &mut Choices<'_>) {
        match choices.below(20) {
            0..=3 => self.offer(choices),
            4..=6 => self.report(choices),
            7..=8 => self.wait(Duration::from_millis(choices.pick(&WAITS_MS))),
            9 | 10 => self.begin_sync(choices),
            11..=13 => self.end_one(choices),
            14 => self.begin_folder_sync(choices),
            15 => self.hang_up(choices),
            16 | 17 => self.end_check(choices),
            18 => self.lose_answer(choices),
            _ => self.seldom(choices),
        }
    }

    fn seldom(&mut self, choices: &mut Choices<'_>) {
        let device = choices.below(DEVICES);
        match choices.below(8) {
            0 => {
                let slot = self.lot.park(device, self.now);
                self.parked.push(slot);
            }
            1 => {
                let number = self.next_number();
                self.options.coverage = coverage(choices, number);
                self.shadow.covered(&self.options.coverage);
                self.lot.set_coverage(self.options.coverage, self.now);
            }
            2 => {
                let number = self.next_number();
                self.options.coverage.epoch = number;
                self.shadow.covered(&self.options.coverage);
                self.lot.reports_lost(number, self.now);
            }
            3 => self.with_who(device, |lot, who, now| lot.recall(who, now)),
            4 => {
                self.shadow.becomes_vague(device);
                self.with_who(device, |lot, who, now| lot.lose_paths(who, now));
            }
            5 => {
                self.options.resolve = choices.pick(&[Resolve::Sync, Resolve::Check]);
                self.lot.set_options(self.options, self.now);
            }
            6 if choices.below(4) == 0 => {
                let by = self.now + Duration::from_secs(choices.byte().into());
                self.shadow.leaves(by);
                self.lot.drain(by, self.now);
            }
            _ => self.wait(Duration::from_millis(choices.pick(&WAITS_MS))),
        }
    }

    /// A Ping, or a hanging Sync. Often on a connection of its own, beside the one before.
    fn offer(&mut self, choices: &mut Choices<'_>) {
        let (device, how, heartbeat) = (choices.below(DEVICES), choices.byte(), choices.byte());
        let folders = (how & 1 == 0).then(|| truth::some_folders(choices.byte()));
        let kind = if how & 0x0e == 0x0e { HoldKind::Sync } else { HoldKind::Ping };
        let heartbeat_s = [None, Some(60), Some(480), Some(3_540), Some(59), Some(4_000), Some(900), Some(120)][usize::from(heartbeat) % 8];
        let (mailbox, hash) = truth::mailbox_of(device);
        let listed: Option<Vec<_>> = folders.as_ref().map(|folders| folders.iter().map(|folder| truth::watched(*folder)).collect());
        let ping = PingRequest { heartbeat_s, folder_count: listed.as_ref().map_or(0, Vec::len), folders: listed };
        let offer = Offer { mailbox, hash, device: truth::device_id(device), ping, kind, received: self.now, connection: device };
        self.shadow.touch(device, self.now);
        let slot = self.lot.offer(offer, self.now);
        self.parked.push(slot);
        self.shadow.asks(slot, device, folders, self.now);
    }

    /// Something changed, and a source says so.
    fn report(&mut self, choices: &mut Choices<'_>) {
        let (device, folder, scope) = (choices.below(DEVICES), choices.below(FOLDERS.len()), choices.below(8));
        let (mailbox, hash) = truth::mailbox_of(device);
        let class = truth::class(folder);
        let scope = match scope {
            0 => Scope::Mailbox,
            1 => Scope::Hierarchy,
            2 => Scope::Class(class),
            3 | 4 => Scope::FolderId(truth::id(folder)),
            _ if class == Class::Email => Scope::FolderName(FOLDERS[folder].path.into()),
            _ => Scope::Class(class),
        };
        let number = self.next_number();
        self.shadow.reported(device, folder, &scope, number, self.now);
        self.lot.changed(&MailboxChange { mailbox, scope }, hash, number, self.now, self.now);
    }

    fn begin_sync(&mut self, choices: &mut Choices<'_>) {
        let (device, folders) = (choices.below(DEVICES), truth::some_folders(choices.byte()));
        let ids: Vec<_> = folders.iter().map(|folder| truth::id(*folder)).collect();
        self.with_who(device, |lot, who, now| lot.expect(who, ids.iter().map(|id| id.as_str()), now));
        let as_of = AsOf { number: self.number, at: self.now };
        self.under_way.push(UnderWay::Sync { device, folders, as_of });
    }

    fn begin_folder_sync(&mut self, choices: &mut Choices<'_>) {
        let device = choices.below(DEVICES);
        self.with_who(device, |lot, who, now| lot.expect(who, std::iter::empty(), now));
        self.under_way.push(UnderWay::FolderSync { device, as_of: self.number });
    }

    /// An answer of the backend passes.
    fn end_one(&mut self, choices: &mut Choices<'_>) {
        let (which, how, what) = (choices.byte(), choices.byte(), choices.byte());
        if self.under_way.is_empty() {
            return;
        }
        match self.under_way.remove(usize::from(which) % self.under_way.len()) {
            // It failed, and nothing is learnt of it.
            _ if how >= 0xf0 => {}
            UnderWay::Sync { device, folders, as_of } => {
                let traits = SyncTraits { brought: u32::from(what >> 4), sent: how & 1 == 1, is_cut: how & 0x0e == 0x0e };
                let met: Vec<_> = folders.into_iter().map(|folder| (folder, truth::id(folder))).collect();
                for (folder, _) in &met {
                    self.shadow.synced(device, *folder, traits, as_of, self.now);
                }
                self.with_who(device, |lot, who, now| {
                    lot.synced(who, met.iter().map(|(_, id)| (id.as_str(), traits)), as_of, now);
                });
            }
            UnderWay::FolderSync { device, as_of } => {
                let is_full = how & 1 == 1;
                let changes = truth::folder_changes(is_full, what, choices.byte());
                self.shadow.learnt(device, is_full, &changes, as_of, self.now);
                self.with_who(device, |lot, who, now| lot.learnt(who, is_full, &changes, as_of, now));
            }
        }
    }

    fn hang_up(&mut self, choices: &mut Choices<'_>) {
        let which = usize::from(choices.byte());
        if !self.parked.is_empty() {
            let slot = self.parked.swap_remove(which % self.parked.len());
            self.release(slot);
        }
    }

    fn release(&mut self, slot: SlotKey) {
        self.lot.release(slot);
        self.shadow.gone(slot);
        self.parked.retain(|parked| *parked != slot);
    }

    /// An answer that had something for its device got lost on the way.
    fn lose_answer(&mut self, choices: &mut Choices<'_>) {
        let (device, folders, has_folder_list) = (choices.below(DEVICES), truth::some_folders(choices.byte()), choices.is_so());
        let number = self.next_number();
        let ids: Vec<_> = folders.iter().map(|folder| truth::id(*folder)).collect();
        self.shadow.undelivered(device, &folders, has_folder_list, number);
        self.with_who(device, |lot, who, now| lot.undelivered(who, &ids, has_folder_list, number, now));
    }

    /// The backend answers a check: truly, or not at all.
    fn end_check(&mut self, choices: &mut Choices<'_>) {
        let (which, how) = (usize::from(choices.byte()), choices.byte());
        let Some(slot) = self.checks.keys().nth(which % self.checks.len().max(1)).copied() else { return };
        let Some(check) = self.checks.remove(&slot) else { return };
        let finding = match how {
            0xf0.. => CheckFinding::Failed,
            0xec.. => CheckFinding::Refused,
            _ if check.has_folder_news => CheckFinding::Hierarchy,
            _ if check.has_news => CheckFinding::Changed(truth::some_folders(how).into_iter().map(truth::id).collect()),
            _ => CheckFinding::Unchanged,
        };
        let number = self.next_number();
        if finding == CheckFinding::Unchanged {
            self.shadow.unchanged(slot, check.device, check.as_of, self.now);
        }
        self.lot.checked(slot, &finding, check.as_of, number, self.now);
    }

    /// Time passes, and the lot is called whenever it wants to be.
    fn wait(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(next) = self.lot.poll_timeout().filter(|next| *next <= until) {
            self.now = self.now.max(next);
            self.advance();
        }
        self.now = until;
        self.advance();
    }

    fn advance(&mut self) {
        loop {
            let has_more = self.lot.advance(self.now, 3);
            self.perform();
            if !has_more {
                break;
            }
        }
        self.shadow.look(self.now);
    }

    fn perform(&mut self) {
        while let Some(output) = self.lot.poll_output() {
            match output {
                Output::Held { slot, heartbeat_s, .. } => self.shadow.held(slot, heartbeat_s, self.now),
                Output::Answer { slot, outcome, .. } => {
                    self.shadow.answered(slot, &outcome, self.now);
                    if outcome.closes() {
                        self.release(slot);
                    }
                }
                Output::CancelCheck { slot } => drop(self.checks.remove(&slot)),
                Output::Close { slot } => {
                    self.shadow.closes(slot);
                    self.release(slot);
                }
            }
        }
        while self.checks.len() < CHECKS_MAX {
            let Some(slot) = self.lot.start_check() else { break };
            let device = *self.lot.connection(slot).expect("what is checked for is held");
            let (has_news, has_folder_news) = self.shadow.news(slot, device);
            let as_of = AsOf { number: self.number, at: self.now };
            self.checks.insert(slot, Check { as_of, device, has_news, has_folder_news });
        }
    }

    /// Everybody leaves, and nothing is left.
    fn end(&mut self) {
        self.wait(Duration::from_secs(100));
        for slot in std::mem::take(&mut self.parked) {
            self.release(slot);
        }
        self.perform();
        self.now = self.now + Duration::from_secs(90_000);
        // A few places for devices are looked at each time: until it comes round to each.
        (0..PLACES / 8 + 1).for_each(|_| self.advance());
        if let Err(sentence) = self.lot.check_invariants() {
            panic!("at the end: {sentence}");
        }
        let lot = &self.lot;
        let left = (lot.held_count(), lot.idle_count(), lot.doubt_count(), lot.checks_waiting(), lot.registry().device_count());
        assert_eq!(left, (0, 0, 0, 0, 0), "left at the end: held, idle, in doubt, to be checked, devices");
    }

    fn next_number(&mut self) -> u64 {
        self.number += 1;
        self.number
    }

    fn with_who(&mut self, device: usize, tell: impl FnOnce(&mut Lot<usize>, &Who<'_>, Moment)) {
        let ((mailbox, hash), id) = (truth::mailbox_of(device), truth::device_id(device));
        self.shadow.touch(device, self.now);
        tell(&mut self.lot, &Who { hash, mailbox: &mailbox, device: &id }, self.now);
    }
}

fn coverage(choices: &mut Choices<'_>, epoch: u64) -> Coverage {
    let what = choices.byte();
    let classes = Class::ALL.into_iter().take(3).enumerate().filter(|(bit, _)| what & (1u8 << *bit) == 0);
    Coverage {
        covered: ClassSet::from_iter(classes.map(|(_, class)| class)),
        covers_hierarchy: what & 8 == 0,
        epoch,
        trust: Duration::from_secs(3_600),
        poll: Duration::from_secs(300),
        settle: Duration::from_secs(5),
    }
}
