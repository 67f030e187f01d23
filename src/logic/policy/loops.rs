//! Devices that never get anywhere: told to provision over and over, or provisioning over and over.
//!
//! Told three times by status without coming closer, a device is told by the old HTTP code, which every one understands. After ten it is
//! slowed down: one try now and then, further and further apart, and in between an answer that asks for patience.
//!
//! The caller counts what the gate decides: a refusal that [`is_step`](super::signal::Refusal::is_step) as [`Steps::told`], a Provision
//! (unless an order to erase stands) as [`Steps::provisions`], a command other than Ping that the gate passes as [`Steps::passed`].

use serde::{Deserialize, Serialize};

use super::Timestamp;

/// Tellings after which statuses are given up in favour of HTTP 449.
const STATUSES_MAX: u32 = 3;
/// Steps without progress, tellings and Provisions alike, after which a device is slowed. A good one needs three.
const STEPS_MAX: u32 = 10;
/// A step older than this is forgotten: provisioning once an hour is no loop.
const WINDOW_S: u64 = 600;
/// The first wait of a slowed device.
const WAIT_MIN_S: u32 = 60;
/// The longest: somebody who fixed the device should not wait for ever.
const WAIT_MAX_S: u32 = 3_600;

/// One device's steps; kept for devices that took one lately.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Steps {
    /// How many, since it last got anywhere.
    pub count: u32,
    /// Of these, how often it was told to provision.
    pub told: u32,
    /// The last.
    pub last_at: Timestamp,
    /// The first since it last got anywhere: since when it has been looping.
    pub first_at: Timestamp,
    /// When a slowed device may try again.
    next_at: Option<Timestamp>,
    /// How long it waits after the next try.
    wait_s: u32,
}

/// How to go on with a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// As usual.
    Go,
    /// As usual, but tell by HTTP 449.
    Go449,
    /// Not at all: it may come back after so many seconds.
    Slow {
        /// At least 1.
        retry_after_s: u32,
    },
}

impl Steps {
    /// The device is about to be told to provision.
    pub fn told(&mut self, now: Timestamp) -> Pace {
        let pace = self.step(now);
        if pace != (Pace::Go) {
            return pace;
        }
        self.told += 1;
        if self.told > STATUSES_MAX { Pace::Go449 } else { Pace::Go }
    }

    /// The device provisions.
    pub fn provisions(&mut self, now: Timestamp) -> Pace {
        self.step(now)
    }

    /// A request with a good key passed: it got somewhere.
    pub fn passed(&mut self) {
        *self = Steps::default();
    }

    /// Since when the device has been looping; `None` if it is not.
    pub fn looping_since(&self, now: Timestamp) -> Option<Timestamp> {
        let is_recent = now.since(self.last_at) < WINDOW_S.max(u64::from(self.wait_s));
        (self.count > STEPS_MAX && is_recent).then_some(self.first_at)
    }

    /// The last step is so long ago that the next one would be the first.
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.count == 0 || now.since(self.last_at) >= WINDOW_S.max(2 * u64::from(self.wait_s))
    }

    fn step(&mut self, now: Timestamp) -> Pace {
        if self.is_over(now) {
            *self = Steps { first_at: now, ..Steps::default() };
        }
        self.last_at = now;
        if let Some(next_at) = self.next_at.filter(|next_at| now < *next_at) {
            return Pace::Slow { retry_after_s: u32::try_from(next_at.since(now)).unwrap_or(WAIT_MAX_S) };
        }
        self.count = self.count.saturating_add(1);
        if self.count <= STEPS_MAX {
            return Pace::Go;
        }
        self.wait_s = (self.wait_s * 2).clamp(WAIT_MIN_S, WAIT_MAX_S);
        self.next_at = Some(now.plus(u64::from(self.wait_s)));
        // This one is a try.
        Pace::Go449
    }
}
