//! FolderSync (MS-ASCMD 2.2.1.5): how a device, and so the gateway, learns a mailbox's folders.

use super::body::{BodyError, check_root, folder_id, once, status, text, walk};
use super::{Class, FolderId};
use crate::logic::wbxml::{Content, Elements, Limits, Step, Tag, Writer, folder_hierarchy as tags};

/// Changes kept of one answer: far beyond any mailbox, and at 500 bytes each below 10 MB.
pub const CHANGES_MAX: usize = 20_000;

/// A request. Key `0` asks for the whole tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FolderSyncRequest {
    /// The key of the last answer.
    pub sync_key: String,
}

/// An answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FolderSyncAnswer {
    /// 1 is success, 9 a key the server does not know.
    pub status: u16,
    /// The key for the next request.
    pub sync_key: Option<String>,
    /// What changed since the request's key, in the server's order; at most [`CHANGES_MAX`].
    pub changes: Vec<FolderChange>,
    /// Whether there were more changes than that.
    pub is_cut: bool,
}

/// One change of the folder tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FolderChange {
    /// A new folder.
    Add(Folder),
    /// A folder renamed or moved.
    Update(Folder),
    /// A folder gone.
    Delete(FolderId),
}

/// A folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder {
    /// Its server id.
    pub id: FolderId,
    /// The folder it is in; `0` is the root.
    pub parent: FolderId,
    /// The last component of its path, as shown to people.
    pub name: String,
    /// What it is.
    pub kind: FolderType,
}

/// What a folder is (MS-ASCMD 2.2.3.186.3): 2 the Inbox, 12 a mail folder of the user, and so on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FolderType(pub u8);

impl FolderType {
    /// Not said (FolderUpdate names none): a folder that is known stays what it is.
    pub const UNSAID: FolderType = FolderType(0);
    /// The default Inbox.
    pub const INBOX: FolderType = FolderType(2);
    /// The default Calendar.
    pub const CALENDAR: FolderType = FolderType(8);
    /// The default Contacts.
    pub const CONTACTS: FolderType = FolderType(9);
    /// A mail folder of the user.
    pub const MAIL: FolderType = FolderType(12);
    /// The server does not know.
    pub const UNKNOWN: FolderType = FolderType(18);

    /// What it holds; `None` for journals, the recipient cache and unknown ones, which cannot be watched.
    pub fn class(self) -> Option<Class> {
        match self.0 {
            1..=6 | 12 => Some(Class::Email),
            8 | 13 => Some(Class::Calendar),
            9 | 14 => Some(Class::Contacts),
            7 | 15 => Some(Class::Tasks),
            10 | 17 => Some(Class::Notes),
            _ => None,
        }
    }
}

impl FolderSyncRequest {
    /// Reads a body.
    ///
    /// # Errors
    /// See [`BodyError`].
    pub fn parse(body: &[u8]) -> Result<Self, BodyError> {
        let mut sync_key = None;
        walk(body, tags::FOLDER_SYNC, Limits::STRICT, |step| match step {
            Step::Close([tags::FOLDER_SYNC, tags::SYNC_KEY], content) => once(&mut sync_key, text(content)?, "SyncKey is there twice"),
            _ => Ok(()),
        })?;
        let sync_key = sync_key.ok_or(BodyError::Syntax("SyncKey is missing"))?;
        Ok(FolderSyncRequest { sync_key })
    }

    /// Writes the body.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.start(tags::FOLDER_SYNC).text(tags::SYNC_KEY, &self.sync_key).end();
        writer.finish()
    }
}

impl FolderSyncAnswer {
    /// Reads a whole body.
    ///
    /// # Errors
    /// See [`BodyError`].
    pub fn parse(body: &[u8]) -> Result<Self, BodyError> {
        let mut reader = FolderSyncReader::new();
        reader.push(body)?;
        reader.finish()
    }

    /// Writes the body; a failure has no Changes.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.start(tags::FOLDER_SYNC).number(tags::STATUS, self.status);
        if let Some(sync_key) = &self.sync_key {
            writer.text(tags::SYNC_KEY, sync_key).start(tags::CHANGES).number(tags::COUNT, self.changes.len() as u64);
            for change in &self.changes {
                change.write(&mut writer);
            }
            writer.end();
        }
        writer.end();
        writer.finish()
    }
}

