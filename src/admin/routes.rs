//! What each route of the internal address does.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Deserialize;

use super::api::whole;
use super::problem::Problem;
use super::router::Internal;
use super::view::{HeldPings, PingFilter, Status, Taken};
use crate::config::limits::{LISTED_PINGS_MAX, NOTIFICATION_BODY_BYTES_MAX, WOKEN_WAIT};
use crate::logic::eas::DeviceId;
use crate::notify::Source;
use crate::telemetry::process_metrics;

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
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], internal.metrics.render() + &process_metrics())
}

pub(super) async fn status(State(internal): State<Arc<Internal>>) -> Json<Status> {
    Json(internal.view.status())
}

/// `?source=manual` marks a person's notification: it is no sign that the webhook's sender is alive, and it is taken
/// even when the webhook is switched off.
#[derive(Deserialize, JsonSchema)]
pub(super) struct NotificationsQuery {
    source: Option<ManualSource>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum ManualSource {
    Manual,
}

/// What `notifications` takes, for its description.
#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "a shape")]
pub(super) enum Notifications {
    One(Notification),
    Many(Vec<Notification>),
}

/// Something changed in a mailbox: in a folder, in the folders of a class, or (with neither) anything.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "a shape")]
pub(super) struct Notification {
    /// Whose: a user name as the devices give it, or an address.
    mailbox: String,
    /// The folder, as the mail server names it.
    folder: Option<String>,
    /// The folder, by the id the devices know it by.
    folder_id: Option<String>,
    /// Email, Calendar, Contacts, Tasks or Notes.
    class: Option<String>,
    /// What repeats of this have in common.
    id: Option<String>,
}

/// What Dovecot sends, as far as it is looked at.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "a shape")]
pub(super) struct DovecotNotification {
    user: String,
    event: String,
    folder: Option<String>,
}

pub(super) async fn notifications(
    State(internal): State<Arc<Internal>>,
    query: Result<Query<NotificationsQuery>, QueryRejection>,
    body: Body,
) -> Result<Response, Problem> {
    let Query(query) = query.map_err(|_| Problem::new(StatusCode::BAD_REQUEST, "The only query here is source=manual."))?;
    let source = if query.source.is_some() { Source::Manual } else { Source::Webhook };
    let body = whole(body, NOTIFICATION_BODY_BYTES_MAX).await?;
    let accepted = internal.intake.take(source, &body).map_err(|refused| Problem::refused(refused, "notify.webhook.enabled"))?;
    let taken = Taken { accepted: accepted.entries, repeated: accepted.repeated, woken: accepted.woken.count(WOKEN_WAIT).await };
    tracing::debug!(?taken, "notified");
    Ok((StatusCode::ACCEPTED, Json(taken)).into_response())
}

/// Answered as soon as the changes are with the lots: Dovecot's mail delivery waits for us.
pub(super) async fn dovecot(State(internal): State<Arc<Internal>>, body: Body) -> Result<StatusCode, Problem> {
    let body = whole(body, NOTIFICATION_BODY_BYTES_MAX).await?;
    internal.intake.take(Source::Dovecot, &body).map_err(|refused| Problem::refused(refused, "notify.dovecot.enabled"))?;
    Ok(StatusCode::OK)
}

#[derive(Deserialize, JsonSchema)]
pub(super) struct PingsQuery {
    /// Only of this mailbox.
    mailbox: Option<String>,
    /// Only of the device with this id.
    device: Option<String>,
    /// At most so many.
    #[schemars(range(min = 1, max = 1000))]
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

/// The description of all of it.
pub(super) async fn openapi() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], super::api::document()).into_response()
}
