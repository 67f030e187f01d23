//! Pings: held, woken, answered.

mod folder_lists;
mod identity;
mod remembering;
mod replacing;
mod resolving;
mod statuses;
mod waking;
