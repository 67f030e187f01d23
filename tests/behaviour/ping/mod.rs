//! Pings: held, woken, answered.

mod folder_lists;
mod full_inbox;
mod identity;
mod remembering;
mod replacing;
mod resolving;
mod statuses;
mod waking;
