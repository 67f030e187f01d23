//! What a lot says of single requests, for whoever debugs: all of it under the level `debug`. While nobody listens each of these costs a
//! look at one number.

use std::time::Duration;

use super::LotThread;
use crate::logic::hold::SlotKey;
use crate::logic::hold::lot::CheckFinding;
use crate::logic::hold::registry::DeviceIndex;
use crate::telemetry::log;

impl LotThread {
    pub(super) fn say_held(&self, slot: SlotKey, heartbeat_s: u32) {
        if log::listens()
            && let Some((mailbox, device)) = self.lot.holder(slot)
        {
            let is_in_doubt = self.lot.is_in_doubt(slot);
            tracing::debug!(%mailbox, %device, heartbeat_s, is_in_doubt, "a request is held");
        }
    }

    pub(super) fn say_ended(&self, device: Option<DeviceIndex>, outcome: &'static str, held: Duration) {
        if log::listens()
            && let Some((mailbox, device)) = device.and_then(|index| self.lot.device_at(index))
        {
            tracing::debug!(%mailbox, %device, outcome, held_s = held.as_secs(), "a held request ends");
        }
    }

    pub(super) fn say_hung_up(&self, slot: SlotKey, held: Duration) {
        if log::listens()
            && let Some((mailbox, device)) = self.lot.holder(slot)
        {
            tracing::debug!(%mailbox, %device, held_s = held.as_secs(), "a device hung up while its request was held");
        }
    }

    pub(super) fn say_checked(&self, slot: SlotKey, finding: &CheckFinding) {
        if log::listens()
            && let Some((mailbox, device)) = self.lot.holder(slot)
        {
            tracing::debug!(%mailbox, %device, outcome = finding.label(), "the backend was asked what changed");
        }
    }
}
