//! The audit trail: `/v1/audit`. It is only read here; everything that is done enters itself.

use std::sync::Arc;

use axum::extract::State;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::input::Query;
use super::page::{self, Page};
use crate::admin::problem::Problem;
use crate::admin::router::Internal;
use crate::logic::policy::Timestamp;
use crate::store::{AuditFilter, Entry};

/// An entry.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "AuditEntry")]
pub(crate) struct EntryView {
    /// Rises with every entry.
    pub(crate) id: u64,
    /// When.
    #[schemars(schema_with = "super::shape::time")]
    pub(crate) at: Timestamp,
    /// Who: a token's name.
    pub(crate) actor: String,
    /// The id of that token; null: the token file's, or no token at all.
    #[serde(default)]
    pub(crate) token: Option<String>,
    /// From which address.
    pub(crate) source: String,
    /// What, such as `wipe order`.
    pub(crate) act: String,
    /// To whose mailbox.
    pub(crate) mailbox: Option<String>,
    /// To which device.
    pub(crate) device_id: Option<String>,
    /// To what else: a policy, list, domain or token.
    pub(crate) subject: Option<String>,
    /// What came of it.
    #[schemars(extend("enum" = ["done", "refused", "conflict", "failed"]))]
    pub(crate) outcome: String,
    /// What exactly, or why not.
    pub(crate) detail: String,
}

/// Which entries to list, the newest first; every parameter narrows.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AuditQuery {
    /// Not before this time, such as 2026-11-22T20:23:13Z.
    since: Option<String>,
    /// Before this time.
    until: Option<String>,
    /// By whom.
    actor: Option<String>,
    /// About which mailbox.
    mailbox: Option<String>,
    /// What the page before gave as `next`.
    after: Option<String>,
    /// At most so many.
    #[schemars(range(min = 1, max = 1000))]
    limit: Option<usize>,
}

pub(super) async fn list(
    State(internal): State<Arc<Internal>>,
    Query(query): Query<AuditQuery>,
) -> Result<axum::Json<Page<EntryView>>, Problem> {
    let (limit, before) = (page::limit(query.limit)?, page::number(query.after.as_deref())?);
    let time = |text: Option<String>| page::time(text.as_deref());
    let mailbox = query.mailbox.map(|name| internal.mailbox(&name)).transpose()?;
    let filter = AuditFilter { since: time(query.since)?, until: time(query.until)?, actor: query.actor, mailbox };
    let mut entries = internal.store.audit_trail(filter, before, limit).await?;
    entries.truncate(limit);
    let next = entries.last().filter(|last| entries.len() == limit && last.id > 1).map(|last| last.id.to_string());
    Ok(axum::Json(Page { items: entries.into_iter().map(view).collect(), next }))
}

fn view(entry: Entry) -> EntryView {
    EntryView {
        id: entry.id,
        at: entry.at,
        actor: entry.actor,
        token: entry.token,
        source: entry.source,
        act: entry.act,
        mailbox: entry.mailbox,
        device_id: entry.device_id,
        subject: entry.subject,
        outcome: entry.outcome,
        detail: entry.detail,
    }
}
