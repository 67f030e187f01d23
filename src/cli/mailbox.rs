//! `pushgate mailbox`: what Get-CASMailbox and Set-CASMailbox did.

use http::Method;
use serde_json::{Map, Value, json};

use super::arguments::administration::{Mailbox, MailboxSet, Switch};
use super::client::{Ask, Gateway, part, with_query};
use super::group::{policy_change, read_file};
use super::listing::{done, fetch_all, list_all, show};
use super::table::{or_dash, sheet, table};
use super::{Failure, Outcome, block_on};
use crate::admin::api::domains::DomainView;
use crate::admin::api::mailboxes::{Imported, MailboxView};
use crate::admin::api::members::MembersView;

/// Runs one of them.
pub fn run(command: &Mailbox) -> Outcome {
    match command {
        Mailbox::List { search, reach } => {
            let path = with_query("/v1/mailboxes", &[("search", search.clone())]);
            list_all(reach, &path, |mailboxes: &[MailboxView]| {
                table(["MAILBOX", "ACTIVESYNC", "DEVICES", "POLICY", "WHY"], &mailboxes.iter().map(row).collect::<Vec<_>>())
            })
        }
        Mailbox::Show { mailbox, reach } => {
            let gateway = Gateway::of(&reach.target)?;
            block_on(async { show(reach, gateway.fetch(&path(mailbox)).await?, text) })
        }
        Mailbox::Set(arguments) => set(arguments),
        Mailbox::Debug(arguments) => super::debug_log::run(arguments),
    }
}

fn set(arguments: &MailboxSet) -> Outcome {
    let policy = policy_change(arguments.policy.as_deref(), arguments.no_policy);
    if let Some(mailbox) = &arguments.mailbox {
        return set_one(mailbox, policy, arguments);
    }
    if let Some(file) = &arguments.from_csv {
        return import(read_file(file)?, arguments);
    }
    if policy.is_empty() {
        return Err(Failure::Usage("say what to set: --policy NAME or --no-policy".into()));
    }
    match (&arguments.domain, &arguments.group) {
        (Some(domain), _) => set_domain(domain, arguments),
        (None, Some(group)) => set_group(group, policy, arguments),
        (None, None) => Err(Failure::Usage("say whose: MAILBOX, --domain, --group or --from-csv".into())),
    }
}

fn set_one(mailbox: &str, mut change: Map<String, Value>, arguments: &MailboxSet) -> Outcome {
    let gateway = Gateway::of(&arguments.reach.target)?;
    block_on(async {
        let read = gateway.send(Ask::new(Method::GET, path(mailbox))).await?;
        let present: MailboxView = read.read(&gateway)?;
        if let Some(switch) = arguments.active_sync {
            change.insert("active_sync_enabled".into(), json!(switch == Switch::On));
        }
        if let Some(most) = arguments.devices_max {
            change.insert("devices_max".into(), json!(most.0));
        }
        change.extend(device_ids(&present, arguments)?);
        if change.is_empty() {
            return Err(Failure::Usage("say what to set, such as --policy NAME or --active-sync off".into()));
        }
        let ask = Ask::new(Method::PATCH, path(mailbox)).json(&change.into()).if_match(read.etag.clone());
        show(&arguments.reach, gateway.send(ask).await?.read(&gateway)?, text)
    })
}

/// The lists of device ids that change. An empty list of allowed ones lets any device in: that must be said.
fn device_ids(present: &MailboxView, arguments: &MailboxSet) -> Result<Map<String, Value>, Failure> {
    let is_forgotten = |id: &String| arguments.forget_device.iter().any(|forgotten| forgotten.eq_ignore_ascii_case(id));
    let list =
        |there: &[String], more: &[String]| -> Vec<String> { there.iter().filter(|id| !is_forgotten(id)).chain(more).cloned().collect() };
    let kept = if arguments.allow_any_device { &[][..] } else { &present.allowed_device_ids[..] };
    let allowed = list(kept, &arguments.allow_device);
    let blocked = list(&present.blocked_device_ids, &arguments.block_device);
    if allowed.is_empty() && !present.allowed_device_ids.is_empty() && !arguments.allow_any_device {
        return Err(Failure::Usage(
            "that was the last allowed device, and without one any may sync: say --allow-any-device as well".into(),
        ));
    }
    let unknown = arguments
        .forget_device
        .iter()
        .find(|id| !present.allowed_device_ids.iter().chain(&present.blocked_device_ids).any(|known| known.eq_ignore_ascii_case(id)));
    if let Some(id) = unknown {
        return Err(Failure::Failed(format!("{id} is neither allowed nor blocked for this mailbox")));
    }
    let mut change = Map::new();
    for (name, wanted, there) in
        [("allowed_device_ids", allowed, &present.allowed_device_ids), ("blocked_device_ids", blocked, &present.blocked_device_ids)]
    {
        if wanted != *there || (name == "allowed_device_ids" && arguments.allow_any_device) {
            change.insert(name.into(), json!(wanted));
        }
    }
    Ok(change)
}

