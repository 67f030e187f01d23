//! FolderCreate, FolderUpdate, FolderDelete (MS-ASCMD 2.2.1.3, .6, .4): the device changes the folder tree.

use super::body::{BodyError, Root, folder_id, root_command, status, text, walk};
use super::folder_sync::FolderType;
use super::{Command, FolderId};
use crate::logic::wbxml::{Limits, Step, Tag, Writer, folder_hierarchy as tags};

/// A request of one of the three commands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FolderRequest {
    /// The key of the last FolderSync.
    pub sync_key: String,
    /// What to do.
    pub order: FolderOrder,
}

/// What to do with a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FolderOrder {
    /// FolderCreate.
    Create {
        /// In which folder; `0` is the root.
        parent: FolderId,
        /// Its name.
        name: String,
        /// What it is.
        kind: FolderType,
    },
    /// FolderUpdate: rename, move or both.
    Update {
        /// Which folder.
        id: FolderId,
        /// Where it is afterwards.
        parent: FolderId,
        /// Its name afterwards.
        name: String,
    },
    /// FolderDelete.
    Delete {
        /// Which folder.
        id: FolderId,
    },
}

/// The answer to one of the three commands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FolderAnswer {
    /// Which of the three.
    pub command: FolderCommand,
    /// 1 is success.
    pub status: u16,
    /// The key for the next request.
    pub sync_key: Option<String>,
    /// FolderCreate: the new folder's id.
    pub id: Option<FolderId>,
}

/// The three commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "named after the commands")]
pub enum FolderCommand {
    Create,
    Update,
    Delete,
}

impl FolderCommand {
    fn root(self) -> Tag {
        match self {
            FolderCommand::Create => tags::FOLDER_CREATE,
            FolderCommand::Update => tags::FOLDER_UPDATE,
            FolderCommand::Delete => tags::FOLDER_DELETE,
        }
    }
}

/// The fields of either direction.
#[derive(Default)]
struct Fields {
    status: Option<u16>,
    sync_key: Option<String>,
    id: Option<FolderId>,
    parent: Option<FolderId>,
    name: Option<String>,
    kind: Option<FolderType>,
}

/// Reads a body of one of the three commands.
fn read(body: &[u8]) -> Result<(FolderCommand, Fields), BodyError> {
    let command = match root_command(body)? {
        Root::Command(Command::FolderCreate) => FolderCommand::Create,
        Root::Command(Command::FolderUpdate) => FolderCommand::Update,
        Root::Command(Command::FolderDelete) => FolderCommand::Delete,
        _ => return Err(BodyError::WrongRoot),
    };
    let mut fields = Fields::default();
    walk(body, command.root(), Limits::STRICT, |step| {
        let Step::Close([_, field], content) = step else { return Ok(()) };
        match *field {
            tags::STATUS => fields.status = Some(status(content)?),
            tags::SYNC_KEY => fields.sync_key = Some(text(content)?),
            tags::SERVER_ID => fields.id = Some(folder_id(content)?),
            tags::PARENT_ID => fields.parent = Some(folder_id(content)?),
            tags::DISPLAY_NAME => fields.name = Some(text(content)?),
            tags::TYPE => fields.kind = content.number().and_then(|kind| u8::try_from(kind).ok()).map(FolderType),
            _ => {}
        }
        Ok(())
    })?;
    Ok((command, fields))
}

impl FolderRequest {
    /// Reads a body.
    ///
    /// # Errors
    /// See [`BodyError`].
    pub fn parse(body: &[u8]) -> Result<Self, BodyError> {
        let (command, fields) = read(body)?;
        let id = fields.id.ok_or(BodyError::Syntax("ServerId is missing"));
        let parent = fields.parent.ok_or(BodyError::Syntax("ParentId is missing"));
        let name = fields.name.ok_or(BodyError::Syntax("DisplayName is missing"));
        let order = match command {
            FolderCommand::Create => {
                let kind = fields.kind.ok_or(BodyError::Syntax("Type is missing or not a number"))?;
                FolderOrder::Create { parent: parent?, name: name?, kind }
            }
            FolderCommand::Update => FolderOrder::Update { id: id?, parent: parent?, name: name? },
            FolderCommand::Delete => FolderOrder::Delete { id: id? },
        };
        Ok(FolderRequest { sync_key: fields.sync_key.ok_or(BodyError::Syntax("SyncKey is missing"))?, order })
    }

    /// Writes the body.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        match &self.order {
            FolderOrder::Create { parent, name, kind } => {
                writer.start(tags::FOLDER_CREATE).text(tags::SYNC_KEY, &self.sync_key).text(tags::PARENT_ID, parent.as_str());
                writer.text(tags::DISPLAY_NAME, name).number(tags::TYPE, kind.0);
            }
            FolderOrder::Update { id, parent, name } => {
                writer.start(tags::FOLDER_UPDATE).text(tags::SYNC_KEY, &self.sync_key).text(tags::SERVER_ID, id.as_str());
                writer.text(tags::PARENT_ID, parent.as_str()).text(tags::DISPLAY_NAME, name);
            }
            FolderOrder::Delete { id } => {
                writer.start(tags::FOLDER_DELETE).text(tags::SYNC_KEY, &self.sync_key).text(tags::SERVER_ID, id.as_str());
            }
        }
        writer.end();
        writer.finish()
    }
}

impl FolderAnswer {
    /// Reads a body.
    ///
    /// # Errors
    /// See [`BodyError`].
    pub fn parse(body: &[u8]) -> Result<Self, BodyError> {
        let (command, fields) = read(body)?;
        let status = fields.status.ok_or(BodyError::Syntax("the answer has no Status"))?;
        Ok(FolderAnswer { command, status, sync_key: fields.sync_key, id: fields.id })
    }

    /// Writes the body.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.start(self.command.root()).number(tags::STATUS, self.status);
        if let Some(sync_key) = &self.sync_key {
            writer.text(tags::SYNC_KEY, sync_key);
        }
        if let Some(id) = &self.id {
            writer.text(tags::SERVER_ID, id.as_str());
        }
        writer.end();
        writer.finish()
    }
}
