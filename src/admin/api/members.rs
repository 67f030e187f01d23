//! Lists and groups of mailboxes: `/v1/lists` and `/v1/groups`. They differ in one thing: a list counts before every group.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::caller::Caller;
use super::csv;
use super::etag::{IfMatch, Tagged};
use super::input::{Csv, Json, Path, Query};
use super::mailboxes::said;
use super::page::{self, Page};
use super::policies;
use crate::admin::problem::Problem;
use crate::admin::router::Internal;
use crate::logic::policy::PolicyName;
use crate::logic::policy::assign::Members;
use crate::store::{MembersEdit, MembersKind, Snapshot};

/// A list or a group.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Members")]
pub(crate) struct MembersView {
    /// What it is called.
    pub(crate) name: String,
    /// The policy of its members; null: it only exists.
    pub(crate) policy: Option<String>,
    /// Of several that a mailbox is in, the one with the smallest rank counts.
    pub(crate) rank: u32,
    /// How many mailboxes are in it.
    pub(crate) mailboxes: usize,
    /// Who says who is in it: an administrator (`hand`), the directory, or the directory until it no longer had it (`gone`).
    #[schemars(extend("enum" = ["hand", "directory", "gone"]))]
    pub(crate) origin: String,
    /// One more with every change; also the ETag.
    pub(crate) revision: u64,
}

/// What is to change; what is left out stays as it is.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct MembersChange {
    /// The policy of its members; null: none.
    #[serde(default, deserialize_with = "said")]
    #[schemars(schema_with = "super::shape::some_name")]
    policy: Option<Option<String>>,
    /// Smaller counts first.
    rank: Option<u32>,
    /// Who is in it.
    #[schemars(length(max = 500_000))]
    mailboxes: Option<Vec<String>>,
}

/// Which to list.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct MembersQuery {
    /// What the page before gave as `next`.
    after: Option<String>,
    /// At most so many.
    #[schemars(range(min = 1, max = 1000))]
    limit: Option<usize>,
}

type Internals = State<Arc<Internal>>;

pub(super) async fn list(
    kind: MembersKind,
    State(internal): Internals,
    Query(query): Query<MembersQuery>,
) -> Result<axum::Json<Page<MembersView>>, Problem> {
    let limit = page::limit(query.limit)?;
    let snapshot = internal.store.snapshot();
    let after = query.after.unwrap_or_default();
    let mut behind: Vec<&Members> = all(&snapshot, kind).iter().filter(|members| members.name > after).collect();
    behind.sort_by(|a, b| a.name.cmp(&b.name));
    let views = behind.into_iter().map(|members| view(&snapshot, kind, members));
    Ok(axum::Json(page::of_sorted(views, limit, |members| members.name.clone())))
}

pub(super) async fn show(kind: MembersKind, State(internal): Internals, Path(name): Path<String>) -> Result<Tagged<MembersView>, Problem> {
    let snapshot = internal.store.snapshot();
    let members = find(&snapshot, kind, &name).ok_or_else(|| missing(kind))?;
    Ok(tagged(view(&snapshot, kind, members)))
}

pub(super) async fn mailboxes(
    kind: MembersKind,
    State(internal): Internals,
    Path(name): Path<String>,
    Query(query): Query<MembersQuery>,
) -> Result<axum::Json<Page<String>>, Problem> {
    let limit = page::limit(query.limit)?;
    let snapshot = internal.store.snapshot();
    let members = find(&snapshot, kind, &name).ok_or_else(|| missing(kind))?;
    let after = query.after.unwrap_or_default();
    let start = members.mailboxes.partition_point(|mailbox| mailbox.as_str() <= after.as_str());
    let behind = members.mailboxes[start..].iter().map(ToString::to_string);
    Ok(axum::Json(page::of_sorted(behind, limit, Clone::clone)))
}

/// Makes one, or changes one.
pub(super) async fn put(
    kind: MembersKind,
    State(internal): Internals,
    caller: Caller,
    Path(name): Path<String>,
    if_match: IfMatch,
    Json(change): Json<MembersChange>,
) -> Result<Tagged<MembersView>, Problem> {
    save(kind, &internal, &caller, &name, &if_match, change).await
}

