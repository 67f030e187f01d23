//! Time as an argument: microseconds since the process (or the simulation) began.

use std::ops::{Add, Sub};
use std::time::Duration;

/// A point in time. Zero is the start of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Moment(pub u64);

/// log2 of the microseconds in a tick: 16.4 ms, well under the 5 s an Android device tolerates.
const TICK_SHIFT: u32 = 14;

impl Moment {
    /// The tick that contains this moment; a timer set for it fires at most one tick (16.4 ms) early, never late.
    pub fn tick(self) -> u32 {
        u32::try_from(self.0 >> TICK_SHIFT).unwrap_or(u32::MAX - 1)
    }

    /// The first moment of a tick.
    pub fn of_tick(tick: u32) -> Self {
        Moment(u64::from(tick) << TICK_SHIFT)
    }

    /// Whole seconds since the start.
    pub fn seconds(self) -> u32 {
        u32::try_from(self.0 / 1_000_000).unwrap_or(u32::MAX)
    }

    /// Time since an earlier moment; zero if it is later.
    pub fn since(self, earlier: Moment) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Moment {
    type Output = Moment;

    fn add(self, duration: Duration) -> Moment {
        Moment(self.0.saturating_add(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)))
    }
}

impl Sub<Duration> for Moment {
    type Output = Moment;

    fn sub(self, duration: Duration) -> Moment {
        Moment(self.0.saturating_sub(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)))
    }
}
