//! `pushgate mailbox debug`: what `Set-CASMailbox -ActiveSyncDebugLogging` did.

use http::Method;
use serde_json::json;

use super::arguments::administration::MailboxDebug;
use super::client::{Ask, Gateway, part};
use super::listing::{done, list_all, show};
use super::table::{or_dash, printable, table};
use super::{Outcome, block_on};
use crate::admin::api::debug_logs::DebugLogView;

/// Begins, ends, shows or lists.
pub(super) fn run(arguments: &MailboxDebug) -> Outcome {
    let reach = &arguments.reach;
    let Some(mailbox) = &arguments.mailbox else {
        return list_all(reach, "/v1/debug-logs", |logs: &[DebugLogView]| {
            table(["MAILBOX", "IN THE LOG", "SINCE", "UNTIL"], &logs.iter().map(row).collect::<Vec<_>>())
        });
    };
    let path = format!("/v1/mailboxes/{}/debug", part(mailbox));
    let gateway = Gateway::of(&reach.target)?;
    block_on(async {
        if arguments.end {
            gateway.send(Ask::new(Method::DELETE, path)).await?;
            return done(reach, "The debug log is ended.\n");
        }
        let Some(minutes) = arguments.minutes else {
            return show(reach, gateway.fetch(&path).await?, text);
        };
        let answer = gateway.send(Ask::new(Method::PUT, path).json(&json!({ "minutes": minutes }))).await?;
        show(reach, answer.read(&gateway)?, text)
    })
}

fn text(log: &DebugLogView) -> String {
    let mailbox = printable(&log.mailbox);
    match (log.until, &log.in_log) {
        (None, _) => format!("{mailbox} has no debug log: --for 30m begins one.\n"),
        (Some(until), None) => format!("Everything about {mailbox} is logged until {until}; these lines say debugging=true.\n"),
        (Some(until), Some(name)) => {
            format!("Everything about {mailbox} is logged until {until}, as {name}; these lines say debugging=true.\n")
        }
    }
}

fn row(log: &DebugLogView) -> [String; 4] {
    [log.mailbox.clone(), or_dash(log.in_log.as_ref()), or_dash(log.since), or_dash(log.until)]
}
