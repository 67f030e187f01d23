//! A device's folders: ids and paths as learnt from FolderSync, and how fresh the device is in each.
//!
//! A folder is *dirty* when its last change is newer than the device's freshness, *clean* when it is in step and a source
//! would have told us otherwise, else in *doubt*. A change number is never made up here: it comes with the change.

use std::time::Duration;

use super::change::Scope;
use super::path::{self, PathHash, PathMatch};
use crate::config::limits::TABLE_FOLDERS_MAX;
use crate::logic::eas::folder_sync::{Folder, FolderChange};
use crate::logic::eas::{Class, ClassSet, FolderId};

const WATCHED: u8 = 1;
/// Not a child of the root: its path is lost when an ancestor is renamed.
const NESTED: u8 = 2;
/// `fresh` is a proof; without it, `fresh` is the last number before the folder was known: older proofs say nothing.
const PROVEN: u8 = 4;

#[derive(Debug, Clone, Copy)]
struct Entry {
    /// Number of the last change.
    change: u64,
    /// Change number up to which the device is in step.
    fresh: u64,
    /// When `fresh` was proven, seconds.
    proven_s: u32,
    id_start: u32,
    path: PathHash,
    id_bytes: u8,
    folder_type: u8,
    class: Option<Class>,
    flags: u8,
}

/// What the lot knows of the sources, for judging freshness.
#[derive(Debug, Clone, Copy)]
pub struct Coverage {
    /// Classes that a live source reports.
    pub covered: ClassSet,
    /// Freshness below this number was proven before the sources' present epoch.
    pub epoch: u64,
    /// How long a proof of a covered folder lasts.
    pub trust: Duration,
    /// How long a proof of an uncovered folder lasts.
    pub poll: Duration,
}

/// The state of everything a device watches, at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// At least one watched folder changed.
    Dirty,
    /// Nothing changed as far as proofs reach; the first of them ends at this second.
    Clean {
        /// Seconds since the start.
        until_s: u32,
    },
    /// Nothing known to have changed, but a proof is missing.
    Doubt {
        /// A folder in doubt has no source: only a check can clear it.
        is_uncovered: bool,
    },
}

