//! Whether lots and accept loops get anywhere: what a watchdog wants to know. A thread that hangs cannot say so, so they are asked.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use super::Gateway;
use super::lots::Lots;

/// Time to answer. A lot's turn and an accept loop's are a matter of milliseconds; a machine that swaps is slower.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often it is looked whether they all have answered.
const LOOKED_AT: Duration = Duration::from_millis(10);

/// The accept loops, and how often each has come around when it was asked.
#[derive(Default)]
pub(super) struct Beats {
    loops: Mutex<Vec<Arc<AtomicU64>>>,
    asked: Notify,
}

impl Beats {
    /// A loop begins; it counts its answers here.
    pub(super) fn begin(&self) -> Arc<AtomicU64> {
        let answers = Arc::new(AtomicU64::new(0));
        self.loops.lock().unwrap_or_else(PoisonError::into_inner).push(answers.clone());
        answers
    }

    /// Resolves when somebody asks; whoever waits for it must answer.
    pub(super) async fn asked(&self) {
        self.asked.notified().await;
    }

    fn answers(&self) -> Vec<u64> {
        let loops = self.loops.lock().unwrap_or_else(PoisonError::into_inner);
        loops.iter().map(|answers| answers.load(Ordering::Relaxed)).collect()
    }
}

impl Gateway {
    /// Whether every lot takes a turn, and every accept loop comes around, within some seconds.
    ///
    /// # Errors
    /// Who did not.
    pub async fn feel(&self) -> Result<(), String> {
        let beats = (!self.is_draining()).then_some(&self.accepting);
        feel(&self.lots, beats, PATIENCE).await
    }
}

/// Without beats, nobody is to be accepted.
async fn feel(lots: &Lots, beats: Option<&Beats>, patience: Duration) -> Result<(), String> {
    let answers = beats.map(Beats::answers).unwrap_or_default();
    let turns = lots.feel();
    let deadline = tokio::time::Instant::now() + patience;
    loop {
        beats.iter().for_each(|beats| beats.asked.notify_waiters());
        tokio::time::sleep(LOOKED_AT).await;
        let now = lots.feel();
        let standing = (0..turns.len()).find(|&lot| now[lot] == turns[lot]);
        let is_accepting = beats.is_none_or(|beats| beats.answers().iter().zip(&answers).all(|(now, before)| now > before));
        match standing {
            None if is_accepting => return Ok(()),
            _ if tokio::time::Instant::now() < deadline => {}
            Some(lot) => return Err(format!("lot {lot} takes no turn")),
            None => return Err("connections are not accepted".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(100);
    const LONG: Duration = Duration::from_secs(20);

    #[tokio::test]
    async fn a_lot_whose_thread_hangs_is_named() {
        let (lots, _inboxes) = Lots::new(2, 16, 1).expect("a poller");
        lots.0.doors[0].figures.turns.store(7, Ordering::Relaxed);
        assert_eq!(feel(&lots, None, SHORT).await, Err("lot 0 takes no turn".to_owned()));
    }

    #[tokio::test]
    async fn one_accept_loop_that_hangs_is_not_hidden_by_one_that_lives() {
        let (lots, _inboxes) = Lots::new(0, 16, 1).expect("a poller");
        let beats = Arc::new(Beats::default());
        let (alive, beats_of_loop) = (beats.begin(), beats.clone());
        let living = tokio::spawn(async move {
            loop {
                beats_of_loop.asked().await;
                alive.fetch_add(1, Ordering::Relaxed);
            }
        });
        assert_eq!(feel(&lots, Some(&beats), LONG).await, Ok(()));
        let hanging = beats.begin();
        assert_eq!(feel(&lots, Some(&beats), SHORT).await, Err("connections are not accepted".to_owned()));
        assert_eq!(hanging.load(Ordering::Relaxed), 0);
        living.abort();
    }
}
