//! What a device waits with, a Ping or a hanging Sync, and what it makes of the answer.

use std::time::{Duration, Instant};

use super::behaviour::{Event, Observer, WaitsBy};
use super::life::{Asked, Life, Needs};
use super::requests::{Collection, SyncWish, sync_body};
use super::{DeviceError, HttpAnswer, SyncAnswer, answers};
/// A heartbeat may end a little early.
const EARLY: Duration = Duration::from_secs(2);

use crate::logic::eas::{Command, FolderId, PingAnswer, PingFolder, PingRequest, Version};

impl Life {
    /// The whole request.
    pub(super) fn waiting_request(&self) -> Vec<u8> {
        match self.waits_by() {
            WaitsBy::Ping => self.device.request(Command::Ping, &self.ping_body(), None),
            WaitsBy::Sync => self.device.request(Command::Sync, &self.hanging_sync_body(), None),
        }
    }

    /// Takes in the answer that was read at `at`.
    pub(super) fn take_in(&mut self, asked: Asked, answer: HttpAnswer, at: Instant, observer: &dyn Observer) -> Result<(), DeviceError> {
        if answer.status != 200 {
            return Err(DeviceError::Http(answer.status));
        }
        let after = at.saturating_duration_since(asked.at);
        match self.waits_by() {
            WaitsBy::Ping => {
                let answer = PingAnswer::parse(&answer.body).map_err(|_| DeviceError::Malformed("a Ping answer that is none"))?;
                observer.note(self.number, Event::PingAnswered { status: answer.status(), at, after });
                self.take_ping(answer, after)
            }
            WaitsBy::Sync => {
                let answers = answers::sync(&answer.body)?;
                let is_news =
                    answers.iter().any(|answer| !answer.added.is_empty() || !answer.changed.is_empty() || !answer.deleted.is_empty());
                let failed = answers.iter().map(|answer| answer.status).find(|&status| status != 1);
                // Long before its time and with nothing in it: somebody told the server of a change that is none for this device.
                let is_early = after + EARLY < Duration::from_secs(asked.heartbeat_s.into());
                let fine = if is_news || is_early { 2 } else { 1 };
                let status = failed.map_or(fine, |status| u8::try_from(status).unwrap_or(u8::MAX));
                observer.note(self.number, Event::PingAnswered { status, at, after });
                self.take_sync(answers, is_news, asked, after, observer)
            }
        }
    }

    fn waits_by(&self) -> WaitsBy {
        if self.device.version < Version::V12_1 { WaitsBy::Ping } else { self.behaviour.waits_by }
    }

    fn ping_body(&self) -> Vec<u8> {
        if self.behaviour.repeats_empty && self.has_told {
            return Vec::new();
        }
        let folders: Vec<PingFolder> = self.watched().into_iter().map(|id| PingFolder { class: self.device.class_of(&id), id }).collect();
        PingRequest { heartbeat_s: Some(self.heartbeat.now_s), folders: Some(folders), folder_count: 0 }.encode()
    }

    fn hanging_sync_body(&self) -> Vec<u8> {
        let watched = self.watched();
        let known = self.device.folders.iter().filter(|folder| watched.contains(&folder.id));
        let collections: Vec<Collection<'_>> =
            known.map(|folder| Collection { id: &folder.id, class: self.device.class_of(&folder.id), key: &folder.key }).collect();
        let wish = SyncWish { heartbeat_s: Some(self.heartbeat.now_s), ..SyncWish::default() };
        sync_body(self.device.version, &collections, &wish)
    }

    fn take_ping(&mut self, answer: PingAnswer, after: Duration) -> Result<(), DeviceError> {
        self.has_told = !matches!(answer, PingAnswer::MissingParameters);
        let error = DeviceError::Status(Command::Ping, answer.status().into());
        match answer {
            PingAnswer::Changes(folders) => {
                self.due = folders;
                self.quick = 0;
                return Ok(());
            }
            PingAnswer::Expired => self.heartbeat.expired(self.behaviour.adapts),
            PingAnswer::MissingParameters => {}
            PingAnswer::HeartbeatOutOfRange { heartbeat_s } => {
                self.heartbeat.bounded(self.behaviour.adapts, heartbeat_s);
                self.has_told = false;
            }
            PingAnswer::TooManyFolders { max } => {
                self.folders_max = max as usize;
                self.has_told = false;
            }
            PingAnswer::HierarchyChanged => self.needs = self.needs.min(Needs::Folders),
            _ => return Err(error),
        }
        self.uneventful(after, error)
    }

    fn take_sync(
        &mut self,
        answers: Vec<SyncAnswer>,
        is_news: bool,
        asked: Asked,
        after: Duration,
        observer: &dyn Observer,
    ) -> Result<(), DeviceError> {
        let mut error = DeviceError::Status(Command::Sync, 1);
        for answer in &answers {
            let id = FolderId::new(&answer.folder).ok();
            match answer.status {
                1 => {
                    if !answer.key.is_empty() {
                        self.device.set_key(&answer.folder, &answer.key);
                    }
                    self.fetched(answer, asked.at, false, observer);
                    self.due.extend(id.filter(|_| answer.is_more));
                }
                3 => {
                    self.device.set_key(&answer.folder, "0");
                    self.due.extend(id);
                }
                12 => self.needs = self.needs.min(Needs::Folders),
                // In minutes where the request was; see MS-ASCMD 2.2.3.97.
                14 if self.device.version < Version::V14_0 => self.bounded(answer.limit.map(|minutes| minutes.saturating_mul(60))),
                14 => self.bounded(answer.limit),
                15 => self.folders_max = answer.limit.map_or(1, |limit| limit.max(1) as usize),
                status => return Err(DeviceError::Status(Command::Sync, status)),
            }
            if answer.status != 1 {
                error = DeviceError::Status(Command::Sync, answer.status);
            }
        }
        if is_news {
            self.quick = 0;
            return Ok(());
        }
        if answers.iter().all(|answer| answer.status == 1) {
            self.heartbeat.expired(self.behaviour.adapts);
        }
        self.uneventful(after, error)
    }

    fn bounded(&mut self, limit_s: Option<u32>) {
        self.heartbeat.bounded(self.behaviour.adapts, limit_s.unwrap_or(self.heartbeat.now_s).max(1));
    }
}
