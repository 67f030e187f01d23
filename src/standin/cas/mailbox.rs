//! What the stand-in stores: mailboxes, folders, items, and for each device how far it has come.

use std::collections::{BTreeMap, HashMap};

use tokio::sync::watch;

use super::ItemId;
use super::policy::Given;
use super::sync::RememberedSync;

/// Items kept in a folder; the oldest are forgotten beyond it, so that an endless run stays small.
const ITEMS_MAX: usize = 10_000;

/// One user's store.
#[derive(Debug)]
pub(super) struct Mailbox {
    /// Index is the folder's number minus one; folders that are gone stay as a mark.
    pub(super) folders: Vec<Folder>,
    /// Counts changes of the folder list.
    pub(super) hierarchy: u64,
    /// Told whenever something changes; held requests of event-driven backends wait for it.
    pub(super) changed: watch::Sender<u64>,
    /// By device id, lower case.
    pub(super) partnerships: HashMap<String, Partnership>,
}

/// One folder.
#[derive(Debug)]
pub(super) struct Folder {
    pub(super) number: u32,
    /// 0: the root.
    pub(super) parent: u32,
    pub(super) name: String,
    /// FolderSync's Type.
    pub(super) folder_type: u8,
    /// Value of `Mailbox::hierarchy` when it was made, and when it was last changed or deleted.
    pub(super) made: u64,
    pub(super) touched: u64,
    pub(super) is_gone: bool,
    /// Counts changes of items.
    pub(super) change: u64,
    pub(super) items: BTreeMap<ItemId, Item>,
    /// Change → item: what changed last, oldest first; an item is in it once.
    log: BTreeMap<u64, ItemId>,
}

/// One item.
#[derive(Debug)]
pub(super) struct Item {
    /// The folder's change number when it came, and when it was last changed or deleted.
    pub(super) made: u64,
    pub(super) touched: u64,
    pub(super) is_gone: bool,
    pub(super) is_read: bool,
    /// The device that made the last change; it is not told of it again.
    by: Option<Box<str>>,
}

/// What happened to an item since a device last looked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Happened {
    Added,
    Changed,
    Deleted,
}

/// How far a device has come in something that has keys. The key before the last is accepted too: its answer may have been lost.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Progress {
    pub(super) key: u32,
    pub(super) upto: u64,
    previous: Option<(u32, u64)>,
    /// The last answer had items.
    pub(super) owes_key: bool,
}

impl Progress {
    /// The first key, given out for key 0, and where it stands: at the very beginning.
    pub(super) fn fresh() -> (u32, Self) {
        (1, Progress { key: 1, ..Progress::default() })
    }

    /// Where a device stands that shows this key; `None`: the key is not valid.
    pub(super) fn at(&self, key: u32) -> Option<u64> {
        match self.previous {
            _ if key == self.key => Some(self.upto),
            Some((previous, upto)) if key == previous => Some(upto),
            _ => None,
        }
    }

    /// The next key, given out for `upto` to a device that showed `shown`.
    pub(super) fn advance(&mut self, shown: u32, from: u64, upto: u64) -> u32 {
        self.previous = Some((shown, from));
        self.key = self.key.max(shown) + 1;
        self.upto = upto;
        self.key
    }
}

/// What is kept of one device.
#[derive(Debug, Default)]
pub(super) struct Partnership {
    pub(super) hierarchy: Progress,
    /// By folder number.
    pub(super) collections: HashMap<u32, Progress>,
    pub(super) ping_heartbeat_s: Option<u32>,
    /// Folder ids as sent.
    pub(super) ping_folders: Option<Vec<String>>,
    /// Counts Pings and hanging Syncs: the newest wins.
    pub(super) held: u64,
    pub(super) sync: Option<RememberedSync>,
    pub(super) policy: Given,
}

