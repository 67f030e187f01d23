//! What a Ping, a Sync and a FolderSync do to the table: rows come, go and change their names.

use std::borrow::Cow;

use super::entry::{ANOTHERS, DROPPED, Entry, GONE, NESTED, WATCHED};
use super::owner::{is_anothers, is_shared_root};
use super::{FolderTable, View, id_of};
use crate::config::limits::TABLE_FOLDERS_MAX;
use crate::logic::eas::folder_sync::{Folder, FolderChange, FolderType};
use crate::logic::eas::{Class, FolderId};
use crate::logic::hold::path;

/// Type of the Inbox, whose name on the mail server is INBOX whatever EAS calls it.
const INBOX_TYPE: u8 = 2;

impl FolderTable {
    /// Replaces the watched set as a whole (MS-ASCMD: the list is never merged).
    pub fn watch<'a>(&mut self, folders: impl Iterator<Item = (&'a str, Option<Class>)> + Clone, last_number: u64, view: &View<'_>) {
        let mut has_gone = false;
        for entry in &mut self.entries {
            entry.flags &= !WATCHED;
            has_gone |= entry.flags & GONE != 0;
            if !view.guards.list_replaced {
                entry.change = entry.change.min(entry.fresh);
            }
        }
        // Nearly always: a device Pings for what it has synchronised.
        if !has_gone && folders.clone().all(|(id, class)| self.watch_known(id, class)) {
            return;
        }
        self.edit(last_number, |edit| {
            edit.retain(|_, entry| entry.flags & GONE == 0);
            for (id, class) in folders {
                // There is room: a Ping names no more folders than a table holds.
                if let Some(entry) = edit.entry(id) {
                    entry.watch(class);
                }
            }
        });
    }

    /// False: there is no such folder.
    fn watch_known(&mut self, id: &str, class: Option<Class>) -> bool {
        self.find(id).map(|index| self.entries[index].watch(class)).is_some()
    }

    /// Makes room for folders that a Sync is about to bring in step, so that a change during the Sync is not missed.
    pub fn expect<'a>(&mut self, ids: impl Iterator<Item = &'a str>, last_number: u64) {
        let missing: Vec<&str> = ids.filter(|id| self.find(id).is_none()).collect();
        if !missing.is_empty() {
            self.edit(last_number, |edit| {
                for id in missing {
                    // Without room it stays unknown, and so in doubt when it is watched.
                    let _ = edit.entry(id);
                }
            });
        }
    }

    /// Applies what a FolderSync (or FolderCreate, …) taught; `is_full` after key 0 replaces the table.
    pub fn learn(&mut self, is_full: bool, changes: &[FolderChange], last_number: u64) {
        let mut listed: Vec<&str> =
            if is_full { changes.iter().filter_map(added).map(|folder| folder.id.as_str()).collect() } else { Vec::new() };
        listed.sort_unstable();
        self.edit(last_number, |edit| {
            if is_full {
                // Freshness belongs to ids, and survives; what the server no longer has does not.
                edit.retain(|id, entry| listed.binary_search(&id).is_ok() || bury(entry));
            }
            for change in changes {
                match change {
                    FolderChange::Add(folder) => drop(edit.place(folder)),
                    FolderChange::Update(folder) => {
                        if edit.place(folder) {
                            edit.forget_nested_paths(&folder.id);
                        }
                    }
                    FolderChange::Delete(id) => edit.delete(id.as_str()),
                }
            }
            edit.place_orphans(changes);
        });
        if is_full {
            self.is_complete = changes.len() < TABLE_FOLDERS_MAX;
        }
    }

    /// The tree changed in a way that could not be read: any mail folder may be called anything, so all are served by their class (and
    /// special ones by their type) until a whole list is read. What was reported meanwhile may have been put down to the wrong one.
    /// A path says Email: other folders keep theirs, since without it no path would find them.
    pub fn lose_paths(&mut self, last_number: u64) {
        self.is_complete = false;
        // Nothing but the Inbox is called INBOX, and it cannot be renamed.
        for entry in self.entries.iter_mut().filter(|e| e.path != 0 && e.may_be_email() && e.folder_type() != INBOX_TYPE) {
            entry.path = 0;
            entry.lose_proof(last_number);
        }
    }

    /// Grows and shrinks through plain vectors; the table itself stays two exact allocations, ordered by id.
    fn edit(&mut self, last_number: u64, change: impl FnOnce(&mut Edit<'_>)) {
        let ids = std::mem::take(&mut self.ids);
        let mut rows = Vec::with_capacity(self.entries.len() + 4);
        rows.extend(self.entries.iter().map(|e| (Cow::Borrowed(id_of(&ids, e)), *e)));
        let mut edit = Edit { order: (0..rows.len() as u32).collect(), rows, last_number };
        change(&mut edit);
        let mut packed = String::with_capacity(edit.ordered().map(|(id, _)| id.len()).sum());
        let mut entries = Vec::with_capacity(edit.order.len());
        for (id, entry) in edit.ordered() {
            entries.push(Entry { id_start: packed.len() as u32, id_bytes: id.len() as u8, ..*entry });
            packed.push_str(id);
        }
        drop(edit);
        self.entries = entries.into_boxed_slice();
        self.ids = packed.into_boxed_str();
    }
}

