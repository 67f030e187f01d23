//! What a device says: to an EAS server a phone's requests, to anybody else one GET that is held.

use std::sync::Arc;

use anyhow::{Context as _, ensure};
use pushgate::logic::eas::{Class, Command, FolderId, PingAnswer, PingFolder, PingRequest};
use pushgate::logic::wbxml::{Elements, Limits, Step as Walk, Tag, Writer, air_sync, folder_hierarchy as fh};
use pushgate::standin::device::{Device, DeviceOptions};
use serde::{Deserialize, Serialize};

use super::answer::Answer;

/// FolderSync's Type of the Inbox.
const INBOX: u8 = 2;
/// A heartbeat that does not end here.
const HEARTBEAT_S: u32 = 3_540;

/// Which language.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Language {
    /// ActiveSync. `{}` in the user's name is the device's number.
    Eas { user: String, folders: usize },
    /// `GET` of this path; `{}` is the device's number.
    Get { path: String },
}

/// A request.
pub struct Request {
    /// Head and body.
    pub bytes: Vec<u8>,
    /// It is held until something happens.
    pub is_held: bool,
}

/// One device's part.
pub enum Script {
    Eas(Box<Eas>),
    Get(usize),
}

impl Script {
    /// For the device of that number.
    pub fn new(language: &Language, options: &Arc<DeviceOptions>, number: usize) -> Script {
        match language {
            Language::Eas { user, folders } => {
                let device = Device::new(options.clone(), &user.replace("{}", &number.to_string()), &format!("PEER{number:08}"));
                Script::Eas(Box::new(Eas {
                    device,
                    folders_max: *folders,
                    hierarchy_key: "0".into(),
                    folders: Vec::new(),
                    step: Step::Options,
                }))
            }
            Language::Get { .. } => Script::Get(number),
        }
    }

    /// There is a new connection.
    pub fn restart(&mut self) {
        if let Script::Eas(eas) = self {
            eas.restart();
        }
    }

    /// What to say next.
    pub fn request(&self, language: &Language) -> Request {
        match self {
            Script::Eas(eas) => eas.request(),
            Script::Get(number) => get(language, *number),
        }
    }

    /// The answer to that. One to a request that was held must be a wake.
    pub fn take(&mut self, answer: &Answer) -> anyhow::Result<()> {
        ensure!(answer.status == 200, "answered {}", answer.status);
        match self {
            Script::Eas(eas) => eas.take(&answer.body),
            Script::Get(_) => Ok(()),
        }
    }
}

/// With the headers that a phone's request has: some servers keep them.
fn get(language: &Language, number: usize) -> Request {
    let Language::Get { path } = language else { unreachable!("a device does not change its language") };
    let path = path.replace("{}", &number.to_string());
    let bytes = format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic dXNlcjEyMzQ1QGV4YW1wbGUub3JnOnRlc3Q=\r\n\
         User-Agent: pushgate-peers/1\r\nMS-ASProtocolVersion: 14.1\r\n\r\n"
    );
    Request { bytes: bytes.into_bytes(), is_held: true }
}

/// A request, by what it is for.
#[derive(Clone, Copy)]
enum Step {
    Options,
    FolderSync,
    /// Of the folder with that index.
    Sync(usize),
    Ping,
}

/// A phone: OPTIONS, FolderSync, Sync of each folder, Ping; Sync of the Inbox after each wake.
pub struct Eas {
    device: Device,
    folders_max: usize,
    hierarchy_key: String,
    /// The Inbox first.
    folders: Vec<Folder>,
    /// The next request, or the one that is out.
    step: Step,
}

struct Folder {
    id: FolderId,
    kind: u8,
    key: String,
}

impl Eas {
    /// One that has logged in before goes on where it was.
    fn restart(&mut self) {
        self.step = match self.step {
            _ if self.folders.is_empty() => Step::Options,
            Step::Sync(index) => Step::Sync(index),
            _ => Step::Ping,
        };
    }

    fn request(&self) -> Request {
        let (command, body) = match self.step {
            Step::Options => return self.options(),
            Step::FolderSync => (Command::FolderSync, self.folder_sync()),
            Step::Sync(index) => (Command::Sync, sync(&self.folders[index])),
            Step::Ping => (Command::Ping, self.ping()),
        };
        Request { bytes: self.device.request(command, &body, None), is_held: command == Command::Ping }
    }

