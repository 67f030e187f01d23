//! The thread with all devices that wait.
//!
//! In: devices that have begun to wait, a storm, the end. Out: devices that have something to do, each as a task of the runtime.
//! It reads what came and opens its records, so that the moment of an answer is the moment at which it could be read.

use std::io::{self, Read as _};
use std::net::TcpStream;
use std::os::fd::AsRawFd as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token, Waker};
use pushgate::gateway::tls::Incoming;
use pushgate::standin::device::{DeviceError, Event};

use super::fleet::{Fleet, Reason};
use super::slots::{Place, Slot, Slots, Stage};
use crate::scenario::Manner;

/// The way to the thread.
#[derive(Debug)]
pub struct Watch {
    inbox: Mutex<Vec<Order>>,
    waker: Waker,
}

/// What it is told.
#[derive(Debug)]
enum Order {
    Take(Box<Slot>),
    /// Everybody loses the connection and comes back within this.
    Storm(Duration),
    End,
}

/// What the thread has.
struct Thread {
    poll: Poll,
    slots: Slots,
    fleet: Arc<Fleet>,
    watch: Arc<Watch>,
    /// Connections that a network cut silently: their device has given them up, the server does not know. Oldest first.
    forgotten: Vec<TcpStream>,
    room: Vec<u8>,
}

const WAKE: Token = Token(usize::MAX);
/// One read; an answer to a Ping is a few hundred bytes.
const READ_BYTES: usize = 16 << 10;
/// Forgotten connections that are kept; then the server learns that they are gone.
const FORGOTTEN_MAX: usize = 1_000;

impl Watch {
    /// Starts the thread; `fleet` makes tasks of devices. Ends with [`Watch::end`].
    ///
    /// # Errors
    /// The system has no epoll or thread for us.
    pub fn start(devices: usize, fleet: impl FnOnce(Arc<Watch>) -> Arc<Fleet>) -> io::Result<Arc<Fleet>> {
        let poll = Poll::new()?;
        let watch = Arc::new(Watch { inbox: Mutex::default(), waker: Waker::new(poll.registry(), WAKE)? });
        let fleet = fleet(Arc::clone(&watch));
        let slots = Slots::with_capacity(devices);
        let mut thread = Thread { poll, slots, fleet: Arc::clone(&fleet), watch, forgotten: Vec::new(), room: vec![0; READ_BYTES] };
        std::thread::Builder::new().name("watch".into()).spawn(move || {
            if let Err(error) = thread.run() {
                eprintln!("pushgate-loadtest: waiting for devices failed: {error}");
                std::process::exit(1);
            }
        })?;
        Ok(fleet)
    }

    /// Takes a device that waits.
    pub fn take(&self, slot: Slot) {
        self.tell(Order::Take(Box::new(slot)));
    }

    /// Everybody loses the connection, and comes back within so long.
    pub fn storm(&self, within: Duration) {
        self.tell(Order::Storm(within));
    }

    /// Ends the thread with all connections.
    pub fn end(&self) {
        self.tell(Order::End);
    }

    fn tell(&self, order: Order) {
        let mut inbox = self.inbox.lock().unwrap_or_else(PoisonError::into_inner);
        let was_empty = inbox.is_empty();
        inbox.push(order);
        if was_empty {
            // It fails only when the thread is gone, and then nobody has to be woken.
            let _ = self.waker.wake();
        }
    }
}