fn added(change: &FolderChange) -> Option<&Folder> {
    match change {
        FolderChange::Add(folder) | FolderChange::Update(folder) => Some(folder),
        FolderChange::Delete(_) => None,
    }
}

/// A folder the server no longer has; returns whether its row stays, because a Ping names it.
fn bury(entry: &mut Entry) -> bool {
    let is_watched = entry.flags & WATCHED != 0;
    let class = entry.class();
    *entry = Entry { flags: (entry.flags & WATCHED) | GONE, ..Entry::new(entry.fresh) };
    entry.set_kind(0, class);
    is_watched
}

/// A table taken apart for changing. Whatever a server or a device lists, a look for an id is a binary search: lists have
/// hundreds of folders, and whoever sends one decides how long the thread of a thousand others is busy with it.
pub(super) struct Edit<'a> {
    /// Each in its place, also those that are [`DROPPED`].
    rows: Vec<(Cow<'a, str>, Entry)>,
    /// The places of the others, by id.
    order: Vec<u32>,
    last_number: u64,
}

impl<'a> Edit<'a> {
    /// The rows that are there, by id.
    fn ordered(&self) -> impl Iterator<Item = &(Cow<'a, str>, Entry)> {
        self.order.iter().map(|place| &self.rows[*place as usize])
    }

    /// The position of an id in the order, or where it would be.
    fn position(&self, id: &str) -> Result<usize, usize> {
        self.order.binary_search_by(|place| (*self.rows[*place as usize].0).cmp(id))
    }

    fn find(&self, id: &str) -> Option<&Entry> {
        self.position(id).ok().map(|position| &self.rows[self.order[position] as usize].1)
    }

    /// Drops all rows of which `stays` says no; it may change the others.
    fn retain(&mut self, mut stays: impl FnMut(&str, &mut Entry) -> bool) {
        let rows = &mut self.rows;
        self.order.retain(|place| {
            let (id, entry) = &mut rows[*place as usize];
            let stays = stays(id, entry);
            entry.flags |= if stays { 0 } else { DROPPED };
            stays
        });
    }

    fn delete(&mut self, id: &str) {
        let Ok(position) = self.position(id) else { return };
        let entry = &mut self.rows[self.order[position] as usize].1;
        if !bury(entry) {
            entry.flags |= DROPPED;
            self.order.remove(position);
        }
    }

    /// The entry of a folder, made if it is new; `None`: the table is full of watched folders.
    fn entry(&mut self, id: &str) -> Option<&mut Entry> {
        let place = match self.position(id) {
            Ok(position) => self.order[position],
            Err(_) => self.add(id)?,
        };
        Some(&mut self.rows[place as usize].1)
    }

    /// The place of a new row.
    fn add(&mut self, id: &str) -> Option<u32> {
        let mut entry = Entry::new(self.last_number);
        entry.flags |= if is_anothers(id) { ANOTHERS } else { 0 };
        let row = (Cow::Owned(id.to_owned()), entry);
        let place = if self.order.len() >= TABLE_FOLDERS_MAX {
            // What is watched never makes room.
            let victim = self.rows.iter().rposition(|(_, e)| e.flags & (WATCHED | DROPPED) == 0)?;
            let position = self.position(&self.rows[victim].0).ok()?;
            self.order.remove(position);
            self.rows[victim] = row;
            victim
        } else {
            self.rows.push(row);
            self.rows.len() - 1
        };
        let position = self.position(id).unwrap_or_else(|position| position);
        self.order.insert(position, place as u32);
        Some(place as u32)
    }