fn import(text: String, arguments: &MailboxSet) -> Outcome {
    let policy = if arguments.no_policy { Some("-".to_owned()) } else { arguments.policy.clone() };
    let gateway = Gateway::of(&arguments.reach.target)?;
    block_on(async {
        let ask = Ask::new(Method::POST, with_query("/v1/mailbox-import", &[("policy", policy)])).csv(text);
        show(&arguments.reach, gateway.send(ask).await?.read(&gateway)?, |imported: &Imported| {
            format!("{} assigned.\n", counted(imported.mailboxes, "mailbox was", "mailboxes were"))
        })
    })
}

fn set_domain(domain: &str, arguments: &MailboxSet) -> Outcome {
    let gateway = Gateway::of(&arguments.reach.target)?;
    let path = format!("/v1/domains/{}", part(domain));
    block_on(async {
        let read = fetch_all(&gateway, "/v1/domains").await?;
        let known = read.iter().find(|known| known["domain"] == domain.trim().to_lowercase());
        let etag = known.and_then(|known| known["revision"].as_u64()).map(|revision| format!("\"{revision}\""));
        let Some(policy) = &arguments.policy else {
            gateway.send(Ask::new(Method::DELETE, path).if_match(etag)).await?;
            return done(&arguments.reach, "The domain has no policy any more.\n");
        };
        let etag = etag.or_else(|| Some("\"0\"".to_owned()));
        let answer = gateway.send(Ask::new(Method::PUT, path).json(&json!({ "policy": policy })).if_match(etag)).await?;
        show(&arguments.reach, answer.read(&gateway)?, |domain: &DomainView| {
            format!("Mailboxes of {} have {}.\n", domain.domain, domain.policy)
        })
    })
}

fn set_group(group: &str, change: Map<String, Value>, arguments: &MailboxSet) -> Outcome {
    let gateway = Gateway::of(&arguments.reach.target)?;
    let path = format!("/v1/groups/{}", part(group));
    block_on(async {
        let read = gateway.send(Ask::new(Method::GET, path.clone())).await?;
        let ask = Ask::new(Method::PUT, path).json(&change.into()).if_match(read.etag.clone());
        show(&arguments.reach, gateway.send(ask).await?.read(&gateway)?, |group: &MembersView| {
            let policy = group.policy.as_deref().unwrap_or("no policy from it");
            let have = if group.mailboxes == 1 { "mailbox" } else { "mailboxes" };
            format!("The {} {have} of {} {} {policy}.\n", group.mailboxes, group.name, if group.mailboxes == 1 { "has" } else { "have" })
        })
    })
}

/// `1 mailbox`, `2 mailboxes`.
fn counted(count: usize, one: &str, more: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { more })
}

fn path(mailbox: &str) -> String {
    format!("/v1/mailboxes/{}", part(mailbox))
}

fn on(is_on: bool) -> String {
    if is_on { "on" } else { "off" }.to_owned()
}

fn row(mailbox: &MailboxView) -> [String; 5] {
    [
        mailbox.mailbox.clone(),
        on(mailbox.active_sync_enabled),
        mailbox.devices.to_string(),
        or_dash(mailbox.policy.as_ref()),
        mailbox.policy_why.clone(),
    ]
}

/// Devices that the mailbox has no room for.
fn turned_away(mailbox: &MailboxView) -> Option<String> {
    let told: Vec<String> = mailbox
        .turned_away
        .iter()
        .map(|device| {
            let what = &device.what;
            format!("{} ({}), {} times since {}, last at {}", device.device_id, what.device_type, what.count, what.since, what.last_at)
        })
        .collect();
    (!told.is_empty()).then(|| format!("{}: the mailbox has as many devices as it may", told.join("; ")))
}

fn text(mailbox: &MailboxView) -> String {
    let listed = |names: &[String]| (!names.is_empty()).then(|| names.join(", "));
    let policy = match &mailbox.policy {
        Some(policy) => format!("{policy} ({})", mailbox.policy_why),
        None => format!("none ({}; Provision is the backend's)", mailbox.policy_why),
    };
    sheet(&[
        ("Mailbox", Some(mailbox.mailbox.clone())),
        ("ActiveSync", Some(on(mailbox.active_sync_enabled))),
        ("Policy", Some(policy)),
        ("Allowed devices", Some(listed(&mailbox.allowed_device_ids).unwrap_or_else(|| "any".into()))),
        ("Blocked devices", listed(&mailbox.blocked_device_ids)),
        ("Most devices", Some(mailbox.devices_max.map_or_else(|| "as configured".into(), |most| most.to_string()))),
        ("Devices", Some(mailbox.devices.to_string())),
        ("Turned away", turned_away(mailbox)),
        ("Lists", listed(&mailbox.lists)),
        ("Groups", listed(&mailbox.groups)),
        ("In the log", mailbox.in_log.clone()),
    ])
}
