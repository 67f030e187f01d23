//! `pushgate device`: what Get-ActiveSyncDeviceStatistics, Clear-ActiveSyncDevice and Remove-ActiveSyncDevice did.

use http::Method;
use serde_json::{Value, json};

use super::arguments::administration::{Device, DeviceList, DevicePlace};
use super::client::{Ask, Gateway, part, with_query};
use super::confirm::confirm;
use super::listing::{self, list_all};
use super::table::{or_dash, sheet, table};
use super::when::when;
use super::{Failure, Outcome, block_on};
use crate::admin::api::devices::{DeviceView, RecoveryPasswordView, WipeView};

/// Runs one of them.
pub fn run(command: &Device) -> Outcome {
    match command {
        Device::List(arguments) => list(arguments),
        Device::Show(place) => ask(place, Method::GET, "", None, show),
        Device::Wipe { place, account_only, yes } => {
            let what = if *account_only { "all data of this account on" } else { "all data on" };
            confirm(&format!("This erases {what} device {} of {}, for good.", place.device, place.mailbox), *yes)?;
            let kind = if *account_only { "account_only" } else { "device" };
            ask(place, Method::POST, "/wipe", Some(json!({ "kind": kind })), |device| {
                let what = match *account_only {
                    true => format!("The account of {} on device {}, and nothing else there,", device.mailbox, device.device_id),
                    false => name(device),
                };
                format!("{what} is to be erased; it is told as soon as it comes. Follow it with: {}\n", follow(device))
            })
        }
        Device::CancelWipe(place) => ask(place, Method::POST, "/cancel-wipe", None, cancelled),
        Device::Remove { place, forget_wipe, yes } => remove(place, *forget_wipe, *yes),
        Device::Allow(place) => access(place, json!("allow")),
        Device::Block(place) => access(place, json!("block")),
        Device::Quarantine(place) => access(place, json!("quarantine")),
        Device::ByRules(place) => access(place, Value::Null),
        Device::RecoveryPassword(place) => recovery_password(place),
    }
}

fn list(arguments: &DeviceList) -> Outcome {
    let path = with_query(
        "/v1/devices",
        &[
            ("mailbox", arguments.mailbox.clone()),
            ("device", arguments.device.clone()),
            ("access", arguments.access.clone()),
            ("wipe", arguments.wipe.clone()),
            ("policy", arguments.policy.clone()),
            ("last_seen_before", when(arguments.last_seen_before.as_ref())),
            ("search", arguments.search.clone()),
            ("looping", arguments.looping.then(|| "true".to_owned())),
        ],
    );
    list_all(&arguments.reach, &path, |devices: &[DeviceView]| {
        let rows: Vec<[String; 7]> = devices.iter().map(row).collect();
        table(["MAILBOX", "DEVICE", "TYPE", "ACCESS", "POLICY", "WIPE", "LAST SEEN"], &rows)
    })
}

fn row(device: &DeviceView) -> [String; 7] {
    [
        device.mailbox.clone(),
        device.device_id.clone(),
        // A rule about the device type means the first of the two.
        device.information.model.as_ref().map_or_else(|| device.device_type.clone(), |model| format!("{} ({model})", device.device_type)),
        access_in_short(device),
        device.policy.applied.as_ref().map_or_else(|| "-".into(), |policy| format!("{policy} ({})", device.policy.status)),
        or_dash(device.wipe.as_ref().map(wipe_told)),
        or_dash(device.last_attempt_at),
    ]
}

/// What it may do; of a device that is to be erased, nothing else.
fn access_in_short(device: &DeviceView) -> String {
    match &device.wipe {
        Some(wipe) if wipe.stands => "none".to_owned(),
        _ if !device.loops.is_empty() => format!("{}, looping", device.access_state),
        _ => device.access_state.clone(),
    }
}

/// How far an order came, and whether it still stands.
fn wipe_told(wipe: &WipeView) -> String {
    let is_over = wipe.state == "acknowledged" && !wipe.stands;
    if is_over { format!("{}, taken back", wipe.state) } else { wipe.state.clone() }
}

