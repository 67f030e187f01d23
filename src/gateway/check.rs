//! One check on behalf of a held Ping: as of which number, and back to the lot that wanted it.

use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};
use std::time::Duration;

use http::HeaderMap;
use http::header::AUTHORIZATION;
use http::uri::PathAndQuery;
use tokio::runtime::Handle;
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::Gateway;
use super::backend::{CheckRequest, CheckResult, Credentials, Route};
use super::lots::{Lots, Note};
use super::parked::Peer;
use crate::logic::eas::{Mailbox, PingFolder};
use crate::logic::hold::lot::CheckFinding;
use crate::logic::hold::trials::{Attempt, Heard};
use crate::logic::hold::{AsOf, SlotKey};
use crate::telemetry::metrics::CHECK_PAUSE_SECONDS;

/// What a check needs to know.
pub(crate) struct Check {
    /// Of the checks of its lot.
    pub(crate) number: u64,
    pub(crate) slot: SlotKey,
    pub(crate) lot: usize,
    pub(crate) mailbox: Option<Mailbox>,
    pub(crate) peer: Peer,
    pub(crate) target: PathAndQuery,
    pub(crate) headers: HeaderMap,
    pub(crate) folders: Vec<PingFolder>,
}

impl Check {
    /// Asks the backend in a task of its own. Aborting it closes the connection to the backend; the place is free when the
    /// backend is done with it too.
    pub(crate) fn start(self, gateway: &Arc<Gateway>, place: Place) -> AbortHandle {
        let turn = Turn::begin(gateway, place);
        let gateway = gateway.clone();
        let runtime = gateway.runtime.clone();
        let report = Report {
            lots: gateway.lots.clone(),
            runtime: runtime.clone(),
            to: (self.lot, self.slot, self.number),
            as_of: gateway.lots.as_of(),
            is_made: false,
        };
        let task = runtime.spawn(async move {
            let route = Route {
                mailbox: self.mailbox,
                command: "Ping",
                trusts_forwarded: self.peer.trusts_forwarded,
                ..Route::from_peer(self.peer.ip)
            };
            let credentials = self.headers.get(AUTHORIZATION).and_then(Credentials::from_header);
            let request = CheckRequest { target: self.target, headers: self.headers, folders: self.folders };
            let result = gateway.checker.check(request, route).await;
            // The backend answered a command of theirs: they are still right.
            if let (CheckResult::Unchanged | CheckResult::Changed(_) | CheckResult::Hierarchy, Some(credentials)) = (&result, &credentials)
            {
                gateway.verdicts.remember(credentials);
            }
            // Free again once the lot knows.
            let _place = turn.answered(if result == CheckResult::Down { Heard::Silence } else { Heard::Answer });
            report.make(finding(result)).await;
        });
        task.abort_handle()
    }
}

fn finding(result: CheckResult) -> CheckFinding {
    match result {
        CheckResult::Unchanged => CheckFinding::Unchanged,
        CheckResult::Changed(folders) => CheckFinding::Changed(folders),
        CheckResult::Hierarchy => CheckFinding::Hierarchy,
        CheckResult::Refused(status) if status == http::StatusCode::UNAUTHORIZED => CheckFinding::Refused,
        // 403, 449, 451: whatever the backend wants to say, a FolderSync lets it say so to the device.
        CheckResult::Refused(_) => CheckFinding::Hierarchy,
        CheckResult::Failed | CheckResult::Down => CheckFinding::Failed,
    }
}

/// What a check owes the lot that wanted it. One that ends without a finding, whatever the reason, has failed: a slot does not
/// wait for a check that is no more. (A lot that gave it up does not listen.)
struct Report {
    lots: Lots,
    runtime: Handle,
    /// Lot, slot, and number of the check.
    to: (usize, SlotKey, u64),
    as_of: AsOf,
    is_made: bool,
}

impl Report {
    async fn make(mut self, finding: CheckFinding) {
        let note = self.note(finding);
        self.lots.send(self.to.0, note).await;
        self.is_made = true;
    }

    fn note(&self, finding: CheckFinding) -> Note {
        let (_, slot, check) = self.to;
        Note::Checked { slot, check, finding, as_of: self.as_of, number: self.lots.next_number() }
    }
}

impl Drop for Report {
    fn drop(&mut self) {
        if !self.is_made {
            self.lots.send_later(self.to.0, self.note(CheckFinding::Failed), &self.runtime);
        }
    }
}

/// Beyond its heartbeat, what a backend takes to end a Ping that nobody waits for.
const AFTERMATH: Duration = Duration::from_secs(1);

/// A check under way at the backend.
///
/// Most backends do not notice that a check was cancelled: its worker goes on until the heartbeat is over, and is not ours
/// to count on before.
struct Turn {
    gateway: Arc<Gateway>,
    place: Option<Place>,
    began: Instant,
}

impl Turn {
    fn begin(gateway: &Arc<Gateway>, place: Place) -> Self {
        gateway.checks_running.fetch_add(1, Ordering::Relaxed);
        Turn { gateway: gateway.clone(), place: Some(place), began: Instant::now() }
    }

