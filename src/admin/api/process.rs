//! The process: reload, drain.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Value, json};

use super::caller::Caller;
use crate::admin::life::{Leaving, Reloaded};
use crate::admin::problem::Problem;
use crate::admin::router::Internal;
use crate::store::Deed;

/// The database has so long to note it.
const AUDIT_TIME: Duration = Duration::from_secs(2);

pub(super) async fn drain(State(internal): State<Arc<Internal>>, caller: Caller) -> (StatusCode, Json<Leaving>) {
    note(&internal, &caller, Deed::new("drain")).await;
    (StatusCode::ACCEPTED, Json(internal.life.drain()))
}

pub(super) async fn reload(State(internal): State<Arc<Internal>>, caller: Caller) -> Result<Json<Reloaded>, Problem> {
    note(&internal, &caller, Deed::new("reload")).await;
    internal.life.reload().await.map(Json).map_err(|problems| {
        let count = if problems.len() == 1 { "1 problem".to_owned() } else { format!("{} problems", problems.len()) };
        let errors: Vec<Value> = problems.iter().map(|problem| json!({ "place": problem.place, "detail": problem.to_string() })).collect();
        Problem::unprocessable(format!("Nothing was changed: {count}.")).with("errors", errors.into())
    })
}

/// In the audit trail. A database that is away keeps nobody from leaving.
async fn note(internal: &Internal, caller: &Caller, deed: Deed) {
    let by = caller.by();
    match tokio::time::timeout(AUDIT_TIME, internal.store.audit(&by, deed)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, actor = by.actor, "a reload or drain is not in the audit trail"),
        Err(_) => tracing::warn!(actor = by.actor, "a reload or drain is not in the audit trail yet: the database is slow"),
    }
}
