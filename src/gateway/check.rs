//! One check on behalf of a held Ping: as of which number, and back to the lot that wanted it.

use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};
use std::time::Duration;

use http::HeaderMap;
use http::header::AUTHORIZATION;
use http::uri::PathAndQuery;
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::Gateway;
use super::backend::{CheckRequest, CheckResult, Credentials, Route};
use super::lots::{Lots, Note};
use super::parked::Peer;
use crate::logic::eas::{Mailbox, PingFolder};
use crate::logic::hold::SlotKey;
use crate::logic::hold::lot::CheckFinding;

/// What a check needs to know.
pub(crate) struct Check {
    pub(crate) slot: SlotKey,
    pub(crate) lot: usize,
    pub(crate) mailbox: Option<Mailbox>,
    pub(crate) peer: Peer,
    pub(crate) target: PathAndQuery,
    pub(crate) headers: HeaderMap,
    pub(crate) folders: Vec<PingFolder>,
}

impl Check {
    /// Asks the backend in a task of its own. Aborting it closes the connection to the backend; the permit is free when the
    /// backend is done with it too.
    pub(crate) fn start(self, gateway: &Arc<Gateway>, permit: OwnedSemaphorePermit) -> AbortHandle {
        let turn = Turn::begin(gateway, permit);
        let gateway = gateway.clone();
        let runtime = gateway.runtime.clone();
        let task = runtime.spawn(async move {
            let as_of = gateway.lots.as_of();
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
            let finding = match result {
                CheckResult::Unchanged => CheckFinding::Unchanged,
                CheckResult::Changed(folders) => CheckFinding::Changed(folders),
                CheckResult::Hierarchy => CheckFinding::Hierarchy,
                CheckResult::Refused(status) if status == http::StatusCode::UNAUTHORIZED => CheckFinding::Refused,
                // 403, 449, 451: whatever the backend wants to say, a FolderSync lets it say so to the device.
                CheckResult::Refused(_) => CheckFinding::Hierarchy,
                CheckResult::Failed => CheckFinding::Failed,
            };
            // Free again once the lot knows.
            let _place = turn.answered();
            let number = gateway.lots.next_number();
            gateway.lots.send(self.lot, Note::Checked { slot: self.slot, finding, as_of, number }).await;
        });
        task.abort_handle()
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
    fn begin(gateway: &Arc<Gateway>, permit: OwnedSemaphorePermit) -> Self {
        gateway.checks_running.fetch_add(1, Ordering::Relaxed);
        let place = Place::take(gateway, permit);
        Turn { gateway: gateway.clone(), place: Some(place), began: Instant::now() }
    }

    /// The backend is done with it.
    fn answered(mut self) -> Option<Place> {
        self.place.take()
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.gateway.checks_running.fetch_sub(1, Ordering::Relaxed);
        let Some(place) = self.place.take() else { return };
        let gateway = self.gateway.clone();
        let over = self.began + Duration::from_secs(gateway.checker.heartbeat_s().into()) + AFTERMATH;
        gateway.runtime.spawn(async move {
            tokio::time::sleep_until(over).await;
            drop(place);
        });
    }
}

/// A permit that tells the lots when it is free again.
pub(crate) struct Place {
    gateway: Arc<Gateway>,
    permit: Option<OwnedSemaphorePermit>,
}

impl Place {
    /// For a request other than a check that takes a check's place.
    pub(crate) fn take(gateway: &Arc<Gateway>, permit: OwnedSemaphorePermit) -> Self {
        Place { gateway: gateway.clone(), permit: Some(permit) }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.permit = None;
        // A lot that does not see the permit before it sleeps has told before that it waits for one.
        fence(Ordering::SeqCst);
        let Lots(inner) = &self.gateway.lots;
        let waiting = inner.doors.iter().filter(|door| door.figures.checks_waiting.load(Ordering::Relaxed) > 0);
        waiting.for_each(super::lots::Door::knock);
    }
}