/// The folders of a new mailbox: name and Type, Inbox first.
const FIRST_FOLDERS: [(&str, u8); 7] =
    [("Inbox", 2), ("Drafts", 3), ("Trash", 4), ("Sent", 5), ("Tasks", 7), ("Calendar", 8), ("Contacts", 9)];

impl Mailbox {
    pub(super) fn new() -> Self {
        let mut mailbox = Mailbox { folders: Vec::new(), hierarchy: 0, changed: watch::Sender::new(0), partnerships: HashMap::new() };
        for (name, folder_type) in FIRST_FOLDERS {
            mailbox.create_folder(0, name, folder_type);
        }
        mailbox
    }

    pub(super) fn create_folder(&mut self, parent: u32, name: &str, folder_type: u8) -> u32 {
        self.hierarchy += 1;
        let number = self.folders.len() as u32 + 1;
        self.folders.push(Folder {
            number,
            parent,
            name: name.to_owned(),
            folder_type,
            made: self.hierarchy,
            touched: self.hierarchy,
            is_gone: false,
            change: 0,
            items: BTreeMap::new(),
            log: BTreeMap::new(),
        });
        self.tell();
        number
    }

    /// Changes or deletes a folder; `edit` does it.
    pub(super) fn edit_folder(&mut self, number: u32, edit: impl FnOnce(&mut Folder)) {
        self.hierarchy += 1;
        let hierarchy = self.hierarchy;
        if let Some(folder) = self.folder(number) {
            edit(folder);
            folder.touched = hierarchy;
        }
        self.tell();
    }

    /// A folder that is there.
    pub(super) fn folder(&mut self, number: u32) -> Option<&mut Folder> {
        let index = usize::try_from(number).ok()?.checked_sub(1)?;
        self.folders.get_mut(index).filter(|folder| !folder.is_gone)
    }

    /// A folder that is there, by its last name.
    pub(super) fn folder_by_name(&mut self, name: &str) -> Option<&mut Folder> {
        self.folders.iter_mut().find(|folder| !folder.is_gone && folder.name.eq_ignore_ascii_case(name))
    }

    /// Wakes held requests that are told of changes.
    pub(super) fn tell(&mut self) {
        self.changed.send_modify(|count| *count += 1);
    }
}

impl Folder {
    /// Puts an item in.
    pub(super) fn add(&mut self, id: ItemId, by: Option<&str>) {
        self.change += 1;
        let item = Item { made: self.change, touched: self.change, is_gone: false, is_read: false, by: by.map(Into::into) };
        self.items.insert(id, item);
        self.log.insert(self.change, id);
        while self.items.len() > ITEMS_MAX {
            if let Some((_, oldest)) = self.items.pop_first() {
                self.log.remove(&oldest.touched);
            }
        }
    }

    /// Changes an item that is there; false if it is not.
    pub(super) fn edit(&mut self, id: ItemId, by: Option<&str>, edit: impl FnOnce(&mut Item)) -> bool {
        let Some(item) = self.items.get_mut(&id).filter(|item| !item.is_gone) else { return false };
        self.change += 1;
        self.log.remove(&item.touched);
        edit(item);
        item.touched = self.change;
        item.by = by.map(Into::into);
        self.log.insert(self.change, id);
        true
    }

    /// What a device that has come to `from` has not seen, oldest first, with the change number of each.
    pub(super) fn since<'a>(&'a self, from: u64, device: &'a str) -> impl Iterator<Item = (u64, ItemId, Happened)> + 'a {
        self.log.range(from + 1..).filter_map(move |(&change, &id)| {
            let item = self.items.get(&id)?;
            if item.by.as_deref() == Some(device) {
                return None;
            }
            let is_new = item.made > from;
            match (item.is_gone, is_new) {
                (true, true) => None,
                (true, false) => Some((change, id, Happened::Deleted)),
                (false, true) => Some((change, id, Happened::Added)),
                (false, false) => Some((change, id, Happened::Changed)),
            }
        })
    }
}
