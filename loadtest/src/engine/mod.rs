//! Simulated devices of one process, lean: a device that waits is a slot, not a task.
//!
//! * `fleet`: what a device is by its number, and the task of one that has something to do.
//! * `watch`: a thread with all devices that wait: sockets in an epoll of their own, deadlines in a heap.
//! * `slots`: where they are kept. * `counts`: what devices did, for the report. * `pending`: changes and what became of them.
//! * `sender`: makes changes, at their time, in the ways of the scenario; `lines` is one of those.
//!
//! A device goes round: task (connect, log in, synchronise, send a Ping) → slot (wait) → task (read the answer). The time of an
//! answer is taken by the watch thread when the bytes are read, not when the task gets its turn.

pub mod counts;
pub mod fleet;
mod lines;
mod pending;
pub mod sender;
mod slots;
mod watch;
