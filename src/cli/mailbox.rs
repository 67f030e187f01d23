//! `pushgate mailbox`: what Get-CASMailbox and Set-CASMailbox did.

use http::Method;
use serde_json::{Map, Value, json};

use super::arguments::administration::{Mailbox, MailboxSet, Switch};
use super::client::{Ask, Gateway, part, with_query};
use super::group::{policy_change, read_file};
use super::listing::{done, list_all, show};
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
        if arguments.allow_any_device {
            change.extend([("allowed_device_ids".into(), json!([])), ("blocked_device_ids".into(), json!([]))]);
        }
        for (name, more, there) in [
            ("allowed_device_ids", &arguments.allow_device, &present.allowed_device_ids),
            ("blocked_device_ids", &arguments.block_device, &present.blocked_device_ids),
        ] {
            if !more.is_empty() {
                change.insert(name.into(), there.iter().chain(more).cloned().collect());
            }
        }
        if change.is_empty() {
            return Err(Failure::Usage("say what to set, such as --policy NAME or --active-sync off".into()));
        }
        let ask = Ask::new(Method::PATCH, path(mailbox)).json(&change.into()).if_match(read.etag.clone());
        show(&arguments.reach, gateway.send(ask).await?.read(&gateway)?, text)
    })
}

fn import(text: String, arguments: &MailboxSet) -> Outcome {
    let policy = if arguments.no_policy { Some("-".to_owned()) } else { arguments.policy.clone() };
    let gateway = Gateway::of(&arguments.reach.target)?;
    block_on(async {
        let ask = Ask::new(Method::POST, with_query("/v1/mailbox-import", &[("policy", policy)])).csv(text);
        show(&arguments.reach, gateway.send(ask).await?.read(&gateway)?, |imported: &Imported| {
            format!("{} mailboxes were assigned.\n", imported.mailboxes)
        })
    })
}

fn set_domain(domain: &str, arguments: &MailboxSet) -> Outcome {
    let gateway = Gateway::of(&arguments.reach.target)?;
    let path = format!("/v1/domains/{}", part(domain));
    block_on(async {
        let Some(policy) = &arguments.policy else {
            gateway.send(Ask::new(Method::DELETE, path)).await?;
            return done(&arguments.reach, "The domain has no policy any more.\n");
        };
        let answer = gateway.send(Ask::new(Method::PUT, path).json(&json!({ "policy": policy }))).await?;
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
            format!(
                "The {} mailboxes of {} have {}.\n",
                group.mailboxes,
                group.name,
                group.policy.as_deref().unwrap_or("no policy from it")
            )
        })
    })
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

fn text(mailbox: &MailboxView) -> String {
    let listed = |names: &[String]| (!names.is_empty()).then(|| names.join(", "));
    let policy = mailbox.policy.as_deref().unwrap_or("none");
    sheet(&[
        ("Mailbox", Some(mailbox.mailbox.clone())),
        ("ActiveSync", Some(on(mailbox.active_sync_enabled))),
        ("Policy", Some(format!("{policy} ({})", mailbox.policy_why))),
        ("Allowed devices", Some(listed(&mailbox.allowed_device_ids).unwrap_or_else(|| "any".into()))),
        ("Blocked devices", listed(&mailbox.blocked_device_ids)),
        ("Most devices", Some(mailbox.devices_max.map_or_else(|| "as configured".into(), |most| most.to_string()))),
        ("Devices", Some(mailbox.devices.to_string())),
        ("Lists", listed(&mailbox.lists)),
        ("Groups", listed(&mailbox.groups)),
    ])
}
