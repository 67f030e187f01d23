//! How many devices, and of which kinds.

use std::time::Duration;

use pushgate::logic::eas::Version;
use pushgate::standin::device::{Adaptation, AfterCut, Behaviour, WaitsBy as Waits};
use serde::{Deserialize, Serialize};

use super::keys::Keys;

/// `[devices]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Devices {
    pub count: usize,
    /// DeviceId; `{}` stands for the number.
    pub id: String,
    pub mix: Vec<Mix>,
}

/// `[[devices.mix]]`: a share of the devices, and what these are like.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Mix {
    pub kind: Kind,
    /// Part of all parts.
    pub share: f64,
    pub version: String,
    pub packs_query: bool,
    pub waits_by: WaitsBy,
    /// Instead of the kind's own.
    pub heartbeat: Option<Heartbeat>,
    pub folders_max: usize,
    /// First and longest pause after a failure, in seconds.
    pub backoff_s: (f64, f64),
}

/// Whose behaviour it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    Ios,
    AndroidOld,
    AndroidNew,
    WindowsMobile,
    Outlook,
    /// The same heartbeat for ever.
    Plain,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WaitsBy {
    Ping,
    Sync,
}

/// In seconds; equal bounds: fixed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    pub start_s: u32,
    pub min_s: u32,
    pub max_s: u32,
    pub step_s: u32,
}

impl Devices {
    pub(super) fn of(mut keys: Keys) -> Option<Devices> {
        let count = keys.take::<usize>("count");
        let count = keys.must("count", count);
        if count.is_some_and(|count| count == 0 || count > 10_000_000) {
            keys.problem("count", "is 1 to 10,000,000");
        }
        let id = keys.take("id").unwrap_or_else(|| "LOAD{}".to_owned());
        let mixes: Vec<Option<Mix>> = keys.tables("mix").into_iter().map(Mix::of).collect();
        let mut mix = mixes.into_iter().collect::<Option<Vec<Mix>>>()?;
        if mix.is_empty() {
            mix.push(Mix::usual(Kind::Plain, 1.0));
        }
        Some(Devices { count: count?, id, mix })
    }

    /// The index of a device's kind: the shares are kept in every stretch of numbers.
    pub fn mix_of(&self, device: usize) -> usize {
        let total: f64 = self.mix.iter().map(|mix| mix.share).sum();
        let place = even(device, GOLDEN) * total;
        let mut end = 0.0;
        self.mix
            .iter()
            .position(|mix| {
                end += mix.share;
                place < end
            })
            .unwrap_or(self.mix.len() - 1)
    }
}

impl Mix {
    fn usual(kind: Kind, share: f64) -> Mix {
        let waits_by = if kind == Kind::Outlook { WaitsBy::Sync } else { WaitsBy::Ping };
        let version = match kind {
            Kind::Ios => "16.1",
            Kind::AndroidOld | Kind::WindowsMobile => "12.1",
            Kind::AndroidNew | Kind::Plain => "14.1",
            Kind::Outlook => "14.0",
        };
        let packs_query = matches!(kind, Kind::Ios | Kind::WindowsMobile);
        Mix { kind, share, version: version.into(), packs_query, waits_by, heartbeat: None, folders_max: 5, backoff_s: (1.0, 60.0) }
    }

    fn of(mut keys: Keys) -> Option<Mix> {
        let kind = keys.take("kind");
        let kind = keys.must("kind", kind)?;
        let mut mix = Mix::usual(kind, keys.take_positive("share").unwrap_or(1.0));
        let version =
            |text: &str| text.parse::<Version>().map(|_| text.to_owned()).map_err(|()| "is a protocol version, such as 14.1".into());
        mix.version = keys.take_parsed("version", version).unwrap_or(mix.version);
        mix.packs_query = keys
            .take_parsed("query", |text| match text {
                "plain" => Ok(false),
                "base64" => Ok(true),
                _ => Err("is plain or base64".into()),
            })
            .unwrap_or(mix.packs_query);
        mix.waits_by = keys.take("waits_by").unwrap_or(mix.waits_by);
        mix.folders_max = keys.take("folders_max").unwrap_or(mix.folders_max);
        if let Some(heartbeat) = keys.table("heartbeat") {
            mix.heartbeat = Some(Heartbeat::of(heartbeat, mix.behaviour())?);
        }
        if let Some(first_s) = keys.take_positive("backoff_first_s") {
            mix.backoff_s.0 = first_s;
        }
        if let Some(most_s) = keys.take_positive("backoff_max_s") {
            mix.backoff_s.1 = most_s;
        }
        Some(mix)
    }

    /// What a device of this kind does.
    pub fn behaviour(&self) -> Behaviour {
        let own = match self.kind {
            Kind::Ios => Behaviour::ios(),
            Kind::AndroidOld => Behaviour::android_old(),
            Kind::AndroidNew => Behaviour::android_new(),
            Kind::WindowsMobile => Behaviour::windows_mobile(),
            Kind::Outlook => Behaviour::outlook(),
            Kind::Plain => Behaviour::default(),
        };
        let mut behaviour = Behaviour {
            waits_by: if self.waits_by == WaitsBy::Sync { Waits::Sync } else { Waits::Ping },
            folders_max: self.folders_max,
            backoff: (Duration::from_secs_f64(self.backoff_s.0), Duration::from_secs_f64(self.backoff_s.1)),
            ..own
        };
        if let Some(Heartbeat { start_s, min_s, max_s, step_s }) = self.heartbeat {
            behaviour.heartbeat_s = start_s;
            let rule = behaviour.adapts.map_or((1, AfterCut::StepDown), |rule| (rule.successes, rule.after_cut));
            let adapts = Adaptation { min_s, max_s, step_s, successes: rule.0, after_cut: rule.1 };
            behaviour.adapts = (min_s < max_s).then_some(adapts);
        }
        behaviour
    }
}

impl Heartbeat {
    fn of(mut keys: Keys, own: Behaviour) -> Option<Heartbeat> {
        if let Some(fixed_s) = keys.take("fixed_s") {
            return Some(Heartbeat { start_s: fixed_s, min_s: fixed_s, max_s: fixed_s, step_s: 0 });
        }
        let start_s = keys.take("start_s").unwrap_or(own.heartbeat_s);
        let (min_s, max_s, step_s) = own.adapts.map_or((start_s, start_s, 60), |rule| (rule.min_s, rule.max_s, rule.step_s));
        let heartbeat = Heartbeat {
            start_s,
            min_s: keys.take("min_s").unwrap_or(min_s),
            max_s: keys.take("max_s").unwrap_or(max_s),
            step_s: keys.take("step_s").unwrap_or(step_s),
        };
        if !(heartbeat.min_s > 0 && heartbeat.min_s <= start_s && start_s <= heartbeat.max_s) {
            keys.problem("start_s", "is not between min_s and max_s");
        }
        Some(heartbeat)
    }
}

/// How long a device waits before it fetches what it was woken for, when all do so within this.
pub fn fetches_after(device: usize, within: Duration) -> Duration {
    within.mul_f64(even(device, GOLDEN))
}

/// Spreads numbers evenly over 0 to 1, each stretch of them too.
pub(super) fn even(number: usize, by: f64) -> f64 {
    (number as f64 * by).fract()
}

const GOLDEN: f64 = 0.618_033_988_749_895;
