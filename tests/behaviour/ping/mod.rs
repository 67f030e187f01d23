//! Pings: held, woken, answered.

mod identity;
mod remembering;
mod replacing;
mod resolving;
mod statuses;
mod waking;
