//! What the processes of a run say to each other: one JSON value a line.

use std::net::IpAddr;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::engine::counts::Tick;
use crate::scenario::Plan;

/// First line to a crew: the scenario, and its devices in it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Order {
    pub plan: Plan,
    /// Number of the first, from 0.
    pub first: usize,
    pub devices: usize,
    /// Where they connect from, in turn; empty: the system's choice.
    pub sources: Vec<IpAddr>,
    /// Which process it is, from 0, and of how many.
    pub process: usize,
    pub processes: usize,
}

/// Later lines to a crew; each is answered.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// The devices begin to come.
    Begin,
    /// Say what happened.
    Tell,
    /// A mail for every device; nobody is told of it yet.
    MailAll,
    /// One change for every device, without its mail if that is there already. `due_us`: when it was due, in microseconds of the
    /// clock that all processes share, so that a wake is measured from when the first of them began.
    /// From then on woken devices fetch within `fetch_within_s`.
    WakeAll { due_us: u64, has_mail: bool, fetch_within_s: f64 },
    /// Changes for so many devices, each after the one before was answered and its device is held again. The first process does it.
    WakeOne(usize),
    /// Everybody loses the connection, and comes back within so many seconds.
    Storm(f64),
    /// No more changes at the scenario's rate.
    Quiet,
    /// Say what happened for the last time, and end.
    End,
}

impl Task {
    /// Everybody is woken, from now on.
    pub fn wake_all(has_mail: bool, fetch_within_s: f64) -> Task {
        Task::WakeAll { due_us: now_us(), has_mail, fetch_within_s }
    }
}

/// Microseconds of the clock that all processes of a machine share.
pub fn now_us() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_micros() as u64)
}

/// A line from a crew.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// It is ready, or has begun to do it.
    Done,
    Tick(Box<Tick>),
}
