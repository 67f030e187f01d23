//! Sync's answer, watched while it passes by: was the folder brought in step? Items are neither read nor kept.

use super::FolderId;
use super::body::{BodyError, check_root, folder_id, once, status, text};
use super::sync::{COLLECTIONS_MAX, SyncRequest, write_numbers};
use crate::logic::wbxml::{Content, Elements, Limits, Step, Tag, Writer, air_sync as tags, email};

/// What an answer said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SyncAnswer {
    /// Of the request as a whole; usually only on failure.
    pub status: Option<u16>,
    /// With Status 14: the nearest wait that is possible, in the unit of the request; with 15: how many collections are.
    pub limit: Option<u32>,
    /// Answers by folder. Empty and without a status: nothing changed (an empty body).
    pub collections: Vec<SyncedCollection>,
}

/// The answer for one folder.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SyncedCollection {
    /// Which.
    pub id: Option<FolderId>,
    /// Up to 12.1.
    pub class: Option<String>,
    /// 1 is success, 3 an unknown key.
    pub status: Option<u16>,
    /// The key for the next request; absent on failure.
    pub sync_key: Option<String>,
    /// There is more than this answer holds.
    pub more_available: bool,
    /// Changes the server sends: added, changed, deleted.
    pub server_commands: u32,
}

impl SyncedCollection {
    /// Whether the device has everything of this folder once it has read the answer.
    pub fn is_in_step(&self) -> bool {
        self.status == Some(1) && !self.more_available
    }
}

/// Watches an answer in pieces of any size.
#[derive(Debug)]
pub struct SyncObserver {
    elements: Elements,
    has_begun: bool,
    answer: SyncAnswer,
    collection: SyncedCollection,
    failed: Option<BodyError>,
}

impl Default for SyncObserver {
    fn default() -> Self {
        SyncObserver::new()
    }
}

impl SyncObserver {
    /// Before the first byte.
    pub fn new() -> Self {
        SyncObserver {
            elements: Elements::new(Limits::LENIENT),
            has_begun: false,
            answer: SyncAnswer::default(),
            collection: SyncedCollection::default(),
            failed: None,
        }
    }

    /// Takes the next bytes of the body.
    ///
    /// # Errors
    /// The first one is final and is repeated ever after; the bytes may still be passed on, nothing is learnt from them.
    pub fn push(&mut self, mut bytes: &[u8]) -> Result<(), BodyError> {
        self.has_begun |= !bytes.is_empty();
        match self.failed {
            Some(error) => Err(error),
            None => self.read(&mut bytes).inspect_err(|error| self.failed = Some(*error)),
        }
    }

    /// What the answer said, when the body has ended; an empty body says that nothing changed.
    ///
    /// # Errors
    /// See [`BodyError`].
    pub fn finish(self) -> Result<SyncAnswer, BodyError> {
        match self.failed {
            Some(error) => Err(error),
            None if !self.has_begun => Ok(self.answer),
            None => {
                self.elements.finish()?;
                Ok(self.answer)
            }
        }
    }

    fn read(&mut self, bytes: &mut &[u8]) -> Result<(), BodyError> {
        use tags::{COLLECTION, COLLECTIONS, LIMIT, STATUS, SYNC};
        while let Some(step) = self.elements.next(bytes)? {
            check_root(&step, SYNC)?;
            match step {
                Step::Open([_, COLLECTIONS, COLLECTION]) => self.collection = SyncedCollection::default(),
                Step::Close([_, COLLECTIONS, COLLECTION, inside @ ..], content) if !inside.is_empty() => {
                    self.collection.take(inside, content)?
                }
                Step::Close([_, COLLECTIONS, COLLECTION], _) => {
                    if self.answer.collections.len() == COLLECTIONS_MAX {
                        return Err(BodyError::Syntax("too many collections"));
                    }
                    self.answer.collections.push(std::mem::take(&mut self.collection));
                }
                Step::Close([_, STATUS], content) => once(&mut self.answer.status, status(content)?, "Status is there twice")?,
                Step::Close([_, LIMIT], content) => self.answer.limit = content.number(),
                _ => {}
            }
        }
        Ok(())
    }
}

