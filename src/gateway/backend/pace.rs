//! `backend.requests_per_s`: everything that goes to a backend waits here for its turn, before it takes a connection.
//!
//! The order is `logic::pace`'s; here are the clock, the lock, and a task that lets people go while anybody waits.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, sleep_until, timeout};

use super::{Backend, Claim, Failure, Route};
use crate::logic::hold::Moment;
use crate::logic::pace::{ComeBack, Line, Rank};
use crate::telemetry::metrics::SHED_TOTAL;

/// Requests of one rank that were let go and do not have a connection yet: when a backend stands still the rest wait in
/// line, where they are fair to each other and may be refused.
const BOARDING_MAX: usize = 16;
/// Without a rate, devices are asked to stay away for this long, and up to twice as long: enough to matter, shorter than a Ping.
const LATER_S: u32 = 20;
/// At most this long goes by before the task looks again whether those who were let go have a connection.
const GLANCE: Duration = Duration::from_secs(1);

/// The line in front of all backends; without a rate nobody waits.
pub(super) struct Pace {
    hasher: RandomState,
    started: Instant,
    paced: Option<Arc<Paced>>,
}

struct Paced {
    started: Instant,
    line: Mutex<Gate>,
    /// Let go, and without a connection so far, by rank.
    boarding: [AtomicUsize; 2],
    left: Notify,
}

struct Gate {
    line: Line<oneshot::Sender<Boarding>>,
    /// A task lets people go.
    is_kept: bool,
}

/// Somebody who was let go; dropped when they have a connection.
pub(super) struct Boarding {
    of: Arc<Paced>,
    rank: Rank,
}

impl Pace {
    /// `per_s`: 0 is no bound.
    pub(super) fn new(per_s: u32) -> Self {
        let started = Instant::now();
        let paced = (per_s > 0).then(|| {
            let line = Mutex::new(Gate { line: Line::new(per_s), is_kept: false });
            Arc::new(Paced { started, line, boarding: Default::default(), left: Notify::new() })
        });
        Pace { hasher: RandomState::new(), started, paced }
    }

    /// Waits in line; drop what comes back once there is a connection. `None`: there is no line.
    ///
    /// # Errors
    /// Too many wait already.
    pub(super) async fn turn(&self, route: &Route) -> Result<Option<Boarding>, Failure> {
        let Some(paced) = &self.paced else { return Ok(None) };
        let (rank, key) = self.place_of(route);
        let turn = paced.enter(rank, key, self.jitter()).map_err(|come_back| {
            metrics::counter!(SHED_TOTAL.name, "limit" => "backend.requests_per_s").increment(1);
            Failure::Busy { retry_after_s: seconds(come_back) }
        })?;
        Ok(turn.go().await)
    }

    /// As [`Pace::turn`], for callers who are few and have waited before (checks): never refused.
    pub(super) async fn turn_always(&self, route: &Route) -> Option<Boarding> {
        let (_, key) = self.place_of(route);
        self.paced.as_ref()?.enter_always(Rank::Known, key).go().await
    }

    /// For those who find everything taken.
    pub(super) fn busy(&self) -> Failure {
        let appointment = |paced: &Arc<Paced>| paced.gate().line.appointment(Rank::Newcomer, paced.now(), self.jitter());
        Failure::Busy { retry_after_s: self.paced.as_ref().map_or_else(|| self.later_s(), |paced| seconds(appointment(paced))) }
    }

    /// When to ask again what a backend could not say; another number each time.
    pub(super) fn later_s(&self) -> u32 {
        LATER_S + u32::from(self.jitter()) * LATER_S / 255
    }

    /// How many are in line.
    pub(super) fn waiting(&self) -> usize {
        self.paced.as_ref().map_or(0, |paced| paced.gate().line.len())
    }

    /// Whose turn it is by mailbox. A newcomer's mailbox is only claimed: who claims somebody else's from elsewhere has a turn of
    /// their own and takes none from them.
    fn place_of(&self, route: &Route) -> (Rank, u64) {
        let mailbox = route.mailbox.as_ref();
        match (route.claim, mailbox) {
            (Claim::Known, Some(mailbox)) => (Rank::Known, self.hasher.hash_one(mailbox)),
            (Claim::Known, None) => (Rank::Known, self.hasher.hash_one(route.peer)),
            (Claim::Stranger | Claim::Question, _) => (Rank::Newcomer, self.hasher.hash_one((mailbox, route.peer))),
        }
    }

