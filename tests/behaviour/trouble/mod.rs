//! Devices that are a burden: stale passwords, loops, short heartbeats.

mod heartbeats;
mod loops;
mod shield;
