//! What the processes of a run say to each other: one JSON value a line.

use std::net::IpAddr;

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
    /// One change for every device.
    WakeAll,
    /// Changes for so many devices, each after the one before was answered and its device is held again. The first process does it.
    WakeOne(usize),
    /// Everybody loses the connection, and comes back within so many seconds.
    Storm(f64),
    /// No more changes at the scenario's rate.
    Quiet,
    /// Say what happened for the last time, and end.
    End,
}

/// A line from a crew.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// It is ready, or has begun to do it.
    Done,
    Tick(Box<Tick>),
}
