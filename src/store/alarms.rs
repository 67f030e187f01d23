//! Who holds something for devices hears at once when one of them may no longer wait: it was ordered to be erased, blocked, removed, or
//! its policy may be another.
//!
//! What is said here is in effect already. Whoever looked before it was said sees a higher count afterwards, and looks again.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::broadcast;

use super::Store;
use super::snapshot::Snapshot;
use crate::logic::eas::{DeviceId, Mailbox};
use crate::logic::policy::Partnership;
use crate::logic::policy::access::AccessState;

/// Alarms kept for a listener that is busy; one that misses some looks at everything.
const KEPT: usize = 4_096;

/// What is to be looked at again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Alarm {
    /// One device.
    Device(Mailbox, DeviceId),
    /// All of them: policies, or who has which, changed.
    Everyone,
}

/// See the module.
pub(super) struct Alarms {
    count: AtomicU64,
    sender: broadcast::Sender<Alarm>,
}

impl Alarms {
    pub(super) fn new() -> Self {
        Alarms { count: AtomicU64::new(0), sender: broadcast::Sender::new(KEPT) }
    }

    pub(super) fn raise(&self, alarm: Alarm) {
        self.count.fetch_add(1, Ordering::SeqCst);
        // Nobody may be listening.
        let _ = self.sender.send(alarm);
    }

    /// A partnership is in the data plane as it is now.
    pub(super) fn saved(&self, partnership: &Partnership) {
        if partnership.wipe_stands() || partnership.access_state != AccessState::Allowed {
            self.raise(Alarm::Device(partnership.mailbox.clone(), partnership.device_id.clone()));
        }
    }

    /// A partnership is gone.
    pub(super) fn removed(&self, mailbox: &Mailbox, device_id: &DeviceId) {
        self.raise(Alarm::Device(mailbox.clone(), device_id.clone()));
    }

    /// A snapshot is in effect. What is said of mailboxes reaches their devices one by one.
    pub(super) fn replaced(&self, before: &Snapshot, after: &Snapshot) {
        if before.policies != after.policies || before.assigned != after.assigned {
            self.raise(Alarm::Everyone);
        }
    }
}

impl Store {
    /// Hears of alarms from now on. Who is too slow gets an error instead of what it missed, and is to look at everything.
    pub fn alarms(&self) -> broadcast::Receiver<Alarm> {
        self.shared().alarms.sender.subscribe()
    }

    /// How many alarms there were: if it is the same after something was decided and put where alarms find it, the decision holds.
    pub fn alarm_count(&self) -> u64 {
        self.shared().alarms.count.load(Ordering::SeqCst)
    }
}