    /// Random for each process.
    fn jitter(&self) -> u8 {
        self.hasher.hash_one(self.started.elapsed()) as u8
    }
}

impl Backend {
    /// What to tell somebody for whom there is no room.
    pub(super) fn busy(&self) -> Failure {
        self.0.pace.busy()
    }

    /// See [`Pace::later_s`].
    pub(super) fn later_s(&self) -> u32 {
        self.0.pace.later_s()
    }
}

/// In whole seconds, never 0: at once is when it failed.
fn seconds(come_back: ComeBack) -> u32 {
    u32::try_from(come_back.after.as_millis().div_ceil(1_000)).unwrap_or(u32::MAX).max(1)
}

/// A place in line, or the turn itself.
enum Turn {
    Now(Boarding),
    Later(oneshot::Receiver<Boarding>),
}

impl Turn {
    async fn go(self) -> Option<Boarding> {
        match self {
            Turn::Now(boarding) => Some(boarding),
            // The task ends only when nobody waits, or with the process.
            Turn::Later(turn) => turn.await.ok(),
        }
    }
}

impl Paced {
    fn enter(self: &Arc<Self>, rank: Rank, key: u64, jitter: u8) -> Result<Turn, ComeBack> {
        self.enter_with(rank, |line, waiting, now| line.enter(rank, key, waiting, now, jitter))
    }

    fn enter_always(self: &Arc<Self>, rank: Rank, key: u64) -> Turn {
        let entered = self.enter_with(rank, |line, waiting, _| {
            line.enter_always(rank, key, waiting);
            Ok(())
        });
        entered.unwrap_or_else(|_: ComeBack| unreachable!("it is never refused"))
    }

    fn enter_with(
        self: &Arc<Self>,
        rank: Rank,
        enter: impl FnOnce(&mut Line<oneshot::Sender<Boarding>>, oneshot::Sender<Boarding>, Moment) -> Result<(), ComeBack>,
    ) -> Result<Turn, ComeBack> {
        let now = self.now();
        let mut gate = self.gate();
        if self.may_go()[rank as usize] && gate.line.passes_at_once(now) {
            return Ok(Turn::Now(self.board(rank)));
        }
        let (waiting, turn) = oneshot::channel();
        enter(&mut gate.line, waiting, now)?;
        if !std::mem::replace(&mut gate.is_kept, true) {
            tokio::spawn(Arc::clone(self).keep());
        }
        Ok(Turn::Later(turn))
    }

    /// Lets people go, until nobody waits.
    async fn keep(self: Arc<Self>) {
        while let Some(next) = self.let_go() {
            let now = Instant::now();
            if next > now {
                sleep_until(next).await;
            } else {
                // The rate would allow it, but those who were let go have no connection yet.
                let _ = timeout(GLANCE, self.left.notified()).await;
            }
        }
    }

    /// Everybody whose turn has come. When to look again; `None`: nobody waits any more.
    fn let_go(self: &Arc<Self>) -> Option<Instant> {
        let mut gate = self.gate();
        while let Some((rank, waiting)) = gate.line.poll(self.now(), self.may_go(), |waiting| !waiting.is_closed()) {
            // Whoever left in this moment takes the turn along.
            let _ = waiting.send(self.board(rank));
        }
        let next = gate.line.poll_timeout();
        gate.is_kept = next.is_some();
        next.map(|next| self.started + Duration::from_micros(next.0))
    }

    fn may_go(&self) -> [bool; 2] {
        [0, 1].map(|rank: usize| self.boarding[rank].load(Ordering::Relaxed) < BOARDING_MAX)
    }

    fn board(self: &Arc<Self>, rank: Rank) -> Boarding {
        self.boarding[rank as usize].fetch_add(1, Ordering::Relaxed);
        Boarding { of: Arc::clone(self), rank }
    }

    fn now(&self) -> Moment {
        Moment(u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX))
    }

    fn gate(&self) -> MutexGuard<'_, Gate> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Boarding {
    fn drop(&mut self) {
        let before = self.of.boarding[self.rank as usize].fetch_sub(1, Ordering::Relaxed);
        if before >= BOARDING_MAX {
            self.of.left.notify_one();
        }
    }
}
