//! What phones do: log in, synchronise, Ping, synchronise what changed, Ping again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::{Device, DeviceError};
use crate::logic::eas::{ClassSet, Command, FolderId, PingAnswer};
use crate::standin::cas::ItemId;

/// A Ping that has had no answer for this long counts as held: whatever can be answered at once has been by then.
pub const HELD_AFTER: Duration = Duration::from_millis(250);

/// What happened to a device.
#[derive(Debug)]
pub enum Event<'a> {
    /// A connection was made, handshake included.
    Connected,
    /// A Ping is on its way.
    PingSent,
    /// It has had no answer for [`HELD_AFTER`].
    Held,
    /// It was answered.
    PingAnswered {
        /// With this Status.
        status: u8,
        /// When the answer had been read.
        at: Instant,
        /// How long after it was sent.
        after: Duration,
    },
    /// An item was fetched by a Sync.
    Fetched(ItemId),
    /// Something failed; the device tries again. A held Ping is not held any more.
    Failed(&'a DeviceError),
}

/// Who is told of [`Event`]s. Called from the devices' tasks: short and without waiting.
pub trait Observer: Send + Sync {
    /// `device`: the number given to [`Behaviour::run`].
    fn note(&self, device: usize, event: Event<'_>);
}

/// How a device behaves.
#[derive(Debug, Clone)]
pub struct Behaviour {
    /// The heartbeat it asks for, in seconds; it takes what Status 5 says instead.
    pub heartbeat_s: u32,
    /// It watches folders of these classes.
    pub classes: ClassSet,
    /// How many folders it watches at most; Inbox first, as servers list it.
    pub folders_max: usize,
    /// Whether it asks for OPTIONS first.
    pub asks_options: bool,
    /// Whether a repeated Ping has an empty body ("as before").
    pub repeats_empty: bool,
    /// First and longest pause after a failure; it doubles each time and is spread by up to half.
    pub backoff: (Duration, Duration),
}

impl Default for Behaviour {
    fn default() -> Self {
        Behaviour {
            heartbeat_s: 900,
            classes: ClassSet::ALL,
            folders_max: 200,
            asks_options: true,
            repeats_empty: false,
            backoff: (Duration::from_millis(200), Duration::from_secs(30)),
        }
    }
}

/// What a device remembers between two steps.
struct Run {
    device: Device,
    number: usize,
    observer: Arc<dyn Observer>,
    heartbeat_s: u32,
    folders_max: usize,
    /// Folders to Sync before the next Ping.
    due: Vec<FolderId>,
    /// The server has heartbeat and folders of this device.
    has_told: bool,
    needs: Needs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Needs {
    Login,
    Folders,
    Nothing,
}

impl Run {
    async fn connect(&mut self) -> Result<(), DeviceError> {
        if !self.device.is_connected() {
            self.device.connect().await?;
            self.observer.note(self.number, Event::Connected);
        }
        Ok(())
    }
}

impl Behaviour {
    /// Does so for ever; drop the future to stop.
    pub async fn run(&self, device: Device, number: usize, observer: Arc<dyn Observer>) {
        let mut run = Run {
            device,
            number,
            observer,
            heartbeat_s: self.heartbeat_s,
            folders_max: self.folders_max,
            due: Vec::new(),
            has_told: false,
            needs: if self.asks_options { Needs::Login } else { Needs::Folders },
        };
        let mut pause = self.backoff.0;
        loop {
            match self.step(&mut run).await {
                Ok(()) => pause = self.backoff.0,
                Err(error) => {
                    run.device.disconnect();
                    run.observer.note(run.number, Event::Failed(&error));
                    Box::pin(sleep(spread(pause, number))).await;
                    pause = (pause * 2).min(self.backoff.1);
                }
            }
        }
    }

    /// Catches up with everything, then one Ping.
    async fn step(&self, run: &mut Run) -> Result<(), DeviceError> {
        // Boxed: rare and large, and the Ping is what a device spends its life in.
        run.connect().await?;
        Box::pin(self.catch_up(run)).await?;
        // Again, so that the time until the Ping is held is not spent on a handshake.
        run.connect().await?;
        let answer = self.ping(run).await?;
        run.has_told = !matches!(answer, PingAnswer::MissingParameters);
        match answer {
            PingAnswer::Expired | PingAnswer::MissingParameters => {}
            PingAnswer::Changes(folders) => run.due = folders,
            PingAnswer::HeartbeatOutOfRange { heartbeat_s } => {
                run.heartbeat_s = heartbeat_s;
                run.has_told = false;
            }
            PingAnswer::TooManyFolders { max } => {
                run.folders_max = max as usize;
                run.has_told = false;
            }
            PingAnswer::HierarchyChanged => run.needs = Needs::Folders,
            other => return Err(DeviceError::Status(Command::Ping, other.status().into())),
        }
        Ok(())
    }

    async fn catch_up(&self, run: &mut Run) -> Result<(), DeviceError> {
        if run.needs == Needs::Login {
            run.device.options().await?;
            run.needs = Needs::Folders;
        }
        if run.needs == Needs::Folders {
            let answer = run.device.folder_sync().await?;
            if answer.status != 1 {
                return Err(DeviceError::Status(Command::FolderSync, answer.status));
            }
            let is_new = |id: &FolderId| run.device.folders.iter().any(|folder| folder.id == *id && &*folder.key == "0");
            run.due.extend(self.watched(run).into_iter().filter(|id| is_new(id)));
            run.has_told = false;
            run.needs = Needs::Nothing;
        }
        while let Some(folder) = run.due.last().cloned() {
            let answer = run.device.sync_all(&folder).await?;
            answer.items().for_each(|item| run.observer.note(run.number, Event::Fetched(item)));
            run.due.pop();
        }
        run.due = Vec::new();
        Ok(())
    }

    fn watched(&self, run: &Run) -> Vec<FolderId> {
        let watched = run.device.folders.iter().filter(|folder| folder.class().is_some_and(|class| self.classes.contains(class)));
        watched.take(run.folders_max).map(|folder| folder.id.clone()).collect()
    }

    async fn ping(&self, run: &mut Run) -> Result<PingAnswer, DeviceError> {
        let says_nothing = self.repeats_empty && run.has_told;
        let folders = (!says_nothing).then(|| self.watched(run));
        let heartbeat_s = (!says_nothing).then_some(run.heartbeat_s);
        let waits = Duration::from_secs(run.heartbeat_s.into());
        let (observer, number) = (&*run.observer, run.number);
        let sent_at = Instant::now();
        let is_sent = || observer.note(number, Event::PingSent);
        // Pinned once: each move of a future into another doubles what a waiting device weighs.
        let mut asking = std::pin::pin!(run.device.ping(heartbeat_s, folders.as_deref(), waits, is_sent));
        let early = tokio::select! {
            answer = &mut asking => Some(answer),
            () = sleep(HELD_AFTER) => None,
        };
        let answer = match early {
            Some(answer) => answer,
            None => {
                observer.note(number, Event::Held);
                asking.await
            }
        }?;
        let at = Instant::now();
        observer.note(number, Event::PingAnswered { status: answer.status(), at, after: at - sent_at });
        Ok(answer)
    }
}

/// Up to half more, differently for each device, so that a thousand failures do not become a thousand attempts at once.
fn spread(pause: Duration, number: usize) -> Duration {
    // Fibonacci hashing: spreads consecutive numbers evenly.
    let share = (number as u32).wrapping_mul(2_654_435_769) >> 22;
    pause + pause * share / 2_048
}
