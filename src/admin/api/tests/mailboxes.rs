//! `/v1/mailboxes`, groups, lists, domains.

use serde_json::{Value, json};

use super::{at, device, errors, policy};
use crate::admin::tests::scene::{Answer, Scene, internal_address};
use crate::logic::directory::members::Group;
use crate::logic::eas::{Mailbox, Version};

async fn csv(scene: &Scene, method: &str, path: &str, headers: &str, text: &str) -> Answer {
    scene.ask_as(&scene.token, method, path, &format!("Content-Type: text/csv; charset=utf-8\r\n{headers}"), text).await
}

async fn why(scene: &Scene, mailbox: &str) -> (Value, Value) {
    let mailbox = scene.request("GET", &format!("/v1/mailboxes/{mailbox}"), "").await.json();
    (mailbox["policy"].clone(), mailbox["policy_why"].clone())
}

#[tokio::test]
async fn a_mailbox_is_switched_and_its_devices_with_it() {
    let scene = internal_address("").await;
    device(&scene, "hew", "abc", Version::V14_1).await;
    let nothing = scene.request("GET", "/v1/mailboxes/hew", "").await;
    assert_eq!((nothing.header("etag"), &nothing.json()["devices"]), (Some("\"0\""), &json!(1)));
    let off = scene.ask("PATCH", "/v1/mailboxes/hew", &at(0), "{\"active_sync_enabled\":false}").await;
    assert_eq!((off.status, off.header("etag")), (200, Some("\"1\"")));
    assert_eq!(scene.request("GET", "/v1/devices/hew/abc", "").await.json()["access_state"], "blocked");
    let ids = json!({ "active_sync_enabled": true, "allowed_device_ids": ["ABC", "abc"], "devices_max": 3 }).to_string();
    let on = scene.ask("PATCH", "/v1/mailboxes/hew", &at(1), &ids).await.json();
    assert_eq!((&on["allowed_device_ids"], &on["devices_max"]), (&json!(["abc"]), &json!(3)));
    let more = scene.ask("PATCH", "/v1/mailboxes/hew", &at(2), "{\"devices_max\":null}").await.json();
    assert_eq!((&more["allowed_device_ids"], &more["devices_max"]), (&json!(["abc"]), &Value::Null), "what is left out stays");
    for bad in ["{\"devices_max\":-1}", "{\"allowed_device_ids\":[\"\"]}", "{\"policy\":\"a/b\"}", "{\"owner\":1}"] {
        assert_eq!(scene.ask("PATCH", "/v1/mailboxes/hew", &at(3), bad).await.status, 422, "{bad}");
    }
    assert_eq!(scene.ask("PATCH", "/v1/mailboxes/hew", &at(3), "{\"policy\":\"none such\"}").await.status, 404);
}

#[tokio::test]
async fn the_most_specific_policy_wins_and_the_mailbox_says_why() {
    let scene = internal_address("").await;
    for name in ["Default", "Domain", "Group", "List", "Own"] {
        policy(&scene, name).await;
    }
    let mailbox = "hew@example.org";
    assert_eq!(why(&scene, mailbox).await, (Value::Null, json!("no policy is assigned and none is the default")));
    scene.ask("PUT", "/v1/default-policy", &at(0), "{\"policy\":\"Default\"}").await;
    assert_eq!(why(&scene, mailbox).await, (json!("Default"), json!("the default policy")));
    assert_eq!(scene.ask("PUT", "/v1/domains/Example.org", "", "{\"policy\":\"Domain\"}").await.status, 200);
    assert_eq!(why(&scene, mailbox).await, (json!("Domain"), json!("assigned to domain example.org")));
    assert_eq!(csv(&scene, "PUT", "/v1/groups/Sales/mailboxes", &at(0), "hew@example.org\nanna@example.org\n").await.status, 200);
    assert_eq!(scene.ask("PUT", "/v1/groups/Sales", &at(1), "{\"policy\":\"Group\",\"rank\":5}").await.status, 200);
    assert_eq!(why(&scene, mailbox).await, (json!("Group"), json!("assigned to group Sales")));
    let list = json!({ "policy": "List", "mailboxes": [mailbox] }).to_string();
    assert_eq!(scene.ask("PUT", "/v1/lists/VIP", &at(0), &list).await.status, 200);
    assert_eq!(why(&scene, mailbox).await, (json!("List"), json!("assigned to list VIP")));
    scene.ask("PATCH", &format!("/v1/mailboxes/{mailbox}"), &at(0), "{\"policy\":\"Own\"}").await;
    assert_eq!(why(&scene, mailbox).await, (json!("Own"), json!("assigned to the mailbox")));
    let shown = scene.request("GET", &format!("/v1/mailboxes/{mailbox}"), "").await.json();
    assert_eq!((&shown["groups"], &shown["lists"], &shown["own_policy"]), (&json!(["Sales"]), &json!(["VIP"]), &json!("Own")));
    let used = scene.request("GET", "/v1/policies/Group", "").await.json();
    assert_eq!(used["used_by"], json!(["group Sales"]));
}

