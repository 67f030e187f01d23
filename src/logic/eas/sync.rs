//! Sync (MS-ASCMD 2.2.1.21), skimmed: which folders, from which key, and whether the device is ready to wait. Items are passed by.

use super::FolderId;
use super::body::{BodyError, folder_id, once, text, walk};
use crate::logic::wbxml::{self, Content, Limits, Step, Tag, WbxmlError, Writer, air_sync as tags};

pub use super::sync_answer::{Quiet, SyncAnswer, SyncObserver, SyncedCollection};

/// Collections of one request: Exchange's limit is 1,000, others' is lower.
pub const COLLECTIONS_MAX: usize = 2_000;

/// A request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SyncRequest {
    /// What to synchronise; empty in an empty or partial request means "as before".
    pub collections: Vec<SyncCollection>,
    /// Hanging Sync: minutes to wait for a change, as sent (range not checked).
    pub wait_min: Option<u32>,
    /// Hanging Sync: seconds to wait for a change, as sent.
    pub heartbeat_s: Option<u32>,
    /// Changes wanted in the answer, over all collections.
    pub window_size: Option<u32>,
    /// Collections not listed stay as they were.
    pub is_partial: bool,
}

/// One folder of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncCollection {
    /// Its server id; very old devices give only a class.
    pub id: Option<FolderId>,
    /// Up to 12.1; text because it has values that Ping's Class has not (`SMS`).
    pub class: Option<String>,
    /// `0` starts over.
    pub sync_key: String,
    /// Whether changes are wanted: absent, empty (yes) or a flag.
    pub get_changes: Option<bool>,
    /// Changes wanted in the answer.
    pub window_size: Option<u32>,
    /// Whether the device sends changes or fetches items.
    pub has_commands: bool,
}

impl SyncRequest {
    /// Reads a body; an empty one repeats the last request.
    ///
    /// # Errors
    /// See [`BodyError`].
    pub fn skim(body: &[u8]) -> Result<Self, BodyError> {
        use tags::{COLLECTION, COLLECTIONS, HEARTBEAT_INTERVAL, PARTIAL, SYNC, WAIT, WINDOW_SIZE};
        let (mut request, mut draft) = (SyncRequest::default(), Draft::default());
        if body.is_empty() {
            return Ok(request);
        }
        walk(body, SYNC, Limits::LENIENT, |step| match step {
            Step::Open([_, COLLECTIONS, COLLECTION]) => {
                draft = Draft::default();
                Ok(())
            }
            Step::Close([_, COLLECTIONS, COLLECTION], _) => {
                if request.collections.len() == COLLECTIONS_MAX {
                    return Err(BodyError::Syntax("too many collections"));
                }
                request.collections.push(std::mem::take(&mut draft).finish()?);
                Ok(())
            }
            Step::Close([_, COLLECTIONS, COLLECTION, inside @ ..], content) => draft.take(inside, content),
            Step::Close([_, WAIT], content) => once(&mut request.wait_min, number(content)?, "Wait is there twice"),
            Step::Close([_, HEARTBEAT_INTERVAL], content) => {
                once(&mut request.heartbeat_s, number(content)?, "HeartbeatInterval is there twice")
            }
            Step::Close([_, WINDOW_SIZE], content) => once(&mut request.window_size, number(content)?, "WindowSize is there twice"),
            Step::Close([_, PARTIAL], _) => {
                request.is_partial = true;
                Ok(())
            }
            _ => Ok(()),
        })?;
        Ok(request)
    }

    /// Writes the body; empty if there is nothing to say. What devices send along (items) cannot be written.
    pub fn encode(&self) -> Vec<u8> {
        if *self == SyncRequest::default() {
            return Vec::new();
        }
        let mut writer = Writer::new();
        writer.start(tags::SYNC);
        if !self.collections.is_empty() {
            writer.start(tags::COLLECTIONS);
            for collection in &self.collections {
                collection.write(&mut writer);
            }
            writer.end();
        }
        let numbers = [(tags::WAIT, self.wait_min), (tags::HEARTBEAT_INTERVAL, self.heartbeat_s), (tags::WINDOW_SIZE, self.window_size)];
        write_numbers(&numbers, &mut writer);
        if self.is_partial {
            writer.empty(tags::PARTIAL);
        }
        writer.end();
        writer.finish()
    }
}

impl SyncCollection {
    /// A collection that asks for changes since a key.
    pub fn new(id: FolderId, sync_key: &str) -> Self {
        SyncCollection {
            id: Some(id),
            class: None,
            sync_key: sync_key.to_owned(),
            get_changes: None,
            window_size: None,
            has_commands: false,
        }
    }

    fn write(&self, writer: &mut Writer) {
        writer.start(tags::COLLECTION);
        if let Some(class) = &self.class {
            writer.text(tags::CLASS, class);
        }
        writer.text(tags::SYNC_KEY, &self.sync_key);
        if let Some(id) = &self.id {
            writer.text(tags::COLLECTION_ID, id.as_str());
        }
        if let Some(get_changes) = self.get_changes {
            writer.number(tags::GET_CHANGES, u8::from(get_changes));
        }
        write_numbers(&[(tags::WINDOW_SIZE, self.window_size)], writer);
        writer.end();
    }
}

/// The same request without its wait: answered at once, with or without changes. Everything else stays as it was, items too.
///
/// # Errors
/// The body is not WBXML.
pub fn without_wait(body: &[u8]) -> Result<Vec<u8>, WbxmlError> {
    wbxml::copy(body, Limits::LENIENT, |path| !matches!(path, [tags::SYNC, tags::WAIT | tags::HEARTBEAT_INTERVAL]))
}

/// A collection on its way in.
#[derive(Default)]
struct Draft {
    id: Option<FolderId>,
    class: Option<String>,
    sync_key: Option<String>,
    get_changes: Option<bool>,
    window_size: Option<u32>,
    has_commands: bool,
}

impl Draft {
    /// Takes the end of an element inside the collection.
    fn take(&mut self, path: &[Tag], content: Content<'_>) -> Result<(), BodyError> {
        match path {
            [tags::COLLECTION_ID] => once(&mut self.id, folder_id(content)?, "CollectionId is there twice"),
            [tags::CLASS] => once(&mut self.class, text(content)?, "Class is there twice"),
            [tags::SYNC_KEY] => once(&mut self.sync_key, text(content)?, "SyncKey is there twice"),
            [tags::GET_CHANGES] => once(&mut self.get_changes, content.text() != Some("0"), "GetChanges is there twice"),
            [tags::WINDOW_SIZE] => once(&mut self.window_size, number(content)?, "WindowSize is there twice"),
            [tags::COMMANDS, _] => {
                self.has_commands = true;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn finish(self) -> Result<SyncCollection, BodyError> {
        if self.id.is_none() && self.class.is_none() {
            return Err(BodyError::Syntax("a Collection has neither CollectionId nor Class"));
        }
        let Draft { id, class, sync_key, get_changes, window_size, has_commands } = self;
        let sync_key = sync_key.ok_or(BodyError::Syntax("a Collection has no SyncKey"))?;
        Ok(SyncCollection { id, class, sync_key, get_changes, window_size, has_commands })
    }
}

fn number(content: Content<'_>) -> Result<u32, BodyError> {
    content.number().ok_or(BodyError::Syntax("a number is not one"))
}

/// The numbers that are there.
pub(super) fn write_numbers(numbers: &[(Tag, Option<u32>)], writer: &mut Writer) {
    for (tag, value) in numbers {
        if let Some(value) = value {
            writer.number(*tag, *value);
        }
    }
}