impl Thread {
    fn run(&mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(1_024);
        loop {
            let orders = std::mem::take(&mut *self.watch.inbox.lock().unwrap_or_else(PoisonError::into_inner));
            for order in orders {
                match order {
                    Order::Take(slot) => self.take(*slot)?,
                    Order::Storm(within) => self.storm(within),
                    Order::End => return Ok(()),
                }
            }
            let now = Instant::now();
            while let Some(place) = self.slots.due(now) {
                self.moment(place, now);
            }
            let timeout = self.slots.next_moment().map(|moment| moment.saturating_duration_since(Instant::now()));
            match self.poll.poll(&mut events, timeout) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                polled => polled?,
            }
            for event in events.iter().filter(|event| event.token() != WAKE) {
                self.readable(place_of(event.token()));
            }
        }
    }

    fn take(&mut self, slot: Slot) -> io::Result<()> {
        let device = slot.device;
        let place = self.slots.insert(slot);
        let Some((stream, ..)) = self.slots.at(place).and_then(|slot| slot.connection.as_ref()) else { return Ok(()) };
        self.poll.registry().register(&mut SourceFd(&stream.as_raw_fd()), token_of(place), Interest::READABLE)?;
        // What had been received with something else, before it waited.
        let has_more = self.slots.at(place).is_some_and(|slot| has_plaintext(slot));
        if has_more {
            self.hand_over(place, Reason::Readable(Instant::now()));
        }
        debug_assert!(device < u32::MAX, "numbers of a process are small");
        Ok(())
    }

    /// Bytes came, or the end of the connection.
    fn readable(&mut self, place: Place) {
        let Some(slot) = self.slots.at(place).filter(|slot| slot.stage != Stage::Deaf) else { return };
        let Some((stream, wire, received)) = &mut slot.connection else { return };
        let reason = loop {
            match stream.read(&mut self.room) {
                Ok(0) => break Reason::Lost(DeviceError::Broken(io::ErrorKind::UnexpectedEof.into())),
                Ok(count) => match wire.receive(received, &self.room[..count]) {
                    Ok(Incoming::Data) => break Reason::Readable(Instant::now()),
                    // A part of a record, or session tickets.
                    Ok(Incoming::Nothing) => {}
                    Ok(Incoming::Closed) if received.plaintext().is_empty() => {
                        break Reason::Lost(DeviceError::Broken(io::ErrorKind::UnexpectedEof.into()));
                    }
                    Ok(Incoming::Closed) => break Reason::Readable(Instant::now()),
                    Err(error) => break Reason::Lost(DeviceError::Broken(error.into())),
                },
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => break Reason::Lost(DeviceError::Broken(error)),
            }
        };
        self.hand_over(place, reason);
    }

    /// A moment of this device has come.
    fn moment(&mut self, place: Place, now: Instant) {
        let Some(slot) = self.slots.at(place) else { return };
        let device = slot.device as usize;
        match (slot.stage, slot.cut) {
            (Stage::Resting, _) => self.hand_over(place, Reason::Rested),
            (Stage::Offline, _) => self.hand_over(place, Reason::Reconnects),
            _ if slot.until <= now => self.hand_over(place, Reason::Lost(DeviceError::Timeout)),
            (Stage::Asked(_) | Stage::Held, Some((at, how))) if at <= now => self.cut(place, how),
            (Stage::Asked(held_at), _) if held_at <= now => {
                slot.stage = Stage::Held;
                self.fleet.observer.note(device, Event::Held);
                self.slots.reschedule(place);
            }
            _ => self.slots.reschedule(place),
        }
    }

    /// The device's network drops the connection.
    fn cut(&mut self, place: Place, how: Manner) {
        let Some(slot) = self.slots.at(place) else { return };
        if how == Manner::Silent {
            slot.stage = Stage::Deaf;
            self.fleet.went_deaf(slot.device as usize);
            self.slots.reschedule(place);
            return;
        }
        if how == Manner::Rst
            && let Some((stream, ..)) = &slot.connection
        {
            reset(stream);
        }
        self.hand_over(place, Reason::Lost(DeviceError::Broken(io::ErrorKind::ConnectionReset.into())));
    }

    /// Makes a task of it.
    fn hand_over(&mut self, place: Place, reason: Reason) {
        let Some(mut slot) = self.slots.remove(place) else { return };
        if let Some((stream, ..)) = &slot.connection {
            // It may have gone from there with its socket, and then it is not there.
            let _ = self.poll.registry().deregister(&mut SourceFd(&stream.as_raw_fd()));
        }
        if !matches!(reason, Reason::Readable(_))
            && let Some((stream, ..)) = slot.connection.take()
            && slot.stage == Stage::Deaf
        {
            if self.forgotten.len() >= FORGOTTEN_MAX {
                self.forgotten.remove(0);
            }
            self.forgotten.push(stream);
        }
        self.fleet.wake_up(slot, reason);
    }

    fn storm(&mut self, within: Duration) {
        let places = self.slots.places();
        let (now, count) = (Instant::now(), places.len().max(1) as f64);
        for (index, place) in places.into_iter().enumerate() {
            let Some(slot) = self.slots.at(place).filter(|slot| slot.connection.is_some()) else { continue };
            // Closing takes it out of the epoll too.
            slot.connection = None;
            slot.stage = Stage::Offline;
            slot.until = now + within.mul_f64(index as f64 / count);
            let device = slot.device as usize;
            self.slots.reschedule(place);
            self.fleet.went_offline(device);
        }
    }
}

fn has_plaintext(slot: &Slot) -> bool {
    slot.connection.as_ref().is_some_and(|(_, _, received)| !received.plaintext().is_empty())
}

/// Makes the closing of a socket a reset.
fn reset(stream: &TcpStream) {
    // Without it the connection is closed the polite way, which is a cut too.
    let _ = socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO));
}

/// Index and generation in one number; of the generation the half that tells neighbours in time apart.
fn token_of(place: Place) -> Token {
    Token((place.generation as usize) << 32 | place.index as usize)
}

fn place_of(token: Token) -> Place {
    Place { index: token.0 as u32, generation: (token.0 >> 32) as u32 }
}
