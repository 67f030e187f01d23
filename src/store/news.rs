//! What people want to hear of devices: told once it is committed, by the process that wrote it, so once whatever their number.
//!
//! Nothing waits for who listens. News that came while nobody did is not told again: the audit trail has it.

use tokio::sync::broadcast;

use super::Store;
use crate::logic::policy::access::AccessState;
use crate::logic::policy::wipe::WipeState;
use crate::logic::policy::{Partnership, Timestamp};

/// Kept for a listener that is busy; one that misses some is told how many.
const KEPT: usize = 1_024;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Happened {
    /// The device said that it erases itself, or the account.
    WipeAcknowledged,
    /// The device said that it could not.
    WipeFailed,
    /// A device came that may not sync until somebody decides.
    Quarantined,
}

/// It, and the device as it is now.
#[derive(Debug, Clone)]
pub struct News {
    /// What.
    pub happened: Happened,
    /// To whom.
    pub device: Partnership,
}

/// How a device stood before a change.
#[derive(Debug, Clone, Copy)]
pub(super) struct Before {
    pub(super) wipe: Option<WipeState>,
    /// When it was told to erase itself first,
    pub(super) sent_at: Option<Timestamp>,
    /// and last after that.
    pub(super) sent_again_at: Option<Timestamp>,
    pub(super) access: AccessState,
}

impl Before {
    pub(super) fn of(device: &Partnership) -> Self {
        let wipe = device.wipe.as_ref();
        Before {
            wipe: wipe.map(|wipe| wipe.state),
            sent_at: wipe.and_then(|wipe| wipe.sent_at),
            sent_again_at: wipe.and_then(|wipe| wipe.sent_again_at),
            access: device.access_state,
        }
    }

    /// What the change is to people.
    pub(super) fn news(self, device: &Partnership) -> Option<News> {
        let after = Before::of(device);
        let happened = match after.wipe {
            Some(WipeState::Acknowledged) if self.wipe != after.wipe => Happened::WipeAcknowledged,
            Some(WipeState::Failed) if self.wipe != after.wipe => Happened::WipeFailed,
            _ if after.access == AccessState::Quarantined && self.access != after.access => Happened::Quarantined,
            _ => return None,
        };
        Some(News { happened, device: device.clone() })
    }
}

/// See the module.
pub(super) struct Newsroom(broadcast::Sender<News>);

impl Newsroom {
    pub(super) fn new() -> Self {
        Newsroom(broadcast::Sender::new(KEPT))
    }

    /// It is committed.
    pub(super) fn publish(&self, news: Vec<News>) {
        for one in news {
            // Nobody may be listening.
            let _ = self.0.send(one);
        }
    }
}

impl Store {
    /// Hears of news from now on. Who is too slow is told how many they missed.
    pub fn news(&self) -> broadcast::Receiver<News> {
        self.shared().newsroom.0.subscribe()
    }
}
