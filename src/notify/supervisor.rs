//! The sources as a running program has them: what is heard and missed goes in, what the lots, the metrics and people are to
//! know comes out. Decides nothing: that is [`crate::logic::source`].

use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, watch};

use super::Source;
use crate::config;
use crate::logic::eas::{Class, ClassSet, Mailbox};
use crate::logic::hold::Moment;
use crate::logic::source::canary::Canary;
use crate::logic::source::{Covered, SourceTraits, Sources};
use crate::telemetry::metrics::{CANARY_MISSING_TOTAL, CLASSES_PUSHED, FEED_SECONDS, SOURCE_CONNECTED, SOURCE_EPOCHS_TOTAL};

/// What subjects of canaries begin with; the process's own mark and the round follow.
const SUBJECT: &str = "pushgate canary ";

/// Keeps the books on all configured sources.
pub struct Supervisor {
    names: Vec<Source>,
    pub(super) canary: Option<config::Canary>,
    /// Tells this process's canaries from those of others, and of itself before a restart.
    mark: u64,
    started: Instant,
    state: Mutex<State>,
    covered: watch::Sender<Covered>,
    /// The canary has something to do earlier than was thought.
    pub(super) nudge: Notify,
}

pub(super) struct State {
    sources: Sources,
    pub(super) canary: Option<Canary>,
    fate: CanaryFate,
    feed: Option<Duration>,
}

/// What became of the last canary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CanaryFate {
    /// None has come back or been missed yet.
    Awaited,
    /// It came back in time.
    InTime,
    /// It did not.
    Missing,
    /// It could not be delivered: nothing is known.
    Undeliverable,
}

/// A source, for people to look at.
#[derive(Debug, Clone)]
pub struct SourceView {
    /// Which.
    pub source: Source,
    /// Its reports are taken for complete.
    pub is_believed: bool,
    /// How long that has been so.
    pub since: Duration,
    /// How long ago it reported anything.
    pub heard: Option<Duration>,
    /// What became of its last canary, if it has one.
    pub canary: Option<CanaryFate>,
    /// Handed to the mail server → notified, by the last canary that came back.
    pub feed: Option<Duration>,
    /// Epochs begun since the start.
    pub epochs: u64,
}

/// On what a class rests.
#[derive(Debug, Clone)]
pub struct ClassView {
    /// Which.
    pub class: Class,
    /// The believed sources that report it; none: the backend is asked.
    pub pushed_by: Vec<Source>,
    /// The sources that would, if they were believed.
    pub failed: Vec<Source>,
}

impl Supervisor {
    /// All configured sources are believed until something speaks against it.
    pub fn new(notify: &config::Notify) -> Self {
        let configured = [(Source::Webhook, notify.webhook), (Source::Dovecot, notify.dovecot)];
        let on: Vec<(Source, ClassSet)> = configured.into_iter().filter_map(|(source, covers)| Some((source, covers?))).collect();
        let canary = notify.canary.clone();
        let has_canary = |source: Source| canary.as_ref().is_some_and(|canary| proves(canary) == source);
        let gap_max = canary.as_ref().map_or(Duration::ZERO, |canary| Canary::gap_max(canary.every, canary.late));
        let now = Moment::default();
        let traits = |(source, covers): &(Source, ClassSet)| SourceTraits {
            covers: *covers,
            // With the ox driver a new folder shows at the device's next FolderSync.
            covers_hierarchy: *source == Source::Dovecot && notify.dovecot_folders,
            has_canary: has_canary(*source),
        };
        let sources = Sources::new(on.iter().map(traits), notify.trust, gap_max, now);
        let machine = canary.as_ref().map(|canary| Canary::new(canary.every, canary.late, now));
        let supervisor = Supervisor {
            covered: watch::Sender::new(sources.covered(now)),
            names: on.into_iter().map(|(source, _)| source).collect(),
            mark: RandomState::new().hash_one(std::process::id()),
            started: Instant::now(),
            state: Mutex::new(State { sources, canary: machine, fate: CanaryFate::Awaited, feed: None }),
            nudge: Notify::new(),
            canary,
        };
        for (source, _) in configured {
            metrics::gauge!(SOURCE_CONNECTED.name, "source" => source.label()).set(0.0);
            metrics::counter!(SOURCE_EPOCHS_TOTAL.name, "source" => source.label()).increment(0);
        }
        supervisor.publish(&supervisor.state());
        supervisor
    }

    /// What the lots are to know, now and whenever it changes.
    pub fn subscribe(&self) -> watch::Receiver<Covered> {
        self.covered.subscribe()
    }

    /// A source said something that was understood.
    pub fn heard(&self, source: Source) {
        if let Some(index) = self.index(source) {
            self.state().sources.heard(index, self.now());
        }
    }

    /// Whether this is the canary's mailbox.
    pub fn is_canary(&self, mailbox: &Mailbox) -> bool {
        self.canary.as_ref().is_some_and(|canary| canary.mailbox == *mailbox)
    }

    /// Mail for the canary's mailbox was reported, with these subjects if the source tells them.
    pub fn canary_heard(&self, source: Source, subjects: &[String]) {
        let Some(index) = self.proven_index().filter(|index| self.names.get(*index) == Some(&source)) else { return };
        let marks: Vec<&str> = subjects.iter().filter_map(|subject| subject.trim().strip_prefix(SUBJECT)).collect();
        if marks.is_empty() {
            return self.canary_back(index, None);
        }
        for round in marks.into_iter().filter_map(|mark| self.round_of(mark)) {
            self.canary_back(index, Some(round));
        }
    }

