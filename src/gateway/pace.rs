//! How long we wait for a device that is slow: for a while, and then as long as it moves at the pace of the slowest network.
//!
//! Only waiting counts. While a backend makes the device wait, or hyper does not ask, the clock stands still.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

use crate::config::limits::Patience;

/// The wait for one body or one answer.
pub(super) struct Pace {
    patience: Patience,
    /// Waited before the wait under way, if there is one.
    waited: Duration,
    since: Option<Instant>,
    bytes: u64,
    /// What moves before the first wait earns time, too.
    counts_all: bool,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Pace {
    /// For what comes: all of it took the device's time.
    pub(super) fn of_reading(patience: Patience) -> Self {
        Pace { patience, waited: Duration::ZERO, since: None, bytes: 0, counts_all: true, timer: None }
    }

    /// For what goes: megabytes of it are in the kernel before there is a first wait, and the device has done nothing for them.
    pub(super) fn of_writing(patience: Patience) -> Self {
        Pace { counts_all: false, ..Self::of_reading(patience) }
    }

    /// Something moved: no wait is under way.
    pub(super) fn moved(&mut self, bytes: usize) {
        if let Some(since) = self.since.take() {
            self.waited += since.elapsed();
        }
        if self.counts_all || !self.waited.is_zero() {
            self.bytes += bytes as u64;
        }
    }

    /// Another body or answer begins.
    pub(super) fn restart(&mut self) {
        (self.waited, self.since, self.bytes) = (Duration::ZERO, None, 0);
    }

    /// The device makes us wait. Ready once that took too long; else the task is woken when it has.
    pub(super) fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let since = *self.since.get_or_insert_with(Instant::now);
        let until = since + self.patience.of(self.bytes).saturating_sub(self.waited);
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until)));
        if timer.deadline() != until {
            timer.as_mut().reset(until);
        }
        timer.as_mut().poll(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Patience = Patience { grace: Duration::from_millis(200), bytes_per_s_min: 1_000 };

    /// Milliseconds until it is over; a busy machine makes them more, never fewer.
    async fn over(pace: &mut Pace) -> u128 {
        let began = Instant::now();
        std::future::poll_fn(|cx| pace.poll_over(cx)).await;
        began.elapsed().as_millis()
    }

    async fn is_over_within(pace: &mut Pace, time: Duration) -> bool {
        tokio::time::timeout(time, std::future::poll_fn(|cx| pace.poll_over(cx))).await.is_ok()
    }

    #[tokio::test]
    async fn who_sends_nothing_has_the_grace_and_who_sends_has_more() {
        assert!(over(&mut Pace::of_reading(PATIENCE)).await >= 199);
        let mut pace = Pace::of_reading(PATIENCE);
        pace.moved(500);
        assert!(over(&mut pace).await >= 699);
        pace.restart();
        pace.moved(0);
        assert_eq!(pace.patience.of(pace.bytes), PATIENCE.grace, "the next one begins anew");
    }

    #[tokio::test]
    async fn what_the_kernel_takes_at_once_earns_nothing() {
        let mut pace = Pace::of_writing(PATIENCE);
        pace.moved(4 << 20);
        assert!(!is_over_within(&mut pace, Duration::from_millis(50)).await);
        pace.moved(100);
        assert_eq!(pace.patience.of(pace.bytes), Duration::from_millis(300));
    }

    #[tokio::test]
    async fn a_byte_now_and_then_buys_no_time() {
        let mut pace = Pace::of_reading(PATIENCE);
        let mut bytes = 0;
        while !is_over_within(&mut pace, Duration::from_millis(20)).await {
            pace.moved(1);
            bytes += 1;
        }
        assert!((1..=11).contains(&bytes), "{bytes} bytes, 20 ms apart, in 200 ms");
    }

    #[tokio::test]
    async fn our_own_delay_is_not_the_devices() {
        let mut pace = Pace::of_reading(PATIENCE);
        for _ in 0..4 {
            assert!(!is_over_within(&mut pace, Duration::from_millis(10)).await);
            pace.moved(0);
            // Nobody waits for the device meanwhile.
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert!(!pace.waited.is_zero() && pace.waited < Duration::from_millis(200), "{:?}", pace.waited);
    }
}
