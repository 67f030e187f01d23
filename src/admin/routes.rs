//! What each route of the internal address does.

use std::sync::Arc;

use axum::Json;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::Deserialize;

use super::problem::Problem;
use super::router::Internal;
use super::view::{HeldPings, PingFilter, Status, Taken};
use crate::config::limits::{INTERNAL_REQUEST_TIME, LISTED_PINGS_MAX, NOTIFICATION_BODY_BYTES_MAX, WOKEN_WAIT};
use crate::logic::eas::DeviceId;
use crate::notify::Source;

/// The process answers.
pub(super) async fn healthz() -> &'static str {
    "ok\n"
}

/// Devices may be sent here.
pub(super) async fn readyz(State(internal): State<Arc<Internal>>) -> Response {
    let readiness = internal.view.ready();
    let status = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(readiness)).into_response()
}

pub(super) async fn metrics(State(internal): State<Arc<Internal>>) -> impl IntoResponse {
    internal.view.refresh_gauges();
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], internal.metrics.render())
}

pub(super) async fn status(State(internal): State<Arc<Internal>>) -> Json<Status> {
    Json(internal.view.status())
}

/// `?source=manual` marks a person's notification: it is no sign that the webhook's sender is alive, and it is taken
/// even when the webhook is switched off.
#[derive(Deserialize)]
pub(super) struct NotificationsQuery {
    source: Option<ManualSource>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum ManualSource {
    Manual,
}

pub(super) async fn notifications(
    State(internal): State<Arc<Internal>>,
    query: Result<Query<NotificationsQuery>, QueryRejection>,
    body: Body,
) -> Result<Response, Problem> {
    let Query(query) = query.map_err(|_| Problem::new(StatusCode::BAD_REQUEST, "The only query here is source=manual."))?;
    let source = if query.source.is_some() { Source::Manual } else { Source::Webhook };
    let body = whole(body).await?;
    let accepted = internal.intake.take(source, &body).map_err(|refused| Problem::refused(refused, "notify.webhook.enabled"))?;
    let taken = Taken { accepted: accepted.entries, repeated: accepted.repeated, woken: accepted.woken.count(WOKEN_WAIT).await };
    tracing::debug!(?taken, "notified");
    Ok((StatusCode::ACCEPTED, Json(taken)).into_response())
}

/// Answered as soon as the changes are with the lots: Dovecot's mail delivery waits for us.
pub(super) async fn dovecot(State(internal): State<Arc<Internal>>, body: Body) -> Result<StatusCode, Problem> {
    let body = whole(body).await?;
    internal.intake.take(Source::Dovecot, &body).map_err(|refused| Problem::refused(refused, "notify.dovecot.enabled"))?;
    Ok(StatusCode::OK)
}

#[derive(Deserialize)]
pub(super) struct PingsQuery {
    mailbox: Option<String>,
    device: Option<String>,
    limit: Option<usize>,
}

pub(super) async fn pings(
    State(internal): State<Arc<Internal>>,
    query: Result<Query<PingsQuery>, QueryRejection>,
) -> Result<Json<HeldPings>, Problem> {
    let bad = |detail: String| Problem::new(StatusCode::BAD_REQUEST, detail);
    let Query(query) = query.map_err(|_| bad("The query takes mailbox, device and limit, a whole number.".into()))?;
    let limit = query.limit.unwrap_or(LISTED_PINGS_MAX);
    if !(1..=LISTED_PINGS_MAX).contains(&limit) {
        return Err(bad(format!("The limit is a number from 1 to {LISTED_PINGS_MAX}.")));
    }
    let mailbox = match query.mailbox {
        Some(name) => {
            let mailbox = internal.mailboxes.mailbox(&name);
            Some(mailbox.ok_or_else(|| bad("The mailbox is a user name such as hew or hew@example.org.".into()))?)
        }
        None => None,
    };
    let device = query.device.map(|id| DeviceId::new(id.as_bytes())).transpose();
    let device = device.map_err(|error| bad(format!("The device is the id that the device sends; this one {error}.")))?;
    // One more than will be shown tells whether there are more.
    let mut pings = internal.view.pings(PingFilter { mailbox, device, limit: limit + 1 }).await;
    let more = pings.len() > limit;
    pings.truncate(limit);
    Ok(Json(HeldPings { pings, more }))
}

/// Reads a body within its bounds in size and time.
async fn whole(body: Body) -> Result<Bytes, Problem> {
    if body.size_hint().lower() > NOTIFICATION_BODY_BYTES_MAX as u64 {
        return Err(Problem::too_large());
    }
    let read = tokio::time::timeout(INTERNAL_REQUEST_TIME, Limited::new(body, NOTIFICATION_BODY_BYTES_MAX).collect()).await;
    match read {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Problem::too_large()),
        Ok(Err(_)) => Err(Problem::new(StatusCode::BAD_REQUEST, "The body ended before its end: send it again.")),
        Err(_) => Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "The body did not come in time: send it again.")),
    }
}
