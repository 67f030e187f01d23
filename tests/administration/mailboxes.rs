//! Mailboxes, groups and rules at a shell.

use pushgate::logic::eas::Version;

use crate::scene::{gateway, record, seen};

#[test]
fn a_mailbox_has_the_most_specific_policy_and_says_why() {
    let served = gateway();
    for name in ["Lax", "Strict", "Sales"] {
        served.say(&format!("policy new {name}"));
    }
    assert!(served.say("mailbox show hew").contains("Policy           none (no policy is assigned"));
    assert!(served.say("mailbox set --domain example.org --policy Lax").contains("example.org have Lax"));
    assert!(served.say("mailbox show hew").contains("Lax (assigned to domain example.org)"));
    assert_eq!(served.say("domain list"), "DOMAIN       POLICY\nexample.org  Lax\n");
    served.write("sales.csv", "mailbox\nhew\nanna@example.org\n");
    assert!(served.say("group set Sales --from-csv sales.csv --rank 3").contains("Mailboxes  2"));
    assert!(served.say("mailbox set --group Sales --policy sales").contains("The 2 mailboxes of Sales have Sales"));
    assert!(served.say("mailbox show hew").contains("Sales (assigned to group Sales)"));
    served.write("strict.csv", "hew;Strict\n");
    assert_eq!(served.say("mailbox set --from-csv strict.csv"), "1 mailbox was assigned.\n");
    assert!(served.say("mailbox show hew").contains("Strict (assigned to the mailbox)"));
    let list = served.say("mailbox list");
    assert!(list.contains("hew@example.org") && list.contains("anna@example.org"), "{list}");
    served.say("mailbox set hew --no-policy");
    assert_eq!(served.json("mailbox show hew")["policy_because"], "group");
    assert!(served.say("group show Sales").ends_with("anna@example.org\nhew@example.org\n"));
    served.say("mailbox set --domain example.org --no-policy");
    served.say("group remove Sales --yes");
    assert_eq!(served.json("mailbox show hew")["policy_because"], "nothing");
}

#[test]
fn a_file_with_a_wrong_line_changes_nothing_and_names_the_line() {
    let served = gateway();
    served.say("policy new Strict");
    served.write("bad.csv", "hew\n@\n");
    let told = served.run("mailbox set --from-csv bad.csv --policy Strict").failed(1);
    assert!(told.contains("Line 2"), "{told}");
    assert_eq!(served.json("mailbox list"), serde_json::json!([]));
    served.write("twice.csv", "hew,Strict\nanna,Strict\nHEW@example.org,-\n");
    let told = served.run("mailbox set --from-csv twice.csv").failed(1);
    assert!(told.contains("Line 3: line 1 says something else of hew@example.org"), "{told}");
    assert_eq!(served.json("mailbox list"), serde_json::json!([]));
    served.write("sales.csv", "#TYPE x\nName\nhew\nhew\nanna\n");
    assert!(served.say("group set Sales --from-csv sales.csv").contains("Mailboxes  2"));
    assert!(served.run("group set Sales --from-csv bad.csv").failed(1).contains("Line 2"));
    served.write("empty.csv", "Name\n");
    assert!(served.run("group set Sales --from-csv empty.csv").failed(1).contains("names no mailbox"));
    assert!(served.say("group show Sales").contains("hew@example.org"));
    assert!(served.say("group set Sales --empty").contains("Mailboxes  0"));
    assert!(served.run("mailbox set --from-csv absent.csv --policy Strict").failed(2).contains("absent.csv"));
}

