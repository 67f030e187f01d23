//! All devices of the process, on one thread: a turn takes what the system has to tell, and goes on.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::Receiver;

use anyhow::Context as _;
use mio::{Events, Interest, Poll, Token, Waker};
use pushgate::standin::device::DeviceOptions;
use rustls::ClientConfig;

use super::connection::Connection;
use super::script::Script;
use super::{Order, Question, Report};
use crate::child::say;
use crate::process::now_us;

/// The token of orders that have come.
pub const ORDERS: Token = Token(usize::MAX);
/// What one turn takes from the system.
const EVENTS_MAX: usize = 1_024;
/// How often a device connects again.
const FAILURES_MAX: u8 = 50;
/// Bytes that are read at once.
const ROOM_BYTES: usize = 32 << 10;

/// Where a device is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Without a connection, and wants none.
    Away,
    /// Connecting or logging in.
    Busy,
    /// Its request is held.
    Held,
    /// Woken, and has not gone on.
    Woken,
}

struct Member {
    script: Script,
    connection: Option<Connection>,
    stage: Stage,
    /// When bytes last came.
    read_us: u64,
    woken_us: u64,
    failures: u8,
}

/// All devices.
pub struct Fleet {
    poll: Poll,
    order: Order,
    tls: Option<Arc<ClientConfig>>,
    members: Vec<Member>,
    /// Those that want to go on: not too many at the same time, or the figure is that of a storm.
    waiting: VecDeque<usize>,
    busy: usize,
    held: usize,
    /// Woken devices do nothing, and what they read is looked into later.
    is_held_back: bool,
    unread: Vec<usize>,
    failures: u64,
    failure: Option<String>,
    room: Vec<u8>,
}

impl Fleet {
    /// All away.
    pub fn new(order: Order, options: &Arc<DeviceOptions>, tls: Option<Arc<ClientConfig>>) -> anyhow::Result<Fleet> {
        let member = |number| {
            let script = Script::new(&order.language, options, number);
            Member { script, connection: None, stage: Stage::Away, read_us: 0, woken_us: 0, failures: 0 }
        };
        let members = (0..order.devices).map(|index| member(order.first + index)).collect();
        Ok(Fleet {
            poll: Poll::new()?,
            order,
            tls,
            members,
            waiting: VecDeque::new(),
            busy: 0,
            held: 0,
            is_held_back: false,
            unread: Vec::new(),
            failures: 0,
            failure: None,
            room: vec![0; ROOM_BYTES],
        })
    }

    /// For the thread that reads orders.
    pub fn waker(&self) -> anyhow::Result<Waker> {
        Ok(Waker::new(self.poll.registry(), ORDERS)?)
    }