/// The folders of one device.
#[derive(Debug, Default)]
pub struct FolderTable {
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
        self.entries.iter().filter(|e| e.flags & WATCHED != 0).map(|e| (self.id(e), e.class))
    }

    /// Replaces the watched set as a whole (MS-ASCMD: the list is never merged).
    pub fn watch<'a>(&mut self, folders: impl Iterator<Item = (&'a str, Class)>, last_number: u64) {
        self.entries.iter_mut().for_each(|e| e.flags &= !WATCHED);
        self.edit(last_number, |edit| {
            for (id, class) in folders {
                let entry = edit.entry(id);
                entry.flags |= WATCHED;
                // A learnt type decides the class; what the Ping says only fills the gap.
                entry.class = entry.class.or(Some(class));
            }
        });
    }

    /// Makes room for folders that a Sync is about to bring in step, so that a change during the Sync is not missed.
    pub fn expect<'a>(&mut self, ids: impl Iterator<Item = &'a str>, last_number: u64) {
        let missing: Vec<&str> = ids.filter(|id| self.find(id).is_none()).collect();
        if !missing.is_empty() {
            self.edit(last_number, |edit| {
                for id in missing {
                    edit.entry(id);
                }
            });
        }
    }

    /// Applies what a FolderSync (or FolderCreate, …) taught; `is_full` after key 0 replaces the table.
    pub fn learn(&mut self, is_full: bool, changes: &[FolderChange], last_number: u64) {
        if is_full {
            // Freshness and the watched marks belong to ids, and survive; what the server no longer has does not.
            let keep = |e: &Entry, id: &str| {
                e.flags & WATCHED != 0
                    || changes.iter().any(|c| matches!(c, FolderChange::Add(f) | FolderChange::Update(f) if f.id.as_str() == id))
            };
            let ids = std::mem::take(&mut self.ids);
            self.entries = self.entries.iter().filter(|e| keep(e, id_of(&ids, e))).copied().collect();
            self.ids = ids;
            self.is_complete = changes.len() < TABLE_FOLDERS_MAX;
        }
        self.edit(last_number, |edit| {
            for change in changes {
                match change {
                    FolderChange::Add(folder) => edit.place(folder),
                    FolderChange::Update(folder) => {
                        edit.forget_nested_paths(&folder.id);
                        edit.place(folder);
                    }
                    FolderChange::Delete(id) => edit.remove(id),
                }
            }
        });
    }

    /// Records a change; returns whether a watched folder got dirty by it.
    pub fn mark(&mut self, scope: &Scope, path: Option<&PathMatch>, number: u64) -> bool {
        let (ids, entries) = (&self.ids, &mut self.entries);
        let named = |e: &Entry| match (scope, path) {
            (Scope::FolderName(_), Some(path)) => path.matches(e.path, e.folder_type),
            (Scope::FolderId(id), _) => id_of(ids, e) == id.as_str(),
            _ => false,
        };
        let hits = entries.iter().filter(|e| named(e)).count();
        let mut woke = false;
        for entry in entries.iter_mut() {
            let is_hit = match scope {
                Scope::Mailbox => true,
                Scope::Class(class) => entry.class.is_none_or(|c| c == *class),
                // A path says Email. Folders whose path we do not know may be the one; an unknown name may be any.
                Scope::FolderName(_) => named(entry) || ((hits == 0 || entry.is_nameless()) && may_be_email(entry)),
                Scope::FolderId(_) => named(entry) || (hits == 0 && !self.is_complete),
                Scope::Hierarchy => false,
            };
            if is_hit {
                entry.change = entry.change.max(number);
                woke |= entry.flags & WATCHED != 0 && entry.change > entry.fresh;
            }
        }
        woke
    }

    /// The device is in step with a folder up to `as_of`, a number read before the proof was asked for.
    pub fn prove(&mut self, id: &str, as_of: u64, now_s: u32) {
        if let Some(index) = self.find(id) {
            self.entries[index].prove(as_of, now_s);
        }
    }

    /// Every watched folder is in step up to `as_of` (a check found nothing).
    pub fn prove_watched(&mut self, as_of: u64, now_s: u32) {
        self.entries.iter_mut().filter(|e| e.flags & WATCHED != 0).for_each(|e| e.prove(as_of, now_s));
    }

    /// A watched folder that is dirty, by a check or in doubt: what the device is to be told of.
    pub fn mark_id(&mut self, id: &str, number: u64) {
        if let Some(index) = self.find(id) {
            self.entries[index].change = self.entries[index].change.max(number);
        }
    }

    /// Ids of watched folders that changed.
    pub fn dirty(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().filter(|e| e.flags & WATCHED != 0 && e.is_dirty()).map(|e| self.id(e))
    }

    /// What an answer that makes the device Sync names: what changed, or else what is in doubt.
    pub fn to_tell<'a>(&'a self, coverage: &'a Coverage, now_s: u32) -> impl Iterator<Item = &'a str> {
        let is_dirty = self.dirty().next().is_some();
        let watched = self.entries.iter().filter(|e| e.flags & WATCHED != 0);
        watched.filter(move |e| if is_dirty { e.is_dirty() } else { e.proof_ends_s(coverage) <= now_s }).map(|e| self.id(e))
    }

    /// How the device stands in all it watches.
    pub fn standing(&self, coverage: &Coverage, now_s: u32) -> Standing {
        let mut until_s = u32::MAX;
        let (mut in_doubt, mut is_uncovered) = (false, false);
        for entry in self.entries.iter().filter(|e| e.flags & WATCHED != 0) {
            if entry.is_dirty() {
                return Standing::Dirty;
            }
            let ends_s = entry.proof_ends_s(coverage);
            if ends_s <= now_s {
                in_doubt = true;
                is_uncovered |= !entry.is_covered(coverage);
            }
            until_s = until_s.min(ends_s);
        }
        if in_doubt { Standing::Doubt { is_uncovered } } else { Standing::Clean { until_s } }
    }

    /// Whether a source covers everything that is watched.
    pub fn is_covered(&self, coverage: &Coverage) -> bool {
        self.entries.iter().filter(|e| e.flags & WATCHED != 0).all(|e| e.is_covered(coverage))
    }

    fn id(&self, entry: &Entry) -> &str {
        id_of(&self.ids, entry)
    }

    fn find(&self, id: &str) -> Option<usize> {
        self.entries.iter().position(|e| self.id(e) == id)
    }

    /// Grows and shrinks through plain vectors; the table itself stays two exact allocations.
    fn edit(&mut self, last_number: u64, change: impl FnOnce(&mut Edit<'_>)) {
        let ids = std::mem::take(&mut self.ids);
        let mut edit = Edit { rows: Vec::with_capacity(self.entries.len() + 4), last_number };
        edit.rows.extend(self.entries.iter().map(|e| (std::borrow::Cow::Borrowed(id_of(&ids, e)), *e)));
        change(&mut edit);
        let rows = edit.rows;
        let mut packed = String::with_capacity(rows.iter().map(|(id, _)| id.len()).sum());
        let mut entries = Vec::with_capacity(rows.len());
        for (id, entry) in &rows {
            entries.push(Entry { id_start: packed.len() as u32, id_bytes: id.len() as u8, ..*entry });
            packed.push_str(id);
        }
        drop(rows);
        self.entries = entries.into_boxed_slice();
        self.ids = packed.into_boxed_str();
    }
}

