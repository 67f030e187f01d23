//! Every operation of the internal address, with the least role that may do it.
//!
//! A viewer looks. Helpdesk acts on single devices: block, wipe. An admin does everything: policies, mailboxes, tokens, and shows recovery
//! passwords. Notifications are a viewer's: they change nothing, and a mail server that sends them should be given no more.

use axum::http::StatusCode;
use axum::routing::MethodFilter;

use super::operation::{JSON, Operation, TEXT};
use super::page::Page;
use super::{devices, policies, shape};
use crate::admin::routes;
use crate::admin::view::{HeldPings, Readiness, Status, Taken};
use crate::store::Role::{Admin, Helpdesk, Viewer};

const GET: MethodFilter = MethodFilter::GET;
const POST: MethodFilter = MethodFilter::POST;
const PUT: MethodFilter = MethodFilter::PUT;
const PATCH: MethodFilter = MethodFilter::PATCH;
const DELETE: MethodFilter = MethodFilter::DELETE;

/// All of them.
pub(in crate::admin) fn all() -> Vec<Operation> {
    [process(), policies(), devices()].into_iter().flatten().collect()
}

fn process() -> Vec<Operation> {
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
        changed(Operation::new(GET, DEVICE, "showDevice", Viewer, "A device.", devices::show)),
        changed(
            Operation::new(PATCH, DEVICE, "changeDevice", Helpdesk, "Allows, blocks or quarantines a device.", devices::change)
                .takes::<devices::DeviceChange>(),
        ),
        Operation::new(
            DELETE,
            DEVICE,
            "removeDevice",
            Helpdesk,
            "Removes a partnership; a device that syncs makes a new one.",
            devices::remove,
        )
        .gives_nothing(StatusCode::NO_CONTENT),
        changed(
            Operation::new(POST, "/v1/devices/{mailbox}/{device}/wipe", "wipeDevice", Helpdesk, "Orders a remote wipe.", devices::wipe)
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
