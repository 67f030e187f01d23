//! `pushgate group`: groups and lists of mailboxes.

use std::path::Path;

use http::Method;
use serde_json::{Map, Value, json};

use super::arguments::administration::{Group, GroupReach};
use super::client::{Ask, Gateway, part};
use super::confirm::confirm;
use super::listing::{done, fetch_all, list_all, show};
use super::table::{or_dash, sheet, table};
use super::{Failure, Outcome, block_on};
use crate::admin::api::members::MembersView;

/// Runs one of them.
pub fn run(command: &Group) -> Outcome {
    match command {
        Group::List(reach) => list_all(&reach.reach, root(reach), |groups: &[MembersView]| {
            let row = |group: &MembersView| {
                let (name, origin) = (group.name.clone(), group.origin.clone());
                [name, or_dash(group.policy.as_ref()), group.rank.to_string(), group.mailboxes.to_string(), origin]
            };
            table(["NAME", "POLICY", "RANK", "MAILBOXES", "FROM"], &groups.iter().map(row).collect::<Vec<_>>())
        }),
        Group::Show { name, reach } => show_one(name, reach),
        Group::Set { name, from_csv, empty, policy, no_policy, rank, reach } => {
            let mut change = policy_change(policy.as_deref(), *no_policy);
            if let Some(rank) = rank {
                change.insert("rank".into(), json!(rank));
            }
            if *empty {
                change.insert("mailboxes".into(), json!([]));
            }
            set(name, from_csv.as_deref(), change, reach)
        }
        Group::Remove { name, yes, reach } => {
            confirm(&format!("This removes the {} {name}.", if reach.list { "list" } else { "group" }), *yes)?;
            let gateway = Gateway::of(&reach.reach.target)?;
            block_on(async {
                let read = gateway.send(Ask::new(Method::GET, path(name, reach))).await?;
                gateway.send(Ask::new(Method::DELETE, path(name, reach)).if_match(read.etag.clone())).await?;
                done(&reach.reach, "Removed.\n")
            })
        }
    }
}

/// What `--policy` and `--no-policy` say.
pub(super) fn policy_change(policy: Option<&str>, no_policy: bool) -> Map<String, Value> {
    let mut change = Map::new();
    if no_policy || policy.is_some() {
        change.insert("policy".into(), json!(policy));
    }
    change
}

/// A file of mailboxes.
pub(super) fn read_file(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|error| {
        let advice = if error.kind() == std::io::ErrorKind::InvalidData { ": save it as UTF-8" } else { "" };
        Failure::Usage(format!("cannot read {}: {error}{advice}", path.display()))
    })
}

fn root(reach: &GroupReach) -> &'static str {
    if reach.list { "/v1/lists" } else { "/v1/groups" }
}

fn path(name: &str, reach: &GroupReach) -> String {
    format!("{}/{}", root(reach), part(name))
}

fn show_one(name: &str, reach: &GroupReach) -> Outcome {
    let gateway = Gateway::of(&reach.reach.target)?;
    block_on(async {
        let other = if reach.list { "for a group, leave out --list" } else { "for a list, say --list" };
        let mut group: Value = gateway.fetch(&path(name, reach)).await.map_err(|failure| match failure {
            Failure::Failed(why) if why.contains(" 404 ") => Failure::Failed(format!("{why} ({other})")),
            failure => failure,
        })?;
        let members = fetch_all(&gateway, &format!("{}/mailboxes", path(name, reach))).await?;
        if reach.reach.json {
            group["members"] = members.into();
            return show(&reach.reach, group, |_: &Value| String::new());
        }
        let names: String = members.iter().filter_map(Value::as_str).map(|name| format!("{name}\n")).collect();
        show(&reach.reach, group, |group| format!("{}\n{names}", head(group)))
    })
}

fn set(name: &str, file: Option<&Path>, change: Map<String, Value>, reach: &GroupReach) -> Outcome {
    let text = file.map(read_file).transpose()?;
    if text.is_none() && change.is_empty() {
        return Err(Failure::Usage("say what to set: --from-csv, --empty, --policy, --no-policy or --rank".into()));
    }
    let gateway = Gateway::of(&reach.reach.target)?;
    block_on(async {
        let mut revision = revision(&gateway, name, reach).await?;
        let mut group = Value::Null;
        if let Some(text) = text {
            let ask = Ask::new(Method::PUT, format!("{}/mailboxes", path(name, reach))).csv(text).if_match(revision);
            let answer = gateway.send(ask).await?;
            (revision, group) = (answer.etag.clone(), answer.read(&gateway)?);
        }
        if !change.is_empty() {
            let ask = Ask::new(Method::PUT, path(name, reach)).json(&change.into()).if_match(revision);
            group = gateway.send(ask).await?.read(&gateway)?;
        }
        show(&reach.reach, group, head)
    })
}

/// What it is at; one that is not there is at 0.
async fn revision(gateway: &Gateway, name: &str, reach: &GroupReach) -> Result<Option<String>, Failure> {
    let there = fetch_all(gateway, root(reach)).await?;
    let found = there.iter().find(|group| group["name"] == name.trim()).and_then(|group| group["revision"].as_u64());
    Ok(Some(format!("\"{}\"", found.unwrap_or(0))))
}

/// Who says who is in it, and what that means for whoever wants to change it.
fn origin(group: &MembersView) -> &str {
    match group.origin.as_str() {
        "directory" => "the directory (its members are changed there)",
        "gone" => "the directory, which no longer has it (remove it, or leave it for its return)",
        _ => "hand",
    }
}

fn head(group: &MembersView) -> String {
    sheet(&[
        ("Name", Some(group.name.clone())),
        ("Policy", Some(or_dash(group.policy.as_ref()))),
        ("Rank", Some(group.rank.to_string())),
        ("Mailboxes", Some(group.mailboxes.to_string())),
        ("From", Some(origin(group).to_owned())),
    ])
}