fn access(place: &DevicePlace, access: Value) -> Outcome {
    ask(place, Method::PATCH, "", Some(json!({ "access": access })), |device| {
        format!("{} is {} ({}).\n", name(device), device.access_state, device.access_why)
    })
}

/// What taking an order back means for a device that may have been told.
fn cancelled(device: &DeviceView) -> String {
    let name = name(device);
    let wipe = device.wipe.as_ref();
    match wipe.map(|wipe| (wipe.acknowledged_at, wipe.sent_at)) {
        Some((Some(at), _)) => {
            format!("The order is taken back. {name} said at {at} that it erases itself; if it comes back, it may be set up again.\n")
        }
        Some((None, Some(at))) => {
            format!("The order is taken back. {name} was told at {at}, though, and may have erased itself. It is not told again.\n")
        }
        _ => format!("{name} is not to be erased; it had not been told.\n"),
    }
}

/// Looks first, so that whoever is asked knows what is forgotten.
fn remove(place: &DevicePlace, forget_wipe: bool, yes: bool) -> Outcome {
    let gateway = Gateway::of(&place.reach.target)?;
    block_on(async {
        let read = gateway.send(Ask::new(Method::GET, path(place, ""))).await?;
        let device: DeviceView = read.read(&gateway)?;
        let wipe = device.wipe.as_ref().filter(|wipe| wipe.stands);
        if wipe.is_some() && !forget_wipe {
            // Asked all the same, so that the trail has it: refused as it was read, and stale if it is otherwise by now.
            let refused = gateway.send(Ask::new(Method::DELETE, path(place, "")).if_match(read.etag.clone())).await;
            return refused.map(drop).map_err(|failure| match failure {
                Failure::Failed(why) => Failure::Failed(format!("{why} (cancel-wipe first, or say --forget-wipe)")),
                other => other,
            });
        }
        let lost: Vec<String> = wipe
            .map(|wipe| format!("the order to erase it ({}, by {})", wipe.state, wipe.requested_by))
            .into_iter()
            .chain(device.own_access.as_ref().map(|access| format!("that it is to be {} ({})", participle(access), device.access_why)))
            .collect();
        let and = lost.iter().map(|what| format!(", and {what}")).collect::<String>();
        confirm(&format!("This forgets device {} of {}{and}.", place.device, place.mailbox), yes)?;
        let path = with_query(&path(place, ""), &[("forget_wipe", forget_wipe.then(|| "true".to_owned()))]);
        gateway.send(Ask::new(Method::DELETE, path).if_match(read.etag.clone())).await?;
        let mut said = "Removed; if the device syncs again, it makes a new partnership.\n".to_owned();
        said.extend(lost.iter().map(|what| format!("Forgotten: {what}.\n")));
        listing::done(&place.reach, &said)
    })
}

fn participle(access: &str) -> &str {
    match access {
        "block" => "blocked",
        "quarantine" => "quarantined",
        _ => "allowed",
    }
}

fn recovery_password(place: &DevicePlace) -> Outcome {
    let gateway = Gateway::of(&place.reach.target)?;
    block_on(async {
        let answer = gateway.send(Ask::new(Method::GET, path(place, "/recovery-password"))).await?;
        listing::show(&place.reach, answer.read(&gateway)?, |shown: &RecoveryPasswordView| format!("{}\n", shown.recovery_password))
    })
}

/// Sends something about one device, and shows the device as it is then.
fn ask(place: &DevicePlace, method: Method, what: &str, body: Option<Value>, text: impl FnOnce(&DeviceView) -> String) -> Outcome {
    let gateway = Gateway::of(&place.reach.target)?;
    block_on(async {
        let ask = Ask::new(method, path(place, what));
        let answer = gateway.send(match &body {
            Some(body) => ask.json(body),
            None => ask,
        });
        let device: Value = answer.await?.read(&gateway)?;
        listing::show(&place.reach, device, text)
    })
}

fn path(place: &DevicePlace, what: &str) -> String {
    format!("/v1/devices/{}/{}{what}", part(&place.mailbox), part(&place.device))
}

fn name(device: &DeviceView) -> String {
    format!("Device {} of {}", device.device_id, device.mailbox)
}

fn follow(device: &DeviceView) -> String {
    format!("pushgate device show {} {}", device.mailbox, device.device_id)
}