#[tokio::test]
async fn a_file_of_mailboxes_is_taken_whole_or_not_at_all() {
    let scene = internal_address("").await;
    policy(&scene, "Strict").await;
    let bad = csv(&scene, "POST", "/v1/mailbox-import?policy=Strict", "", "Mailbox;Policy\nhew;\n@;\nanna;None such\n").await;
    assert_eq!((bad.status, errors(&bad, "line")), (422, vec!["3".to_owned(), "4".to_owned()]));
    assert_eq!(scene.request("GET", "/v1/mailboxes", "").await.json()["items"], json!([]));
    let good = csv(&scene, "POST", "/v1/mailbox-import?policy=strict", "", "hew\nanna,-\n").await;
    assert_eq!((good.status, good.json()), (200, json!({ "mailboxes": 2 })));
    assert_eq!(why(&scene, "hew").await.0, json!("Strict"));
    assert_eq!(why(&scene, "anna").await.0, Value::Null);
    assert_eq!(csv(&scene, "POST", "/v1/mailbox-import", "", "hew\n").await.status, 422, "no policy at all");
    assert_eq!(csv(&scene, "POST", "/v1/mailbox-import?policy=Strict", "", "\n").await.status, 422);
    assert_eq!(scene.ask("POST", "/v1/mailbox-import?policy=Strict", "", "hew\n").await.status, 415);
}

#[tokio::test]
async fn mailboxes_are_listed_once_whatever_they_are_known_from() {
    let scene = internal_address("").await;
    policy(&scene, "Strict").await;
    for (mailbox, id) in [("dora", "1"), ("anna", "2"), ("anna", "3"), ("gita", "4")] {
        device(&scene, mailbox, id, Version::V14_1).await;
    }
    csv(&scene, "POST", "/v1/mailbox-import?policy=Strict", "", "hew\nanna\ncora\n").await;
    csv(&scene, "PUT", "/v1/groups/All/mailboxes", &at(0), "berta\nhew\nemma\nfrieda\n").await;
    let (mut names, mut after) = (Vec::new(), String::new());
    loop {
        let page = scene.request("GET", &format!("/v1/mailboxes?limit=2{after}"), "").await.json();
        names
            .extend(page["items"].as_array().expect("items").iter().map(|mailbox| mailbox["mailbox"].as_str().expect("a name").to_owned()));
        let Some(next) = page["next"].as_str() else { break };
        after = format!("&after={next}");
    }
    assert_eq!(names, ["anna", "berta", "cora", "dora", "emma", "frieda", "gita", "hew"]);
    let found = scene.request("GET", "/v1/mailboxes?search=RA", "").await.json();
    assert_eq!(found["items"].as_array().map(Vec::len), Some(2), "cora and dora");
}

#[tokio::test]
async fn groups_and_domains_are_read_changed_and_removed() {
    let scene = internal_address("").await;
    policy(&scene, "Strict").await;
    for (root, kind) in [("/v1/groups", "group"), ("/v1/lists", "list")] {
        let path = format!("{root}/Sales");
        assert_eq!(scene.request("GET", &path, "").await.problem(), format!("There is no {kind} of this name."));
        let made = csv(&scene, "PUT", &format!("{path}/mailboxes"), &at(0), "b\na\na\n").await;
        assert_eq!((made.status, &made.json()["mailboxes"]), (200, &json!(2)));
        let changed = scene.ask("PUT", &path, &at(1), "{\"rank\":7}").await.json();
        assert_eq!((&changed["rank"], &changed["mailboxes"], &changed["policy"]), (&json!(7), &json!(2), &Value::Null));
        let members = scene.request("GET", &format!("{path}/mailboxes?limit=1"), "").await.json();
        assert_eq!(members, json!({ "items": ["a"], "next": "a" }));
        assert_eq!(scene.request("GET", root, "").await.json()["items"][0]["name"], "Sales");
        assert_eq!(scene.ask("PUT", &path, &at(2), "{\"mailboxes\":[\"@\"]}").await.status, 400);
        assert_eq!(scene.ask("PUT", &format!("{root}/a%2Fb"), &at(0), "{}").await.status, 422);
        assert_eq!(scene.ask("DELETE", &path, &at(2), "").await.status, 204);
    }
    assert_eq!(scene.ask("PUT", "/v1/domains/example.org", "", "{\"policy\":\"None such\"}").await.status, 404);
    assert_eq!(scene.ask("PUT", "/v1/domains/hew@example.org", "", "{\"policy\":\"Strict\"}").await.status, 422);
    assert_eq!(scene.ask("PUT", "/v1/domains/EXAMPLE.org", "", "{\"policy\":\"Strict\"}").await.status, 200);
    let domains = scene.request("GET", "/v1/domains", "").await.json();
    let revision = domains["items"][0]["revision"].as_u64().expect("a number");
    assert_eq!(domains["items"], json!([{ "domain": "example.org", "policy": "Strict", "revision": revision }]));
    for stale in [0, revision + 7] {
        let answer = scene.ask("PUT", "/v1/domains/example.org", &at(stale), "{\"policy\":\"Strict\"}").await;
        assert_eq!((answer.status, answer.header("etag")), (412, Some(format!("\"{revision}\"").as_str())));
        assert_eq!(scene.ask("DELETE", "/v1/domains/example.org", &at(stale), "").await.status, 412);
    }
    let changed = scene.ask("PUT", "/v1/domains/example.org", &at(revision), "{\"policy\":\"Strict\"}").await;
    let next = format!("\"{}\"", revision + 1);
    assert_eq!((changed.status, changed.header("etag")), (200, Some(next.as_str())));
    assert_eq!(scene.request("GET", "/v1/domains/Example.org", "").await.header("etag"), Some(next.as_str()));
    assert_eq!(scene.request("GET", "/v1/domains/example.com", "").await.status, 404);
    assert_eq!(scene.ask("DELETE", "/v1/domains/example.org", "", "").await.status, 204);
    assert_eq!(scene.ask("DELETE", "/v1/domains/example.org", "", "").await.status, 404);
    // Whoever read the one that was removed does not overwrite what somebody made since.
    assert_eq!(scene.ask("PUT", "/v1/domains/example.org", "", "{\"policy\":\"Strict\"}").await.status, 200);
    assert_eq!(scene.ask("PUT", "/v1/domains/example.org", &at(revision), "{\"policy\":\"Strict\"}").await.status, 412);
}