impl Entry {
    fn is_dirty(&self) -> bool {
        self.change > self.fresh
    }

    /// Neither its path nor a special type says which folder of the mail server it is.
    fn is_nameless(&self) -> bool {
        self.path == 0 && !(2..=6).contains(&self.folder_type)
    }

    fn is_covered(&self, coverage: &Coverage) -> bool {
        self.class.is_some_and(|class| coverage.covered.contains(class))
    }

    /// The second at which the present proof ends; 0 when there is none.
    fn proof_ends_s(&self, coverage: &Coverage) -> u32 {
        let is_covered = self.is_covered(coverage);
        if self.flags & PROVEN == 0 || (is_covered && self.fresh < coverage.epoch) {
            return 0;
        }
        let lasts = if is_covered { coverage.trust } else { coverage.poll };
        self.proven_s.saturating_add(lasts.as_secs() as u32)
    }

    fn prove(&mut self, as_of: u64, now_s: u32) {
        if as_of >= self.fresh {
            (self.fresh, self.proven_s) = (as_of, now_s);
            self.flags |= PROVEN;
        }
    }
}

fn may_be_email(entry: &Entry) -> bool {
    entry.class.is_none_or(|class| class == Class::Email)
}

fn id_of<'a>(ids: &'a str, entry: &Entry) -> &'a str {
    let start = entry.id_start as usize;
    ids.get(start..start + usize::from(entry.id_bytes)).unwrap_or_default()
}

/// A table taken apart for changing.
struct Edit<'a> {
    rows: Vec<(std::borrow::Cow<'a, str>, Entry)>,
    last_number: u64,
}

impl Edit<'_> {
    /// The entry of a folder. Changes before a new one was known were not recorded in it: only later proofs count.
    fn entry(&mut self, id: &str) -> &mut Entry {
        let index = self.rows.iter().position(|(known, _)| known == id).unwrap_or_else(|| {
            if self.rows.len() >= TABLE_FOLDERS_MAX {
                // Full: the last unwatched folder makes room; what is watched is bounded by ping.folders_max.
                let victim = self.rows.iter().rposition(|(_, e)| e.flags & WATCHED == 0).unwrap_or(self.rows.len() - 1);
                self.rows.remove(victim);
            }
            let entry = Entry {
                change: 0,
                fresh: self.last_number,
                proven_s: 0,
                id_start: 0,
                path: 0,
                id_bytes: 0,
                folder_type: 0,
                class: None,
                flags: 0,
            };
            self.rows.push((std::borrow::Cow::Owned(id.to_owned()), entry));
            self.rows.len() - 1
        });
        &mut self.rows[index].1
    }

    fn place(&mut self, Folder { id, parent, name, kind }: &Folder) {
        let parent = Some(parent.as_str()).filter(|p| *p != "0");
        let above = match parent {
            None => path::ROOT,
            Some(parent) => self.rows.iter().find(|(known, _)| known == parent).map_or(0, |(_, e)| e.path),
        };
        let entry = self.entry(id.as_str());
        entry.path = if above == 0 { 0 } else { path::child(above, name) };
        entry.folder_type = kind.0;
        entry.class = kind.class().or(entry.class);
        entry.flags = (entry.flags & !NESTED) | if parent.is_some() { NESTED } else { 0 };
    }

    /// A renamed folder changes the paths below it, whose names we no longer have: they match by class until relearnt.
    fn forget_nested_paths(&mut self, renamed: &FolderId) {
        for (id, entry) in &mut self.rows {
            if entry.flags & NESTED != 0 && id != renamed.as_str() {
                entry.path = 0;
            }
        }
    }

    fn remove(&mut self, id: &FolderId) {
        self.rows.retain(|(known, _)| known != id.as_str());
    }
}
