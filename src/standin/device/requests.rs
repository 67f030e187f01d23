//! What a device writes: heads and Sync bodies.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::Device;
use super::query::Query;
use crate::logic::eas::{Class, Command, FolderId, Version};
use crate::logic::wbxml::{Writer, air_sync, email};

/// How a Sync differs from the plainest one.
#[derive(Debug, Clone, Default)]
pub struct SyncWish {
    /// Items in one answer; `None`: the server's choice.
    pub window: Option<u32>,
    /// Hold the request so long when there is nothing, in seconds (hanging Sync, 12.1 and later).
    pub heartbeat_s: Option<u32>,
    /// Items to add, by a client id each.
    pub add: Vec<String>,
    /// Items to mark as read, by server id.
    pub mark_read: Vec<String>,
    /// Items to delete, by server id.
    pub delete: Vec<String>,
}

impl Device {
    /// The request of a command, head and body.
    pub fn request(&self, command: Command, body: &[u8], attachment: Option<&str>) -> Vec<u8> {
        let options = &self.options;
        let query = Query {
            command,
            user: &self.user,
            device_id: &self.id,
            device_type: &options.device_type,
            version: self.version,
            policy_key: self.policy_key,
            attachment,
        };
        let packed = if options.packs_query { query.base64() } else { None };
        let is_plain = packed.is_none();
        let query = packed.unwrap_or_else(|| query.plain());
        let mut head = self.head("POST", &format!("/Microsoft-Server-ActiveSync?{query}"));
        // The end of the head is written anew after what follows.
        head.truncate(head.len() - 2);
        if is_plain {
            head += &format!("MS-ASProtocolVersion: {}\r\n", self.version);
            if let Some(key) = self.policy_key.filter(|_| command != Command::Ping) {
                head += &format!("X-MS-PolicyKey: {key}\r\n");
            }
        }
        if !body.is_empty() {
            head += "Content-Type: application/vnd.ms-sync.wbxml\r\n";
        }
        head += &format!("Content-Length: {}\r\n\r\n", body.len());
        let mut request = head.into_bytes();
        request.extend_from_slice(body);
        request
    }

    /// Request line and the headers that are always there, with the empty line.
    pub(super) fn head(&self, method: &str, target: &str) -> String {
        let options = &self.options;
        let password = self.password.as_deref().unwrap_or(&options.password);
        let credential = BASE64.encode(format!("{}:{password}", self.user));
        format!(
            "{method} {target} HTTP/1.1\r\nHost: {}\r\nAuthorization: Basic {credential}\r\nUser-Agent: {}\r\n\r\n",
            options.server_name, options.user_agent
        )
    }
}

/// A folder in a Sync.
#[derive(Debug, Clone, Copy)]
pub(super) struct Collection<'a> {
    pub(super) id: &'a FolderId,
    pub(super) class: Class,
    pub(super) key: &'a str,
}

/// A Sync of these folders; the wish's commands are for each of them.
pub(super) fn sync_body(version: Version, collections: &[Collection<'_>], wish: &SyncWish) -> Vec<u8> {
    let mut writer = Writer::new();
    writer.start(air_sync::SYNC).start(air_sync::COLLECTIONS);
    for collection in collections {
        write_collection(&mut writer, version, *collection, wish);
    }
    writer.end();
    match wish.heartbeat_s {
        None => {}
        // 12.1 waits by the minute, and less than an hour.
        Some(heartbeat_s) if version < Version::V14_0 => drop(writer.number(air_sync::WAIT, (heartbeat_s / 60).clamp(1, 59))),
        Some(heartbeat_s) => drop(writer.number(air_sync::HEARTBEAT_INTERVAL, heartbeat_s)),
    }
    writer.end();
    writer.finish()
}

fn write_collection(writer: &mut Writer, version: Version, collection: Collection<'_>, wish: &SyncWish) {
    writer.start(air_sync::COLLECTION);
    if version <= Version::V12_1 {
        writer.text(air_sync::CLASS, collection.class.name());
    }
    writer.text(air_sync::SYNC_KEY, collection.key).text(air_sync::COLLECTION_ID, collection.id.as_str());
    if version < Version::V12_1 && collection.key != "0" {
        // Up to 12.0 a server sends its changes only when asked to.
        writer.empty(air_sync::GET_CHANGES);
    }
    if let Some(window) = wish.window {
        writer.number(air_sync::WINDOW_SIZE, window);
    }
    if !(wish.add.is_empty() && wish.mark_read.is_empty() && wish.delete.is_empty()) {
        writer.start(air_sync::COMMANDS);
        for server_id in &wish.mark_read {
            writer.start(air_sync::CHANGE).text(air_sync::SERVER_ID, server_id);
            writer.start(air_sync::APPLICATION_DATA).number(email::READ, 1_u8).end().end();
        }
        for server_id in &wish.delete {
            writer.start(air_sync::DELETE).text(air_sync::SERVER_ID, server_id).end();
        }
        for client_id in &wish.add {
            writer.start(air_sync::ADD).text(air_sync::CLIENT_ID, client_id).empty(air_sync::APPLICATION_DATA).end();
        }
        writer.end();
    }
    writer.end();
}