#[test]
fn a_mailbox_is_switched_off_and_kept_to_its_devices() {
    let served = gateway();
    served.devices(async |store| record(store, ("hew@example.org", "phone1"), vec![seen(Version::V14_1)]).await);
    assert!(served.say("mailbox set hew --active-sync off").contains("ActiveSync       off"));
    assert!(served.say("device list").contains("blocked"));
    served.say("mailbox set hew --active-sync on --allow-device PHONE2 --devices-max 3");
    assert!(served.say("device show hew phone1").contains("blocked (the mailbox's allowed device ids)"));
    let more = served.say("mailbox set hew --allow-device phone1");
    assert!(more.contains("Allowed devices  phone1, phone2") && more.contains("Most devices     3"), "{more}");
    assert!(served.say("device list").contains("allowed"));
    let any = served.say("mailbox set hew --allow-any-device --devices-max default");
    assert!(any.contains("Allowed devices  any") && any.contains("as configured"), "{any}");
    served.say("mailbox set hew --block-device lost1 --block-device lost2 --allow-device phone1 --allow-device phone2");
    let any = served.say("mailbox set hew --allow-any-device");
    assert!(any.contains("Allowed devices  any") && any.contains("Blocked devices  lost1, lost2"), "{any}");
    let one = served.say("mailbox set hew --forget-device LOST1 --allow-device phone1");
    assert!(one.contains("Allowed devices  phone1") && one.contains("Blocked devices  lost2\n"), "{one}");
    let both = served.run("mailbox set hew --allow-device lost2").failed(1);
    assert!(both.contains("lost2 would be both allowed and blocked"), "{both}");
    assert!(served.run("mailbox set hew --forget-device phone1").failed(2).contains("--allow-any-device"));
    assert!(served.run("mailbox set hew --forget-device phone9").failed(1).contains("neither allowed nor blocked"));
    served.say("mailbox set hew --forget-device lost2 --allow-device lost2");
    let told = served.json("audit --last 1")[0]["detail"].to_string();
    assert!(told.contains("allowed devices +lost2") && told.contains("blocked devices -lost2"), "{told}");
    for bad in [
        "mailbox set",
        "mailbox set hew",
        "mailbox set --domain example.org",
        "mailbox set --group Sales --active-sync off",
        "mailbox set hew --policy a --no-policy",
    ] {
        served.run(bad).failed(2);
    }
}

#[test]
fn rules_are_added_and_taken_away_one_by_one() {
    let served = gateway();
    let one = served.run_words(&["rule", "add", "model", "iPad*", "block"]).done();
    assert!(one.contains("model  iPad*    block"), "{one}");
    served.run_words(&["rule", "add", "user-agent", "Old Phone*", "quarantine"]).done();
    let changed = served.run_words(&["rule", "add", "model", "iPad*", "allow"]).done();
    assert!(changed.contains("iPad*       allow") && changed.contains("Every other device: allow"), "{changed}");
    assert!(served.say("rule default quarantine").contains("Every other device: quarantine"));
    served.run_words(&["rule", "remove", "model", "iPad*"]).done();
    assert!(served.run_words(&["rule", "remove", "model", "iPad*"]).failed(1).contains("no such rule"));
    assert_eq!(served.json("rule list")["rules"].as_array().unwrap().len(), 1);
}

#[test]
fn rules_that_keep_devices_out_ask_first_and_count_them() {
    let served = gateway();
    served.devices(async |store| {
        record(store, ("hew@example.org", "phone1"), vec![seen(Version::V14_1)]).await;
        record(store, ("anna@example.org", "phone2"), vec![seen(Version::V14_1)]).await;
    });
    served.say("device allow anna phone2");
    let asked = served.run("rule default quarantine").failed(2);
    assert!(asked.contains("1 device may do, at once: 1 quarantined") && asked.contains("--yes"), "{asked}");
    assert_eq!(served.json("rule list")["default"], "allow");
    served.say("rule default quarantine --yes");
    assert!(served.say("device show hew phone1").contains("quarantined (the default)"), "at once");
    served.say("rule default allow");
    assert!(served.say("device show hew phone1").contains("allowed (the default)"), "at once, and nothing to ask");
    let about = served.run_words(&["rule", "add", "model", "Old*", "block"]).failed(2);
    assert!(about.contains("1 asked to describe themselves first"), "{about}");
}
