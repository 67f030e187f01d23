//! Mailboxes: `/v1/mailboxes`. What Get-CASMailbox and Set-CASMailbox did, and why a mailbox has its policy.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::State;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use super::caller::Caller;
use super::etag::{IfMatch, Tagged};
use super::input::{Csv, Json, Path, Query};
use super::page::{self, Page};
use super::{csv, policies};
use crate::admin::problem::Problem;
use crate::admin::router::Internal;
use crate::admin::view::{Trouble, TurnedAwayView};
use crate::config::limits::LISTED_MAX;
use crate::logic::eas::{DeviceId, Mailbox};
use crate::logic::policy::PolicyName;
use crate::logic::policy::access::MailboxSettings;
use crate::logic::policy::assign::{Because, Members};
use crate::store::{MailboxEdit, Snapshot};

/// In a file: a mailbox is to have no policy of its own.
const NONE: &str = "-";

/// A mailbox.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Mailbox")]
pub(crate) struct MailboxView {
    /// Its name.
    pub(crate) mailbox: String,
    /// ActiveSyncEnabled.
    pub(crate) active_sync_enabled: bool,
    /// ActiveSyncAllowedDeviceIDs: if there are any, no others may sync.
    pub(crate) allowed_device_ids: Vec<String>,
    /// ActiveSyncBlockedDeviceIDs.
    pub(crate) blocked_device_ids: Vec<String>,
    /// Most partnerships; null: what the gateway's configuration says.
    pub(crate) devices_max: Option<u32>,
    /// The policy it has, from wherever.
    pub(crate) policy: Option<String>,
    /// Where from.
    #[schemars(extend("enum" = ["mailbox", "list", "group", "domain", "default", "nothing"]))]
    pub(crate) policy_because: String,
    /// The same for people, with the name of the list, group or domain.
    pub(crate) policy_why: String,
    /// ActiveSyncMailboxPolicy: the policy of the mailbox itself.
    pub(crate) own_policy: Option<String>,
    /// Lists it is on.
    pub(crate) lists: Vec<String>,
    /// Groups it is in.
    pub(crate) groups: Vec<String>,
    /// HasActiveSyncDevicePartnership: how many.
    pub(crate) devices: u32,
    /// Devices that came within a day and were turned away, because the mailbox has as many as it may; empty in lists.
    #[serde(default)]
    pub(crate) turned_away: Vec<TurnedAwayDevice>,
    /// What stands for it in the log (log.redact); null: its name does.
    pub(crate) in_log: Option<String>,
    /// 0 until something is said of it; also the ETag.
    pub(crate) revision: u64,
}

/// One of them.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct TurnedAwayDevice {
    /// Its id.
    pub(crate) device_id: String,
    /// What is known of it.
    #[serde(flatten)]
    pub(crate) what: TurnedAwayView,
}

/// What is to change; what is left out stays as it is.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct MailboxChange {
    /// ActiveSync on or off.
    active_sync_enabled: Option<bool>,
    /// The policy of the mailbox itself; null: none of its own.
    #[serde(default, deserialize_with = "said")]
    #[schemars(schema_with = "super::shape::some_name")]
    policy: Option<Option<String>>,
    /// If there are any, no others may sync.
    #[schemars(length(max = 1000))]
    allowed_device_ids: Option<Vec<String>>,
    /// These may not sync.
    #[schemars(length(max = 1000))]
    blocked_device_ids: Option<Vec<String>>,
    /// Most partnerships; null: what the gateway's configuration says.
    #[serde(default, deserialize_with = "said")]
    #[schemars(schema_with = "super::shape::some_count")]
    devices_max: Option<Option<u32>>,
}

/// Which mailboxes to list.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct MailboxesQuery {
    /// With this in their name, in any case.
    #[schemars(length(max = 255))]
    search: Option<String>,
    /// What the page before gave as `next`.
    after: Option<String>,
    /// At most so many.
    #[schemars(range(min = 1, max = 1000))]
    limit: Option<usize>,
}

/// How to read a file.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ImportQuery {
    /// The policy of lines that name none.
    #[schemars(length(min = 1, max = 64))]
    policy: Option<String>,
}

/// What came of a file.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Imported {
    /// So many mailboxes were given a policy.
    pub(crate) mailboxes: usize,
}

