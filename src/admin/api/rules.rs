//! Access rules: `/v1/access-rules`, read and replaced as a whole.

use std::sync::Arc;

use axum::extract::State;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::caller::Caller;
use super::etag::{IfMatch, Tagged};
use super::input::Json;
use crate::admin::problem::Problem;
use crate::admin::router::Internal;
use crate::logic::policy::access::{Access, Pattern, Rule, Rules, Trait};
use crate::store::{Foreseen, Snapshot};

/// All access rules, and what holds where none does. Of several that match a device, the one about its model counts before those about
/// its operating system, its user agent and its type, and the longer pattern before the shorter.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "AccessRules")]
pub(crate) struct RulesView {
    /// What devices may that no rule is about.
    #[schemars(schema_with = "super::shape::access")]
    pub(crate) default: Access,
    /// The rules, in any order.
    #[schemars(length(max = 1000))]
    pub(crate) rules: Vec<RuleView>,
}

/// A rule.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(crate) struct RuleView {
    /// What it looks at.
    #[schemars(schema_with = "super::shape::device_trait")]
    pub(crate) about: Trait,
    /// Whom it means.
    #[schemars(schema_with = "super::shape::pattern")]
    pub(crate) pattern: Pattern,
    /// What they may.
    #[schemars(schema_with = "super::shape::access")]
    pub(crate) access: Access,
}

pub(super) async fn show(State(internal): State<Arc<Internal>>) -> Tagged<RulesView> {
    view(&internal.store.snapshot())
}

pub(super) async fn put(
    State(internal): State<Arc<Internal>>,
    caller: Caller,
    if_match: IfMatch,
    Json(wanted): Json<RulesView>,
) -> Result<Tagged<RulesView>, Problem> {
    let read = if_match.revision(internal.store.snapshot().rules_revision)?;
    internal.store.set_rules(&caller.by(), rules(wanted)?, read).await?;
    Ok(view(&internal.store.snapshot()))
}

/// What rules would do to the devices that are known, counted; each device once, by what it could do then and cannot now.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "ForeseenRules")]
pub(crate) struct ForeseenView {
    /// Could sync.
    pub(crate) allowed: u64,
    /// Could not.
    pub(crate) blocked: u64,
    /// Could not until somebody decides.
    pub(crate) quarantined: u64,
    /// Would have to describe themselves first.
    pub(crate) discovery: u64,
    /// Only the first hundred thousand devices were looked at.
    pub(crate) is_part: bool,
}

pub(super) async fn foresee(
    State(internal): State<Arc<Internal>>,
    Json(wanted): Json<RulesView>,
) -> Result<axum::Json<ForeseenView>, Problem> {
    let foreseen = internal.store.foresee_rules(rules(wanted)?).await?;
    let Foreseen { allowed, blocked, quarantined, discovery, is_part } = foreseen;
    Ok(axum::Json(ForeseenView { allowed, blocked, quarantined, discovery, is_part }))
}

fn rules(wanted: RulesView) -> Result<Rules, Problem> {
    let rule = |rule: RuleView| Rule { about: rule.about, pattern: rule.pattern, access: rule.access };
    let rules = Rules { default: wanted.default, rules: wanted.rules.into_iter().map(rule).collect() };
    rules.check().map_err(|error| Problem::unprocessable(format!("Nothing was changed: {error}.")))?;
    Ok(rules)
}

fn view(snapshot: &Snapshot) -> Tagged<RulesView> {
    let rule = |rule: &Rule| RuleView { about: rule.about, pattern: rule.pattern.clone(), access: rule.access };
    let rules = RulesView { default: snapshot.rules.default, rules: snapshot.rules.rules.iter().map(rule).collect() };
    Tagged(snapshot.rules_revision, rules)
}
