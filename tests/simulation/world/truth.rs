//! Mailboxes as they are, and what the backend has given out of them.

use std::collections::BTreeMap;

use pushgate::logic::eas::folder_sync::{Folder, FolderChange, FolderType};
use pushgate::logic::eas::{Class, FolderId, Mailbox};

/// One change of one folder.
#[derive(Debug, Clone, Copy)]
pub struct Item {
    /// The device that made it; it knows of it already.
    pub by: Option<usize>,
}

/// A folder.
#[derive(Debug, Clone)]
pub struct TrueFolder {
    pub name: String,
    pub parent: Option<usize>,
    pub kind: u8,
    pub exists: bool,
    pub created: u64,
    pub items: Vec<Item>,
    /// Items that the backend's view shows.
    pub visible: usize,
}

impl TrueFolder {
    pub fn class(&self) -> Class {
        FolderType(self.kind).class().unwrap_or(Class::Email)
    }
}

/// A mailbox.
pub struct TrueMailbox {
    pub name: Mailbox,
    pub hash: u64,
    pub folders: Vec<TrueFolder>,
    /// Version of the folder tree, and the version at which each folder last changed.
    pub tree: u64,
    pub touched: BTreeMap<usize, u64>,
    pub refresh_pending: bool,
}

/// What the backend gave out last to one device.
#[derive(Debug, Clone, Default)]
pub struct Issued {
    /// Items up to which the last key of a folder goes.
    pub keys: BTreeMap<usize, usize>,
    pub tree: u64,
}

impl TrueMailbox {
    pub fn new(number: usize) -> Self {
        let name = Mailbox::normalise(&format!("user{number}"), Some("example.org"), true).expect("a name");
        let mut mailbox = TrueMailbox {
            name,
            hash: (number as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15),
            folders: Vec::new(),
            tree: 0,
            touched: BTreeMap::new(),
            refresh_pending: false,
        };
        for (name, parent, kind) in [
            ("Posteingang", None, 2),
            ("Calendar", None, 8),
            ("Contacts", None, 9),
            ("Gesendet", None, 5),
            ("A", None, 12),
            ("B", None, 12),
            ("Sub", Some(4), 12),
        ] {
            mailbox.create(name, parent, kind);
        }
        mailbox
    }

    pub fn create(&mut self, name: &str, parent: Option<usize>, kind: u8) {
        self.tree += 1;
        let created = self.tree;
        self.folders.push(TrueFolder { name: name.into(), parent, kind, exists: true, created, items: Vec::new(), visible: 0 });
        self.touched.insert(self.folders.len() - 1, self.tree);
    }

    pub fn touch(&mut self, folder: usize) {
        self.tree += 1;
        self.touched.insert(folder, self.tree);
    }

    /// What the mail server calls a folder.
    pub fn path(&self, folder: usize) -> String {
        let TrueFolder { name, parent, kind, .. } = &self.folders[folder];
        let own = match kind {
            2 => "INBOX",
            5 => "Sent",
            _ => name,
        };
        parent.map_or_else(|| own.to_owned(), |parent| format!("{}/{own}", self.path(parent)))
    }

    /// FolderSync from a version on; 0 is everything.
    pub fn folder_sync(&self, since: u64) -> Vec<FolderChange> {
        let touched = self.touched.iter().filter(|(_, version)| **version > since);
        let changes = touched.filter_map(|(&index, _)| {
            let folder = &self.folders[index];
            match (folder.exists, folder.created > since) {
                (true, true) => Some(FolderChange::Add(self.told(index))),
                (true, false) => Some(FolderChange::Update(self.told(index))),
                (false, true) => None,
                (false, false) => Some(FolderChange::Delete(folder_id(index))),
            }
        });
        changes.collect()
    }

    fn told(&self, index: usize) -> Folder {
        let folder = &self.folders[index];
        let parent = folder.parent.map_or_else(|| FolderId::new("0").expect("short"), folder_id);
        Folder { id: folder_id(index), parent, name: folder.name.as_str().into(), kind: FolderType(folder.kind) }
    }

    /// Whether a folder shows anything new to a device whose last key goes up to `key`.
    pub fn has_news(&self, folder: usize, key: usize, device: usize) -> bool {
        let TrueFolder { items, visible, .. } = &self.folders[folder];
        items.get(key..*visible).is_some_and(|items| items.iter().any(|item| item.by != Some(device)))
    }
}

/// The id that devices know a folder by.
pub fn folder_id(index: usize) -> FolderId {
    FolderId::new(&format!("f{index}")).expect("short")
}

/// The folder of an id.
pub fn folder_of(id: &str) -> usize {
    id.trim_start_matches('f').parse().expect("our own id")
}