    /// The backend is done with it.
    fn answered(mut self, heard: Heard) -> Option<Place> {
        let mut place = self.place.take()?;
        place.heard(heard);
        Some(place)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.gateway.checks_running.fetch_sub(1, Ordering::Relaxed);
        let Some(mut place) = self.place.take() else { return };
        place.heard(Heard::Nothing);
        let gateway = self.gateway.clone();
        let over = self.began + Duration::from_secs(gateway.checker.heartbeat_s().into()) + AFTERMATH;
        gateway.runtime.spawn(async move {
            tokio::time::sleep_until(over).await;
            drop(place);
        });
    }
}

/// A permit that tells the lots when it is free again, and what was heard of the backend.
pub(crate) struct Place {
    gateway: Arc<Gateway>,
    permit: Option<OwnedSemaphorePermit>,
    hearing: Option<Hearing>,
}

impl Place {
    /// For a check, or for a request that takes a check's place.
    pub(crate) fn take(gateway: &Arc<Gateway>, permit: OwnedSemaphorePermit, hearing: Hearing) -> Self {
        Place { gateway: gateway.clone(), permit: Some(permit), hearing: Some(hearing) }
    }

    /// What the backend said, or did not. Only the first word counts.
    pub(crate) fn heard(&mut self, heard: Heard) {
        if let Some(mut hearing) = self.hearing.take() {
            hearing.heard = heard;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        (self.permit, self.hearing) = (None, None);
        knock_who_waits(&self.gateway.lots);
    }
}

/// Listens for whether the backend answers.
pub(crate) struct Hearing {
    lots: Lots,
    attempt: Attempt,
    heard: Heard,
}

impl Hearing {
    /// `None`: the backend fails, and the time of the next trial has not come.
    pub(crate) fn begin(lots: &Lots) -> Option<Self> {
        let attempt = lots.trials().start(lots.now())?;
        Some(Hearing { lots: lots.clone(), attempt, heard: Heard::Nothing })
    }
}

impl Drop for Hearing {
    fn drop(&mut self) {
        let (lots, now, jitter) = (&self.lots, self.lots.now(), self.lots.jitter());
        let mut trials = lots.trials();
        let before = trials.pause();
        trials.end(self.attempt, self.heard, now, jitter);
        let pause = trials.pause();
        drop(trials);
        if pause == before {
            return;
        }
        metrics::gauge!(CHECK_PAUSE_SECONDS.name).set(pause.as_secs_f64());
        match (before.is_zero(), pause.is_zero()) {
            (true, _) => tracing::warn!("the backend answers no checks; they go out one at a time until it does"),
            (_, true) => tracing::info!("the backend answers checks again"),
            _ => {}
        }
        knock_who_waits(lots);
    }
}

/// Lots that wait for a check look again whether one may start.
fn knock_who_waits(Lots(inner): &Lots) {
    // A lot that does not see the permit before it sleeps has told before that it waits for one.
    fence(Ordering::SeqCst);
    let waiting = inner.doors.iter().filter(|door| door.figures.checks_waiting.load(Ordering::Relaxed) > 0);
    waiting.for_each(super::lots::Door::knock);
}

#[cfg(test)]
mod tests {
    use super::super::lots::Inbox;
    use super::*;
    use crate::logic::hold::Moment;

    fn report(lots: &Lots) -> Report {
        let as_of = AsOf { number: 3, at: Moment::default() };
        Report { lots: lots.clone(), runtime: Handle::current(), to: (0, SlotKey { index: 7, generation: 2 }, 9), as_of, is_made: false }
    }

    async fn next(inbox: &mut Inbox) -> (u32, u64, CheckFinding) {
        match inbox.receiver.recv().await {
            Some(Note::Checked { slot, check, finding, .. }) => (slot.index, check, finding),
            _ => panic!("something else"),
        }
    }

    #[tokio::test]
    async fn a_check_that_panics_or_is_dropped_has_failed() {
        let (lots, mut inboxes) = Lots::new(1, 1, 1).expect("a poller");
        let (panics, dropped, waits) = (report(&lots), report(&lots), report(&lots));
        let panicked = tokio::spawn(async move {
            let _report = panics;
            panic!("a defect in a check");
        });
        assert!(panicked.await.is_err_and(|error| error.is_panic()));
        // There is room for one: the others wait for it.
        drop(dropped);
        let waits = tokio::spawn(waits.make(CheckFinding::Unchanged));
        tokio::task::yield_now().await;
        waits.abort();
        for _ in 0..3 {
            assert_eq!(next(&mut inboxes[0]).await, (7, 9, CheckFinding::Failed));
        }
    }

    #[tokio::test]
    async fn a_check_that_is_made_reports_once() {
        let (lots, mut inboxes) = Lots::new(1, 4, 1).expect("a poller");
        report(&lots).make(CheckFinding::Unchanged).await;
        assert_eq!(next(&mut inboxes[0]).await, (7, 9, CheckFinding::Unchanged));
        assert!(inboxes[0].receiver.try_recv().is_err());
    }
}
