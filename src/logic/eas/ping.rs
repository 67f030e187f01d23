//! Ping (MS-ASCMD 2.2.1.13): request and answer, read strictly, written in the shortest form.

use super::body::{BodyError, folder_id, once, walk};
use super::{Class, FolderId};
use crate::logic::wbxml::{Limits, Step, Writer, ping};

/// What a device asks to be told about. Fields it leaves out are the ones it sent before.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PingRequest {
    /// How long the request may be held, in seconds; a number too large to hold reads as the largest.
    pub heartbeat_s: Option<u32>,
    /// The folders to watch, each once, in the device's order; at most the maximum given to [`PingRequest::parse`].
    pub folders: Option<Vec<PingFolder>>,
    /// How many folders the device listed, duplicates among the kept ones not counted. More than `folders` holds: too many (Status 6).
    pub folder_count: usize,
}

/// One watched folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PingFolder {
    /// Its server id.
    pub id: FolderId,
    /// What it holds.
    pub class: Class,
}

/// A body that is not a Ping's: answer 4.
pub type PingError = BodyError;

/// What a Ping is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PingAnswer {
    /// 1: the heartbeat is over and nothing changed.
    Expired,
    /// 2: these folders changed.
    Changes(Vec<FolderId>),
    /// 3: heartbeat or folders are not known; send the full Ping.
    MissingParameters,
    /// 4: the body is broken.
    Syntax,
    /// 5: the heartbeat is out of range.
    HeartbeatOutOfRange {
        /// The nearest that is in range, in seconds.
        heartbeat_s: u32,
    },
    /// 6: too many folders.
    TooManyFolders {
        /// How many are possible.
        max: u32,
    },
    /// 7: the folder list is out of date; FolderSync.
    HierarchyChanged,
    /// 8: trouble; try again.
    ServerError,
    /// Any other status; 101 and above are common to all commands.
    Other(u8),
}

impl PingRequest {
    /// Reads a body; an empty one means "as before". Keeps at most `folders_max` folders and only counts the others.
    ///
    /// # Errors
    /// See [`PingError`].
    pub fn parse(body: &[u8], folders_max: usize) -> Result<PingRequest, PingError> {
        if body.is_empty() {
            return Ok(PingRequest::default());
        }
        let mut request =
            RequestReader { folders_max, request: PingRequest::default(), order: Vec::with_capacity(FOLDERS), id: None, class: None };
        walk(body, ping::PING, Limits::STRICT, |step| request.take(step))?;
        Ok(request.request)
    }

    /// Writes the body; empty if there is nothing to say.
    pub fn encode(&self) -> Vec<u8> {
        if self.heartbeat_s.is_none() && self.folders.is_none() {
            return Vec::new();
        }
        let mut writer = Writer::new();
        writer.start(ping::PING);
        if let Some(heartbeat_s) = self.heartbeat_s {
            writer.number(ping::HEARTBEAT_INTERVAL, heartbeat_s);
        }
        if let Some(folders) = &self.folders {
            writer.start(ping::FOLDERS);
            for folder in folders {
                writer.start(ping::FOLDER).text(ping::ID, folder.id.as_str()).text(ping::CLASS, folder.class.name()).end();
            }
            writer.end();
        }
        writer.end();
        writer.finish()
    }
}

/// Most devices watch no more.
const FOLDERS: usize = 8;

/// A request on its way in.
struct RequestReader {
    folders_max: usize,
    request: PingRequest,
    /// Indices into `request.folders`, sorted by id: finds duplicates.
    order: Vec<usize>,
    id: Option<FolderId>,
    class: Option<Class>,
}

impl RequestReader {
    fn take(&mut self, step: Step<'_>) -> Result<(), PingError> {
        match step {
            Step::Open([ping::PING, ping::FOLDERS]) => {
                once(&mut self.request.folders, Vec::with_capacity(FOLDERS), "Folders is there twice")
            }
            Step::Close([ping::PING, ping::HEARTBEAT_INTERVAL], content) => {
                let seconds = content.number().ok_or(PingError::Syntax("HeartbeatInterval is not a number"))?;
                once(&mut self.request.heartbeat_s, seconds, "HeartbeatInterval is there twice")
            }
            Step::Close([ping::PING, ping::FOLDERS, ping::FOLDER, ping::ID], content) => {
                once(&mut self.id, folder_id(content)?, "a Folder has two Ids")
            }
            Step::Close([ping::PING, ping::FOLDERS, ping::FOLDER, ping::CLASS], content) => {
                let class = content.text().and_then(|text| text.parse().ok());
                let class = class.ok_or(PingError::Syntax("Class is not a known class"))?;
                once(&mut self.class, class, "a Folder has two Classes")
            }
            Step::Close([ping::PING, ping::FOLDERS, ping::FOLDER], _) => self.folder_ends(),
            _ => Ok(()),
        }
    }

