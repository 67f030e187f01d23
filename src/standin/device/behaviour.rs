//! How devices differ, and what there is to be told about them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::heartbeat::{Adaptation, AfterCut};
use super::life::{Life, Waiting};
use super::{Device, DeviceError};
use crate::logic::eas::ClassSet;
use crate::standin::cas::ItemId;

/// A Ping that has had no answer for this long counts as held: whatever can be answered at once has been by then.
pub const HELD_AFTER: Duration = Duration::from_millis(250);

/// What happened to a device.
#[derive(Debug)]
pub enum Event<'a> {
    /// It begins to connect.
    Connecting,
    /// A connection was made, handshake included.
    Connected,
    /// So many exchanges are over.
    Exchanged(u32),
    /// A Ping, or a hanging Sync, is on its way.
    PingSent,
    /// It has had no answer for [`HELD_AFTER`].
    Held,
    /// It was answered.
    PingAnswered {
        /// With this Status; a hanging Sync counts as 1 when nothing changed, and as 2 when something did.
        status: u8,
        /// When the answer had been read.
        at: Instant,
        /// How long after it was sent.
        after: Duration,
    },
    /// The Inbox was brought in step.
    InStep {
        /// When the last exchange for it began.
        began: Instant,
        /// Items that were new to the device; 0 when it began anew, and fetched what it had before.
        brought: usize,
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

/// How a device waits for changes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum WaitsBy {
    /// With Ping.
    #[default]
    Ping,
    /// With a Sync that the server holds (12.1 and later).
    Sync,
}

/// How a device behaves.
#[derive(Debug, Clone)]
pub struct Behaviour {
    /// The heartbeat it asks for first, in seconds; it takes what Status 5 says instead.
    pub heartbeat_s: u32,
    /// How it changes it; `None`: not at all.
    pub adapts: Option<Adaptation>,
    /// How it waits.
    pub waits_by: WaitsBy,
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
            adapts: None,
            waits_by: WaitsBy::Ping,
            classes: ClassSet::ALL,
            folders_max: 200,
            asks_options: true,
            repeats_empty: false,
            backoff: (Duration::from_millis(200), Duration::from_secs(30)),
        }
    }
}

impl Behaviour {
    /// AOSP Android, 2009 to 2014.
    pub fn android_old() -> Self {
        let adapts = Adaptation { min_s: 290, max_s: 1_010, step_s: 180, successes: 1, after_cut: AfterCut::StepDownForGood };
        Behaviour { heartbeat_s: 470, adapts: Some(adapts), ..Behaviour::default() }
    }

    /// AOSP Android since 2014.
    pub fn android_new() -> Self {
        let adapts = Adaptation { min_s: 480, max_s: 1_680, step_s: 300, successes: 1, after_cut: AfterCut::StepDown };
        Behaviour { heartbeat_s: 480, adapts: Some(adapts), ..Behaviour::default() }
    }

    /// Windows Mobile 5 and 6. How many successes it waits for, and its bounds, were up to who sold it: these are usual.
    pub fn windows_mobile() -> Self {
        let adapts = Adaptation { min_s: 480, max_s: 1_680, step_s: 300, successes: 3, after_cut: AfterCut::BackOrMinimum };
        Behaviour { heartbeat_s: 480, adapts: Some(adapts), repeats_empty: true, ..Behaviour::default() }
    }

    /// iOS. Its rule is not published; it is seen to ask for up to an hour, and to come down where that does not last.
    pub fn ios() -> Self {
        let adapts = Adaptation { min_s: 480, max_s: 3_540, step_s: 300, successes: 1, after_cut: AfterCut::StepDown };
        Behaviour { heartbeat_s: 480, adapts: Some(adapts), ..Behaviour::default() }
    }

    /// Outlook: waits with a hanging Sync, always for as long.
    pub fn outlook() -> Self {
        Behaviour { heartbeat_s: 900, waits_by: WaitsBy::Sync, ..Behaviour::default() }
    }

    /// Does so for ever, in one task; drop the future to stop.
    pub async fn run(&self, device: Device, number: usize, observer: Arc<dyn Observer>) {
        let mut life = Life::new(device, Arc::new(self.clone()), number);
        loop {
            match life.go(&*observer).await {
                Waiting::Answer { .. } => life.wait(&*observer).await,
                Waiting::Rest(pause) => Box::pin(tokio::time::sleep(pause)).await,
            }
        }
    }
}
