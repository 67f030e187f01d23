//! Commands whose bodies and answers teach: what a device has, and what it was told.

use bytes::Bytes;
use http::header::ACCEPT_ENCODING;
use http::request;
use hyper::body::Incoming;

use super::backend::BackendBody;
use super::body::{Collected, Watcher, inflated};
use super::exchange::{Answer, Eas, Exchange};
use super::observe::{Asked, FolderChangeWatcher, FolderSyncWatcher, Pupil, SyncWatcher, Way, proving};
use super::reading::{check_root, refuse_body, refuse_malformed};
use crate::logic::eas::folder_change::FolderRequest;
use crate::logic::eas::folder_sync::FolderSyncRequest;
use crate::logic::eas::sync::SyncRequest;
use crate::logic::eas::{BodyError, Command, Mailbox, Version, status};
use crate::logic::hold::AsOf;

/// Why a request whose answer would teach goes no further.
enum Turned {
    /// Its body cannot be read.
    Malformed(BodyError),
    /// It repeats itself.
    Slowed(Box<Answer>),
}

impl From<BodyError> for Turned {
    fn from(error: BodyError) -> Self {
        Turned::Malformed(error)
    }
}

fn unslowed(answer: Option<Answer>) -> Result<(), Turned> {
    answer.map_or(Ok(()), |answer| Err(Turned::Slowed(Box::new(answer))))
}

impl Exchange {
    /// A command whose body and answer teach something.
    pub(super) async fn observed(self, mut head: request::Parts, body: Incoming, eas: Eas) -> Answer {
        let limits = &self.gateway.config.limits;
        let body = match self.gather(&head, body, &eas, limits.inspected_body_bytes_max).await {
            Ok(Collected::Whole(body)) => body,
            // A Sync that uploads much: its root is looked at, its folders stay as they were.
            Ok(Collected::More(beginning)) => {
                if let Err(code) = check_root(&beginning.first, &eas.request) {
                    return self.done(refuse_body(&eas.request, code));
                }
                let route = self.route_to(&eas);
                return self.forward(head, BackendBody::stream(beginning), eas, route, None).await;
            }
            Err(answer) => return self.done(*answer),
        };
        let Some(inspected) = inflated(&head.headers, &body, limits.inspected_body_bytes_max) else {
            return self.done(refuse_body(&eas.request, status::INVALID_WBXML));
        };
        if eas.request.command == Command::Sync && eas.request.version >= Version::V12_1 {
            return match SyncRequest::skim(&inspected) {
                Ok(request) => match self.slow_sync(&eas, &request) {
                    Some(answer) => self.done(answer),
                    None => self.sync(head, (body, inspected, request), eas).await,
                },
                Err(error) => self.refuse_malformed(&eas, error),
            };
        }
        let watcher = match self.watcher(&inspected, &eas).await {
            Ok(watcher) => watcher,
            Err(Turned::Malformed(error)) => return self.refuse_malformed(&eas, error),
            Err(Turned::Slowed(answer)) => return self.done(*answer),
        };
        // What passes by must be readable.
        head.headers.remove(ACCEPT_ENCODING);
        let route = self.route_to(&eas);
        self.forward(head, BackendBody::Replayable(body), eas, route, watcher).await
    }

    pub(super) fn refuse_malformed(self, eas: &Eas, error: BodyError) -> Answer {
        tracing::debug!(%error, command = eas.request.command.name(), "refused: malformed body");
        self.done(refuse_malformed(&eas.request, &error))
    }

    /// Who watches the answer. Reads the request strictly; tells the lot to expect what it is about to learn.
    async fn watcher(&self, body: &Bytes, eas: &Eas) -> Result<Option<Box<dyn Watcher>>, Turned> {
        let pupil = eas.mailbox.as_ref().map(|mailbox| self.pupil(mailbox, eas));
        let is_known = self.is_known(eas);
        Ok(match eas.request.command {
            Command::Sync => {
                let version = eas.request.version;
                let request = SyncRequest::skim(body)?;
                unslowed(self.slow_sync(eas, &request))?;
                let asked = proving(&request, version);
                let Some(pupil) = pupil else { return Ok(None) };
                let as_of = self.expect(&pupil, &asked, is_known).await;
                Some(Box::new(SyncWatcher::new(pupil, (asked, as_of), version, self.way(eas))))
            }
            Command::FolderSync => {
                let request = FolderSyncRequest::parse(body)?;
                unslowed(self.slow_folder_sync(eas, &request.sync_key))?;
                if let Some(pupil) = pupil.as_ref().filter(|_| is_known) {
                    pupil.expect(Vec::new()).await;
                }
                let (as_of, is_full) = (self.gateway.lots.as_of_request().number, request.sync_key == "0");
                pupil.map(|pupil| Box::new(FolderSyncWatcher::new(pupil, is_full, as_of, self.way(eas))) as Box<dyn Watcher>)
            }
            _ => {
                let request = FolderRequest::parse(body)?;
                pupil.map(|pupil| Box::new(FolderChangeWatcher::new(pupil, request)) as Box<dyn Watcher>)
            }
        })
    }

    pub(super) fn pupil(&self, mailbox: &Mailbox, eas: &Eas) -> Pupil {
        let lots = self.gateway.lots.clone();
        Pupil { home: lots.home(mailbox), lots, mailbox: mailbox.clone(), device: eas.request.device_id.clone() }
    }

    /// Strangers make no entries; what they prove counts only from the answer on. Gives what the answer will be as of.
    pub(super) async fn expect(&self, pupil: &Pupil, asked: &[Asked], is_known: bool) -> AsOf {
        if is_known && !asked.is_empty() {
            pupil.expect(asked.iter().map(|asked| asked.id.clone()).collect()).await;
        }
        self.gateway.lots.as_of_request()
    }

    /// How the answer gets to the device.
    pub(super) fn way(&self, eas: &Eas) -> Way {
        Way { stage: self.stage.clone(), is_known: self.is_known(eas), noted: self.noting(eas) }
    }
}
