//! Exit codes, roles, and output that programs can read.

use crate::scene::gateway;

#[test]
fn a_token_may_what_its_role_may() {
    let served = gateway();
    let made = served.json("token new helen --role helpdesk");
    let (id, secret) = (made["id"].as_str().unwrap(), made["token"].as_str().unwrap());
    served.write("helen.token", secret);
    let as_helen = |line: &str| served.run(&format!("{line} --token-file helen.token"));
    as_helen("device list").done();
    assert!(as_helen("policy new Strict").failed(1).contains("role helpdesk"));
    assert!(as_helen("token list").failed(1).contains("403"));
    assert!(served.say("token list").contains("helen"));
    assert!(!served.say("token list --json").contains(secret));
    served.say(&format!("token revoke {id}"));
    assert!(as_helen("device list").failed(1).contains("401"));
    assert!(served.say("token new anna --role viewer").contains("pushgate token revoke"));
}

#[test]
fn every_list_is_json_that_programs_can_read() {
    let served = gateway();
    for list in ["device list", "mailbox list", "domain list", "policy list", "group list", "group list --list", "token list"] {
        assert_eq!(served.json(list), serde_json::json!([]), "{list}");
    }
    assert_eq!(served.json("rule list"), serde_json::json!({ "default": "allow", "rules": [] }));
    served.say("policy new Strict --json");
    let entry = &served.json("audit --last 1")[0];
    assert_eq!((&entry["act"], &entry["actor"]), (&"policy create".into(), &"token file".into()));
    assert_eq!(served.json("policy remove Strict --yes"), serde_json::json!({}));
}

#[test]
fn what_is_typed_wrongly_ends_with_2_and_what_cannot_be_done_with_1() {
    let served = gateway();
    for line in
        ["device", "device wipe hew", "device list --access banned", "token new x", "rule add model", "audit --last 0", "policy remove x"]
    {
        served.run(line).failed(2);
    }
    for line in ["device show hew x", "policy show x", "token revoke x", "group show x", "audit --since yesterday", "mailbox show @"] {
        served.run(line).failed(1);
    }
    assert!(served.run("group show x").err.contains("for a list, say --list"));
    for line in ["audit --since 2026-11-22", "audit --since 30d --until 1h", "device list --last-seen-before 30d"] {
        served.say(line);
    }
    assert!(served.say("policy settings").contains("| MinDevicePasswordLength |"));
}

#[test]
fn what_a_device_says_of_itself_cannot_play_with_the_terminal() {
    use crate::scene::{record, seen};
    use pushgate::logic::eas::{DeviceInformation, Version};
    use pushgate::store::DeviceChange;

    let served = gateway();
    let told = DeviceInformation { model: Some("\u{1b}[2J\u{9b}1mPhone".into()), ..DeviceInformation::default() };
    served.devices(async |store| record(store, ("hew", "phone1"), vec![seen(Version::V14_1), DeviceChange::Informed(told)]).await);
    for line in ["device list", "device show hew phone1"] {
        let shown = served.run(line);
        let control = shown.out.chars().find(|character| character.is_control() && *character != '\n');
        assert_eq!(control, None, "{line}: {}", shown.out.escape_debug());
    }
}
