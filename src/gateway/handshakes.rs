//! Room for handshakes in flight. When there is none, whoever has kept a place longest without finishing makes room:
//! silent sockets must not shut the door on devices that speak.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::Instant;

use crate::telemetry::metrics::SHED_TOTAL;

/// The places, and who has been in one for how long.
pub(super) struct Handshakes {
    places: Arc<Semaphore>,
    places_max: usize,
    undisturbed: Duration,
    /// By age. Those that have left are dropped when they come to the front, or when there are too many.
    inside: Mutex<VecDeque<Inside>>,
}

struct Inside {
    since: Instant,
    leave: oneshot::Sender<()>,
}

/// A place; given back when dropped.
pub(super) struct Place {
    _permit: OwnedSemaphorePermit,
    leave: oneshot::Receiver<()>,
}

impl Handshakes {
    /// `undisturbed`: how long nobody is asked to leave.
    pub(super) fn new(places_max: usize, undisturbed: Duration) -> Self {
        Handshakes { places: Arc::new(Semaphore::new(places_max)), places_max, undisturbed, inside: Mutex::default() }
    }

    /// Waits for a place; makes one when the eldest has had its undisturbed time.
    pub(super) async fn place(&self) -> Place {
        loop {
            if let Ok(permit) = self.places.clone().try_acquire_owned() {
                return self.enter(permit);
            }
            let patience = self.make_room();
            tokio::select! {
                permit = self.places.clone().acquire_owned() => return self.enter(permit.expect("never closed")),
                () = tokio::time::sleep(patience) => {}
            }
        }
    }

    fn enter(&self, permit: OwnedSemaphorePermit) -> Place {
        let (leave, left) = oneshot::channel();
        let mut inside = self.inside();
        drop_those_who_left(&mut inside);
        if inside.len() >= 2 * self.places_max {
            inside.retain(|inside| !inside.leave.is_closed());
        }
        inside.push_back(Inside { since: Instant::now(), leave });
        Place { _permit: permit, leave: left }
    }

    /// Asks the eldest to leave if it has been there long enough; else says how long that takes.
    fn make_room(&self) -> Duration {
        let mut inside = self.inside();
        drop_those_who_left(&mut inside);
        let Some(eldest) = inside.front() else { return self.undisturbed };
        let left = self.undisturbed.saturating_sub(eldest.since.elapsed());
        if left.is_zero()
            && let Some(eldest) = inside.pop_front()
            && eldest.leave.send(()).is_ok()
        {
            metrics::counter!(SHED_TOTAL.name, "limit" => "handshakes_max").increment(1);
        }
        left.max(Duration::from_millis(1))
    }

    fn inside(&self) -> std::sync::MutexGuard<'_, VecDeque<Inside>> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn drop_those_who_left(inside: &mut VecDeque<Inside>) {
    while inside.front().is_some_and(|eldest| eldest.leave.is_closed()) {
        inside.pop_front();
    }
}

impl Place {
    /// Completes when the place is wanted for somebody else.
    pub(super) async fn wanted(&mut self) {
        if (&mut self.leave).await.is_err() {
            // Nobody will ever ask: the entry was cleared away.
            std::future::pending().await
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_eldest_leaves_once_its_undisturbed_time_is_over() {
        let handshakes = Handshakes::new(2, Duration::from_millis(300));
        let began = Instant::now();
        let mut eldest = handshakes.place().await;
        tokio::time::sleep(Duration::from_millis(10)).await;
        let mut second = handshakes.place().await;
        let third = tokio::select! {
            place = handshakes.place() => place,
            () = async { eldest.wanted().await; drop(eldest); std::future::pending().await } => unreachable!(),
            () = second.wanted() => panic!("the younger one was asked to leave"),
        };
        assert!(began.elapsed() >= Duration::from_millis(300), "{:?}", began.elapsed());
        drop(third);
    }

    #[tokio::test]
    async fn those_who_left_are_not_remembered_for_ever() {
        let handshakes = Handshakes::new(4, Duration::ZERO);
        let long = handshakes.place().await;
        for _ in 0..1_000 {
            drop(handshakes.place().await);
        }
        assert!(handshakes.inside().len() <= 8);
        drop(long);
        drop(handshakes.place().await);
        assert_eq!(handshakes.inside().len(), 1, "with the eldest, all that left before are forgotten");
    }
}
