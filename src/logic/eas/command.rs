//! The commands and their three spellings: the plain query's name, the base64 query's code, the body's root element.

use std::fmt;
use std::str::FromStr;

use crate::logic::wbxml::{
    Tag, air_sync, compose_mail, find, folder_hierarchy, get_item_estimate, item_operations, meeting_response, moving, ping, provision,
    resolve_recipients, search, settings, validate_cert,
};

/// A command (MS-ASHTTP 2.2.1.1.1.1.2). The number is its code in the base64 query.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
#[expect(missing_docs, reason = "the protocol's own words")]
pub enum Command {
    Sync = 0,
    SendMail = 1,
    SmartForward = 2,
    SmartReply = 3,
    GetAttachment = 4,
    /// Up to 12.1, plain query only, like the next three.
    GetHierarchy = 5,
    CreateCollection = 6,
    DeleteCollection = 7,
    MoveCollection = 8,
    FolderSync = 9,
    FolderCreate = 10,
    FolderDelete = 11,
    FolderUpdate = 12,
    MoveItems = 13,
    GetItemEstimate = 14,
    MeetingResponse = 15,
    Search = 16,
    Settings = 17,
    Ping = 18,
    ItemOperations = 19,
    Provision = 20,
    ResolveRecipients = 21,
    ValidateCert = 22,
    /// From 16.1.
    Find = 23,
}

impl Command {
    /// All commands; the index is the code.
    pub const ALL: [Command; 24] = [
        Command::Sync,
        Command::SendMail,
        Command::SmartForward,
        Command::SmartReply,
        Command::GetAttachment,
        Command::GetHierarchy,
        Command::CreateCollection,
        Command::DeleteCollection,
        Command::MoveCollection,
        Command::FolderSync,
        Command::FolderCreate,
        Command::FolderDelete,
        Command::FolderUpdate,
        Command::MoveItems,
        Command::GetItemEstimate,
        Command::MeetingResponse,
        Command::Search,
        Command::Settings,
        Command::Ping,
        Command::ItemOperations,
        Command::Provision,
        Command::ResolveRecipients,
        Command::ValidateCert,
        Command::Find,
    ];

    /// The name in the plain query.
    pub fn name(self) -> &'static str {
        match self {
            Command::Sync => "Sync",
            Command::SendMail => "SendMail",
            Command::SmartForward => "SmartForward",
            Command::SmartReply => "SmartReply",
            Command::GetAttachment => "GetAttachment",
            Command::GetHierarchy => "GetHierarchy",
            Command::CreateCollection => "CreateCollection",
            Command::DeleteCollection => "DeleteCollection",
            Command::MoveCollection => "MoveCollection",
            Command::FolderSync => "FolderSync",
            Command::FolderCreate => "FolderCreate",
            Command::FolderDelete => "FolderDelete",
            Command::FolderUpdate => "FolderUpdate",
            Command::MoveItems => "MoveItems",
            Command::GetItemEstimate => "GetItemEstimate",
            Command::MeetingResponse => "MeetingResponse",
            Command::Search => "Search",
            Command::Settings => "Settings",
            Command::Ping => "Ping",
            Command::ItemOperations => "ItemOperations",
            Command::Provision => "Provision",
            Command::ResolveRecipients => "ResolveRecipients",
            Command::ValidateCert => "ValidateCert",
            Command::Find => "Find",
        }
    }

    /// The code in the base64 query; 5–8 are not assigned there.
    pub fn code(self) -> Option<u8> {
        let code = self as u8;
        (!(5..=8).contains(&code)).then_some(code)
    }

    /// The command of a code in the base64 query.
    pub fn from_code(code: u8) -> Option<Command> {
        Command::ALL.get(usize::from(code)).copied().filter(|command| command.code().is_some())
    }

    /// The root element and the Status element of its bodies. `None`: its bodies are not WBXML (or, for SendMail,
    /// SmartForward and SmartReply, only from 14.0).
    pub fn root(self) -> Option<(Tag, Tag)> {
        match self {
            Command::Sync => Some((air_sync::SYNC, air_sync::STATUS)),
            Command::SendMail => Some((compose_mail::SEND_MAIL, compose_mail::STATUS)),
            Command::SmartForward => Some((compose_mail::SMART_FORWARD, compose_mail::STATUS)),
            Command::SmartReply => Some((compose_mail::SMART_REPLY, compose_mail::STATUS)),
            Command::FolderSync => Some((folder_hierarchy::FOLDER_SYNC, folder_hierarchy::STATUS)),
            Command::FolderCreate => Some((folder_hierarchy::FOLDER_CREATE, folder_hierarchy::STATUS)),
            Command::FolderDelete => Some((folder_hierarchy::FOLDER_DELETE, folder_hierarchy::STATUS)),
            Command::FolderUpdate => Some((folder_hierarchy::FOLDER_UPDATE, folder_hierarchy::STATUS)),
            Command::MoveItems => Some((moving::MOVE_ITEMS, moving::STATUS)),
            Command::GetItemEstimate => Some((get_item_estimate::GET_ITEM_ESTIMATE, get_item_estimate::STATUS)),
            Command::MeetingResponse => Some((meeting_response::MEETING_RESPONSE, meeting_response::STATUS)),
            Command::Search => Some((search::SEARCH, search::STATUS)),
            Command::Settings => Some((settings::SETTINGS, settings::STATUS)),
            Command::Ping => Some((ping::PING, ping::STATUS)),
            Command::ItemOperations => Some((item_operations::ITEM_OPERATIONS, item_operations::STATUS)),
            Command::Provision => Some((provision::PROVISION, provision::STATUS)),
            Command::ResolveRecipients => Some((resolve_recipients::RESOLVE_RECIPIENTS, resolve_recipients::STATUS)),
            Command::ValidateCert => Some((validate_cert::VALIDATE_CERT, validate_cert::STATUS)),
            Command::Find => Some((find::FIND, find::STATUS)),
            Command::GetAttachment
            | Command::GetHierarchy
            | Command::CreateCollection
            | Command::DeleteCollection
            | Command::MoveCollection => None,
        }
    }

    /// The command whose body has this root element.
    pub fn from_root(root: Tag) -> Option<Command> {
        Command::ALL.into_iter().find(|command| command.root().is_some_and(|(tag, _)| tag == root))
    }
}

impl FromStr for Command {
    type Err = ();

    /// Exact spelling only, as servers dispatch on it.
    fn from_str(text: &str) -> Result<Self, ()> {
        Command::ALL.into_iter().find(|command| command.name() == text).ok_or(())
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_is_found_again_by_name_code_and_root() {
        for command in Command::ALL {
            assert_eq!(command.name().parse(), Ok(command));
            if let Some(code) = command.code() {
                assert_eq!(Command::from_code(code), Some(command));
            }
            if let Some((root, status)) = command.root() {
                assert_eq!(Command::from_root(root), Some(command));
                assert_eq!(root.page, status.page);
            }
        }
        assert_eq!(Command::from_code(5), None);
        assert_eq!(Command::from_code(24), None);
        assert_eq!("ping".parse::<Command>(), Err(()));
    }
}
