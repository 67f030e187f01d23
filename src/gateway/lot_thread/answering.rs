//! How a hold ends on the wire: sealed, written, counted; and what a connection does after its answer.

use std::io::{self, Write};
use std::sync::atomic::Ordering;
use std::time::Duration;

use mio::Interest;

use super::{LotThread, token};
use crate::gateway::parked::Peer;
use crate::logic::answer::{write_answer, write_sync_answer};
use crate::logic::hold::{Moment, Outcome, SlotKey};

impl LotThread {
    /// Seals and writes an answer, in one write if the socket takes it.
    pub(super) fn answer(&mut self, slot: SlotKey, outcome: &Outcome, cause: Option<Moment>, held: Duration) {
        let Some(parked) = self.lot.connection_mut(slot) else { return };
        let is_sync = parked.is_sync();
        // What changed is for the backend to say.
        if is_sync && matches!(outcome, Outcome::Changed(_) | Outcome::VerdictLost) {
            self.door().figures.wakes.fetch_add(1, Ordering::Relaxed);
            return self.ask_again(slot, outcome.label(), held, None);
        }
        parked.closes |= outcome.closes();
        let scratch = &mut self.scratch;
        scratch.refresh_date();
        scratch.sealed.clear();
        let write = if is_sync { write_sync_answer } else { write_answer };
        write(outcome, parked.closes, &scratch.date, &mut scratch.body, &mut scratch.plain);
        if parked.wire.seal(&scratch.plain, &mut scratch.sealed).is_err() {
            return self.close(slot);
        }
        if parked.closes {
            parked.wire.seal_close_notify(&mut scratch.sealed);
        }
        let written = match parked.stream.write(&scratch.sealed) {
            Ok(count) => count,
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => 0,
            Err(_) => return self.hung_up(slot),
        };
        let peer = parked.peer;
        let is_whole = written == scratch.sealed.len();
        parked.forget_request();
        if !is_whole {
            parked.extra.get_or_insert_default().unsent = scratch.sealed[written..].to_vec();
        }
        self.count_answer((peer, is_sync), outcome, cause, held);
        if is_whole { self.after_answer(slot) } else { self.watch_writable(slot) }
    }

    fn count_answer(&mut self, (peer, is_sync): (Peer, bool), outcome: &Outcome, cause: Option<Moment>, held: Duration) {
        self.counting.ended(is_sync, outcome.label());
        if !held.is_zero() {
            self.record_hold(peer, outcome.label(), held);
        }
        if matches!(outcome, Outcome::Changed(_)) {
            self.door().figures.wakes.fetch_add(1, Ordering::Relaxed);
        }
        if let Some(cause) = cause {
            let latency = self.gateway.lots.now().since(cause);
            self.counting.wake.record(latency.as_secs_f64());
            self.wakes.push(latency);
        }
    }

    pub(super) fn record_hold(&mut self, peer: Peer, outcome: &'static str, held: Duration) {
        let networks = &self.gateway.config.networks;
        self.counting.held(self.gateway.network_of(peer.ip), |place| networks[place].name.clone(), outcome, held);
    }

    /// The answer is with the kernel: the connection waits for its next request, which may be here already.
    fn after_answer(&mut self, slot: SlotKey) {
        match self.lot.connection(slot) {
            Some(parked) if parked.closes => self.close(slot),
            Some(parked) if !parked.received.is_empty() => self.resume(slot),
            _ => {}
        }
    }

    fn watch_writable(&mut self, slot: SlotKey) {
        let Some(parked) = self.lot.connection_mut(slot) else { return };
        let interest = Interest::READABLE | Interest::WRITABLE;
        if self.inbox.poll.registry().reregister(&mut parked.stream, token(slot), interest).is_err() {
            self.close(slot);
        }
    }

    /// Goes on with an answer that did not fit; what was sealed once is only ever sent, never sealed again.
    pub(super) fn send_unsent(&mut self, slot: SlotKey) {
        let Some(parked) = self.lot.connection_mut(slot) else { return };
        let Some(extra) = parked.extra.as_mut().filter(|extra| !extra.unsent.is_empty()) else { return };
        loop {
            match parked.stream.write(&extra.unsent) {
                Ok(count) => drop(extra.unsent.drain(..count)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => return self.hung_up(slot),
            }
            if extra.unsent.is_empty() {
                parked.forget_request();
                return self.after_answer(slot);
            }
        }
    }
}
