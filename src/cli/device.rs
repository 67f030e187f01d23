//! `pushgate device`: what Get-ActiveSyncDeviceStatistics, Clear-ActiveSyncDevice and Remove-ActiveSyncDevice did.

use http::Method;
use serde_json::{Value, json};

use super::arguments::administration::{Device, DeviceList, DevicePlace};
use super::client::{Ask, Gateway, part, with_query};
use super::confirm::confirm;
use super::listing::{self, list_all};
use super::table::{or_dash, sheet, table};
use super::{Outcome, block_on};
use crate::admin::api::devices::{DeviceView, RecoveryPasswordView};

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
                format!("{} is to be erased; it is told as soon as it comes. Follow it with: {}\n", name(device), follow(device))
            })
        }
        Device::CancelWipe(place) => {
            ask(place, Method::POST, "/cancel-wipe", None, |device| format!("{} is not to be erased.\n", name(device)))
        }
        Device::Remove { place, yes } => remove(place, *yes),
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
            ("last_seen_before", arguments.last_seen_before.clone()),
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
        device.information.model.clone().unwrap_or_else(|| device.device_type.clone()),
        if !device.loops.is_empty() { format!("{}, looping", device.access_state) } else { device.access_state.clone() },
        device.policy.applied.as_ref().map_or_else(|| "-".into(), |policy| format!("{policy} ({})", device.policy.status)),
        or_dash(device.wipe.as_ref().map(|wipe| &wipe.state)),
        or_dash(device.last_attempt_at),
    ]
}

fn access(place: &DevicePlace, access: Value) -> Outcome {
    ask(place, Method::PATCH, "", Some(json!({ "access": access })), |device| {
        format!("{} is {} ({}).\n", name(device), device.access_state, device.access_why)
    })
}

fn remove(place: &DevicePlace, yes: bool) -> Outcome {
    let what = format!("This forgets device {} of {}, and an order to erase it.", place.device, place.mailbox);
    confirm(&what, yes)?;
    let gateway = Gateway::of(&place.reach.target)?;
    block_on(async {
        gateway.send(Ask::new(Method::DELETE, path(place, ""))).await?;
        listing::done(
            &place.reach,
            "Removed; if the device syncs again, it makes a new partnership.
",
        )
    })
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
        ("Last ping heartbeat", device.last_heartbeat_s.map(|heartbeat| format!("{heartbeat} s"))),
        ("Folders synced", Some(device.folders_synced.to_string())),
        ("Access", Some(format!("{} ({})", device.access_state, device.access_why))),
        ("Policy applied", device.policy.applied.clone()),
        ("Policy status", Some(device.policy.status.clone())),
        ("Last policy update", time(device.policy.updated_at)),
        ("Last policy request", time(device.policy.asked_at)),
        ("Recovery password", device.recovery_password.clone()),
        ("Wipe", wipe.map(|wipe| format!("{} ({})", wipe.state, wipe.kind))),
        ("Wipe requested", wipe.map(|wipe| format!("{} by {}", wipe.requested_at, wipe.requested_by))),
        ("Wipe sent", time(wipe.and_then(|wipe| wipe.sent_at))),
        ("Wipe acknowledged", acknowledged),
        ("Stale password", stale_password(device)),
        ("Loop", looping(device)),
        ("Wipe failed", time(wipe.and_then(|wipe| wipe.failed_at))),
        ("Wipe cancelled", wipe.and_then(|wipe| wipe.cancelled_at.map(|at| format!("{at} by {}", or_dash(wipe.cancelled_by.as_ref()))))),
    ])
}