#[tokio::test]
async fn a_group_of_the_directory_gets_its_policy_here_and_its_members_there() {
    let scene = internal_address("").await;
    policy(&scene, "Strict").await;
    let hew = Mailbox::normalise("hew", None, true).expect("a mailbox");
    let by = crate::store::By { actor: "the directory".into(), source: "ldap.example.org".into(), token: None };
    let found = Group { name: "Sales".into(), mailboxes: [hew].into() };
    scene.store.take_groups(&by, vec![found]).await.expect("taken");
    let shown = scene.request("GET", "/v1/groups/Sales", "").await.json();
    assert_eq!((&shown["origin"], &shown["mailboxes"]), (&json!("directory"), &json!(1)));
    let changed = scene.ask("PUT", "/v1/groups/Sales", &at(1), "{\"policy\":\"Strict\"}").await;
    assert_eq!((changed.status, &changed.json()["policy"]), (200, &json!("Strict")));
    assert_eq!(why(&scene, "hew").await.0, json!("Strict"));
    let refused = scene.ask("PUT", "/v1/groups/Sales", &at(2), "{\"mailboxes\":[]}").await;
    assert!(refused.status == 409 && refused.problem().contains("comes from the directory"), "{}", refused.body);
    assert_eq!(csv(&scene, "PUT", "/v1/groups/Sales/mailboxes", &at(2), "anna\n").await.status, 409);
    assert_eq!(scene.ask("DELETE", "/v1/groups/Sales", &at(2), "").await.status, 409);
    scene.store.take_groups(&by, Vec::new()).await.expect("taken");
    assert_eq!(scene.request("GET", "/v1/groups/Sales", "").await.json()["origin"], "gone");
    assert_eq!(scene.ask("DELETE", "/v1/groups/Sales", &at(3), "").await.status, 204);
}

#[tokio::test]
async fn a_debug_log_is_begun_listed_ended_and_accounted_for() {
    let scene = internal_address("").await;
    let path = "/v1/mailboxes/debugged/debug";
    let none = scene.request("GET", path, "").await.json();
    assert_eq!((&none["mailbox"], &none["until"]), (&json!("debugged"), &Value::Null));
    assert_eq!(scene.ask("DELETE", path, "", "").await.status, 404);
    for bad in ["{\"minutes\":0}", "{\"minutes\":1441}", "{\"hours\":1}", "[]"] {
        assert_eq!(scene.ask("PUT", path, "", bad).await.status, 422, "{bad}");
    }
    let begun = scene.ask("PUT", path, "", "{\"minutes\":1440}").await;
    assert_eq!(begun.status, 200, "{}", begun.body);
    let (begun, shown) = (begun.json(), scene.request("GET", path, "").await.json());
    assert!(begun["since"].is_string() && begun["until"].as_str() > begun["since"].as_str(), "{begun}");
    assert_eq!(shown, begun);
    let listed = scene.request("GET", "/v1/debug-logs", "").await.json();
    assert!(listed["items"].as_array().is_some_and(|items| items.contains(&begun)), "{listed}");
    let shorter = scene.ask("PUT", path, "", "{}").await.json();
    assert_eq!(shorter["since"], begun["since"], "it goes on");
    assert!(shorter["until"].as_str() < begun["until"].as_str());
    assert_eq!(scene.ask("DELETE", path, "", "").await.status, 204);
    let trail = scene.request("GET", "/v1/audit?mailbox=debugged", "").await.json();
    let told: Vec<&str> = trail["items"].as_array().expect("entries").iter().filter_map(|entry| entry["detail"].as_str()).collect();
    assert_eq!(told, ["ended", "for 30 minutes", "for 1440 minutes"]);
}
