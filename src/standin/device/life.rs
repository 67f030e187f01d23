//! What phones do: log in, synchronise, Ping, synchronise what changed, Ping again. One device doing so, step by step.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::behaviour::{Behaviour, Event, Observer};
use super::heartbeat::Heartbeat;
use super::{AFTER_HEARTBEAT, CaughtUp, Device, DeviceError, HELD_AFTER, SyncAnswer};
use crate::logic::eas::{Command, FolderId};

/// An answer of which the first bytes are there must be whole within this.
const REST_OF_ANSWER: Duration = Duration::from_secs(30);
/// Waits that ended sooner than this, without news, so many times in a row: a server that does so is not waited for any more.
const QUICK: Duration = Duration::from_secs(1);
const QUICK_MAX: u8 = 4;

/// A device, and where it stands.
#[derive(Debug)]
pub struct Life {
    pub(super) device: Device,
    pub(super) behaviour: Arc<Behaviour>,
    pub(super) number: usize,
    pub(super) heartbeat: Heartbeat,
    pub(super) folders_max: usize,
    /// Folders to Sync before the next wait.
    pub(super) due: Vec<FolderId>,
    /// The server has heartbeat and folders of this device.
    pub(super) has_told: bool,
    pub(super) needs: Needs,
    /// Failures in a row.
    pub(super) failures: u8,
    /// Waits in a row that ended at once without news.
    pub(super) quick: u8,
    /// A request is on its way whose answer is waited for.
    pub(super) asked: Option<Asked>,
    /// It failed and rests.
    rest: Option<Duration>,
}

/// A request that the server may hold.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    pub(super) at: Instant,
    pub(super) heartbeat_s: u32,
}

/// What has to be done before waiting, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Needs {
    Login,
    Provision,
    Folders,
    Nothing,
}

/// What a device waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waiting {
    /// The answer of a request that the server may hold: [`Life::wait`], or [`Life::pack`] and later [`Life::hear`].
    Answer {
        /// When it was sent.
        sent_at: Instant,
        /// After this the network is taken for dead: [`Life::miss`].
        until: Instant,
    },
    /// Time, after a failure.
    Rest(Duration),
}

impl Life {
    /// A device that has never been heard of. `number`: what the observer knows it by.
    pub fn new(device: Device, behaviour: Arc<Behaviour>, number: usize) -> Self {
        Life {
            device,
            heartbeat: Heartbeat::new(behaviour.heartbeat_s, behaviour.adapts),
            folders_max: behaviour.folders_max,
            due: Vec::new(),
            has_told: false,
            needs: if behaviour.asks_options { Needs::Login } else { Needs::Folders },
            failures: 0,
            quick: 0,
            asked: None,
            rest: None,
            behaviour,
            number,
        }
    }

    /// Goes on until there is nothing to do but wait.
    pub async fn go(&mut self, observer: &dyn Observer) -> Waiting {
        let mut was_asked = false;
        loop {
            if let Some(pause) = self.rest.take() {
                return Waiting::Rest(pause);
            }
            if let Some(Asked { at, heartbeat_s }) = self.asked {
                return Waiting::Answer { sent_at: at, until: at + Duration::from_secs(heartbeat_s.into()) + AFTER_HEARTBEAT };
            }
            // Boxed: rare and large, and waiting is what a device spends its life in.
            let stepped = Box::pin(self.step(observer)).await;
            self.count_exchanges(observer);
            match stepped {
                // As the protocol means it, and no failure, unless the server says so again when it has been done.
                Err(error) if wants_provisioning(&error) && !was_asked => {
                    was_asked = true;
                    self.needs = Needs::Provision;
                }
                Err(error) => self.fail(&error, observer),
                Ok(()) => {}
            }
        }
    }

    /// Waits for the answer and takes it in.
    pub async fn wait(&mut self, observer: &dyn Observer) {
        let Some(asked) = self.asked else { return };
        let deadline = asked.at + Duration::from_secs(asked.heartbeat_s.into()) + AFTER_HEARTBEAT;
        let answer = {
            // Pinned once: each move of a future into another doubles what a waiting device weighs.
            let mut receiving = std::pin::pin!(tokio::time::timeout_at(deadline.into(), self.device.receive()));
            let early = tokio::select! {
                answer = &mut receiving => Some(answer),
                () = tokio::time::sleep(HELD_AFTER) => None,
            };
            match early {
                Some(answer) => answer,
                None => {
                    observer.note(self.number, Event::Held);
                    receiving.await
                }
            }
        };
        let heard = answer.unwrap_or(Err(DeviceError::Timeout)).and_then(|answer| self.take_in(asked, answer, Instant::now(), observer));
        self.heard(heard, observer);
    }

    /// Reads the answer whose first bytes are there, and takes it in. `at`: when those were read.
    pub async fn hear(&mut self, at: Instant, observer: &dyn Observer) {
        let Some(asked) = self.asked else { return };
        let answer = tokio::time::timeout(REST_OF_ANSWER, self.device.receive()).await;
        let heard = answer.unwrap_or(Err(DeviceError::Timeout)).and_then(|answer| self.take_in(asked, answer, at, observer));
        self.heard(heard, observer);
    }

    /// Instead of an answer there is this error: the connection was lost, or time is up.
    pub fn miss(&mut self, error: DeviceError, observer: &dyn Observer) {
        self.heard(Err(error), observer);
    }

    /// Loses its connection, and will begin with a new one at once: nothing that the device could have known before.
    pub fn lose_connection(&mut self) {
        self.device.disconnect();
        self.asked = None;
    }

    /// The number that the observer knows it by.
    pub fn number(&self) -> usize {
        self.number
    }