fn stale_password(device: &DeviceView) -> Option<String> {
    let shield = device.shields.iter().max_by_key(|shield| shield.until)?;
    let (rejected, spared) = (shield.rejected, shield.spared);
    Some(format!("rejected {rejected} times since {}; answered here until {} ({spared} times so far)", shield.since, shield.until))
}

fn looping(device: &DeviceView) -> Option<String> {
    let told: Vec<String> = device.loops.iter().map(|l| format!("{}, {} times since {}: {}", l.kind, l.count, l.since, l.advice)).collect();
    (!told.is_empty()).then(|| told.join("; "))
}

/// Whether it is connected now.
fn waiting(device: &DeviceView) -> Option<String> {
    let held = device.waiting.as_ref()?;
    Some(format!("yes, for {} s of {} s ({}), from {}", held.held_s, held.heartbeat_s, held.kind, held.address))
}

/// An order to erase comes before whatever else a device may.
fn access_told(device: &DeviceView) -> String {
    let told = format!("{} ({})", device.access_state, device.access_why);
    let stands = device.wipe.as_ref().is_some_and(|wipe| wipe.stands);
    if stands { format!("none, it is to be erased; otherwise {told}") } else { told }
}

fn show(device: &DeviceView) -> String {
    let information = &device.information;
    let wipe = device.wipe.as_ref();
    let time = |time: Option<crate::logic::policy::Timestamp>| time.map(|time| time.to_string());
    let acknowledged = wipe.filter(|wipe| wipe.acknowledged_at.is_some()).map(|wipe| {
        let whose =
            if wipe.acknowledged_with_credentials { "with the user's password" } else { "without a password: anybody may have said so" };
        format!("{} ({whose})", or_dash(wipe.acknowledged_at))
    });
    sheet(&[
        ("Identity", Some(device.identity.clone())),
        ("Mailbox", Some(device.mailbox.clone())),
        ("Device id", Some(device.device_id.clone())),
        ("Type", Some(device.device_type.clone())),
        ("Friendly name", information.friendly_name.clone()),
        ("Model", information.model.clone()),
        ("IMEI", information.imei.clone()),
        ("Operating system", information.os.clone()),
        ("Language", information.os_language.clone()),
        ("Phone number", information.phone_number.clone()),
        ("Mobile operator", information.mobile_operator.clone()),
        ("User agent", device.user_agent.clone()),
        ("Protocol version", device.version.clone()),
        ("First sync", Some(device.first_sync_at.to_string())),
        ("Last sync attempt", time(device.last_attempt_at)),
        ("Last success", time(device.last_success_at)),
        ("Last sync status", device.last_sync_status.map(|status| status.to_string())),
        ("Waits now", waiting(device)),
        ("Last ping heartbeat", device.last_heartbeat_s.map(|heartbeat| format!("{heartbeat} s"))),
        ("Folders synced", Some(device.folders_synced.to_string())),
        ("Access", Some(access_told(device))),
        ("Policy applied", device.policy.applied.clone()),
        ("Policy status", Some(device.policy.status.clone())),
        ("Last policy update", time(device.policy.updated_at)),
        ("Last policy request", time(device.policy.asked_at)),
        ("Recovery password", device.recovery_password.clone()),
        ("Wipe", wipe.map(|wipe| format!("{} ({})", wipe.state, wipe.kind))),
        ("Wipe requested", wipe.map(|wipe| format!("{} by {}", wipe.requested_at, wipe.requested_by))),
        ("Wipe sent", time(wipe.and_then(|wipe| wipe.sent_at))),
        ("Wipe acknowledged", acknowledged),
        ("Wipe sent again", time(wipe.and_then(|wipe| wipe.sent_again_at))),
        ("Wiped before", time(wipe.and_then(|wipe| wipe.acknowledged_before_at))),
        ("Stale password", stale_password(device)),
        ("Loop", looping(device)),
        ("Wipe failed", time(wipe.and_then(|wipe| wipe.failed_at))),
        ("Wipe cancelled", wipe.and_then(|wipe| wipe.cancelled_at.map(|at| format!("{at} by {}", or_dash(wipe.cancelled_by.as_ref()))))),
    ])
}