    /// All sources.
    pub fn sources(&self) -> Vec<SourceView> {
        let (state, now) = (self.state(), self.now());
        let view = |(index, name): (usize, &Source)| {
            let source = state.sources.source(index)?;
            let is_proven = self.proven_index() == Some(index);
            Some(SourceView {
                source: *name,
                is_believed: source.is_believed,
                since: now.since(source.since),
                heard: source.heard.map(|at| now.since(at)),
                canary: is_proven.then_some(state.fate),
                feed: state.feed.filter(|_| is_proven),
                epochs: source.epochs,
            })
        };
        self.names.iter().enumerate().filter_map(view).collect()
    }

    /// All classes.
    pub fn classes(&self) -> Vec<ClassView> {
        let state = self.state();
        let name = |index: usize| self.names.get(index).copied();
        let view = |class: Class| ClassView {
            class,
            pushed_by: state.sources.pushed_by(class).filter_map(name).collect(),
            failed: state.sources.failed_for(class).filter_map(name).collect(),
        };
        Class::ALL.into_iter().map(view).collect()
    }

    /// The subject of a canary.
    pub(super) fn subject(&self, round: u64) -> String {
        format!("{SUBJECT}{:016x}-{round}", self.mark)
    }

    fn round_of(&self, mark: &str) -> Option<u64> {
        let (process, round) = mark.split_once('-')?;
        (u64::from_str_radix(process, 16).ok()? == self.mark).then(|| round.parse().ok()).flatten()
    }

    /// A canary was delivered and its notification is overdue.
    pub(super) fn canary_missing(&self) {
        let Some((index, source)) = self.proven_index().and_then(|index| Some((index, self.names.get(index)?.label()))) else { return };
        let mut state = self.state();
        state.fate = CanaryFate::Missing;
        metrics::counter!(CANARY_MISSING_TOTAL.name).increment(1);
        if state.sources.failed(index, self.now()) {
            tracing::error!(
                source,
                "the canary was delivered, but its notification is missing: this source is not believed until one comes, and its \
                 classes are polled. Look whether the mail server still notifies, and whether it reaches internal.address"
            );
        }
        self.publish(&state);
    }

    /// A canary could not be delivered, or nobody knows whether it was.
    pub(super) fn canary_undelivered(&self, error: &str) {
        let Some((index, source)) = self.proven_index().and_then(|index| Some((index, self.names.get(index)?.label()))) else { return };
        let mut state = self.state();
        let is_news = state.fate != CanaryFate::Undeliverable;
        state.fate = CanaryFate::Undeliverable;
        state.sources.unprovable(index, self.now());
        if is_news {
            tracing::warn!(source, error, "the canary could not be delivered: this source is believed without proof, for notify.trust_s");
        }
        self.publish(&state);
    }

    fn canary_back(&self, index: usize, round: Option<u64>) {
        let (now, source) = (self.now(), self.names.get(index).map_or("", |source| source.label()));
        let mut state = self.state();
        let Some(heard) = state.canary.as_mut().and_then(|canary| canary.heard(round, now)) else { return };
        state.feed = Some(heard.latency);
        metrics::histogram!(FEED_SECONDS.name, "source" => source).record(heard.latency.as_secs_f64());
        if !heard.is_in_time {
            tracing::warn!(source, latency_s = heard.latency.as_secs(), "a canary came back too late to prove anything");
            return;
        }
        state.fate = CanaryFate::InTime;
        if state.sources.proven(index, now) {
            metrics::counter!(SOURCE_EPOCHS_TOTAL.name, "source" => source).increment(1);
            tracing::info!(source, "the canary is back: believed again, and what was known before is asked again");
        }
        self.publish(&state);
        drop(state);
        self.nudge.notify_one();
    }

    /// Says what changed to who wants to know; cheap when nothing did.
    pub(super) fn publish(&self, state: &State) {
        let covered = state.sources.covered(self.now());
        self.covered.send_if_modified(|told| std::mem::replace(told, covered) != covered);
        for (index, source) in self.names.iter().enumerate() {
            let is_believed = state.sources.source(index).is_some_and(|source| source.is_believed);
            metrics::gauge!(SOURCE_CONNECTED.name, "source" => source.label()).set(f64::from(u8::from(is_believed)));
        }
        for class in Class::ALL {
            metrics::gauge!(CLASSES_PUSHED.name, "class" => class.name()).set(f64::from(u8::from(covered.classes.contains(class))));
        }
    }

    /// When something changes by the mere passing of time.
    pub(super) fn deadline(&self, state: &State) -> Option<Instant> {
        let canary = state.canary.as_ref().and_then(Canary::poll_timeout);
        let due = canary.into_iter().chain(state.sources.poll_timeout(self.now())).min()?;
        Some(self.started + due.since(Moment::default()))
    }

    pub(super) fn now(&self) -> Moment {
        Moment::default() + self.started.elapsed()
    }

    /// A thread that panicked with the lock held left nothing half done.
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn index(&self, source: Source) -> Option<usize> {
        self.names.iter().position(|name| *name == source)
    }

    fn proven_index(&self) -> Option<usize> {
        self.index(proves(self.canary.as_ref()?))
    }
}

/// The source that a canary proves.
fn proves(canary: &config::Canary) -> Source {
    if canary.proves_dovecot { Source::Dovecot } else { Source::Webhook }
}