pub(super) async fn list(
    State(internal): State<Arc<Internal>>,
    Query(query): Query<MailboxesQuery>,
) -> Result<axum::Json<Page<MailboxView>>, Problem> {
    let limit = page::limit(query.limit)?;
    let (after, search) = (query.after.unwrap_or_default(), page::search(query.search)?.unwrap_or_default().to_lowercase());
    let snapshot = internal.store.snapshot();
    let mut names = said_of(&snapshot, &after, &search, limit + 1);
    add_with_devices(&internal, &mut names, &after, &search, limit + 1).await?;
    let has_more = names.len() > limit;
    let shown = names.iter().take(limit).map(|name| view(&internal, &snapshot, name)).collect();
    let next = names.iter().nth(limit - 1).filter(|_| has_more).map(ToString::to_string);
    Ok(axum::Json(Page { items: shown, next }))
}

pub(super) async fn show(State(internal): State<Arc<Internal>>, Path(name): Path<String>) -> Result<Tagged<MailboxView>, Problem> {
    let mailbox = internal.mailbox(&name)?;
    let mut shown = view(&internal, &internal.store.snapshot(), &mailbox);
    let of_this = internal.view.troubles(None).into_iter().filter(|trouble| trouble.mailbox.as_deref() == Some(mailbox.as_str()));
    let device = |trouble: Trouble| Some(TurnedAwayDevice { device_id: trouble.device_id?, what: trouble.turned_away? });
    shown.turned_away = of_this.filter_map(device).take(LISTED_MAX).collect();
    Ok(Tagged(shown.revision, shown))
}

pub(super) async fn change(
    State(internal): State<Arc<Internal>>,
    caller: Caller,
    Path(name): Path<String>,
    if_match: IfMatch,
    Json(change): Json<MailboxChange>,
) -> Result<Tagged<MailboxView>, Problem> {
    let mailbox = internal.mailbox(&name)?;
    let present = internal.store.snapshot().mailbox(&mailbox);
    let read = if_match.revision(present.revision)?;
    let edit = MailboxEdit { policy: own_policy(&change)?, settings: changed(present.settings, change)? };
    internal.store.change_mailbox(&caller.by(), mailbox.clone(), read, edit).await?;
    let shown = view(&internal, &internal.store.snapshot(), &mailbox);
    Ok(Tagged(shown.revision, shown))
}

pub(super) async fn import(
    State(internal): State<Arc<Internal>>,
    caller: Caller,
    Query(query): Query<ImportQuery>,
    Csv(text): Csv,
) -> Result<axum::Json<Imported>, Problem> {
    let snapshot = internal.store.snapshot();
    let assignments = csv::understand(&text, |line| {
        let mailbox = internal.mailboxes.mailbox(&line.mailbox).ok_or("the mailbox is no user name")?;
        let policy = line
            .policy
            .as_deref()
            .or(query.policy.as_deref())
            .ok_or("there is no policy, in the second column or for all lines; - is for none")?;
        if policy == NONE {
            return Ok((mailbox, None::<PolicyName>));
        }
        let policy = PolicyName::new(policy).map_err(|error| error.to_string())?;
        let known = snapshot.policies.find(&policy).ok_or_else(|| format!("there is no policy {policy}"))?;
        Ok((mailbox, Some(known.policy().name.clone())))
    })?;
    if assignments.is_empty() {
        return Err(Problem::unprocessable("Nothing was changed: the file names no mailbox."));
    }
    let mailboxes = internal.store.assign_mailboxes(&caller.by(), assignments).await?;
    Ok(axum::Json(Imported { mailboxes }))
}

/// A field that is there is `Some`, whatever it is.
pub(super) fn said<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

fn own_policy(change: &MailboxChange) -> Result<Option<Option<PolicyName>>, Problem> {
    change.policy.as_ref().map(|policy| policy.as_deref().map(policies::name).transpose()).transpose()
}

fn changed(present: MailboxSettings, change: MailboxChange) -> Result<Option<MailboxSettings>, Problem> {
    let mut settings = present.clone();
    let both = |settings: &MailboxSettings| -> BTreeSet<DeviceId> {
        settings.allowed_device_ids.intersection(&settings.blocked_device_ids).cloned().collect()
    };
    let both_before = both(&present);
    if let Some(is_on) = change.active_sync_enabled {
        settings.active_sync_enabled = is_on;
    }
    if let Some(ids) = change.allowed_device_ids {
        settings.allowed_device_ids = device_ids(&ids)?;
    }
    if let Some(ids) = change.blocked_device_ids {
        settings.blocked_device_ids = device_ids(&ids)?;
    }
    if let Some(devices_max) = change.devices_max {
        settings.devices_max = devices_max;
    }
    // What was on both before must not keep other switches from being turned.
    if let Some(id) = both(&settings).difference(&both_before).next() {
        let detail = format!("Nothing was changed: device {id} would be both allowed and blocked; take it off the other list first.");
        return Err(Problem::unprocessable(detail));
    }
    settings.check().map_err(|error| Problem::unprocessable(format!("Nothing was changed: {error}.")))?;
    Ok((settings != present).then_some(settings))
}

