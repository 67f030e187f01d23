//! What must hold: the shadow knows what is true and who has seen it.

use std::time::Duration;

use pushgate::logic::hold::{Moment, Outcome};

use super::World;
use super::bounds::{DOUBT_S, POLLED_S, REPORTED_S, WAKES_A_MINUTE_MAX};
use super::truth::folder_of;

/// One tick of the lot's wheel: Status 1 may be this early.
const TICK: Duration = Duration::from_micros(16_384);

/// A device's time, counted only while a Ping of it is held on a connection that lives.
#[derive(Debug, Default)]
pub(super) struct Clock {
    held: Duration,
    /// Since when, and on which connection.
    runs: Option<(Moment, u64)>,
    pub(super) unseen: Vec<Unseen>,
    /// Its time when it last became a stranger; until it has been held for a while, what is reported may only leave it in doubt.
    stranger_from: Duration,
    ping_arrived: Moment,
    /// When it was handed to the lot, which for a hanging Sync happens again after each answer that said nothing.
    pub(super) offered: Moment,
    wakes: Vec<Moment>,
}

/// Something the device does not know yet.
#[derive(Debug, Clone)]
pub(super) struct Unseen {
    pub(super) what: Thing,
    /// The device's time from which the bound counts; none while no bound holds.
    since: Option<Duration>,
    bound: Duration,
    at: Moment,
    why: &'static str,
}

/// What may be unseen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Thing {
    /// Item of a folder.
    Item { folder: usize, index: usize },
    /// A version of the folder tree.
    Tree(u64),
}

/// How soon a device must be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Promise {
    Reported,
    Doubt,
    Polled,
    /// After so many seconds of trust, or of a gap that is not noticed yet.
    Trust(u64),
    /// Not before something else happens.
    Later,
}

impl Promise {
    fn bound(self) -> (Option<Duration>, &'static str) {
        let (seconds, why) = match self {
            Promise::Reported => (REPORTED_S, "reported"),
            Promise::Doubt => (DOUBT_S, "in doubt"),
            Promise::Polled => (POLLED_S, "polled"),
            Promise::Trust(seconds) => (seconds + DOUBT_S, "trusted"),
            Promise::Later => return (None, "not yet promised"),
        };
        (Some(Duration::from_secs(seconds)), why)
    }
}

impl Clock {
    fn time(&self, now: Moment) -> Duration {
        self.held + self.runs.map_or(Duration::ZERO, |(since, _)| now.since(since))
    }

    pub(super) fn expect(&mut self, what: Thing, promise: Promise, now: Moment) {
        let time = self.time(now);
        let is_stranger = time.saturating_sub(self.stranger_from) < Duration::from_secs(DOUBT_S);
        let promise = if promise == Promise::Reported && is_stranger { Promise::Doubt } else { promise };
        let (bound, why) = promise.bound();
        let unseen = Unseen { what, since: bound.map(|_| time), bound: bound.unwrap_or_default(), at: now, why };
        self.unseen.push(unseen);
    }

    /// The gateway knows nothing of the device any more, or cannot rely on it.
    pub(super) fn become_stranger(&mut self, now: Moment) {
        self.stranger_from = self.time(now);
    }

    /// From now on this is promised for whatever is unseen and passes the filter.
    pub(super) fn promise(&mut self, promise: Promise, now: Moment, filter: impl Fn(&Unseen) -> bool) {
        let time = self.time(now);
        let (bound, why) = promise.bound();
        for unseen in self.unseen.iter_mut().filter(|unseen| filter(unseen)) {
            (unseen.since, unseen.bound, unseen.why) = (bound.map(|_| time), bound.unwrap_or_default(), why);
        }
    }
}

impl Unseen {
    pub(super) fn is_later(&self) -> bool {
        self.since.is_none()
    }

    pub(super) fn is_in_doubt(&self) -> bool {
        self.why == "in doubt"
    }

    pub(super) fn is_polled(&self) -> bool {
        self.why == "polled"
    }
}

impl World {
    pub(super) fn start_clock(&mut self, device: usize, connection: u64) {
        let now = self.now;
        let clock = &mut self.devices[device].clock;
        clock.held = clock.time(now);
        (clock.runs, clock.ping_arrived, clock.offered) = (Some((now, connection)), now, now);
    }

    pub(super) fn stop_clock(&mut self, device: usize, connection: u64) {
        let now = self.now;
        let clock = &mut self.devices[device].clock;
        if clock.runs.is_some_and(|(_, on)| on == connection) {
            clock.held = clock.time(now);
            clock.runs = None;
        }
    }

