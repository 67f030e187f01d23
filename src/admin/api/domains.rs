//! Domains and their policies: `/v1/domains`. A domain has nothing but a policy, so of two who set one the later counts; the audit trail
//! has both.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::caller::Caller;
use super::input::{Json, Path, Query};
use super::page::{self, Page};
use super::policies;
use crate::admin::problem::Problem;
use crate::admin::router::Internal;

/// A domain that has a policy.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Domain")]
pub(crate) struct DomainView {
    /// What stands behind the @, in lower case.
    pub(crate) domain: String,
    /// The policy of its mailboxes, where nothing more specific says another.
    pub(crate) policy: String,
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
    let view = behind.map(|(domain, policy)| DomainView { domain: domain.clone(), policy: policy.as_str().to_owned() });
    Ok(axum::Json(page::of_sorted(view, limit, |domain| domain.domain.clone())))
}

pub(super) async fn put(
    State(internal): State<Arc<Internal>>,
    caller: Caller,
    Path(domain): Path<String>,
    Json(change): Json<DomainChange>,
) -> Result<axum::Json<DomainView>, Problem> {
    let policy = policies::name(&change.policy)?;
    internal.store.assign_domain(&caller.by(), (domain.clone(), Some(policy.clone()))).await?;
    Ok(axum::Json(DomainView { domain: domain.trim().to_lowercase(), policy: policy.as_str().to_owned() }))
}

pub(super) async fn remove(
    State(internal): State<Arc<Internal>>,
    caller: Caller,
    Path(domain): Path<String>,
) -> Result<StatusCode, Problem> {
    if !internal.store.snapshot().assigned.domains.contains_key(&domain.trim().to_lowercase()) {
        return Err(Problem::missing("policy of this domain"));
    }
    internal.store.assign_domain(&caller.by(), (domain, None)).await?;
    Ok(StatusCode::NO_CONTENT)
}
