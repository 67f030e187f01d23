//! What a Sync asks for.

use crate::logic::wbxml::{air_sync, email};
use crate::standin::tree::Node;

/// A whole request.
#[derive(Debug)]
pub(super) struct SyncRequest {
    pub(super) collections: Vec<CollectionRequest>,
    pub(super) wait: Wait,
    pub(super) is_partial: bool,
}

/// How long it may be held; both at once are an error.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Wait {
    pub(super) minutes: Option<u32>,
    pub(super) heartbeat_s: Option<u32>,
}

/// One collection of it.
#[derive(Debug, Clone)]
pub(super) struct CollectionRequest {
    pub(super) id: String,
    pub(super) key: String,
    pub(super) window: Option<usize>,
    pub(super) get_changes: Option<bool>,
    pub(super) commands: Vec<ClientCommand>,
}

/// What the device did.
#[derive(Debug, Clone)]
pub(super) enum ClientCommand {
    Add { client_id: String },
    Change { server_id: String, is_read: Option<bool> },
    Delete { server_id: String },
    Fetch { server_id: String },
}

impl SyncRequest {
    /// Reads a body; `Err`: it is not one.
    pub(super) fn parse(body: &[u8]) -> Result<Self, ()> {
        let root = Node::parse(body).map_err(|_| ())?;
        if root.tag != air_sync::SYNC {
            return Err(());
        }
        let window = root.child_number(air_sync::WINDOW_SIZE);
        let mut collections = Vec::new();
        for node in root.child(air_sync::COLLECTIONS).map(|node| node.all(air_sync::COLLECTION)).into_iter().flatten() {
            collections.push(CollectionRequest::parse(node, window)?);
        }
        Ok(SyncRequest {
            collections,
            wait: Wait { minutes: root.child_number(air_sync::WAIT), heartbeat_s: root.child_number(air_sync::HEARTBEAT_INTERVAL) },
            is_partial: root.child(air_sync::PARTIAL).is_some(),
        })
    }
}

impl CollectionRequest {
    fn parse(node: &Node, window: Option<u32>) -> Result<Self, ()> {
        let window = node.child_number(air_sync::WINDOW_SIZE).or(window);
        let get_changes = node.child(air_sync::GET_CHANGES);
        let commands = node.child(air_sync::COMMANDS).map_or(&[][..], |commands| &commands.children);
        Ok(CollectionRequest {
            id: node.child_text(air_sync::COLLECTION_ID).ok_or(())?.to_owned(),
            key: node.child_text(air_sync::SYNC_KEY).ok_or(())?.to_owned(),
            // 0 stands for the largest.
            window: window.map(|window| if window == 0 { usize::MAX } else { window as usize }),
            // An empty element means yes.
            get_changes: get_changes.map(|node| node.text() != Some("0")),
            commands: commands.iter().map(ClientCommand::parse).collect::<Result<_, ()>>()?,
        })
    }

    /// The number in its key: the key itself, or what follows the brace.
    pub(super) fn key_number(&self) -> Option<u32> {
        let digits = self.key.rsplit_once('}').map_or(self.key.as_str(), |(_, digits)| digits);
        digits.parse().ok()
    }

    pub(super) fn without_commands(&self) -> Self {
        CollectionRequest { commands: Vec::new(), ..self.clone() }
    }
}

impl ClientCommand {
    fn parse(node: &Node) -> Result<Self, ()> {
        let text = |tag| node.child_text(tag).map(str::to_owned).ok_or(());
        match node.tag {
            air_sync::ADD => Ok(ClientCommand::Add { client_id: text(air_sync::CLIENT_ID)? }),
            air_sync::CHANGE => {
                let data = node.child(air_sync::APPLICATION_DATA);
                let is_read = data.and_then(|data| data.child_text(email::READ)).map(|text| text == "1");
                Ok(ClientCommand::Change { server_id: text(air_sync::SERVER_ID)?, is_read })
            }
            air_sync::DELETE => Ok(ClientCommand::Delete { server_id: text(air_sync::SERVER_ID)? }),
            air_sync::FETCH => Ok(ClientCommand::Fetch { server_id: text(air_sync::SERVER_ID)? }),
            _ => Err(()),
        }
    }
}