    pub(super) fn stop_all_clocks(&mut self, device: usize) {
        if let Some((_, connection)) = self.devices[device].clock.runs {
            self.stop_clock(device, connection);
        }
    }

    /// An answer to a Ping leaves the gateway.
    pub(super) fn judge_answer(&mut self, ping: u64, number: usize, connection: u64, outcome: &Outcome) {
        let now = self.now;
        let heartbeat_s = self.requests.get(&ping).map(|request| request.received_heartbeat_s);
        let is_current = self.devices[number].clock.runs.is_some_and(|(_, on)| on == connection);
        let (arrived, offered) = (self.devices[number].clock.ping_arrived, self.devices[number].clock.offered);
        self.stop_clock(number, connection);
        let clock = &mut self.devices[number].clock;
        let time = clock.time(now);
        match outcome {
            Outcome::Expired if is_current => {
                let due = arrived + Duration::from_secs(heartbeat_s.unwrap_or_default().into());
                let inbox = Duration::from_millis(2_000);
                if heartbeat_s.is_some() && (now + TICK < due || now > due.max(offered + inbox)) {
                    self.fail(format!("device {number}: Status 1 at {now:?}, due at {due:?}"));
                }
            }
            Outcome::Changed(ids) => {
                self.stats.wakes += 1;
                clock.wakes.push(now);
                let told: Vec<usize> = ids.iter().map(|id| folder_of(id.as_str())).collect();
                for unseen in &mut clock.unseen {
                    if matches!(unseen.what, Thing::Item { folder, .. } if told.contains(&folder)) {
                        unseen.since = unseen.since.map(|_| time);
                    }
                }
            }
            Outcome::HierarchyChanged => {
                self.stats.wakes += 1;
                clock.wakes.push(now);
                // After a FolderSync the gateway may be in doubt about folders that were renamed.
                clock.promise(Promise::Doubt, now, |unseen| unseen.bound < Duration::from_secs(DOUBT_S) && !unseen.is_later());
                clock.unseen.iter_mut().for_each(|unseen| unseen.since = unseen.since.map(|_| time));
            }
            _ => {}
        }
        let clock = &mut self.devices[number].clock;
        clock.wakes.retain(|at| now.since(*at) < Duration::from_secs(60));
        if clock.wakes.len() > WAKES_A_MINUTE_MAX {
            self.fail(format!("device {number} was woken {} times in a minute", WAKES_A_MINUTE_MAX + 1));
        }
    }

    /// The device has applied an answer: what it knows now is no longer unseen.
    pub(super) fn seen(&mut self, number: usize) {
        let device = &mut self.devices[number];
        let (folders, tree) = (&device.folders, device.tree);
        device.clock.unseen.retain(|unseen| match unseen.what {
            Thing::Item { folder, index } => folders.get(&folder).is_some_and(|key| key.is_none_or(|key| key <= index)),
            Thing::Tree(version) => version > tree,
        });
    }

    /// After every step.
    pub(super) fn look(&mut self) -> Result<(), String> {
        if let Some(failure) = self.failure.take() {
            return Err(format!("at {} s: {failure}", self.now.seconds()));
        }
        if self.stats.events.is_multiple_of(16) {
            self.shell.lot.check_invariants().map_err(|error| format!("at {} s: {error}", self.now.seconds()))?;
        }
        for (number, device) in self.devices.iter().enumerate().filter(|(_, d)| d.clock.runs.is_some()) {
            let time = device.clock.time(self.now);
            let late = device.clock.unseen.iter().find(|u| u.since.is_some_and(|since| time.saturating_sub(since) > u.bound));
            if let Some(late) = late {
                let Unseen { what, at, bound, why, .. } = late;
                return Err(format!(
                    "at {} s: device {number} has been held for {bound:?} without being told of {what:?} of {} s ({why})",
                    self.now.seconds(),
                    at.seconds()
                ));
            }
        }
        Ok(())
    }

    /// Long after the last trouble everybody has everything that was ever promised.
    pub(super) fn look_at_the_end(&self) -> Result<(), String> {
        // Where there is no room for all, some are sent away for good (503): they are told nothing, and nothing wrong.
        if self.plan.is_crowded {
            return Ok(());
        }
        for (number, device) in self.devices.iter().enumerate() {
            if let Some(unseen) = device.clock.unseen.iter().find(|unseen| !unseen.is_later() && unseen.why != "trusted") {
                return Err(format!("at the end device {number} has not seen {unseen:?}"));
            }
        }
        Ok(())
    }
}
