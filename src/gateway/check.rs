//! One check on behalf of a held Ping: as of which number, and back to the lot that wanted it.

use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};

use http::HeaderMap;
use http::uri::PathAndQuery;
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::AbortHandle;

use super::Gateway;
use super::backend::{CheckRequest, CheckResult, Route};
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
    /// Asks the backend in a task of its own. Aborting it closes the connection to the backend and frees the permit.
    pub(crate) fn start(self, gateway: &Arc<Gateway>, permit: OwnedSemaphorePermit) -> AbortHandle {
        let turn = Turn::begin(gateway, permit);
        let task = gateway.runtime.spawn(async move {
            let gateway = &turn.gateway;
            let as_of = gateway.lots.as_of();
            let route = Route {
                mailbox: self.mailbox,
                command: "Ping",
                trusts_forwarded: self.peer.trusts_forwarded,
                ..Route::from_peer(self.peer.ip)
            };
            let request = CheckRequest { target: self.target, headers: self.headers, folders: self.folders };
            let finding = match gateway.checker.check(request, route).await {
                CheckResult::Unchanged => CheckFinding::Unchanged,
                CheckResult::Changed(folders) => CheckFinding::Changed(folders),
                CheckResult::Hierarchy => CheckFinding::Hierarchy,
                CheckResult::Refused(status) if status == http::StatusCode::UNAUTHORIZED => CheckFinding::Refused,
                // 403, 449, 451: whatever the backend wants to say, a FolderSync lets it say so to the device.
                CheckResult::Refused(_) => CheckFinding::Hierarchy,
                CheckResult::Failed => CheckFinding::Failed,
            };
            let number = gateway.lots.next_number();
            gateway.lots.send(self.lot, Note::Checked { slot: self.slot, finding, as_of, number }).await;
        });
        task.abort_handle()
    }
}

/// A permit that tells the lots when it is free again, however the check ended.
pub(crate) struct Turn {
    gateway: Arc<Gateway>,
    permit: Option<OwnedSemaphorePermit>,
}

impl Turn {
    pub(crate) fn begin(gateway: &Arc<Gateway>, permit: OwnedSemaphorePermit) -> Self {
        gateway.checks_running.fetch_add(1, Ordering::Relaxed);
        Turn { gateway: gateway.clone(), permit: Some(permit) }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.gateway.checks_running.fetch_sub(1, Ordering::Relaxed);
        self.permit = None;
        // A lot that does not see the permit before it sleeps has told before that it waits for one.
        fence(Ordering::SeqCst);
        let Lots(inner) = &self.gateway.lots;
        let waiting = inner.doors.iter().filter(|door| door.figures.checks_waiting.load(Ordering::Relaxed) > 0);
        waiting.for_each(super::lots::Door::knock);
    }
}
