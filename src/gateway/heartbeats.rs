//! Exchange's heartbeat alert (`logic::heartbeats`), in the log, the metrics and the readiness.

use std::sync::{MutexGuard, PoisonError};

use super::Gateway;
use crate::logic::heartbeats::{Heartbeats, Turn};
use crate::telemetry::metrics::{HEARTBEAT_ALERT, HEARTBEAT_AVERAGE_SECONDS};

impl Gateway {
    /// A Ping with this heartbeat is held.
    pub(super) fn note_heartbeat(&self, heartbeat_s: u16) {
        let ping = &self.config.ping;
        let turn = self.last_heartbeats().push(heartbeat_s, ping.hbi_sample_size, ping.hbi_alert_threshold_s);
        match turn {
            Turn::Same => {}
            Turn::Short(average_s) => {
                tracing::warn!(event_id = 3033, average_s, "{}", alert(ping.hbi_sample_size, ping.hbi_alert_threshold_s))
            }
            Turn::Long(average_s) => tracing::info!(average_s, "the average of the most recent heartbeat intervals is fine again"),
        }
    }

    /// Why somebody should look at the network, while the heartbeats are short.
    pub fn heartbeat_alert(&self) -> Option<String> {
        let average_s = self.last_heartbeats().short_s()?;
        let ping = &self.config.ping;
        Some(format!("{} It is {average_s}.", alert(ping.hbi_sample_size, ping.hbi_alert_threshold_s)))
    }

    /// Sets the gauges.
    pub fn refresh_heartbeat_gauges(&self) {
        let heartbeats = self.last_heartbeats();
        metrics::gauge!(HEARTBEAT_AVERAGE_SECONDS.name).set(heartbeats.average_s().unwrap_or(0));
        metrics::gauge!(HEARTBEAT_ALERT.name).set(if heartbeats.short_s().is_some() { 1.0 } else { 0.0 });
    }

    fn last_heartbeats(&self) -> MutexGuard<'_, Heartbeats> {
        self.heartbeats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// In the words of Exchange's event 3033, which administrators know and search engines find.
fn alert(sample_size: usize, threshold_s: u32) -> String {
    format!(
        "The average of the most recent [{sample_size}] heartbeat intervals used by clients is less than or equal to [{threshold_s}]. \
         Make sure that your firewall configuration is set to work correctly with Exchange ActiveSync and direct push technology: \
         time-outs of firewalls and balancers between devices and gateway should be 15 to 30 minutes."
    )
}