impl SyncedCollection {
    /// Takes the end of an element inside the collection.
    fn take(&mut self, path: &[Tag], content: Content<'_>) -> Result<(), BodyError> {
        match path {
            [tags::COLLECTION_ID] => self.id = Some(folder_id(content)?),
            [tags::CLASS] => self.class = Some(text(content)?),
            [tags::STATUS] => self.status = Some(status(content)?),
            [tags::SYNC_KEY] => self.sync_key = Some(text(content)?),
            [tags::MORE_AVAILABLE] => self.more_available = true,
            [tags::COMMANDS, _] => self.server_commands = self.server_commands.saturating_add(1),
            _ => {}
        }
        Ok(())
    }

    /// With as many invented messages as there are commands.
    fn write(&self, writer: &mut Writer) {
        writer.start(tags::COLLECTION);
        if let Some(class) = &self.class {
            writer.text(tags::CLASS, class);
        }
        if let Some(sync_key) = &self.sync_key {
            writer.text(tags::SYNC_KEY, sync_key);
        }
        let id = self.id.as_ref().map_or("", FolderId::as_str);
        if !id.is_empty() {
            writer.text(tags::COLLECTION_ID, id);
        }
        write_numbers(&[(tags::STATUS, self.status.map(u32::from))], writer);
        if self.more_available {
            writer.empty(tags::MORE_AVAILABLE);
        }
        if self.server_commands > 0 {
            writer.start(tags::COMMANDS);
            for number in 1..=self.server_commands {
                writer.start(tags::ADD).text(tags::SERVER_ID, &format!("{id}:{number}"));
                writer.start(tags::APPLICATION_DATA).text(email::SUBJECT, &format!("Message {number}")).end().end();
            }
            writer.end();
        }
        writer.end();
    }
}

/// How little an answer says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quiet {
    /// Nothing at all: its body is empty, or all is as the request has it.
    Unchanged,
    /// Nothing changed, but the device is to continue from other keys.
    OnlyKeys,
    /// Changes, statuses, folders, more to come.
    No,
}

impl SyncAnswer {
    /// How little this says to a device that sent no changes of its own.
    pub fn quiet(&self, request: &SyncRequest) -> Quiet {
        // One that does not say which it is proves nothing of any.
        let is_calm = |c: &SyncedCollection| c.id.is_some() && c.is_in_step() && c.server_commands == 0;
        if self.status.is_some_and(|status| status != 1) || !self.collections.iter().all(is_calm) {
            return Quiet::No;
        }
        let is_asked = |collection: &SyncedCollection, key: &str| {
            request.collections.iter().any(|asked| asked.id == collection.id && asked.sync_key == key)
        };
        let is_same = |c: &SyncedCollection| c.sync_key.as_deref().is_none_or(|key| is_asked(c, key));
        if self.collections.iter().all(is_same) { Quiet::Unchanged } else { Quiet::OnlyKeys }
    }

    /// Reads a whole body.
    ///
    /// # Errors
    /// See [`BodyError`].
    pub fn parse(body: &[u8]) -> Result<Self, BodyError> {
        let mut observer = SyncObserver::new();
        observer.push(body)?;
        observer.finish()
    }

    /// Writes the body: empty when nothing changed, else with invented messages in place of items (for the stand-in CAS).
    pub fn encode(&self) -> Vec<u8> {
        if *self == SyncAnswer::default() {
            return Vec::new();
        }
        let mut writer = Writer::new();
        writer.start(tags::SYNC);
        write_numbers(&[(tags::STATUS, self.status.map(u32::from)), (tags::LIMIT, self.limit)], &mut writer);
        if !self.collections.is_empty() {
            writer.start(tags::COLLECTIONS);
            for collection in &self.collections {
                collection.write(&mut writer);
            }
            writer.end();
        }
        writer.end();
        writer.finish()
    }
}
