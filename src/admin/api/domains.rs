//! Domains and their policies: `/v1/domains`. Whoever says which revision they read is told if somebody else was faster.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::caller::Caller;
use super::etag::{IfMatch, Tagged};
use super::input::{Json, Path, Query};
use super::page::{self, Page};
use super::policies;
use crate::admin::problem::Problem;
use crate::admin::router::Internal;
use crate::logic::policy::PolicyName;
use crate::store::Snapshot;

/// A domain that has a policy.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Domain")]
pub(crate) struct DomainView {
    /// What stands behind the @, in lower case.
    pub(crate) domain: String,
    /// The policy of its mailboxes, where nothing more specific says another.
    pub(crate) policy: String,
    /// One more with every change; also the ETag.
    #[serde(default)]
    pub(crate) revision: u64,
}

/// The policy a domain is to have.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DomainChange {
    /// Its name.
    #[schemars(length(min = 1, max = 64))]
    policy: String,
}

/// Which to list.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DomainsQuery {
    /// What the page before gave as `next`.
    after: Option<String>,
    /// At most so many.
    #[schemars(range(min = 1, max = 1000))]
    limit: Option<usize>,
}

pub(super) async fn list(
    State(internal): State<Arc<Internal>>,
    Query(query): Query<DomainsQuery>,
) -> Result<axum::Json<Page<DomainView>>, Problem> {
    let limit = page::limit(query.limit)?;
    let snapshot = internal.store.snapshot();
    let after = query.after.unwrap_or_default();
    let behind = snapshot.assigned.domains.iter().filter(|(domain, _)| **domain > after);
    let views = behind.map(|(domain, policy)| view(&snapshot, domain, policy));
    Ok(axum::Json(page::of_sorted(views, limit, |domain| domain.domain.clone())))
}

pub(super) async fn show(State(internal): State<Arc<Internal>>, Path(domain): Path<String>) -> Result<Tagged<DomainView>, Problem> {
    let snapshot = internal.store.snapshot();
    let found = snapshot.assigned.domains.get_key_value(&domain.trim().to_lowercase());
    let (domain, policy) = found.ok_or_else(missing)?;
    let shown = view(&snapshot, domain, policy);
    Ok(Tagged(shown.revision, shown))
}

pub(super) async fn put(
    State(internal): State<Arc<Internal>>,
    caller: Caller,
    Path(domain): Path<String>,
    if_match: IfMatch,
    Json(change): Json<DomainChange>,
) -> Result<Tagged<DomainView>, Problem> {
    let policy = policies::name(&change.policy)?;
    let revision = internal.store.assign_domain(&caller.by(), (domain.clone(), Some(policy.clone())), if_match.given()).await?;
    let shown = DomainView { domain: domain.trim().to_lowercase(), policy: policy.as_str().to_owned(), revision };
    Ok(Tagged(revision, shown))
}

pub(super) async fn remove(
    State(internal): State<Arc<Internal>>,
    caller: Caller,
    Path(domain): Path<String>,
    if_match: IfMatch,
) -> Result<StatusCode, Problem> {
    if !internal.store.snapshot().assigned.domains.contains_key(&domain.trim().to_lowercase()) {
        return Err(missing());
    }
    internal.store.assign_domain(&caller.by(), (domain, None), if_match.given()).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn missing() -> Problem {
    Problem::missing("policy of this domain")
}

fn view(snapshot: &Snapshot, domain: &str, policy: &PolicyName) -> DomainView {
    let revision = snapshot.domain_revisions.get(domain).copied().unwrap_or(0);
    DomainView { domain: domain.to_owned(), policy: policy.as_str().to_owned(), revision }
}
