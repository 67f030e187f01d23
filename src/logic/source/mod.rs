//! Which notification sources are believed, and what follows for the classes they cover.
//!
//! In: what was heard, proven or missed, with the time. Out: [`Covered`], to be told to the lots whenever it differs from what
//! they were told last. A source that calls in shows no gaps of its own; a [`canary`] proves that what is delivered is also
//! reported.
//!
//! * A class that a source with a canary covers is pushed exactly while such a source is believed: a neighbour that was never
//!   put to the proof cannot vouch for it.
//! * Belief that was lost, or rests on proofs too far apart, starts a new epoch when it returns: what the lots
//!   learnt before is in doubt.

pub mod canary;
#[cfg(test)]
mod tests;

use std::time::Duration;

use crate::logic::eas::{Class, ClassSet};
use crate::logic::hold::Moment;

/// What is known of the completeness of a source's reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// Nobody asks for any.
    None,
    /// The canary comes back. Before the first one came: since the start.
    Held {
        /// When it came last.
        at: Moment,
    },
    /// The canary cannot be delivered, so nothing is known.
    Unknown {
        /// When it came last.
        at: Moment,
        /// Since when it cannot be delivered.
        since: Moment,
    },
}

/// What is configured of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SourceTraits {
    /// Classes it reports.
    pub covers: ClassSet,
    /// It reports folders that are made, renamed and deleted.
    pub covers_hierarchy: bool,
    /// A canary proves it.
    pub has_canary: bool,
}

/// One source.
#[derive(Debug, Clone)]
pub struct Source {
    /// What is configured of it.
    pub traits: SourceTraits,
    /// Its reports are taken for complete.
    pub is_believed: bool,
    /// Since when it is, or is not.
    pub since: Moment,
    /// When it last reported anything.
    pub heard: Option<Moment>,
    /// How well its completeness is proven.
    pub proof: Proof,
    /// Epochs begun since the start.
    pub epochs: u64,
}

/// What the lots are to know of all sources together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Covered {
    /// Classes that a believed source reports.
    pub classes: ClassSet,
    /// One of them reports changes of the folder list.
    pub hierarchy: bool,
    /// All classes are proven: freshness that rests on them lasts.
    pub is_lasting: bool,
    /// Epochs of all sources: when it rises, a new one has begun.
    pub epochs: u64,
}

/// All sources, by index.
#[derive(Debug, Clone)]
pub struct Sources {
    sources: Vec<Source>,
    trust: Duration,
    gap_max: Duration,
}

impl Sources {
    /// All are believed at first: the lots know nothing yet that could be wrong. `trust`: how long an unproven source is believed; `gap_max`: proofs further apart than this leave a gap.
    pub fn new(sources: impl IntoIterator<Item = SourceTraits>, trust: Duration, gap_max: Duration, now: Moment) -> Self {
        let source = |traits: SourceTraits| {
            let proof = if traits.has_canary { Proof::Held { at: now } } else { Proof::None };
            Source { traits, is_believed: true, since: now, heard: None, proof, epochs: 0 }
        };
        Sources { sources: sources.into_iter().map(source).collect(), trust, gap_max }
    }

    /// A source; its index is its place in what [`Sources::new`] was given.
    pub fn source(&self, index: usize) -> Option<&Source> {
        self.sources.get(index)
    }

    /// A source reported something.
    pub fn heard(&mut self, index: usize, now: Moment) {
        if let Some(source) = self.sources.get_mut(index) {
            source.heard = Some(now);
        }
    }

    /// A source is known to miss changes: its canary is missing, or its connection is lost. False: that was known.
    pub fn failed(&mut self, index: usize, now: Moment) -> bool {
        match self.sources.get_mut(index) {
            Some(source) if source.is_believed => {
                (source.is_believed, source.since) = (false, now);
                true
            }
            _ => false,
        }
    }

    /// The canary cannot be delivered. False: that was known.
    pub fn unprovable(&mut self, index: usize, now: Moment) -> bool {
        match self.sources.get_mut(index) {
            Some(Source { proof: proof @ Proof::Held { .. }, .. }) => {
                if let Proof::Held { at } = *proof {
                    *proof = Proof::Unknown { at, since: now };
                }
                true
            }
            _ => false,
        }
    }

    /// A source reports what happens: its canary came in time, or its connection is back. True: a new epoch begins.
    pub fn proven(&mut self, index: usize, now: Moment) -> bool {
        let gap_max = self.gap_max;
        let Some(source) = self.sources.get_mut(index) else { return false };
        let has_gap = match source.proof {
            Proof::None => false,
            Proof::Held { at } | Proof::Unknown { at, .. } => now.since(at) > gap_max,
        };
        if source.proof != Proof::None {
            source.proof = Proof::Held { at: now };
        }
        let is_new_epoch = has_gap || !source.is_believed;
        if is_new_epoch {
            source.epochs += 1;
        }
        if !source.is_believed {
            (source.is_believed, source.since) = (true, now);
        }
        is_new_epoch
    }

    /// What the lots are to know.
    pub fn covered(&self, now: Moment) -> Covered {
        let pushed = |class: &Class| self.pushed_by(*class).next().is_some();
        let classes: ClassSet = Class::ALL.into_iter().filter(pushed).collect();
        let lasts = |class: Class| self.pushed_by(class).any(|index| self.lasts_until(index).is_some_and(|until| now < until));
        let is_lasting = Class::ALL.into_iter().filter(|class| classes.contains(*class)).all(lasts);
        let hierarchy = self.sources.iter().any(|source| source.traits.covers_hierarchy && source.is_believed);
        Covered { classes, hierarchy, is_lasting, epochs: self.sources.iter().map(|source| source.epochs).sum() }
    }

    /// When [`Sources::covered`] changes by itself: a proof that was not renewed has grown old.
    pub fn poll_timeout(&self, now: Moment) -> Option<Moment> {
        (0..self.sources.len()).filter_map(|index| self.lasts_until(index)).filter(|until| now < *until).min()
    }

    /// The believed sources on which a class rests; none: it is polled.
    pub fn pushed_by(&self, class: Class) -> impl Iterator<Item = usize> {
        let covers = move |source: &Source| source.traits.covers.contains(class);
        let must_be_proven = self.sources.iter().any(|source| covers(source) && source.proof != Proof::None);
        let vouches = move |source: &Source| covers(source) && source.is_believed && (!must_be_proven || source.proof != Proof::None);
        self.sources.iter().enumerate().filter(move |(_, source)| vouches(source)).map(|(index, _)| index)
    }

    /// Sources that would push a class if they were believed.
    pub fn failed_for(&self, class: Class) -> impl Iterator<Item = usize> {
        let fails = move |source: &Source| source.traits.covers.contains(class) && !source.is_believed;
        self.sources.iter().enumerate().filter(move |(_, source)| fails(source)).map(|(index, _)| index)
    }

    /// Until when freshness that rests on a source lasts: a proof carries as long as an unproven source is believed.
    fn lasts_until(&self, index: usize) -> Option<Moment> {
        match self.sources.get(index)?.proof {
            Proof::None => None,
            Proof::Held { at } | Proof::Unknown { at, .. } => Some(at + self.trust),
        }
    }
}
