//! Policies: `/v1/policies`, and which of them is the default.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::caller::Caller;
use super::etag::{IfMatch, Tagged};
use super::input::{Json, Path, Query};
use super::page::{self, Page};
use crate::admin::problem::Problem;
use crate::admin::router::Internal;
use crate::logic::policy::{Changes, Policy, PolicyName, Timestamp};
use crate::store::Snapshot;

/// A policy.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Policy")]
pub(crate) struct PolicyView {
    /// What it is called.
    pub(crate) name: String,
    /// 1 at first, one more with every change; also the ETag.
    pub(crate) revision: u64,
    /// When it was made or last changed.
    #[schemars(schema_with = "super::shape::time")]
    pub(crate) changed_at: Timestamp,
    /// Mailboxes that nothing else gives a policy have this one.
    pub(crate) is_default: bool,
    /// What names it: it cannot be removed while anything does.
    pub(crate) used_by: Vec<String>,
    /// What was set; the rest is at its default.
    #[schemars(schema_with = "super::shape::settings")]
    pub(crate) settings: Map<String, Value>,
    /// All settings, set or not.
    #[schemars(schema_with = "super::shape::settings")]
    pub(crate) effective: Map<String, Value>,
}

/// A policy to be made.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewPolicy {
    /// 1 to 64 characters, no control characters and no slash; case does not count.
    #[schemars(length(min = 1, max = 64))]
    name: String,
    /// What is not at its default.
    #[serde(default)]
    #[schemars(schema_with = "super::shape::changes")]
    settings: Map<String, Value>,
}

/// What is to change.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PolicyChange {
    /// Settings to set; null takes one back to its default, and what is left out stays as it is.
    #[schemars(schema_with = "super::shape::changes")]
    settings: Map<String, Value>,
}

/// Which policies to list.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PoliciesQuery {
    /// What the page before gave as `next`.
    after: Option<String>,
    /// At most so many.
    #[schemars(range(min = 1, max = 1000))]
    limit: Option<usize>,
}

/// The policy of mailboxes that nothing else gives one.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct DefaultPolicy {
    /// Its name; null: such mailboxes have none.
    pub(crate) policy: Option<String>,
}

/// What the default is to be.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DefaultPolicyChoice {
    /// The policy's name; null for none.
    #[serde(deserialize_with = "Option::deserialize")]
    #[schemars(schema_with = "super::shape::some_name")]
    policy: Option<String>,
}

pub(super) async fn list(
    State(internal): State<Arc<Internal>>,
    Query(query): Query<PoliciesQuery>,
) -> Result<axum::Json<Page<PolicyView>>, Problem> {
    let limit = page::limit(query.limit)?;
    let snapshot = internal.store.snapshot();
    let after = query.after.map(|after| after.to_lowercase());
    let behind = snapshot.policies.iter().filter(|policy| after.as_deref().is_none_or(|after| policy.policy().name.folded() > after));
    let views = behind.map(|policy| view(&snapshot, policy.policy()));
    Ok(axum::Json(page::of_sorted(views, limit, |policy| policy.name.clone())))
}

pub(super) async fn show(State(internal): State<Arc<Internal>>, Path(name): Path<String>) -> Result<Tagged<PolicyView>, Problem> {
    let snapshot = internal.store.snapshot();
    let policy = find(&snapshot, &name)?;
    Ok(Tagged(policy.revision, view(&snapshot, policy)))
}

pub(super) async fn create(State(internal): State<Arc<Internal>>, caller: Caller, Json(new): Json<NewPolicy>) -> Result<Response, Problem> {
    let name = name(&new.name)?;
    let changes = Changes::parse_json(&new.settings)?;
    // Contradictions are told one by one here; the store would tell them as one text.
    Policy::new(name.clone(), Timestamp(0)).with(&changes, Timestamp(0))?;
    let policy = internal.store.create_policy(&caller.by(), name, changes).await?;
    let place = format!("/v1/policies/{}", percent_encoding::utf8_percent_encode(policy.name.as_str(), percent_encoding::NON_ALPHANUMERIC));
    let mut answer = (StatusCode::CREATED, Tagged(policy.revision, view(&internal.store.snapshot(), &policy))).into_response();
    if let Ok(place) = HeaderValue::from_str(&place) {
        answer.headers_mut().insert(header::LOCATION, place);
    }
    Ok(answer)
}

pub(super) async fn change(
    State(internal): State<Arc<Internal>>,
    caller: Caller,
    Path(name): Path<String>,
    if_match: IfMatch,
    Json(change): Json<PolicyChange>,
) -> Result<Tagged<PolicyView>, Problem> {
    let snapshot = internal.store.snapshot();
    let present = find(&snapshot, &name)?;
    let read = if_match.revision(present.revision)?;
    let changes = Changes::parse_json(&change.settings)?;
    present.with(&changes, present.changed_at)?;
    let policy = internal.store.change_policy(&caller.by(), present.name.clone(), read, changes).await?;
    Ok(Tagged(policy.revision, view(&internal.store.snapshot(), &policy)))
}

pub(super) async fn remove(
    State(internal): State<Arc<Internal>>,
    caller: Caller,
    Path(name): Path<String>,
    if_match: IfMatch,
) -> Result<StatusCode, Problem> {
    let snapshot = internal.store.snapshot();
    let present = find(&snapshot, &name)?;
    let read = if_match.revision(present.revision)?;
    internal.store.remove_policy(&caller.by(), present.name.clone(), read).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn show_default(State(internal): State<Arc<Internal>>) -> Tagged<DefaultPolicy> {
    default_of(&internal.store.snapshot())
}

pub(super) async fn choose_default(
    State(internal): State<Arc<Internal>>,
    caller: Caller,
    if_match: IfMatch,
    Json(chosen): Json<DefaultPolicyChoice>,
) -> Result<Tagged<DefaultPolicy>, Problem> {
    let read = if_match.revision(internal.store.snapshot().default_revision)?;
    let policy = chosen.policy.as_deref().map(self::name).transpose()?;
    internal.store.choose_default(&caller.by(), policy, read).await?;
    Ok(default_of(&internal.store.snapshot()))
}

/// A policy's name as somebody sent it.
pub(super) fn name(text: &str) -> Result<PolicyName, Problem> {
    PolicyName::new(text).map_err(|error| Problem::unprocessable(format!("Nothing was changed: {error}.")))
}

fn default_of(snapshot: &Snapshot) -> Tagged<DefaultPolicy> {
    let policy = snapshot.assigned.default.as_ref().map(|name| name.as_str().to_owned());
    Tagged(snapshot.default_revision, DefaultPolicy { policy })
}

fn find<'a>(snapshot: &'a Snapshot, name: &str) -> Result<&'a Policy, Problem> {
    let policy = PolicyName::new(name).ok().and_then(|name| snapshot.policies.find(&name));
    policy.map(|policy| policy.policy()).ok_or_else(|| Problem::missing("policy of this name"))
}

fn view(snapshot: &Snapshot, policy: &Policy) -> PolicyView {
    PolicyView {
        name: policy.name.as_str().to_owned(),
        revision: policy.revision,
        changed_at: policy.changed_at,
        is_default: snapshot.assigned.default.as_ref() == Some(&policy.name),
        used_by: snapshot.assigned.users_of(&policy.name),
        settings: policy.set_json(),
        effective: policy.all_json(),
    }
}
