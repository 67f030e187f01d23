//! The story of a lost phone.

use pushgate::logic::eas::settings::RecoveryPassword;
use pushgate::logic::eas::{DeviceId, DeviceType, Mailbox, Version};
use pushgate::logic::policy::Attempt;
use pushgate::store::{DeviceChange, Seen};

use crate::scene::{Served, gateway, gateway_on_postgres, record, seen};

const HEW: (&str, &str) = ("hew@example.org", "phone1");

fn a_lost_phone_is_found_erased_and_accounted_for(served: &Served) {
    // It synced, stored a recovery password, and was last seen waiting.
    served.devices(async |store| {
        let password = DeviceChange::RecoveryPassword(Some(RecoveryPassword::new("2468-1357".into())));
        record(store, HEW, vec![seen(Version::V14_1), password]).await;
        let (mailbox, id) = (Mailbox::normalise(HEW.0, None, true).unwrap(), DeviceId::new(HEW.1.as_bytes()).unwrap());
        let phone = DeviceType::new(b"SmartPhone").unwrap();
        let attempt = Attempt { version: Version::V14_1, device_type: &phone, user_agent: Some("Phone/1.0") };
        store.note(&mailbox, &id, &attempt, Seen::Heartbeat(1_740));
    });

    let list = served.say("device list --mailbox hew");
    assert!(list.contains("hew@example.org") && list.contains("phone1") && list.contains("allowed"), "{list}");
    let shown = served.say("device show hew phone1");
    for wanted in ["Last ping heartbeat  1740 s", "hew@example.org\\AirSync-SmartPhone-phone1", "Recovery password    ********"] {
        assert!(shown.contains(wanted), "{wanted}\n{shown}");
    }
    assert!(!served.json("device show hew phone1").to_string().contains("2468"));

    // Its owner wants to try the password first: that somebody looked is told.
    assert_eq!(served.say("device recovery-password hew phone1"), "2468-1357\n");

    // Then it is erased: not by accident, not twice, and not in a way it does not know.
    let unasked = served.run("device wipe hew phone1").failed(2);
    assert!(unasked.contains("erases all data") && unasked.contains("--yes"), "{unasked}");
    let account = served.run("device wipe hew phone1 --account-only --yes").failed(1);
    assert!(account.contains("16.1") && account.contains("speaks 14.1"), "{account}");
    assert!(served.say("device wipe hew phone1 --yes").contains("is to be erased"));
    assert!(served.run("device wipe hew phone1 --yes").failed(1).contains("already requested"));
    assert!(served.say("device list --wipe requested").contains("phone1"));

    // It comes, gets the order, and says that it does.
    served.devices(async |store| {
        record(store, HEW, vec![DeviceChange::WipeSent { from: None }]).await;
        record(store, HEW, vec![DeviceChange::WipeReported { is_done: true, with_credentials: true, from: None }]).await;
    });
    let device = served.json("device show hew phone1");
    assert_eq!((&device["wipe"]["state"], &device["wipe"]["requested_by"]), (&"acknowledged".into(), &"token file".into()));
    assert!(device["wipe"]["acknowledged_at"].is_string() && device["wipe"]["sent_at"].is_string());
    let shown = served.say("device show hew phone1");
    assert!(shown.contains("with the user's password") && shown.contains("none, it is to be erased"), "{shown}");

    // It is not forgotten by accident, and nothing less takes its place.
    assert!(served.run("device remove hew phone1 --yes").failed(1).contains("--forget-wipe"));

    // Found again, it may be set up anew; what it said stays said.
    assert!(served.say("device cancel-wipe hew phone1").contains("said at"));
    let wipe = served.json("device show hew phone1")["wipe"].clone();
    assert_eq!((&wipe["state"], &wipe["stands"], &wipe["cancelled_by"]), (&"acknowledged".into(), &false.into(), &"token file".into()));
    assert!(served.say("device list").contains("acknowledged, taken back"));
    assert!(served.run("device cancel-wipe hew phone1").failed(1).contains("no wipe to cancel"));
    assert!(served.say("device remove hew phone1 --yes").starts_with("Removed"));
    assert!(served.run("device show hew phone1").failed(1).contains("404"));

    let trail = served.json("audit --mailbox hew");
    let told: Vec<String> =
        trail.as_array().unwrap().iter().map(|e| format!("{} {}", e["act"].as_str().unwrap(), e["outcome"].as_str().unwrap())).collect();
    let wanted = [
        "device remove done",
        "wipe cancel refused",
        "wipe cancel done",
        "device remove refused",
        "wipe acknowledged done",
        "wipe sent done",
        "wipe order refused",
        "wipe order done",
        "wipe order refused",
        "recovery password show done",
    ];
    assert_eq!(told, wanted);
    assert!(!served.say("audit --all").contains("2468"));
}

