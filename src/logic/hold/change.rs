//! What a source reports: something in this mailbox, and how much of it, changed.

use crate::logic::eas::{Class, FolderId, Mailbox};

/// One reported change.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct MailboxChange {
    /// Whose mailbox; it alone decides which lot the change goes to.
    pub mailbox: Mailbox,
    /// How much of the mailbox is meant.
    pub scope: Scope,
}

/// How much of a mailbox a change concerns. A wider scope wakes more and never misses.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Everything.
    Mailbox,
    /// Every folder of a class.
    Class(Class),
    /// One folder by its name on the mail server, as IMAP has it: `INBOX`, `Work/2024`.
    FolderName(Box<str>),
    /// One folder by the id that devices send.
    FolderId(FolderId),
    /// A folder was created, deleted or renamed: the folder list itself is out of date.
    Hierarchy,
}

impl Scope {
    /// How much, without the name of a folder: those are people's own.
    pub fn label(&self) -> &'static str {
        match self {
            Scope::Mailbox => "mailbox",
            Scope::Class(_) => "class",
            Scope::FolderName(_) | Scope::FolderId(_) => "folder",
            Scope::Hierarchy => "folder_list",
        }
    }
}
