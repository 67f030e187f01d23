//! Switches that make the stand-in misbehave.

use std::sync::Mutex;
use std::time::Duration;

use super::shared::lock;
use crate::logic::eas::Command;

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// This HTTP status and an HTML page, without looking at the request.
    Status(u16),
    /// No answer, ever; the connection stays open.
    Hang,
    /// The head and half of the answer, then the connection is closed. Answers without a body are closed before the head.
    CloseMidAnswer,
    /// `Content-Length` announces this many bytes more than come before the connection is closed.
    LieAboutLength(u64),
    /// The answer comes late.
    Delay(Duration),
}

/// Which requests it hits.
#[derive(Debug, Clone, Copy)]
pub struct FaultRule {
    /// Only this command; `None`: all requests, OPTIONS and Autodiscover too.
    pub command: Option<Command>,
    /// Only the next so many requests that match.
    pub times: Option<u32>,
    /// What goes wrong with them.
    pub fault: Fault,
}

/// The rules in force; the first that matches counts.
#[derive(Debug, Default)]
pub(super) struct Faults(Mutex<Vec<FaultRule>>);

impl Faults {
    pub(super) fn set(&self, rules: Vec<FaultRule>) {
        *lock(&self.0) = rules;
    }

    /// The fault for a request, used up once.
    pub(super) fn take(&self, command: Option<Command>) -> Option<Fault> {
        let mut rules = lock(&self.0);
        let index = rules.iter().position(|rule| rule.command.is_none() || rule.command == command)?;
        let fault = rules[index].fault;
        if let Some(times) = &mut rules[index].times {
            *times -= 1;
            if *times == 0 {
                rules.remove(index);
            }
        }
        Some(fault)
    }
}
