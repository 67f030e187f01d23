//! What a load test does: `run SCENARIO.toml`, read strictly. `scenarios/reference.toml` says what each key means.
//!
//! In: a TOML text and values that the command line sets instead. Out: a [`Plan`] in which everything has its type and its
//! default, or all problems at once. No network but for the target's name.

mod changes;
mod devices;
mod events;
mod keys;
mod shown;
mod target;
#[cfg(test)]
mod tests;
pub mod threshold;
mod users;

use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use toml::{Table, Value};

pub use self::changes::{Changes, Notify};
pub use self::devices::{Devices, Heartbeat, Kind, Mix, WaitsBy, fetches_after};
pub use self::events::{Event, Happening, Manner, Network, When};
use self::keys::{Keys, Problems};
pub use self::target::{Server, Target};
use self::threshold::Limit;
pub use self::users::{User, Users};
use crate::source::Sources;

/// A scenario, complete.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Plan {
    /// Its name: the file's, without its ending.
    pub name: String,
    /// The text for the report: with what the command line set, without secrets.
    pub text: String,
    pub target: Target,
    pub users: Users,
    pub devices: Devices,
    pub ramp: Vec<Step>,
    pub changes: Option<Changes>,
    pub networks: Vec<Network>,
    pub events: Vec<Event>,
    pub run: Run,
    pub server: Option<Server>,
    pub limits: Vec<Limit>,
}

/// A part of the ramp: so many new devices a second, for so long.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Step {
    pub for_s: f64,
    pub per_second: f64,
}

/// How the run goes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// From the first device to the end.
    pub duration_s: f64,
    /// The run ends before, when all events are over and all devices have been held again for so many seconds.
    pub ends_held_s: Option<f64>,
    /// From the end of the ramp on, the report tells parts of the run apart that are so many seconds long.
    pub parts_s: Option<f64>,
    /// 0: as many as the devices need.
    pub processes: usize,
    /// Where devices connect from; `None`: the system's choice.
    pub sources: Option<Sources>,
    /// A held device that was to be woken and is not within this is lost.
    pub lost_after_s: f64,
}

/// Devices of one process at most: below 20,000 open files.
pub const DEVICES_PER_PROCESS_MAX: usize = 18_000;
/// Devices of one process unless more are asked for: a core has enough to do with them.
const DEVICES_PER_PROCESS: usize = 16_000;

impl Plan {
    /// Reads a file. `settings`: `KEY=VALUE` each, instead of what the file says.
    ///
    /// # Errors
    /// All problems, a line each.
    pub fn read(path: &Path, settings: &[String]) -> Result<Plan, Vec<String>> {
        let text = std::fs::read_to_string(path).map_err(|error| vec![format!("cannot be read: {error}")])?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        Plan::parse(&name, &text, settings)
    }

    /// Reads a text.
    ///
    /// # Errors
    /// All problems, a line each.
    pub fn parse(name: &str, text: &str, settings: &[String]) -> Result<Plan, Vec<String>> {
        let mut table: Table = text.parse().map_err(|error: toml::de::Error| vec![error.to_string()])?;
        let problems = Problems::default();
        for setting in settings {
            if let Err(reason) = set(&mut table, setting) {
                problems.add(format!("--set {setting}: {reason}"));
            }
        }
        let plan = Plan::of(name, shown::shown(text, settings), Keys::new(table, problems.clone()));
        match (plan, problems.all()) {
            (Some(plan), problems) if problems.is_empty() => Ok(plan),
            (_, problems) => Err(problems),
        }
    }

    /// `text`: for the report. `None`: there are problems.
    fn of(name: &str, text: String, mut keys: Keys) -> Option<Plan> {
        let target = keys.table("target");
        let target = keys.must("target", target).and_then(Target::of);
        let users = Users::of(keys.table("users"));
        let devices = keys.table("devices");
        let devices = keys.must("devices", devices).and_then(Devices::of);
        let ramp = devices.as_ref().and_then(|devices| ramp(keys.table("ramp"), devices.count));
        let has_changes = keys.table("changes").map(Changes::of);
        let networks = keys.tables("networks").into_iter().map(Network::of).collect::<Option<Vec<_>>>();
        let events = keys.tables("events").into_iter().map(Event::of).collect::<Option<Vec<_>>>();
        let run = keys.table("run");
        let run = keys.must("run", run).and_then(Run::of);
        let has_server = keys.table("server").map(Server::of);
        let limits = keys.table("thresholds").map_or(Some(Vec::new()), threshold::limits);
        if networks.as_ref().is_some_and(|networks| networks.iter().map(|network| network.share).sum::<f64>() > 100.0) {
            keys.problem("networks", "have more than 100 percent of the devices");
        }
        let is_woken = events.iter().flatten().any(|event| event.what == Happening::WakeAll);
        let has_mail_first = events.iter().flatten().any(|event| event.mail_before_s > 0.0);
        let can_mail_first = has_changes.as_ref().is_some_and(|changes| changes.as_ref().is_none_or(Changes::has_mail_and_word));
        if has_mail_first && !can_mail_first {
            keys.problem("changes", "have no webhook beside the mails that an event delivers before");
        }
        if is_woken && has_changes.is_none() {
            keys.problem("changes", "is missing: nobody knows how to wake all");
        }
        drop(keys);
        Some(Plan {
            name: name.to_owned(),
            text,
            target: target?,
            users: users?,
            devices: devices?,
            ramp: ramp?,
            changes: has_changes.map_or(Some(None), |changes| changes.map(Some))?,
            networks: networks?,
            events: events?,
            run: run?,
            server: has_server.map_or(Some(None), |server| server.map(Some))?,
            limits: limits?,
        })
    }

