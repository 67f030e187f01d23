//! The canary: a message to a mailbox of our own whose notification must come back.
//!
//! When one is to be delivered, which notification belongs to which, and when one is missing. A canary whose delivery was
//! not confirmed is never missing: who knows whether it was delivered.

use std::collections::VecDeque;
use std::time::Duration;

use crate::logic::hold::Moment;

/// Canaries remembered: notifications later than these rounds belong to nobody.
const FLIGHTS_MAX: usize = 16;

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// Deliver the canary of this round.
    Deliver {
        /// Counts from 1.
        round: u64,
    },
    /// The canary of this round was delivered and did not come back in time.
    Missing {
        /// Counts from 1.
        round: u64,
    },
}

/// A canary that came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heard {
    /// Handed to the mail server → notified.
    pub latency: Duration,
    /// Soon enough to prove anything.
    pub is_in_time: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// Not known to be delivered.
    Flying,
    Delivered,
    Missing,
    /// In time.
    Back,
}

#[derive(Debug, Clone, Copy)]
struct Flight {
    round: u64,
    /// When the mail server had all of it.
    handed_over: Option<Moment>,
    fate: Fate,
    is_back: bool,
}

/// Decides about canaries.
#[derive(Debug, Clone)]
pub struct Canary {
    every: Duration,
    late: Duration,
    next: Moment,
    round: u64,
    is_delivering: bool,
    flights: VecDeque<Flight>,
}

impl Canary {
    /// The first one goes out at once, then one `every` so often; one that is not back after `late` is missing.
    pub fn new(every: Duration, late: Duration, now: Moment) -> Self {
        Canary { every, late, next: now, round: 0, is_delivering: false, flights: VecDeque::new() }
    }

    /// Two proofs in a row are at most so far apart, unless one failed between them.
    pub fn gap_max(every: Duration, late: Duration) -> Duration {
        every * 2 + late
    }

    /// The next thing to do, if any is due.
    pub fn poll(&mut self, now: Moment) -> Option<Act> {
        let late = self.late;
        let is_overdue = |flight: &&mut Flight| flight.fate == Fate::Delivered && flight.handed_over.is_some_and(|at| now >= at + late);
        if let Some(flight) = self.flights.iter_mut().find(is_overdue) {
            flight.fate = Fate::Missing;
            return Some(Act::Missing { round: flight.round });
        }
        if self.is_delivering || now < self.next {
            return None;
        }
        self.round += 1;
        (self.next, self.is_delivering) = (now + self.every, true);
        if self.flights.len() == FLIGHTS_MAX {
            self.flights.pop_front();
        }
        self.flights.push_back(Flight { round: self.round, handed_over: None, fate: Fate::Flying, is_back: false });
        Some(Act::Deliver { round: self.round })
    }

    /// When [`Canary::poll`] has something to say at the latest, unless something happens before.
    pub fn poll_timeout(&self) -> Option<Moment> {
        let waiting = self.flights.iter().filter(|flight| flight.fate == Fate::Delivered);
        let due = waiting.filter_map(|flight| Some(flight.handed_over? + self.late)).min();
        let next = (!self.is_delivering).then_some(self.next);
        due.into_iter().chain(next).min()
    }

    /// The mail server has all of a canary, but has not yet said what it did with it.
    pub fn handed_over(&mut self, round: u64, now: Moment) {
        if let Some(flight) = self.flight(round) {
            flight.handed_over = Some(now);
        }
    }

    /// The mail server took it: from now on it may be missing.
    pub fn delivered(&mut self, round: u64) {
        self.is_delivering = false;
        if let Some(flight) = self.flight(round).filter(|flight| flight.fate == Fate::Flying) {
            flight.fate = Fate::Delivered;
        }
    }

    /// It could not be delivered, or nobody knows whether it was. True: it was not heard of either, so nothing is known.
    pub fn undelivered(&mut self, round: u64) -> bool {
        self.is_delivering = false;
        match self.flights.iter().position(|flight| flight.round == round) {
            Some(index) if self.flights[index].fate != Fate::Back => {
                self.flights.remove(index);
                true
            }
            _ => false,
        }
    }

    /// A notification for the canary's mailbox came. A source that does not say of which round is believed to mean the last
    /// one. `None`: it belongs to no canary that is waited for.
    pub fn heard(&mut self, round: Option<u64>, now: Moment) -> Option<Heard> {
        let late = self.late;
        let is_meant = |flight: &&mut Flight| round.is_none_or(|round| flight.round == round);
        let flight = self.flights.iter_mut().rev().filter(|flight| flight.handed_over.is_some()).find(is_meant)?;
        if std::mem::replace(&mut flight.is_back, true) {
            return None;
        }
        let latency = now.since(flight.handed_over?);
        let is_in_time = latency <= late;
        // One that is back too late is missing all the same.
        if is_in_time {
            flight.fate = Fate::Back;
        }
        Some(Heard { latency, is_in_time })
    }

    fn flight(&mut self, round: u64) -> Option<&mut Flight> {
        self.flights.iter_mut().find(|flight| flight.round == round)
    }
}
