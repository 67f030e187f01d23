//! What systemd is told (`Type=notify-reload`, `WatchdogSec=`). Without systemd nobody listens, and nothing is said.

use std::sync::Arc;
use std::time::Duration;

use sd_notify::NotifyState;

use crate::gateway::Gateway;

/// How often the status line is renewed.
const STATUS_EVERY: Duration = Duration::from_secs(5);

/// Ready, or ready again after a reload; `trouble` is what the status line says until it is renewed.
pub(super) fn ready(trouble: Option<&str>) {
    let mut states = vec![NotifyState::Ready];
    states.extend(trouble.map(NotifyState::Status));
    tell(&states);
}

/// A reload begins. systemd wants to know when, to tell this reload's end from an earlier one's.
pub(super) fn reloading() {
    let mut states = vec![NotifyState::Reloading];
    states.extend(NotifyState::monotonic_usec_now().ok());
    tell(&states);
}

/// Leaving, for at most this long.
pub(super) fn stopping(held: usize, patience: Duration) {
    let micros = u32::try_from(patience.as_micros()).unwrap_or(u32::MAX);
    let status = format!("leaving: {held} Pings held");
    tell(&[NotifyState::Stopping, NotifyState::ExtendTimeoutUsec(micros), NotifyState::Status(&status)]);
}

/// Keeps the status line true, and the watchdog quiet for as long as lots and accept loops get anywhere. For ever.
pub(super) async fn tend(gateway: Arc<Gateway>) {
    let watchdog = sd_notify::watchdog_enabled();
    let every = watchdog.map_or(STATUS_EVERY, |limit| (limit / 3).min(STATUS_EVERY));
    loop {
        if watchdog.is_some() {
            match gateway.feel().await {
                Ok(()) => tell(&[NotifyState::Watchdog]),
                // Not fed, systemd ends the process and starts another: every device reconnects, and is held again.
                Err(who) => tracing::error!(who, "the watchdog is not fed"),
            }
        }
        tell(&[NotifyState::Status(&status(gateway.lots.held(), gateway.connections()))]);
        tokio::time::sleep(every).await;
    }
}

fn status(held: usize, connections: usize) -> String {
    format!("{held} Pings held, {connections} connections")
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "systemd could not be told");
    }
}
