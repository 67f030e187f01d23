//! What a device understands of the answers it gets.

use super::DeviceError;
use crate::logic::eas::{Class, FolderId};
use crate::logic::wbxml::{air_sync, folder_hierarchy as fh};
use crate::standin::cas::ItemId;
use crate::standin::tree::Node;

/// What OPTIONS says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OptionsAnswer {
    /// `MS-ASProtocolVersions`.
    pub versions: Vec<String>,
    /// `MS-ASProtocolCommands`.
    pub commands: Vec<String>,
}

/// What FolderSync says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FolderSyncAnswer {
    /// Its Status; 1: fine.
    pub status: u32,
    /// The key to show next time.
    pub key: String,
    /// Folders that are new or changed.
    pub added: Vec<ServerFolder>,
    /// Ids of folders that are gone.
    pub deleted: Vec<String>,
}

/// A folder as the server describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerFolder {
    /// Its id.
    pub id: FolderId,
    /// Its last name.
    pub name: String,
    /// FolderSync's Type.
    pub folder_type: u8,
}

impl ServerFolder {
    /// What it holds; `None`: nothing that can be watched.
    pub fn class(&self) -> Option<Class> {
        class_of(self.folder_type)
    }
}

/// The class of a folder of that Type; `None`: nothing that can be watched.
pub(super) fn class_of(folder_type: u8) -> Option<Class> {
    match folder_type {
        1..=6 | 12 => Some(Class::Email),
        8 | 13 => Some(Class::Calendar),
        9 | 14 => Some(Class::Contacts),
        7 | 15 => Some(Class::Tasks),
        10 | 17 => Some(Class::Notes),
        _ => None,
    }
}

/// What Sync says about one folder.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SyncAnswer {
    /// Its Status; 1: fine, also when there is nothing new. The whole request's when that is what came.
    pub status: u32,
    /// The folder; empty when the answer is not about one.
    pub folder: String,
    /// The key to show next time; empty when there is none.
    pub key: String,
    /// There is more to fetch.
    pub is_more: bool,
    /// Server ids of items that are new.
    pub added: Vec<String>,
    /// Server ids of items that changed.
    pub changed: Vec<String>,
    /// Server ids of items that are gone.
    pub deleted: Vec<String>,
    /// Server ids of items that the device added, in its order.
    pub created: Vec<String>,
    /// Status 14 and 15: what would be legal.
    pub limit: Option<u32>,
}

impl SyncAnswer {
    /// The items a stand-in CAS delivered.
    pub fn items(&self) -> impl Iterator<Item = ItemId> + '_ {
        self.added.iter().filter_map(|server_id| ItemId::of_server_id(server_id))
    }
}

pub(super) fn folder_sync(body: &[u8]) -> Result<FolderSyncAnswer, DeviceError> {
    let root = document(body)?;
    let mut answer = FolderSyncAnswer {
        status: root.child_number(fh::STATUS).ok_or(DeviceError::Malformed("FolderSync without Status"))?,
        key: root.child_text(fh::SYNC_KEY).unwrap_or_default().to_owned(),
        ..FolderSyncAnswer::default()
    };
    for node in root.child(fh::CHANGES).map_or(&[][..], |changes| &changes.children) {
        let Some(id) = node.child_text(fh::SERVER_ID) else { continue };
        match node.tag {
            fh::DELETE => answer.deleted.push(id.to_owned()),
            fh::ADD | fh::UPDATE => answer.added.push(ServerFolder {
                id: FolderId::new(id).map_err(|_| DeviceError::Malformed("a folder's id"))?,
                name: node.child_text(fh::DISPLAY_NAME).unwrap_or_default().to_owned(),
                folder_type: node.child_number(fh::TYPE).and_then(|number| u8::try_from(number).ok()).unwrap_or(18),
            }),
            _ => {}
        }
    }
    Ok(answer)
}

/// One answer for each folder; an empty body means that nothing changed, and gives none.
pub(super) fn sync(body: &[u8]) -> Result<Vec<SyncAnswer>, DeviceError> {
    if body.is_empty() {
        return Ok(Vec::new());
    }
    let root = document(body)?;
    if let Some(status) = root.child_number(air_sync::STATUS).filter(|&status| status != 1) {
        return Ok(vec![SyncAnswer { status, limit: root.child_number(air_sync::LIMIT), ..SyncAnswer::default() }]);
    }
    let collections = root.child(air_sync::COLLECTIONS).map_or(&[][..], |collections| &collections.children);
    collections.iter().map(one_collection).collect()
}

fn one_collection(node: &Node) -> Result<SyncAnswer, DeviceError> {
    let ids = |parent: Option<&Node>, tag| -> Vec<String> {
        let nodes = parent.map(|parent| parent.all(tag)).into_iter().flatten();
        nodes.filter_map(|node| node.child_text(air_sync::SERVER_ID).map(str::to_owned)).collect()
    };
    let commands = node.child(air_sync::COMMANDS);
    Ok(SyncAnswer {
        status: node.child_number(air_sync::STATUS).ok_or(DeviceError::Malformed("Sync without Status"))?,
        folder: node.child_text(air_sync::COLLECTION_ID).unwrap_or_default().to_owned(),
        key: node.child_text(air_sync::SYNC_KEY).unwrap_or_default().to_owned(),
        is_more: node.child(air_sync::MORE_AVAILABLE).is_some(),
        added: ids(commands, air_sync::ADD),
        changed: ids(commands, air_sync::CHANGE),
        deleted: ids(commands, air_sync::DELETE),
        created: ids(node.child(air_sync::RESPONSES), air_sync::ADD),
        limit: None,
    })
}

fn document(body: &[u8]) -> Result<Node, DeviceError> {
    Node::parse(body).map_err(|_| DeviceError::Malformed("an answer that is not WBXML"))
}