#[test]
fn a_lost_phone_is_erased_and_accounted_for() {
    a_lost_phone_is_found_erased_and_accounted_for(&gateway());
}

#[test]
fn a_lost_phone_is_erased_and_accounted_for_on_postgres() {
    a_lost_phone_is_found_erased_and_accounted_for(&gateway_on_postgres());
}

#[test]
fn a_device_is_blocked_allowed_and_left_to_the_rules() {
    let served = gateway();
    served.devices(async |store| record(store, HEW, vec![seen(Version::V16_1)]).await);
    assert!(served.say("device block hew phone1").contains("is blocked (token file said so of this device"));
    assert!(served.say("device list --access blocked").contains("phone1"));
    assert!(served.say("device quarantine hew phone1").contains("is quarantined"));
    assert!(served.say("device allow hew phone1").contains("is allowed"));
    assert!(served.say("device by-rules hew phone1").contains("is allowed (the default)"));
    let account = served.say("device wipe hew phone1 --account-only --yes");
    assert!(account.contains("The account of hew@example.org on device phone1, and nothing else there, is to be erased"), "{account}");
    assert_eq!(served.json("device show hew phone1")["wipe"]["kind"], "account_only");
}

#[test]
fn an_order_to_erase_is_not_made_less_and_not_forgotten_unsaid() {
    let served = gateway();
    served.devices(async |store| record(store, HEW, vec![seen(Version::V16_1)]).await);
    served.say("device wipe hew phone1 --account-only --yes");
    served.say("device wipe hew phone1 --yes");
    let less = served.run("device wipe hew phone1 --account-only --yes").failed(1);
    assert!(less.contains("409") && less.contains("The whole device is to be erased") && less.contains("take that order back"), "{less}");
    assert_eq!(served.json("device show hew phone1")["wipe"]["kind"], "device");
    assert!(served.run("device remove hew phone1 --yes").failed(1).contains("cancel-wipe first"));
    served.say("device block hew phone1");
    let asked = served.run("device remove hew phone1 --forget-wipe").failed(2);
    assert!(asked.contains("the order to erase it (requested, by token file)") && asked.contains("blocked"), "{asked}");
    let removed = served.say("device remove hew phone1 --forget-wipe --yes");
    assert!(removed.contains("Forgotten: the order to erase it") && removed.contains("Forgotten: that it is to be blocked"), "{removed}");
    let trail = served.json("audit --mailbox hew");
    let details: Vec<&str> = trail.as_array().unwrap().iter().map(|entry| entry["detail"].as_str().unwrap()).collect();
    for (at, wanted) in [
        (0, "an order to erase the device (requested, ordered by token file"),
        (0, "block by token file"),
        (1, "by the rules → block"),
        (2, "would be forgotten"),
        (3, "the whole device is to be erased"),
        (4, "in the place of an order to erase the account alone (requested"),
    ] {
        assert!(details[at].contains(wanted), "{at}: {wanted}: {details:?}");
    }
}

#[test]
fn taking_an_order_back_says_what_the_device_knows_of_it() {
    let served = gateway();
    served.devices(async |store| record(store, HEW, vec![seen(Version::V14_1)]).await);
    served.say("device wipe hew phone1 --yes");
    assert!(served.say("device cancel-wipe hew phone1").contains("not to be erased; it had not been told"));
    served.say("device wipe hew phone1 --yes");
    served.devices(async |store| record(store, HEW, vec![DeviceChange::WipeSent { from: None }]).await);
    let told = served.say("device cancel-wipe hew phone1");
    assert!(told.contains("was told at") && told.contains("may have erased itself"), "{told}");
    assert_eq!(served.json("device show hew phone1")["wipe"]["state"], "cancelled");
}