    /// Puts a folder where FolderSync says. Returns whether its path is another than before.
    fn place(&mut self, Folder { id, parent, name, kind }: &Folder) -> bool {
        let kind = match *kind {
            FolderType::UNSAID => FolderType(self.find(id.as_str()).map_or(0, Entry::folder_type)),
            kind => kind,
        };
        let parent = Some(parent.as_str()).filter(|p| *p != "0");
        let above = parent.map(|parent| self.find(parent).filter(|e| e.flags & GONE == 0).copied());
        let is_shared = match above {
            // The default folders are one's own whatever they are called.
            None => is_shared_root(name) && !(2..=11).contains(&kind.0),
            Some(above) => above.is_some_and(|above| above.flags & ANOTHERS != 0),
        };
        let above = above.map_or(path::ROOT, |above| above.map_or(0, |above| above.path));
        let is_nested = parent.is_some() && kind.0 != INBOX_TYPE;
        let last_number = self.last_number;
        let Some(entry) = self.entry(id.as_str()) else { return false };
        let before = (entry.path, entry.folder_type(), entry.class());
        entry.path = match above {
            _ if kind.0 == INBOX_TYPE => path::inbox(),
            0 => 0,
            above => path::child(above, name),
        };
        entry.set_kind(kind.0, kind.class().or(before.2));
        if entry.flags & GONE != 0 {
            entry.lose_proof(last_number);
        }
        let whose = if is_shared || is_anothers(id.as_str()) { ANOTHERS } else { 0 };
        entry.flags = (entry.flags & !(NESTED | GONE | ANOTHERS)) | whose | if is_nested { NESTED } else { 0 };
        let is_other_path = before.0 != 0 && before.0 != entry.path;
        let is_other_kind = (before.1 != 0 && before.1 != entry.folder_type()) || (before.2.is_some() && before.2 != entry.class());
        if is_other_path || is_other_kind {
            // What was reported since it is called that may have been put down to another folder.
            entry.lose_proof(last_number);
        }
        is_other_path
    }

    /// Folders listed before their parents get their paths now: who gets one hands it down.
    fn place_orphans(&mut self, changes: &[FolderChange]) {
        let mut orphans: Vec<&Folder> = changes.iter().filter_map(added).filter(|folder| self.has_no_path(folder)).collect();
        // Whoever is named twice is where the last mention says.
        orphans.reverse();
        let mut named = std::collections::BTreeSet::new();
        orphans.retain(|folder| named.insert(folder.id.as_str()));
        let mut placed: Vec<&Folder> = orphans.iter().copied().filter(|folder| self.finds_path(folder)).collect();
        orphans.sort_by(|a, b| a.parent.cmp(&b.parent));
        while let Some(above) = placed.pop() {
            let first = orphans.partition_point(|folder| folder.parent < above.id);
            let below = orphans[first..].iter().take_while(|folder| folder.parent == above.id);
            placed.extend(below.copied().filter(|folder| self.has_no_path(folder) && self.finds_path(folder)));
        }
    }

    fn finds_path(&mut self, folder: &Folder) -> bool {
        self.place(folder);
        !self.has_no_path(folder)
    }

    fn has_no_path(&self, folder: &Folder) -> bool {
        self.find(folder.id.as_str()).is_some_and(|entry| entry.path == 0 && entry.flags & GONE == 0)
    }

    /// A renamed folder changes the paths below it, whose names we no longer have: they match by class until relearnt.
    fn forget_nested_paths(&mut self, renamed: &FolderId) {
        let last_number = self.last_number;
        let nested = |entry: &Entry| entry.flags & DROPPED == 0 && entry.flags & NESTED != 0 && entry.path != 0;
        for (_, entry) in self.rows.iter_mut().filter(|(id, e)| nested(e) && id != renamed.as_str()) {
            entry.path = 0;
            entry.lose_proof(last_number);
        }
    }
}