    fn folder_ends(&mut self) -> Result<(), PingError> {
        let id = self.id.take().ok_or(PingError::Syntax("a Folder has no Id"))?;
        let class = self.class.take().ok_or(PingError::Syntax("a Folder has no Class"))?;
        let folders = self.request.folders.get_or_insert_default();
        let Err(place) = self.order.binary_search_by(|&index| folders[index].id.cmp(&id)) else { return Ok(()) };
        self.request.folder_count += 1;
        if folders.len() < self.folders_max {
            self.order.insert(place, folders.len());
            folders.push(PingFolder { id, class });
        }
        Ok(())
    }
}

impl PingAnswer {
    /// The Status number.
    pub fn status(&self) -> u8 {
        match self {
            PingAnswer::Expired => 1,
            PingAnswer::Changes(_) => 2,
            PingAnswer::MissingParameters => 3,
            PingAnswer::Syntax => 4,
            PingAnswer::HeartbeatOutOfRange { .. } => 5,
            PingAnswer::TooManyFolders { .. } => 6,
            PingAnswer::HierarchyChanged => 7,
            PingAnswer::ServerError => 8,
            PingAnswer::Other(status) => *status,
        }
    }

    /// Writes the body; never empty, since devices take an empty answer for a broken connection.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64);
        self.encode_into(&mut out);
        out
    }

    /// Appends the body to `out`.
    pub fn encode_into(&self, out: &mut Vec<u8>) {
        if let PingAnswer::Changes(folders) = self {
            return encode_changes(folders.iter().map(FolderId::as_str), out);
        }
        let mut writer = Writer::after(std::mem::take(out));
        writer.start(ping::PING).number(ping::STATUS, self.status());
        match self {
            PingAnswer::HeartbeatOutOfRange { heartbeat_s } => writer.number(ping::HEARTBEAT_INTERVAL, *heartbeat_s),
            PingAnswer::TooManyFolders { max } => writer.number(ping::MAX_FOLDERS, *max),
            _ => &mut writer,
        }
        .end();
        *out = writer.finish();
    }

    /// Reads a backend's answer. An empty body is no answer (Horde ends a replaced Ping so).
    ///
    /// # Errors
    /// See [`PingError`].
    pub fn parse(body: &[u8]) -> Result<PingAnswer, PingError> {
        let (mut status, mut heartbeat_s, mut max, mut folders) = (None, None, None, Vec::new());
        if body.is_empty() {
            return Err(PingError::Syntax("the answer is empty"));
        }
        walk(body, ping::PING, Limits::STRICT, |step| {
            let Step::Close(path, content) = step else { return Ok(()) };
            match path {
                [ping::PING, ping::STATUS] => status = content.number(),
                [ping::PING, ping::HEARTBEAT_INTERVAL] => heartbeat_s = content.number(),
                [ping::PING, ping::MAX_FOLDERS] => max = content.number(),
                [ping::PING, ping::FOLDERS, ping::FOLDER] if !content.is_empty() => folders.push(folder_id(content)?),
                _ => {}
            }
            Ok(())
        })?;
        let status = status.and_then(|status| u8::try_from(status).ok()).ok_or(PingError::Syntax("the answer has no Status"))?;
        Ok(match status {
            1 => PingAnswer::Expired,
            2 => PingAnswer::Changes(folders),
            3 => PingAnswer::MissingParameters,
            4 => PingAnswer::Syntax,
            5 => {
                PingAnswer::HeartbeatOutOfRange { heartbeat_s: heartbeat_s.ok_or(PingError::Syntax("Status 5 without HeartbeatInterval"))? }
            }
            6 => PingAnswer::TooManyFolders { max: max.ok_or(PingError::Syntax("Status 6 without MaxFolders"))? },
            7 => PingAnswer::HierarchyChanged,
            8 => PingAnswer::ServerError,
            other => PingAnswer::Other(other),
        })
    }
}

/// Appends a Status 2 answer for these folder ids to `out`, without an allocation beyond `out`'s own: this runs for every wake.
pub fn encode_changes<'a>(ids: impl Iterator<Item = &'a str>, out: &mut Vec<u8>) {
    let mut writer = Writer::after(std::mem::take(out));
    writer.start(ping::PING).number(ping::STATUS, 2_u8).start(ping::FOLDERS);
    for id in ids {
        writer.text(ping::FOLDER, id);
    }
    writer.end().end();
    *out = writer.finish();
}