fn device_ids(given: &[String]) -> Result<BTreeSet<DeviceId>, Problem> {
    let id = |id: &String| {
        DeviceId::new(id.as_bytes()).map_err(|error| Problem::unprocessable(format!("Nothing was changed: a device id {error}.")))
    };
    given.iter().map(id).collect()
}

/// The first `count` mailboxes behind `after` that somebody said something of, or that are on a list or in a group.
fn said_of(snapshot: &Snapshot, after: &str, search: &str, count: usize) -> BTreeSet<Mailbox> {
    let mut first = BTreeSet::new();
    let is_meant = |mailbox: &Mailbox| search.is_empty() || mailbox.as_str().to_lowercase().contains(search);
    for mailbox in snapshot.mailboxes.keys() {
        let is_in = mailbox.as_str() > after && (first.len() < count || first.last().is_some_and(|last| mailbox < last));
        if is_in && is_meant(mailbox) {
            first.insert(mailbox.clone());
            if first.len() > count {
                first.pop_last();
            }
        }
    }
    for members in snapshot.assigned.lists.iter().chain(&snapshot.assigned.groups) {
        // Sorted: the first of each are enough.
        let start = members.mailboxes.partition_point(|mailbox| mailbox.as_str() <= after);
        first.extend(members.mailboxes[start..].iter().filter(|mailbox| is_meant(mailbox)).take(count).cloned());
    }
    while first.len() > count {
        first.pop_last();
    }
    first
}

/// The same for mailboxes that have devices, which the database knows.
async fn add_with_devices(
    internal: &Internal,
    names: &mut BTreeSet<Mailbox>,
    after: &str,
    search: &str,
    count: usize,
) -> Result<(), Problem> {
    let mut after = after.to_owned();
    loop {
        let found = internal.store.mailboxes_with_devices(&after, count).await?;
        let is_all = found.len() < count;
        for (name, _) in &found {
            // As it is stored it was made one name already.
            let mailbox = Mailbox::normalise(name, None, false).filter(|_| name.to_lowercase().contains(search));
            names.extend(mailbox);
        }
        while names.len() > count {
            names.pop_last();
        }
        let Some((last, _)) = found.last() else { return Ok(()) };
        let is_behind = names.len() >= count && names.last().is_some_and(|name| name.as_str() <= last.as_str());
        if is_all || is_behind {
            return Ok(());
        }
        after.clone_from(last);
    }
}

fn view(internal: &Internal, snapshot: &Snapshot, mailbox: &Mailbox) -> MailboxView {
    let record = snapshot.mailbox(mailbox);
    let (policy, because) = snapshot.policy_of(mailbox);
    let named = |all: &[Members]| {
        let with = all.iter().filter(|members| members.has(mailbox));
        with.map(|members| members.name.clone()).collect()
    };
    MailboxView {
        mailbox: mailbox.to_string(),
        active_sync_enabled: record.settings.active_sync_enabled,
        allowed_device_ids: record.settings.allowed_device_ids.iter().map(ToString::to_string).collect(),
        blocked_device_ids: record.settings.blocked_device_ids.iter().map(ToString::to_string).collect(),
        devices_max: record.settings.devices_max,
        policy: policy.map(|policy| policy.policy().name.as_str().to_owned()),
        policy_because: word(&because).to_owned(),
        policy_why: because.to_string(),
        own_policy: record.policy.map(|policy| policy.as_str().to_owned()),
        lists: named(&snapshot.assigned.lists),
        groups: named(&snapshot.assigned.groups),
        devices: internal.store.devices_of(mailbox),
        turned_away: Vec::new(),
        in_log: crate::telemetry::log::pseudonym_of(mailbox),
        revision: record.revision,
    }
}

fn word(because: &Because) -> &'static str {
    match because {
        Because::Mailbox => "mailbox",
        Because::List(_) => "list",
        Because::Group(_) => "group",
        Because::Domain(_) => "domain",
        Because::Default => "default",
        Because::Nothing => "nothing",
    }
}