    /// Until there are no more orders.
    pub fn run(&mut self, orders: &Receiver<Option<Question>>) -> anyhow::Result<()> {
        let mut events = Events::with_capacity(EVENTS_MAX);
        loop {
            match self.poll.poll(&mut events, None) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                done => done?,
            }
            for event in &events {
                match event.token() {
                    ORDERS => {}
                    Token(index) => self.serve(index),
                }
            }
            while let Ok(order) = orders.try_recv() {
                let Some(question) = order else { return Ok(()) };
                self.obey(question)?;
            }
            self.start_waiting();
        }
    }

    fn obey(&mut self, question: Question) -> anyhow::Result<()> {
        match question {
            Question::Open(range) => self.waiting.extend(range),
            Question::Close => {
                for member in &mut self.members {
                    (member.connection, member.stage) = (None, Stage::Away);
                }
                (self.busy, self.held) = (0, 0);
                self.waiting.clear();
                say(&())?;
            }
            Question::Language(language) => self.order.language = language,
            Question::HoldBack(true) => self.is_held_back = true,
            Question::HoldBack(false) => {
                self.is_held_back = false;
                self.look_into();
                let woken = (0..self.members.len()).filter(|&index| self.members[index].stage == Stage::Woken);
                self.waiting.extend(woken);
            }
            Question::Report => {
                self.look_into();
                say(&self.report())?;
            }
        }
        Ok(())
    }

    fn report(&self) -> Report {
        Report {
            woken_us: self.members.iter().map(|member| member.woken_us).collect(),
            held: self.held,
            failures: self.failures,
            failure: self.failure.clone(),
        }
    }

    /// As many as may be busy at the same time.
    fn start_waiting(&mut self) {
        while self.busy < self.order.busy_max {
            let Some(index) = self.waiting.pop_front() else { return };
            // Some are in the list twice: woken, and failed or let go since. Counting such a device as busy again would never end,
            // and after a few of them nobody would be let on any more.
            if matches!(self.members[index].stage, Stage::Busy | Stage::Held) {
                continue;
            }
            self.busy += 1;
            self.members[index].stage = Stage::Busy;
            if self.members[index].connection.as_ref().is_some_and(|connection| !connection.is_ended()) {
                self.attempt(index, |fleet| fleet.send(index));
            } else {
                self.attempt(index, |fleet| fleet.connect(index));
            }
        }
    }

    fn connect(&mut self, index: usize) -> anyhow::Result<()> {
        let mut connection = Connection::begin(self.order.target, self.tls.clone(), self.order.first + index)?;
        self.poll.registry().register(&mut connection.socket, Token(index), Interest::READABLE | Interest::WRITABLE)?;
        self.members[index].connection = Some(connection);
        Ok(())
    }

    /// Something has happened on the connection.
    fn serve(&mut self, index: usize) {
        self.attempt(index, |fleet| {
            let member = &mut fleet.members[index];
            let Some(connection) = &mut member.connection else { return Ok(()) };
            let was_open = connection.is_open();
            if connection.receive(&mut fleet.room)? {
                member.read_us = now_us();
            }
            if fleet.is_held_back && member.stage != Stage::Busy {
                fleet.unread.push(index);
                return Ok(());
            }
            connection.flush()?;
            fleet.read(index)?;
            let member = &mut fleet.members[index];
            let Some(connection) = &mut member.connection else { return Ok(()) };
            if !was_open && connection.is_open() {
                member.script.restart();
                return fleet.send(index);
            }
            // Handshakes write while they read.
            connection.flush()?;
            anyhow::ensure!(!connection.is_ended() || member.stage == Stage::Woken, "the server closed the connection");
            Ok(())
        });
    }

    fn look_into(&mut self) {
        for index in std::mem::take(&mut self.unread) {
            self.attempt(index, |fleet| fleet.read(index));
        }
    }

    /// A whole answer: the next request, at once or in its turn.
    fn read(&mut self, index: usize) -> anyhow::Result<()> {
        let member = &mut self.members[index];
        let Some(connection) = &mut member.connection else { return Ok(()) };
        let Some(answer) = connection.answer()? else { return Ok(()) };
        member.script.take(&answer)?;
        if member.stage == Stage::Held {
            member.woken_us = member.read_us;
            member.stage = Stage::Woken;
            self.held -= 1;
            if !self.is_held_back {
                self.waiting.push_back(index);
            }
            return Ok(());
        }
        self.send(index)
    }

    fn send(&mut self, index: usize) -> anyhow::Result<()> {
        let member = &mut self.members[index];
        let request = member.script.request(&self.order.language);
        member.connection.as_mut().context("no connection")?.send(&request.bytes)?;
        if request.is_held {
            member.stage = Stage::Held;
            self.busy -= 1;
            self.held += 1;
        }
        Ok(())
    }

    /// A device that fails connects again, as phones do; it is counted. One that fails too often stays away: then the figures are
    /// not to be had.
    fn attempt(&mut self, index: usize, act: impl FnOnce(&mut Fleet) -> anyhow::Result<()>) {
        let Err(error) = act(self) else { return };
        self.failures += 1;
        self.failure.get_or_insert_with(|| format!("device {index}: {error:#}"));
        let member = &mut self.members[index];
        match member.stage {
            Stage::Busy => self.busy -= 1,
            Stage::Held => self.held -= 1,
            Stage::Away | Stage::Woken => {}
        }
        (member.connection, member.stage) = (None, Stage::Away);
        member.failures += 1;
        if member.failures <= FAILURES_MAX {
            self.waiting.push_back(index);
        }
    }
}
