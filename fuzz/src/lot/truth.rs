//! Two mailboxes with the same folders, two devices each; names never change.

use pushgate::logic::eas::folder_sync::{Folder, FolderChange, FolderType};
use pushgate::logic::eas::{Class, DeviceId, FolderId, Mailbox, PingFolder};

/// Devices; the even ones have the first mailbox.
pub(super) const DEVICES: usize = 4;

/// A folder, as the backend lists it and as the mail server calls it.
pub(super) struct TrueFolder {
    name: &'static str,
    /// Place in the list.
    parent: Option<usize>,
    kind: u8,
    pub(super) path: &'static str,
}

const fn folder(name: &'static str, parent: Option<usize>, kind: u8, path: &'static str) -> TrueFolder {
    TrueFolder { name, parent, kind, path }
}

/// All of a mailbox.
pub(super) const FOLDERS: [TrueFolder; 7] = [
    folder("Posteingang", None, 2, "INBOX"),
    folder("Calendar", None, 8, "Calendar"),
    folder("Contacts", None, 9, "Contacts"),
    folder("Gesendet", None, 5, "Sent"),
    folder("A", None, 12, "A"),
    folder("B", None, 12, "B"),
    folder("Sub", Some(4), 12, "A/Sub"),
];

pub(super) fn mailbox_of(device: usize) -> (Mailbox, u64) {
    let number = device % 2;
    let name = Mailbox::normalise(&format!("user{number}"), Some("example.org"), true);
    (name.expect("a name"), (number as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15))
}

pub(super) fn device_id(device: usize) -> DeviceId {
    DeviceId::new(format!("device{device}").as_bytes()).expect("an id")
}

pub(super) fn id(folder: usize) -> FolderId {
    FolderId::new(&format!("f{folder}")).expect("short")
}

/// The folder of an id of ours.
pub(super) fn folder_of(id: &FolderId) -> usize {
    id.as_str().trim_start_matches('f').parse().expect("our own id")
}

pub(super) fn class(folder: usize) -> Class {
    FolderType(FOLDERS[folder].kind).class().unwrap_or(Class::Email)
}

pub(super) fn watched(folder: usize) -> PingFolder {
    PingFolder { id: id(folder), class: class(folder) }
}

/// The folders of the bits that are set; perhaps none.
pub(super) fn some_folders(bits: u8) -> Vec<usize> {
    (0..FOLDERS.len()).filter(|folder| bits & (1u8 << *folder) != 0).collect()
}

/// What a FolderSync brings: these folders, as new or changed, and unless it is a whole list those are gone.
pub(super) fn folder_changes(is_full: bool, there: u8, gone: u8) -> Vec<FolderChange> {
    let told = |folder: usize| {
        let TrueFolder { name, parent, kind, .. } = FOLDERS[folder];
        let parent = parent.map_or_else(|| FolderId::new("0").expect("short"), id);
        Folder { id: id(folder), parent, name: name.into(), kind: FolderType(kind) }
    };
    let there = some_folders(there).into_iter().map(|folder| match folder % 2 {
        0 => FolderChange::Add(told(folder)),
        _ if is_full => FolderChange::Add(told(folder)),
        _ => FolderChange::Update(told(folder)),
    });
    let gone = some_folders(if is_full { 0 } else { gone }).into_iter().map(|folder| FolderChange::Delete(id(folder)));
    gone.chain(there).collect()
}