    fn take(&mut self, body: &[u8]) -> anyhow::Result<()> {
        let step = self.step;
        self.step = match step {
            Step::Options => Step::FolderSync,
            Step::FolderSync => {
                self.take_folders(body)?;
                Step::Sync(0)
            }
            Step::Sync(index) if self.take_sync(index, body)? => Step::Sync(index),
            // After a login there are others; after a wake the Inbox was all.
            Step::Sync(_) => self.folders.iter().position(|folder| folder.key == "0").map_or(Step::Ping, Step::Sync),
            Step::Ping => {
                let answer = PingAnswer::parse(body).ok().context("a Ping answer that is none")?;
                ensure!(matches!(answer, PingAnswer::Changes(_)), "a Ping was answered with Status {}", answer.status());
                Step::Sync(0)
            }
        };
        Ok(())
    }

    fn options(&self) -> Request {
        // `request` writes POSTs; OPTIONS has the same head.
        let post = String::from_utf8(self.device.request(Command::Ping, &[], None)).expect("a head is text");
        let rest = post.split_once("\r\n").expect("a head has lines").1;
        Request { bytes: format!("OPTIONS /Microsoft-Server-ActiveSync HTTP/1.1\r\n{rest}").into_bytes(), is_held: false }
    }

    fn folder_sync(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.start(fh::FOLDER_SYNC).text(fh::SYNC_KEY, &self.hierarchy_key).end();
        writer.finish()
    }

    fn ping(&self) -> Vec<u8> {
        let watch = |folder: &Folder| PingFolder { id: folder.id.clone(), class: class_of(folder.kind).unwrap_or(Class::Email) };
        let folders = self.folders.iter().map(watch).collect();
        PingRequest { heartbeat_s: Some(HEARTBEAT_S), folders: Some(folders), folder_count: 0 }.encode()
    }

    fn take_folders(&mut self, body: &[u8]) -> anyhow::Result<()> {
        let mut id = None;
        for (tag, text) in texts(body)? {
            match tag {
                fh::SYNC_KEY => self.hierarchy_key = text,
                fh::STATUS => ensure!(text == "1", "FolderSync was answered with Status {text}"),
                fh::SERVER_ID => id = Some(FolderId::new(&text).ok().context("a folder's id")?),
                fh::TYPE => {
                    let kind: u8 = text.parse().context("a folder's Type")?;
                    let id = id.take().filter(|_| class_of(kind).is_some());
                    self.folders.extend(id.map(|id| Folder { id, kind, key: "0".into() }));
                }
                _ => {}
            }
        }
        ensure!(self.folders.iter().any(|folder| folder.kind == INBOX), "no Inbox");
        // Beside it the first ones.
        self.folders.sort_by_key(|folder| folder.kind != INBOX);
        self.folders.truncate(self.folders_max);
        Ok(())
    }

    /// Remembers the key. True: there is more to fetch.
    fn take_sync(&mut self, index: usize, body: &[u8]) -> anyhow::Result<bool> {
        if body.is_empty() {
            return Ok(false);
        }
        let was_first = self.folders[index].key == "0";
        let mut is_more = false;
        for (tag, text) in texts(body)? {
            match tag {
                air_sync::SYNC_KEY => self.folders[index].key = text,
                air_sync::STATUS => ensure!(text == "1", "Sync was answered with Status {text}"),
                air_sync::MORE_AVAILABLE => is_more = true,
                _ => {}
            }
        }
        Ok(was_first || is_more)
    }
}

fn sync(folder: &Folder) -> Vec<u8> {
    let mut writer = Writer::new();
    writer.start(air_sync::SYNC).start(air_sync::COLLECTIONS).start(air_sync::COLLECTION);
    writer.text(air_sync::SYNC_KEY, &folder.key).text(air_sync::COLLECTION_ID, folder.id.as_str());
    writer.end().end().end();
    writer.finish()
}

/// What folders of that Type hold; `None`: nothing that can be watched.
fn class_of(kind: u8) -> Option<Class> {
    match kind {
        2..=6 | 12 => Some(Class::Email),
        8 => Some(Class::Calendar),
        9 => Some(Class::Contacts),
        7 => Some(Class::Tasks),
        10 => Some(Class::Notes),
        _ => None,
    }
}

/// The elements of a body with their texts, in the order in which they end.
fn texts(body: &[u8]) -> anyhow::Result<Vec<(Tag, String)>> {
    let mut elements = Elements::new(Limits::LENIENT);
    let (mut rest, mut found) = (body, Vec::new());
    while let Some(step) = elements.next(&mut rest).ok().context("an answer that is not WBXML")? {
        if let Walk::Close(path, content) = step {
            let tag = *path.last().expect("an element that ends is on its path");
            found.push((tag, content.text().unwrap_or_default().to_owned()));
        }
    }
    Ok(found)
}
