//! Debug logs of mailboxes: `/v1/mailboxes/{mailbox}/debug`. What `Set-CASMailbox -ActiveSyncDebugLogging` did; these end by themselves.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::extract::State;
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::caller::Caller;
use super::input::{Json, Path};
use super::page::Page;
use crate::admin::problem::Problem;
use crate::admin::router::Internal;
use crate::config::limits::DEBUG_LOG_TIME_MAX;
use crate::logic::eas::Mailbox;
use crate::logic::policy::Timestamp;
use crate::store::Deed;
use crate::telemetry::log::{self, DebugLog};

/// When nobody says for how long.
const USUAL_MINUTES: u64 = 30;
/// See [`DEBUG_LOG_TIME_MAX`].
pub(crate) const MINUTES_MAX: u64 = DEBUG_LOG_TIME_MAX.as_secs() / 60;

/// Whether a mailbox has a debug log.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "DebugLog")]
pub(crate) struct DebugLogView {
    /// Of this mailbox.
    pub(crate) mailbox: String,
    /// What stands for it in the log; null: its name does.
    pub(crate) in_log: Option<String>,
    /// When it began; null: there is none.
    #[schemars(schema_with = "super::shape::some_time")]
    pub(crate) since: Option<Timestamp>,
    /// When it ends by itself.
    #[schemars(schema_with = "super::shape::some_time")]
    pub(crate) until: Option<Timestamp>,
}

/// How long a debug log is to be.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DebugLogTime {
    /// So many minutes from now; 30 if nothing is said.
    #[schemars(range(min = 1, max = 1440))]
    minutes: Option<u64>,
}

/// All of them: their number is bounded.
pub(super) async fn list() -> axum::Json<Page<DebugLogView>> {
    let items = log::debug_logs().iter().map(|log| view(&log.mailbox, Some(log))).collect();
    axum::Json(Page { items, next: None })
}

pub(super) async fn show(State(internal): State<Arc<Internal>>, Path(name): Path<String>) -> Result<axum::Json<DebugLogView>, Problem> {
    let mailbox = internal.mailbox(&name)?;
    Ok(axum::Json(view(&mailbox, log::debug_log_of(&mailbox).as_ref())))
}

pub(super) async fn begin(
    State(internal): State<Arc<Internal>>,
    caller: Caller,
    Path(name): Path<String>,
    Json(time): Json<DebugLogTime>,
) -> Result<axum::Json<DebugLogView>, Problem> {
    let mailbox = internal.mailbox(&name)?;
    let minutes = time.minutes.unwrap_or(USUAL_MINUTES);
    if !(1..=MINUTES_MAX).contains(&minutes) {
        return Err(Problem::unprocessable(format!("Nothing was changed: minutes is a number from 1 to {MINUTES_MAX}.")));
    }
    let refused = |error| Problem::new(StatusCode::CONFLICT, format!("Nothing was changed: {error}."));
    log::has_room_for_debug_log(&mailbox).map_err(refused)?;
    // What cannot be accounted for is not done.
    let deed = Deed::new("mailbox debug").mailbox(&mailbox).detail(format!("for {minutes} minutes"));
    internal.store.audit(&caller.by(), deed).await?;
    let log = log::begin_debug_log(&mailbox, Duration::from_secs(minutes * 60)).map_err(refused)?;
    Ok(axum::Json(view(&mailbox, Some(&log))))
}

pub(super) async fn end(State(internal): State<Arc<Internal>>, caller: Caller, Path(name): Path<String>) -> Result<StatusCode, Problem> {
    let mailbox = internal.mailbox(&name)?;
    if !log::end_debug_log(&mailbox) {
        return Err(Problem::missing("debug log of this mailbox"));
    }
    internal.store.audit(&caller.by(), Deed::new("mailbox debug").mailbox(&mailbox).detail("ended")).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn view(mailbox: &Mailbox, log: Option<&DebugLog>) -> DebugLogView {
    let time = |time: SystemTime| Timestamp(time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs()));
    DebugLogView {
        mailbox: mailbox.to_string(),
        in_log: log::pseudonym_of(mailbox),
        since: log.map(|log| time(log.since)),
        until: log.map(|log| time(log.until)),
    }
}
