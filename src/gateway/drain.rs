//! Leaving in good order.

use std::time::Duration;

use super::Gateway;
use super::lots::Note;

/// What is active when the last held Ping is answered gets this long to end.
const LAST_ANSWERS: Duration = Duration::from_secs(2);
/// How often it is looked whether everybody has gone.
const LOOKED_AT: Duration = Duration::from_millis(20);

impl Gateway {
    /// Whether the gateway is leaving. True before it stops accepting, so that balancers hear of it first.
    pub fn is_draining(&self) -> bool {
        *self.leaving.borrow()
    }

    /// Not ready any more; for `drain.unready_s` still accepts as before.
    async fn be_unready(&self) {
        self.leaving.send_replace(true);
        tokio::time::sleep(self.config.drain.unready).await;
    }

    /// Says that it is not ready; stops accepting, answers held Pings spread over `drain.drain_s`, lets active exchanges end, stops the
    /// lots.
    pub async fn drain(&self) {
        self.be_unready().await;
        let spread = self.config.drain.spread;
        let by = self.lots.now() + spread;
        // Listeners and active connections see this and wind down.
        self.draining.send_replace(true);
        self.lots.send_all(|| Note::Drain { by }).await;
        let deadline = tokio::time::Instant::now() + spread + LAST_ANSWERS;
        while self.connections() > 0 && tokio::time::Instant::now() < deadline {
            tokio::time::sleep(LOOKED_AT).await;
        }
        self.lots.send_all(|| Note::Stop).await;
        let threads = std::mem::take(&mut *self.threads());
        // A lot thread ends at its next turn; joining it must not block the runtime.
        let _ = tokio::task::spawn_blocking(move || threads.into_iter().for_each(|thread| drop(thread.join()))).await;
    }
}
