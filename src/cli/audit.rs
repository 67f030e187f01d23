//! `pushgate audit`: what administrators did.

use serde_json::Value;

use super::arguments::administration::Audit;
use super::client::{Gateway, with_query};
use super::listing::{fetch_all, show};
use super::table::table;
use super::when::when;
use super::{Outcome, block_on};
use crate::admin::api::audit::EntryView;

/// Lists entries, the newest first.
pub fn run(arguments: &Audit) -> Outcome {
    let filter = [
        ("since", when(arguments.since.as_ref())),
        ("until", when(arguments.until.as_ref())),
        ("actor", arguments.actor.clone()),
        ("mailbox", arguments.mailbox.clone()),
    ];
    let gateway = Gateway::of(&arguments.reach.target)?;
    block_on(async {
        let entries = if arguments.all {
            fetch_all(&gateway, &with_query("/v1/audit", &filter)).await?
        } else {
            let mut page: Value =
                gateway.fetch(&with_query("/v1/audit", &[&filter[..], &[("limit", Some(arguments.last.to_string()))]].concat())).await?;
            serde_json::from_value(page["items"].take()).unwrap_or_default()
        };
        show(&arguments.reach, entries.into(), |entries: &Vec<EntryView>| {
            table(["TIME", "WHO", "FROM", "ACT", "ABOUT", "OUTCOME", "DETAIL"], &entries.iter().map(row).collect::<Vec<_>>())
        })
    })
}

fn row(entry: &EntryView) -> [String; 7] {
    let about = [&entry.mailbox, &entry.device_id, &entry.subject].into_iter().flatten().map(String::as_str).collect::<Vec<_>>();
    [
        entry.at.to_string(),
        entry.actor.clone(),
        entry.source.clone(),
        entry.act.clone(),
        about.join(" "),
        entry.outcome.clone(),
        entry.detail.clone(),
    ]
}
