//! Who tried what their role does not allow is entered in the audit trail, like everything else that is refused.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use percent_encoding::percent_decode_str;

use super::caller::Caller;
use crate::admin::router::Internal;
use crate::config::limits::AUDIT_REFUSALS_PER_MINUTE;
use crate::logic::eas::DeviceId;
use crate::store::{Deed, Role};

const MINUTE: Duration = Duration::from_secs(60);

/// Marks an answer: the caller has not this role.
#[derive(Debug, Clone, Copy)]
pub(super) struct NeedsRole(pub(super) Role);

/// What enters them, no more than so many a minute.
pub(in crate::admin) struct Refusals {
    internal: Arc<Internal>,
    /// When the present minute began, and entries since then.
    minute: Mutex<(Instant, u32)>,
}

impl Refusals {
    pub(in crate::admin) fn new(internal: Arc<Internal>) -> Arc<Self> {
        Arc::new(Refusals { internal, minute: Mutex::new((Instant::now(), 0)) })
    }

    fn has_room(&self) -> bool {
        let mut minute = self.minute.lock().unwrap_or_else(PoisonError::into_inner);
        if minute.0.elapsed() >= MINUTE {
            *minute = (Instant::now(), 0);
        }
        minute.1 = minute.1.saturating_add(1);
        minute.1 <= AUDIT_REFUSALS_PER_MINUTE
    }

    async fn enter(&self, caller: &Caller, needed: Role, deed: Deed) {
        let by = caller.by();
        tracing::warn!(actor = by.actor, asked = deed.subject, "refused: the role is {}, not {}", caller.role().name(), needed.name());
        if !self.has_room() {
            return;
        }
        let deed = deed.detail(format!("needs the role {}, and the token has {}", needed.name(), caller.role().name()));
        if let Err(error) = self.internal.store.audit_refused(&by, deed).await {
            tracing::warn!(%error, "who was refused could not be entered in the audit trail");
        }
    }
}

/// Around what looks at roles.
pub(in crate::admin) async fn enter_refusals(State(refusals): State<Arc<Refusals>>, request: Request, next: Next) -> Response {
    let caller = request.extensions().get::<Caller>().cloned();
    let deed = deed(&refusals.internal, &request);
    let response = next.run(request).await;
    if let (Some(caller), Some(NeedsRole(needed))) = (caller, response.extensions().get::<NeedsRole>().copied()) {
        refusals.enter(&caller, needed, deed).await;
    }
    response
}

/// What was asked, about whom.
fn deed(internal: &Internal, request: &Request) -> Deed {
    let path = request.uri().path();
    let place = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
    let part = |name: &str| {
        let mut parts = place.split('/').zip(path.split('/'));
        parts.find(|(wanted, _)| *wanted == name).map(|(_, given)| percent_decode_str(given).decode_utf8_lossy().into_owned())
    };
    let mut deed = Deed::new("not allowed").subject(format!("{} {path}", request.method()));
    deed.mailbox = part("{mailbox}").and_then(|name| internal.mailboxes.mailbox(&name));
    deed.device_id = part("{device}").and_then(|id| DeviceId::new(id.as_bytes()).ok());
    deed
}
