//! A device's folders: ids and paths as learnt from FolderSync, and how fresh the device is in each.
//!
//! A folder is *dirty* when its last change is newer than the device's freshness, *clean* when it is in step and a source
//! would have told us otherwise, else in *doubt*. A change number is never made up here: it comes with the change.
//!
//! * [`entry`]: one folder: changes against proofs. * `edit`: what FolderSync and Ping do to the table. * `owner`: whose folder it is.

mod edit;
mod entry;
mod owner;
#[cfg(test)]
mod tests;

use std::time::Duration;

use super::change::Scope;
use super::guards::Guards;
use super::moment::Moment;
use super::path::PathMatch;
use crate::logic::eas::{Class, ClassSet};
pub use entry::{ECHO_S, SyncTraits};
use entry::{Entry, GONE, WATCHED};

/// What the lot knows of the sources, for judging freshness.
#[derive(Debug, Clone, Copy)]
pub struct Coverage {
    /// Classes that a live source reports.
    pub covered: ClassSet,
    /// A live source reports changes of the folder list.
    pub covers_hierarchy: bool,
    /// Freshness below this number was proven before the sources' present epoch.
    pub epoch: u64,
    /// How long a proof of a covered folder lasts.
    pub trust: Duration,
    /// How long a proof of an uncovered folder lasts.
    pub poll: Duration,
    /// How long the backend may take to show what a source has reported already.
    pub settle: Duration,
}

impl Coverage {
    /// When a proof of this second ends. Up to an eighth early, so that what was proven together does not end together.
    pub fn ends_s(&self, proven_s: u32, is_covered: bool, spread: u8) -> u32 {
        let lasts_s = if is_covered { self.trust } else { self.poll }.as_secs() as u32;
        let early_s = u64::from(lasts_s / 8) * u64::from(spread) / 256;
        proven_s.saturating_add(lasts_s - early_s as u32)
    }
}

/// The last change number there was when the backend was asked, and when that was. Read *before* asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AsOf {
    /// Change number.
    pub number: u64,
    /// When it was read.
    pub at: Moment,
}

/// What a look at a device's folders depends on besides the folders.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    /// The sources.
    pub coverage: &'a Coverage,
    /// All on, but in the simulation.
    pub guards: Guards,
    /// Seconds since the start.
    pub now_s: u32,
    /// This device's place in what is spread out over devices.
    pub spread: u8,
}

/// The state of everything a device watches, at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// At least one watched folder changed.
    Dirty,
    /// Nothing changed as far as proofs reach; it is to be looked at again at this second.
    Clean {
        /// Seconds since the start.
        until_s: u32,
    },
    /// Nothing known to have changed, but a proof is missing.
    Doubt {
        /// A folder in doubt has no source: only a check can clear it.
        is_uncovered: bool,
    },
    /// As [`Standing::Clean`], but whether the list of folders is still the same is in doubt: a Sync cannot clear that.
    ListInDoubt,
}

/// Entries that are looked through one after the other.
const FEW: usize = 12;

/// The folders of one device.
#[derive(Debug, Default)]
pub struct FolderTable {
    /// By id.
    entries: Box<[Entry]>,
    ids: Box<str>,
    /// A FolderSync with key 0 was seen: a folder that is not here does not exist for the device.
    is_complete: bool,
}

impl FolderTable {
    /// Folders known.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether none is known.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Ids of the watched folders, with their class.
    pub fn watched(&self) -> impl Iterator<Item = (&str, Option<Class>)> {
        self.entries.iter().filter(|e| e.flags & WATCHED != 0).map(|e| (self.id(e), e.class()))
    }

    /// Records a change; returns whether a watched folder is dirty by it.
    pub fn mark(&mut self, scope: &Scope, path: Option<&PathMatch>, number: u64, view: &View<'_>) -> bool {
        let (ids, entries) = (&self.ids, &mut self.entries);
        let named = |e: &Entry| match (scope, path) {
            (Scope::FolderName(_), Some(path)) => path.matches(e.path, e.folder_type()),
            (Scope::FolderId(id), _) => id_of(ids, e) == id.as_str(),
            _ => false,
        };
        let is_found = entries.iter().any(|e| e.flags & GONE == 0 && named(e));
        let guesses = view.guards.not_learnt;
        let mut is_news = false;
        for entry in entries.iter_mut().filter(|e| e.flags & GONE == 0) {
            let is_hit = match scope {
                Scope::Mailbox => true,
                Scope::Class(class) => entry.class().map_or(guesses, |c| c == *class),
                // A path says Email. Folders whose path we do not know may be the one; an unknown name may be any.
                Scope::FolderName(_) => {
                    let may_be = !is_found || path.is_some_and(|path| entry.may_be_called(path));
                    named(entry) || (guesses && may_be && entry.may_be_email())
                }
                Scope::FolderId(_) => named(entry) || (guesses && !is_found && !self.is_complete),
                Scope::Hierarchy => false,
            };
            if is_hit {
                entry.mark(number, view.now_s);
                is_news |= entry.flags & WATCHED != 0 && entry.is_dirty(view);
            }
        }
        is_news
    }