impl FolderChange {
    fn write(&self, writer: &mut Writer) {
        let (tag, folder) = match self {
            FolderChange::Add(folder) => (tags::ADD, folder),
            FolderChange::Update(folder) => (tags::UPDATE, folder),
            FolderChange::Delete(id) => {
                writer.start(tags::DELETE).text(tags::SERVER_ID, id.as_str()).end();
                return;
            }
        };
        writer.start(tag).text(tags::SERVER_ID, folder.id.as_str()).text(tags::PARENT_ID, folder.parent.as_str());
        writer.text(tags::DISPLAY_NAME, &folder.name).number(tags::TYPE, folder.kind.0).end();
    }
}

/// Reads an answer while it passes by, in pieces of any size.
#[derive(Debug)]
pub struct FolderSyncReader {
    elements: Elements,
    status: Option<u16>,
    answer: FolderSyncAnswer,
    change: Draft,
    failed: Option<BodyError>,
}

/// A change on its way in.
#[derive(Debug, Default)]
struct Draft {
    id: Option<FolderId>,
    parent: Option<FolderId>,
    name: Option<String>,
    kind: Option<FolderType>,
}

impl Default for FolderSyncReader {
    fn default() -> Self {
        FolderSyncReader::new()
    }
}

impl FolderSyncReader {
    /// Before the first byte.
    pub fn new() -> Self {
        let elements = Elements::new(Limits::LENIENT);
        FolderSyncReader { elements, status: None, answer: FolderSyncAnswer::default(), change: Draft::default(), failed: None }
    }

    /// Takes the next bytes of the body.
    ///
    /// # Errors
    /// The first one is final and is repeated ever after; the bytes may still be passed on, nothing is learnt from them.
    pub fn push(&mut self, mut bytes: &[u8]) -> Result<(), BodyError> {
        match self.failed {
            Some(error) => Err(error),
            None => self.read(&mut bytes).inspect_err(|error| self.failed = Some(*error)),
        }
    }

    /// The answer, when the body has ended.
    ///
    /// # Errors
    /// See [`BodyError`].
    pub fn finish(mut self) -> Result<FolderSyncAnswer, BodyError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        self.elements.finish()?;
        self.answer.status = self.status.ok_or(BodyError::Syntax("the answer has no Status"))?;
        Ok(self.answer)
    }

    fn read(&mut self, bytes: &mut &[u8]) -> Result<(), BodyError> {
        while let Some(step) = self.elements.next(bytes)? {
            check_root(&step, tags::FOLDER_SYNC)?;
            match step {
                Step::Open([_, tags::CHANGES, tags::ADD | tags::UPDATE | tags::DELETE]) => self.change = Draft::default(),
                Step::Close([_, tags::STATUS], content) => once(&mut self.status, status(content)?, "Status is there twice")?,
                Step::Close([_, tags::SYNC_KEY], content) => self.answer.sync_key = Some(text(content)?),
                Step::Close([_, tags::CHANGES, tags::ADD | tags::UPDATE | tags::DELETE, field], content) => {
                    self.change.take(*field, content)?
                }
                Step::Close([_, tags::CHANGES, what], _) => keep(&mut self.answer, self.change.finish(*what)?),
                _ => {}
            }
        }
        Ok(())
    }
}

/// Keeps a change as long as there is room.
fn keep(answer: &mut FolderSyncAnswer, change: Option<FolderChange>) {
    match change {
        Some(_) if answer.changes.len() == CHANGES_MAX => answer.is_cut = true,
        Some(change) => answer.changes.push(change),
        None => {}
    }
}

impl Draft {
    fn take(&mut self, field: Tag, content: Content<'_>) -> Result<(), BodyError> {
        match field {
            tags::SERVER_ID => self.id = Some(folder_id(content)?),
            tags::PARENT_ID => self.parent = Some(folder_id(content)?),
            tags::DISPLAY_NAME => self.name = Some(text(content)?),
            tags::TYPE => self.kind = content.number().and_then(|kind| u8::try_from(kind).ok()).map(FolderType),
            _ => {}
        }
        Ok(())
    }

    /// The change, when its element ends; other elements than changes are none.
    fn finish(&mut self, what: Tag) -> Result<Option<FolderChange>, BodyError> {
        if !matches!(what, tags::ADD | tags::UPDATE | tags::DELETE) {
            return Ok(None);
        }
        let draft = std::mem::take(self);
        let id = draft.id.ok_or(BodyError::Syntax("a folder has no ServerId"))?;
        if what == tags::DELETE {
            return Ok(Some(FolderChange::Delete(id)));
        }
        let folder = Folder {
            id,
            parent: draft.parent.ok_or(BodyError::Syntax("a folder has no ParentId"))?,
            name: draft.name.unwrap_or_default(),
            kind: draft.kind.unwrap_or(FolderType::UNKNOWN),
        };
        Ok(Some(if what == tags::ADD { FolderChange::Add(folder) } else { FolderChange::Update(folder) }))
    }
}
