//! What kind of world a seed makes.

use std::time::Duration;

use pushgate::logic::decide::PingBounds;
use pushgate::logic::eas::{Class, ClassSet};
use pushgate::logic::hold::folders::Coverage;
use pushgate::logic::hold::guards::Guards;
use pushgate::logic::hold::{LotOptions, Resolve};

use super::bounds::{FAULTS_END_S, SETTLE_S};
use super::rng::Rng;

/// How changes get to the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceKind {
    /// Over a connection: a gap shows, sooner or later.
    Connected,
    /// It calls in: a gap never shows, trust ends instead.
    CallsIn,
    /// There is none: everything is polled.
    None,
}

/// A kind of world.
#[derive(Debug, Clone)]
pub struct Plan {
    pub seed: u64,
    pub guards: Guards,
    pub resolve: Resolve,
    pub source: SourceKind,
    pub covered: ClassSet,
    pub covers_hierarchy: bool,
    /// Folders are renamed; then the source reports in order.
    pub renames: bool,
    /// The backend shows changes this much later.
    pub lag: Option<Duration>,
    pub mailboxes: usize,
    pub devices_each: u64,
    /// Fewer records than devices.
    pub is_crowded: bool,
    /// Times at which the gateway is replaced, in seconds.
    pub restarts: Vec<u64>,
    /// Gaps of the source: from and to, in seconds.
    pub gaps: Vec<(u64, u64)>,
    /// Times in which no report finds room in the inbox: from and to, in seconds.
    pub full_inbox: Vec<(u64, u64)>,
    /// Checks, and Syncs, that get no answer, in a hundred.
    pub failures: u64,
    /// Lessons lost to a full inbox, in a hundred.
    pub lost_lessons: u64,
    /// Mean seconds between two changes of a mailbox.
    pub change_gap_s: u64,
    /// Mean seconds between two network troubles of a device.
    pub trouble_gap_s: u64,
    pub trust_s: u64,
    pub heartbeat_max_s: u32,
}

impl Plan {
    pub fn new(seed: u64, guards: Guards) -> Self {
        let mut rng = Rng::new(seed);
        let source =
            rng.pick(&[SourceKind::Connected, SourceKind::Connected, SourceKind::Connected, SourceKind::CallsIn, SourceKind::None]);
        let has_source = source != SourceKind::None;
        let covers_hierarchy = has_source && rng.percent(60);
        let lag = (has_source && rng.percent(25)).then(|| Duration::from_millis(rng.range(500, SETTLE_S * 1_000 - 500)));
        // A view that lags is guarded for what is reported. What happened in a gap and does not show yet is found when trust ends.
        let restarts = if lag.is_none() && rng.percent(50) { times(&mut rng, 2) } else { Vec::new() };
        let gaps = if lag.is_none() && has_source && rng.percent(60) { times(&mut rng, 3) } else { Vec::new() };
        let full_inbox = if has_source && rng.percent(40) { times(&mut rng, 3) } else { Vec::new() };
        let mut covered = ClassSet::from_iter([Class::Email]);
        if rng.percent(60) {
            [Class::Calendar, Class::Contacts].into_iter().for_each(|class| covered.insert(class));
        }
        Plan {
            seed,
            guards,
            resolve: rng.pick(&[Resolve::Sync, Resolve::Check]),
            source,
            covered: if has_source { covered } else { ClassSet::default() },
            covers_hierarchy,
            // A rename that is never heard of makes names worthless until trust ends: then little is promised.
            renames: covers_hierarchy && rng.percent(50) && (source == SourceKind::Connected || gaps.is_empty()),
            lag,
            mailboxes: rng.range(1, 3) as usize,
            devices_each: rng.range(1, 3),
            is_crowded: lag.is_none() && rng.percent(8),
            restarts,
            gaps: gaps.into_iter().map(|from| (from, from + rng.range(1, 600))).collect(),
            full_inbox: full_inbox.into_iter().map(|from| (from, from + rng.range(1, 60))).collect(),
            failures: rng.pick(&[0, 0, 5, 20]),
            lost_lessons: rng.pick(&[0, 0, 0, 5]),
            change_gap_s: rng.pick(&[120, 600, 1_200]),
            trouble_gap_s: rng.pick(&[600, 3_000, 100_000]),
            trust_s: if source == SourceKind::CallsIn { rng.range(900, 3_600) } else { 7 * 86_400 },
            heartbeat_max_s: rng.pick(&[900, 1_800, 3_540]),
        }
    }

    pub fn coverage(&self, epoch: u64, is_up: bool) -> Coverage {
        Coverage {
            covered: if is_up { self.covered } else { ClassSet::default() },
            covers_hierarchy: self.covers_hierarchy && is_up,
            epoch,
            trust: Duration::from_secs(self.trust_s),
            poll: Duration::from_secs(super::bounds::POLL_S),
            settle: Duration::from_secs(SETTLE_S),
        }
    }

    pub fn lot_options(&self, epoch: u64, is_up: bool) -> LotOptions {
        LotOptions {
            ping: PingBounds { heartbeat_min_s: 60, heartbeat_max_s: self.heartbeat_max_s, folders_max: 12 },
            coverage: self.coverage(epoch, is_up),
            resolve: self.resolve,
            resolve_gap: Duration::from_millis(500),
            idle: Duration::from_secs(1_800),
            devices_max: if self.is_crowded { 2 } else { 100 },
            device_forget: Duration::from_secs(super::bounds::DEVICE_FORGET_S),
            guards: self.guards,
        }
    }
}

fn times(rng: &mut Rng, max: u64) -> Vec<u64> {
    let mut times: Vec<u64> = (0..rng.range(1, max)).map(|_| rng.range(60, FAULTS_END_S - 900)).collect();
    times.sort_unstable();
    // Far enough apart to be over before the next begins.
    times.dedup_by_key(|time| *time / 900);
    times
}