    /// A Sync brought a folder in step, or nearer to it. Returns whether it was the answer to a wake and nothing came of it.
    pub fn prove(&mut self, id: &str, as_of: AsOf, traits: SyncTraits, view: &View<'_>) -> bool {
        self.find(id).is_some_and(|index| self.entries[index].prove(as_of, traits, view))
    }

    /// Every watched folder is in step (a check found nothing).
    pub fn prove_watched(&mut self, as_of: AsOf, view: &View<'_>) {
        for entry in self.entries.iter_mut().filter(|e| e.flags & WATCHED != 0) {
            entry.prove(as_of, SyncTraits::default(), view);
        }
    }

    /// What a check found changed. Ids that nobody watches say that something did: then it may be anything.
    pub fn mark_found<'a>(&mut self, ids: impl Iterator<Item = &'a str>, number: u64) {
        let mut is_known = false;
        for id in ids {
            if let Some(index) = self.find(id).filter(|index| self.entries[*index].flags & WATCHED != 0) {
                self.entries[index].mark_found(number);
                is_known = true;
            }
        }
        if !is_known {
            self.entries.iter_mut().filter(|e| e.flags & WATCHED != 0).for_each(|e| e.mark_found(number));
        }
    }

    /// An answer about this folder never arrived; see [`super::Lot::undelivered`].
    pub fn mark_undelivered(&mut self, id: &str, number: u64) {
        if let Some(index) = self.find(id) {
            self.entries[index].mark_undelivered(number);
        }
    }

    /// Ids of watched folders that changed.
    pub fn dirty<'a>(&'a self, view: &'a View<'a>) -> impl Iterator<Item = &'a str> {
        self.entries.iter().filter(|e| e.flags & WATCHED != 0 && e.is_dirty(view)).map(|e| self.id(e))
    }

    /// Ids of watched folders of which nothing is known to have changed, and nothing else either.
    pub fn in_doubt<'a>(&'a self, view: &'a View<'a>) -> impl Iterator<Item = &'a str> {
        let is_in_doubt = |e: &&Entry| e.flags & WATCHED != 0 && e.proof_ends_s(view) <= view.now_s;
        self.entries.iter().filter(is_in_doubt).map(|e| self.id(e))
    }

    /// How the device stands in all it watches.
    pub fn standing(&self, view: &View<'_>) -> Standing {
        let mut until_s = u32::MAX;
        let (mut in_doubt, mut is_uncovered) = (false, false);
        for entry in self.entries.iter().filter(|e| e.flags & WATCHED != 0) {
            if entry.is_dirty(view) {
                return Standing::Dirty;
            }
            let ends_s = entry.proof_ends_s(view);
            if ends_s <= view.now_s {
                in_doubt = true;
                is_uncovered |= !entry.is_covered(view.coverage);
            }
            until_s = until_s.min(ends_s).min(entry.held_back_until_s(view));
        }
        if in_doubt { Standing::Doubt { is_uncovered } } else { Standing::Clean { until_s } }
    }

    /// The second at which something is to be told that may be an echo until then; `u32::MAX` when there is nothing of the kind.
    pub fn held_back_until_s(&self, view: &View<'_>) -> u32 {
        self.entries.iter().filter(|e| e.flags & WATCHED != 0).map(|entry| entry.held_back_until_s(view)).min().unwrap_or(u32::MAX)
    }

    /// Whether a source covers everything that is watched.
    pub fn is_covered(&self, coverage: &Coverage) -> bool {
        self.entries.iter().filter(|e| e.flags & WATCHED != 0).all(|e| e.is_covered(coverage))
    }

    /// The defect that the guard against dead connections prevents: what was told of counts as seen.
    #[doc(hidden)]
    pub fn forget_dirty(&mut self) {
        self.entries.iter_mut().filter(|e| e.flags & WATCHED != 0).for_each(|e| e.change = e.change.min(e.fresh));
    }

    fn id(&self, entry: &Entry) -> &str {
        id_of(&self.ids, entry)
    }

    fn find(&self, id: &str) -> Option<usize> {
        // Ids of one server begin alike: that two differ in length, or at all, shows sooner than which comes first.
        if self.entries.len() <= FEW {
            return self.entries.iter().position(|e| self.id(e) == id);
        }
        self.entries.binary_search_by(|e| self.id(e).cmp(id)).ok()
    }
}

fn id_of<'a>(ids: &'a str, entry: &Entry) -> &'a str {
    let start = entry.id_start as usize;
    ids.get(start..start + usize::from(entry.id_bytes)).unwrap_or_default()
}