    /// How many processes the devices are shared out to.
    pub fn processes(&self) -> usize {
        let least = self.devices.count.div_ceil(DEVICES_PER_PROCESS_MAX);
        let usual = self.devices.count.div_ceil(DEVICES_PER_PROCESS);
        if self.run.processes == 0 { usual } else { self.run.processes.max(least).min(self.devices.count) }
    }

    /// When the last device is to be started, from the beginning.
    pub fn ramp_time(&self) -> Duration {
        self.starts_at(self.devices.count.saturating_sub(1))
    }

    /// When a device is started, from the beginning: `index` counts over all processes.
    pub fn starts_at(&self, index: usize) -> Duration {
        let (mut left, mut at) = (index as f64, 0.0);
        for (place, step) in self.ramp.iter().enumerate() {
            let in_step = step.for_s * step.per_second;
            // The last one goes on until everybody is there.
            if left < in_step || place + 1 == self.ramp.len() {
                return Duration::from_secs_f64(at + left / step.per_second);
            }
            left -= in_step;
            at += step.for_s;
        }
        Duration::ZERO
    }
}

impl Run {
    fn of(mut keys: Keys) -> Option<Run> {
        let duration_s = keys.take_positive("duration_s");
        let duration_s = keys.must("duration_s", duration_s);
        let ends_held_s = keys.take_positive("ends_held_s");
        let parts_s = keys.take_positive("parts_s");
        let processes = keys.take("processes").unwrap_or(0);
        let sources = keys.take_parsed("sources", str::parse);
        let lost_after_s = keys.take_positive("lost_after_s").unwrap_or(30.0);
        Some(Run { duration_s: duration_s?, ends_held_s, parts_s, processes, sources, lost_after_s })
    }
}

/// New devices a second, or steps of that; all at once when nothing is said would be an attack, so 100 a second.
fn ramp(keys: Option<Keys>, devices: usize) -> Option<Vec<Step>> {
    let steady = |per_second| vec![Step { for_s: devices as f64 / per_second, per_second }];
    let Some(mut keys) = keys else { return Some(steady(100.0)) };
    let per_second = keys.take_positive("per_second");
    let mut steps = Vec::new();
    for mut step in keys.tables("steps") {
        let (for_s, per_second) = (step.take_positive("for_s"), step.take_positive("per_second"));
        let (for_s, per_second) = (step.must("for_s", for_s), step.must("per_second", per_second));
        steps.push(Step { for_s: for_s?, per_second: per_second? });
    }
    match (per_second, steps.is_empty()) {
        (Some(per_second), true) => Some(steady(per_second)),
        (None, false) => Some(steps),
        _ => {
            keys.problem("per_second", "or steps: one of them");
            None
        }
    }
}

/// Sets `a.b=value`; a value that is no TOML is a text, and none takes the key or the whole table away.
fn set(table: &mut Table, setting: &str) -> Result<(), String> {
    let (path, text) = setting.split_once('=').ok_or("write KEY=VALUE")?;
    let value = format!("value = {text}").parse::<Table>().ok().and_then(|mut table| table.remove("value"));
    let value = value.unwrap_or_else(|| Value::String(text.to_owned()));
    let mut keys: Vec<&str> = path.split('.').collect();
    let last = keys.pop().filter(|key| !key.is_empty()).ok_or("write KEY=VALUE")?;
    let mut table = table;
    for key in keys {
        let inner = table.entry(key).or_insert_with(|| Value::Table(Table::new()));
        table = inner.as_table_mut().ok_or_else(|| format!("{key} is no table"))?;
    }
    if text.trim().is_empty() {
        table.remove(last);
    } else {
        table.insert(last.to_owned(), value);
    }
    Ok(())
}