/// Who is in one, from a file; makes it if it is not there.
pub(super) async fn import(
    kind: MembersKind,
    State(internal): Internals,
    caller: Caller,
    Path(name): Path<String>,
    if_match: IfMatch,
    Csv(text): Csv,
) -> Result<Tagged<MembersView>, Problem> {
    let found = csv::understand(&text, |line| {
        let mailbox = internal.mailboxes.mailbox(&line.mailbox).ok_or("the mailbox is no user name")?;
        Ok((mailbox, ()))
    })?;
    if found.is_empty() {
        let kind = kind.name();
        let detail =
            format!("Nothing was changed: the file names no mailbox. To empty the {kind}: --empty, or PUT \"mailboxes\": [] to it.");
        return Err(Problem::unprocessable(detail));
    }
    let mailboxes = found.into_iter().map(|(mailbox, ())| mailbox.to_string()).collect();
    let change = MembersChange { mailboxes: Some(mailboxes), ..MembersChange::default() };
    save(kind, &internal, &caller, &name, &if_match, change).await
}

pub(super) async fn remove(
    kind: MembersKind,
    State(internal): Internals,
    caller: Caller,
    Path(name): Path<String>,
    if_match: IfMatch,
) -> Result<StatusCode, Problem> {
    let snapshot = internal.store.snapshot();
    let members = find(&snapshot, kind, &name).ok_or_else(|| missing(kind))?;
    let read = if_match.revision(snapshot.members_record(kind, &members.name).revision)?;
    internal.store.remove_members(&caller.by(), kind, &members.name, read).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn save(
    kind: MembersKind,
    internal: &Internal,
    caller: &Caller,
    name: &str,
    if_match: &IfMatch,
    change: MembersChange,
) -> Result<Tagged<MembersView>, Problem> {
    let (snapshot, name) = (internal.store.snapshot(), name.trim());
    let read_revision = if_match.revision(snapshot.members_record(kind, name).revision)?;
    let present = find(&snapshot, kind, name);
    let policy = match change.policy {
        Some(policy) => policy.as_deref().map(policies::name).transpose()?,
        None => present.and_then(|members| members.policy.clone()),
    };
    let mailboxes = change.mailboxes.map(|names| names.iter().map(|name| internal.mailbox(name)).collect::<Result<_, _>>()).transpose()?;
    let rank = change.rank.unwrap_or_else(|| snapshot.members_record(kind, name).rank);
    let edit = MembersEdit { kind, name: name.to_owned(), rank, policy, mailboxes, read_revision };
    internal.store.put_members(&caller.by(), edit).await?;
    let snapshot = internal.store.snapshot();
    // Somebody may have removed it already.
    find(&snapshot, kind, name).map(|members| tagged(view(&snapshot, kind, members))).ok_or_else(|| missing(kind))
}

fn all(snapshot: &Snapshot, kind: MembersKind) -> &[Members] {
    match kind {
        MembersKind::List => &snapshot.assigned.lists,
        MembersKind::Group => &snapshot.assigned.groups,
    }
}

fn find<'a>(snapshot: &'a Snapshot, kind: MembersKind, name: &str) -> Option<&'a Members> {
    all(snapshot, kind).iter().find(|members| members.name == name.trim())
}

fn missing(kind: MembersKind) -> Problem {
    Problem::missing(&format!("{} of this name", kind.name()))
}

fn tagged(view: MembersView) -> Tagged<MembersView> {
    Tagged(view.revision, view)
}

fn view(snapshot: &Snapshot, kind: MembersKind, members: &Members) -> MembersView {
    let record = snapshot.members_record(kind, &members.name);
    MembersView {
        name: members.name.clone(),
        policy: members.policy.as_ref().map(PolicyName::as_str).map(str::to_owned),
        rank: record.rank,
        mailboxes: members.mailboxes.len(),
        origin: record.origin.name().to_owned(),
        revision: record.revision,
    }
}
