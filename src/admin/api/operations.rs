//! Every operation of the internal address, with the least role that may do it.
//!
//! A viewer looks. Helpdesk acts on single devices: block, wipe. An admin does everything: policies, mailboxes, tokens, and shows recovery
//! passwords. Notifications are a viewer's: they change nothing, and a mail server that sends them should be given no more.

use axum::http::StatusCode;
use axum::routing::MethodFilter;

use super::operation::{CSV, JSON, Operation, TEXT};
use super::page::Page;
use super::{audit, debug_logs, devices, domains, mailboxes, members, policies, process, rules, shape, tokens};
use crate::admin::life::{Leaving, Reloaded};
use crate::admin::routes;
use crate::admin::view::{HeldPings, Readiness, Status, Taken, Trouble};
use crate::store::MembersKind;
use crate::store::Role::{Admin, Helpdesk, Viewer};

const GET: MethodFilter = MethodFilter::GET;
const POST: MethodFilter = MethodFilter::POST;
const PUT: MethodFilter = MethodFilter::PUT;
const PATCH: MethodFilter = MethodFilter::PATCH;
const DELETE: MethodFilter = MethodFilter::DELETE;

/// All of them.
pub(in crate::admin) fn all() -> Vec<Operation> {
    [
        of_the_process(),
        life(),
        policies(),
        devices(),
        mailboxes(),
        debug_logs(),
        members(MembersKind::Group),
        members(MembersKind::List),
        rules(),
        people(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn of_the_process() -> Vec<Operation> {
    let ok = StatusCode::OK;
    vec![
        Operation::new(GET, "/healthz", "isAlive", None, "The process answers.", routes::healthz).gives_as(
            ok,
            TEXT,
            shape::named::<String>,
        ),
        Operation::new(GET, "/readyz", "isReady", None, "Whether a balancer should send devices here.", routes::readyz)
            .gives::<Readiness>(ok)
            .gives::<Readiness>(StatusCode::SERVICE_UNAVAILABLE),
        Operation::new(GET, "/openapi.json", "describe", Viewer, "This document.", routes::openapi).gives_as(
            ok,
            JSON,
            shape::named::<serde_json::Map<String, serde_json::Value>>,
        ),
        Operation::new(GET, "/metrics", "showMetrics", Viewer, "Metrics, for Prometheus.", routes::metrics).gives_as(
            ok,
            TEXT,
            shape::named::<String>,
        ),
        Operation::new(GET, "/v1/status", "showStatus", Viewer, "What the gateway does now.", routes::status).gives::<Status>(ok),
        Operation::new(GET, "/v1/pings", "listPings", Viewer, "Pings held now.", routes::pings)
            .query::<routes::PingsQuery>()
            .gives::<HeldPings>(ok),
        Operation::new(POST, "/v1/notifications", "notify", Viewer, "Mailboxes changed: one object or an array.", routes::notifications)
            .query::<routes::NotificationsQuery>()
            .takes::<routes::Notifications>()
            .gives::<Taken>(StatusCode::ACCEPTED),
        Operation::new(PUT, "/v1/dovecot", "notifyFromDovecot", Viewer, "A notification of Dovecot's ox driver.", routes::dovecot)
            .takes::<routes::DovecotNotification>()
            .gives_nothing(ok),
        Operation::new(POST, "/v1/dovecot", "notifyFromDovecotLua", Viewer, "The same, from Lua, which cannot PUT.", routes::dovecot)
            .takes::<routes::DovecotNotification>()
            .gives_nothing(ok),
    ]
}

fn life() -> Vec<Operation> {
    vec![
        Operation::new(
            POST,
            "/v1/reload",
            "reload",
            Admin,
            "Puts the configuration file, certificates and the token file in force anew; what is held stays.",
            process::reload,
        )
        .gives::<Reloaded>(StatusCode::OK),
        Operation::new(POST, "/v1/drain", "drain", Admin, "Has the gateway leave in good order.", process::drain)
            .gives::<Leaving>(StatusCode::ACCEPTED),
    ]
}

fn policies() -> Vec<Operation> {
    let ok = StatusCode::OK;
    vec![
        Operation::new(GET, "/v1/policies", "listPolicies", Viewer, "Policies, by name.", policies::list)
            .query::<policies::PoliciesQuery>()
            .gives::<Page<policies::PolicyView>>(ok),
        Operation::new(POST, "/v1/policies", "createPolicy", Admin, "Makes a policy.", policies::create)
            .takes::<policies::NewPolicy>()
            .gives::<policies::PolicyView>(StatusCode::CREATED)
            .tagged(),
        Operation::new(GET, "/v1/policies/{policy}", "showPolicy", Viewer, "A policy.", policies::show)
            .gives::<policies::PolicyView>(ok)
            .tagged(),
        Operation::new(PATCH, "/v1/policies/{policy}", "changePolicy", Admin, "Changes settings of a policy.", policies::change)
            .takes::<policies::PolicyChange>()
            .needs_revision()
            .gives::<policies::PolicyView>(ok)
            .tagged(),
        Operation::new(DELETE, "/v1/policies/{policy}", "removePolicy", Admin, "Removes a policy that nothing names.", policies::remove)
            .needs_revision()
            .gives_nothing(StatusCode::NO_CONTENT),
        Operation::new(GET, "/v1/default-policy", "showDefaultPolicy", Viewer, "Which policy is the default.", policies::show_default)
            .gives::<policies::DefaultPolicy>(ok)
            .tagged(),
        Operation::new(PUT, "/v1/default-policy", "chooseDefaultPolicy", Admin, "Chooses the default policy.", policies::choose_default)
            .takes::<policies::DefaultPolicyChoice>()
            .needs_revision()
            .gives::<policies::DefaultPolicy>(ok)
            .tagged(),
    ]
}

fn devices() -> Vec<Operation> {
    const DEVICE: &str = "/v1/devices/{mailbox}/{device}";
    let ok = StatusCode::OK;
    let changed = |operation: Operation| operation.gives::<devices::DeviceView>(ok).tagged();
    vec![
        Operation::new(GET, "/v1/devices", "listDevices", Viewer, "Devices, in the order they were first seen.", devices::list)
            .query::<devices::DevicesQuery>()
            .gives::<Page<devices::DeviceView>>(ok),
        Operation::new(
            GET,
            "/v1/troubles",
            "listTroubles",
            Viewer,
            "Devices that are kept from the backend for now: stale passwords, loops; at most 1,000.",
            devices::troubles,
        )
        .gives::<Vec<Trouble>>(ok),
        changed(Operation::new(GET, DEVICE, "showDevice", Viewer, "A device.", devices::show)),
        changed(
            Operation::new(PATCH, DEVICE, "changeDevice", Helpdesk, "Allows, blocks or quarantines a device.", devices::change)
                .takes::<devices::DeviceChange>()
                .takes_revision(),
        ),
        Operation::new(
            DELETE,
            DEVICE,
            "removeDevice",
            Helpdesk,
            "Removes a partnership, with what was said of the device; one that syncs makes a new one. Refused while an order to erase stands.",
            devices::remove,
        )
        .query::<devices::RemoveQuery>()
        .takes_revision()
        .gives_nothing(StatusCode::NO_CONTENT),
        changed(
            Operation::new(POST, "/v1/devices/{mailbox}/{device}/wipe", "wipeDevice", Helpdesk, "Orders a remote wipe; never less than one that stands.", devices::wipe)
                .takes::<devices::WipeOrder>(),
        ),
        changed(Operation::new(
            POST,
            "/v1/devices/{mailbox}/{device}/cancel-wipe",
            "cancelWipe",
            Helpdesk,
            "Takes an order to erase back.",
            devices::cancel_wipe,
        )),
        Operation::new(
            GET,
            "/v1/devices/{mailbox}/{device}/recovery-password",
            "showRecoveryPassword",
            Admin,
            "Shows the recovery password; that it was shown is in the audit trail.",
            devices::recovery_password,
        )
        .gives::<devices::RecoveryPasswordView>(ok),
    ]
}

fn mailboxes() -> Vec<Operation> {
    let ok = StatusCode::OK;
    vec![
        Operation::new(
            GET,
            "/v1/mailboxes",
            "listMailboxes",
            Viewer,
            "Mailboxes that have devices, or that something is said of.",
            mailboxes::list,
        )
        .query::<mailboxes::MailboxesQuery>()
        .gives::<Page<mailboxes::MailboxView>>(ok),
        Operation::new(
            GET,
            "/v1/mailboxes/{mailbox}",
            "showMailbox",
            Viewer,
            "A mailbox: its switches, its policy and why.",
            mailboxes::show,
        )
        .gives::<mailboxes::MailboxView>(ok)
        .tagged(),
        Operation::new(PATCH, "/v1/mailboxes/{mailbox}", "changeMailbox", Admin, "Changes a mailbox.", mailboxes::change)
            .takes::<mailboxes::MailboxChange>()
            .needs_revision()
            .gives::<mailboxes::MailboxView>(ok)
            .tagged(),
        Operation::new(
            POST,
            "/v1/mailbox-import",
            "importMailboxes",
            Admin,
            "Assigns policies to the mailboxes of a file.",
            mailboxes::import,
        )
        .query::<mailboxes::ImportQuery>()
        .takes_text(CSV)
        .gives::<mailboxes::Imported>(ok),
        Operation::new(GET, "/v1/domains", "listDomains", Viewer, "Domains that have a policy.", domains::list)
            .query::<domains::DomainsQuery>()
            .gives::<Page<domains::DomainView>>(ok),
        Operation::new(GET, "/v1/domains/{domain}", "showDomain", Viewer, "The policy of a domain.", domains::show)
            .gives::<domains::DomainView>(ok)
            .tagged(),
        Operation::new(PUT, "/v1/domains/{domain}", "assignDomain", Admin, "Gives a domain a policy.", domains::put)
            .takes::<domains::DomainChange>()
            .takes_revision()
            .gives::<domains::DomainView>(ok)
            .tagged(),
        Operation::new(DELETE, "/v1/domains/{domain}", "releaseDomain", Admin, "Takes a domain's policy away.", domains::remove)
            .takes_revision()
            .gives_nothing(StatusCode::NO_CONTENT),
    ]
}

fn debug_logs() -> Vec<Operation> {
    const DEBUG: &str = "/v1/mailboxes/{mailbox}/debug";
    let ok = StatusCode::OK;
    vec![
        Operation::new(GET, "/v1/debug-logs", "listDebugLogs", Viewer, "Debug logs of mailboxes.", debug_logs::list)
            .gives::<Page<debug_logs::DebugLogView>>(ok),
        Operation::new(GET, DEBUG, "showDebugLog", Viewer, "Whether a mailbox has a debug log.", debug_logs::show)
            .gives::<debug_logs::DebugLogView>(ok),
        Operation::new(
            PUT,
            DEBUG,
            "beginDebugLog",
            Admin,
            "Logs all that is said of a mailbox, whatever log.level is; it ends by itself.",
            debug_logs::begin,
        )
        .takes::<debug_logs::DebugLogTime>()
        .gives::<debug_logs::DebugLogView>(ok),
        Operation::new(DELETE, DEBUG, "endDebugLog", Admin, "Ends the debug log of a mailbox.", debug_logs::end)
            .gives_nothing(StatusCode::NO_CONTENT),
    ]
}

/// Groups and lists: the same under two names.
fn members(kind: MembersKind) -> Vec<Operation> {
    let ok = StatusCode::OK;
    let is_group = kind == MembersKind::Group;
    let of = |group: &'static str, list: &'static str| if is_group { group } else { list };
    let all = of("/v1/groups", "/v1/lists");
    let one = of("/v1/groups/{group}", "/v1/lists/{list}");
    let inside = of("/v1/groups/{group}/mailboxes", "/v1/lists/{list}/mailboxes");
    let changed = |operation: Operation| operation.needs_revision().gives::<members::MembersView>(ok).tagged();
    let put_doc = of("Makes (If-Match: \"0\") or changes a group.", "Makes (If-Match: \"0\") or changes a list.");
    let import_doc = of("Takes the members of a group from a file.", "Takes the members of a list from a file.");
    vec![
        Operation::new(GET, all, of("listGroups", "listLists"), Viewer, of("Groups.", "Lists."), move |s, q| members::list(kind, s, q))
            .query::<members::MembersQuery>()
            .gives::<Page<members::MembersView>>(ok),
        Operation::new(GET, one, of("showGroup", "showList"), Viewer, of("A group.", "A list."), move |s, p| members::show(kind, s, p))
            .gives::<members::MembersView>(ok)
            .tagged(),
        changed(
            Operation::new(PUT, one, of("putGroup", "putList"), Admin, put_doc, move |s, c, p, i, j| members::put(kind, s, c, p, i, j))
                .takes::<members::MembersChange>(),
        ),
        Operation::new(
            DELETE,
            one,
            of("removeGroup", "removeList"),
            Admin,
            of("Removes a group.", "Removes a list."),
            move |s, c, p, i| members::remove(kind, s, c, p, i),
        )
        .needs_revision()
        .gives_nothing(StatusCode::NO_CONTENT),
        Operation::new(GET, inside, of("listGroupMailboxes", "listListMailboxes"), Viewer, "Who is in it.", move |s, p, q| {
            members::mailboxes(kind, s, p, q)
        })
        .query::<members::MembersQuery>()
        .gives::<Page<String>>(ok),
        changed(
            Operation::new(PUT, inside, of("importGroup", "importList"), Admin, import_doc, move |s, c, p, i, t| {
                members::import(kind, s, c, p, i, t)
            })
            .takes_text(CSV),
        ),
    ]
}

fn rules() -> Vec<Operation> {
    let ok = StatusCode::OK;
    vec![
        Operation::new(GET, "/v1/access-rules", "showRules", Viewer, "Access rules.", rules::show).gives::<rules::RulesView>(ok).tagged(),
        Operation::new(
            POST,
            "/v1/access-rules/foresee",
            "foreseeRules",
            Viewer,
            "Counts the devices that rules would decide otherwise than now; changes nothing.",
            rules::foresee,
        )
        .takes::<rules::RulesView>()
        .gives::<rules::ForeseenView>(ok),
        Operation::new(PUT, "/v1/access-rules", "putRules", Admin, "Replaces the access rules.", rules::put)
            .takes::<rules::RulesView>()
            .needs_revision()
            .gives::<rules::RulesView>(ok)
            .tagged(),
    ]
}

fn people() -> Vec<Operation> {
    let ok = StatusCode::OK;
    vec![
        Operation::new(GET, "/v1/audit", "listAudit", Viewer, "What administrators did, the newest first.", audit::list)
            .query::<audit::AuditQuery>()
            .gives::<Page<audit::EntryView>>(ok),
        Operation::new(GET, "/v1/tokens", "listTokens", Admin, "Tokens, without their secrets.", tokens::list)
            .gives::<Page<tokens::TokenView>>(ok),
        Operation::new(POST, "/v1/tokens", "createToken", Admin, "Makes a token, and shows its secret this once.", tokens::create)
            .takes::<tokens::NewToken>()
            .gives::<tokens::MadeToken>(StatusCode::CREATED),
        Operation::new(DELETE, "/v1/tokens/{token}", "revokeToken", Admin, "Takes a token out of use, at once.", tokens::revoke)
            .gives_nothing(StatusCode::NO_CONTENT),
    ]
}