    fn heard(&mut self, heard: Result<(), DeviceError>, observer: &dyn Observer) {
        self.count_exchanges(observer);
        self.asked = None;
        match heard {
            Ok(()) => self.failures = 0,
            Err(error) => {
                if matches!(error, DeviceError::Broken(_) | DeviceError::Timeout) {
                    self.heartbeat.cut(self.behaviour.adapts);
                    self.has_told = false;
                }
                self.fail(&error, observer);
            }
        }
    }

    /// An answer without news: fine, unless it comes again and again without having been waited for.
    pub(super) fn uneventful(&mut self, after: Duration, error: DeviceError) -> Result<(), DeviceError> {
        self.quick = if after < QUICK { self.quick + 1 } else { 0 };
        if self.quick < QUICK_MAX {
            return Ok(());
        }
        self.quick = 0;
        Err(error)
    }

    fn fail(&mut self, error: &DeviceError, observer: &dyn Observer) {
        self.device.disconnect();
        observer.note(self.number, Event::Failed(error));
        // 403 and an order to wipe are what some servers say instead.
        if wants_provisioning(error) || matches!(error, DeviceError::Http(403) | DeviceError::Status(_, 140)) {
            self.needs = self.needs.min(Needs::Provision);
        }
        let (first, longest) = self.behaviour.backoff;
        let pause = (first * (1 << self.failures.min(16))).min(longest);
        self.failures = self.failures.saturating_add(1);
        let told = self.device.retry_after.take().unwrap_or_default().min(RETRY_AFTER_MAX);
        self.rest = Some(spread(pause.max(told), self.number));
    }

    fn count_exchanges(&mut self, observer: &dyn Observer) {
        let exchanges = std::mem::take(&mut self.device.exchanges);
        if exchanges > 0 {
            observer.note(self.number, Event::Exchanged(exchanges));
        }
    }

    async fn connect(&mut self, observer: &dyn Observer) -> Result<(), DeviceError> {
        if !self.device.is_connected() {
            observer.note(self.number, Event::Connecting);
            self.device.connect().await?;
            observer.note(self.number, Event::Connected);
        }
        Ok(())
    }

    /// Catches up with everything, then sends what it waits with.
    async fn step(&mut self, observer: &dyn Observer) -> Result<(), DeviceError> {
        self.connect(observer).await?;
        self.catch_up(observer).await?;
        // Again, so that the time until the Ping is held is not spent on a handshake.
        self.connect(observer).await?;
        let heartbeat_s = self.heartbeat.now_s;
        let request = self.waiting_request();
        self.device.send(request).await?;
        self.asked = Some(Asked { at: Instant::now(), heartbeat_s });
        observer.note(self.number, Event::PingSent);
        Ok(())
    }

    async fn catch_up(&mut self, observer: &dyn Observer) -> Result<(), DeviceError> {
        if self.needs == Needs::Login {
            self.device.options().await?;
            self.needs = Needs::Folders;
        }
        if self.needs == Needs::Provision {
            self.device.provision().await?;
            self.needs = Needs::Folders;
        }
        if self.needs == Needs::Folders {
            let answer = self.device.folder_sync().await?;
            if answer.status != 1 {
                return Err(DeviceError::Status(Command::FolderSync, answer.status));
            }
            let is_new = |id: &FolderId| self.device.folders.iter().any(|folder| folder.id == *id && &*folder.key == "0");
            let new: Vec<FolderId> = self.watched().into_iter().filter(|id| is_new(id)).collect();
            self.due.extend(new);
            self.has_told = false;
            self.needs = Needs::Nothing;
        }
        while let Some(folder) = self.due.last().cloned() {
            let CaughtUp { answer, began, is_anew } = self.device.come_in_step(&folder).await?;
            self.due.pop();
            self.fetched(&answer, began, is_anew, observer);
        }
        self.due = Vec::new();
        Ok(())
    }

    /// Tells what a Sync brought that began at that moment; `is_anew`: see [`CaughtUp`].
    pub(super) fn fetched(&self, answer: &SyncAnswer, began: Instant, is_anew: bool, observer: &dyn Observer) {
        answer.items().for_each(|item| observer.note(self.number, Event::Fetched(item)));
        let folder = self.device.folders.iter().find(|folder| folder.id.as_str() == answer.folder);
        if folder.is_some_and(|folder| folder.folder_type == INBOX) && !answer.is_more {
            let brought = if is_anew { 0 } else { answer.added.len() };
            observer.note(self.number, Event::InStep { began, brought });
        }
    }

    /// The folders it waits for.
    pub(super) fn watched(&self) -> Vec<FolderId> {
        let classes = self.behaviour.classes;
        let watched = self.device.folders.iter().filter(|folder| folder.class().is_some_and(|class| classes.contains(class)));
        watched.take(self.folders_max).map(|folder| folder.id.clone()).collect()
    }
}

/// Whether the server wants the device to take a policy first; see MS-ASPROV 3.1.5.1.
fn wants_provisioning(error: &DeviceError) -> bool {
    matches!(error, DeviceError::Http(449) | DeviceError::Status(_, 141..=144))
}

/// Up to half more, differently for each device, so that a thousand failures do not become a thousand attempts at once.
fn spread(pause: Duration, number: usize) -> Duration {
    // Fibonacci hashing: spreads consecutive numbers evenly.
    let share = (number as u32).wrapping_mul(2_654_435_769) >> 22;
    pause + pause * share / 2_048
}

/// FolderSync's Type of the Inbox.
const INBOX: u8 = 2;
/// A server that says to come back tomorrow is asked again before the test is over.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(600);
