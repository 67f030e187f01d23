//! `/v1/devices`.

use serde_json::{Value, json};

use super::{device, token};
use crate::admin::tests::scene::{Scene, internal_address};
use crate::logic::eas::Version;
use crate::store::Role;

const PATH: &str = "/v1/devices/hew/abc";

async fn with_device(version: Version) -> Scene {
    let scene = internal_address("").await;
    device(&scene, "hew", "abc", version).await;
    scene
}

#[tokio::test]
async fn a_device_is_shown_with_its_recovery_password_masked() {
    let scene = with_device(Version::V14_1).await;
    for path in [PATH, "/v1/devices/Hew/ABC"] {
        let answer = scene.request("GET", path, "").await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert!(!answer.body.contains("hush"), "{}", answer.body);
        let device = answer.json();
        assert_eq!(device["identity"], "hew\\AirSync-SmartPhone-abc");
        assert_eq!(device["recovery_password"], "********");
        assert_eq!((&device["version"], &device["access_state"]), (&json!("14.1"), &json!("allowed")));
    }
    assert_eq!(scene.request("GET", "/v1/devices/hew/other", "").await.status, 404);
}

#[tokio::test]
async fn a_recovery_password_is_shown_to_admins_and_that_is_entered() {
    let scene = with_device(Version::V14_1).await;
    let path = format!("{PATH}/recovery-password");
    let helpdesk = token(&scene, Role::Helpdesk).await;
    assert_eq!(scene.ask_as(&helpdesk, "GET", &path, "", "").await.status, 403);
    assert_eq!(scene.request("GET", &path, "").await.json(), json!({ "recovery_password": "hush-hush" }));
    let trail = scene.request("GET", "/v1/audit?mailbox=hew", "").await;
    assert_eq!(trail.json()["items"][0]["act"], "recovery password show");
    assert_eq!((&trail.json()["items"][0]["actor"], &trail.json()["items"][0]["source"]), (&json!("token file"), &json!("127.0.0.1")));
    assert!(!trail.body.contains("hush"), "{}", trail.body);
    assert_eq!(scene.request("GET", "/v1/devices/hew/other/recovery-password", "").await.status, 404);
}

#[tokio::test]
async fn a_wipe_is_ordered_once_told_to_the_data_plane_and_taken_back() {
    let scene = with_device(Version::V14_1).await;
    let wipe = format!("{PATH}/wipe");
    let ordered = scene.ask("POST", &wipe, "", "{\"kind\":\"device\"}").await;
    assert_eq!(ordered.status, 200, "{}", ordered.body);
    assert_eq!((&ordered.json()["wipe"]["state"], &ordered.json()["wipe"]["requested_by"]), (&json!("requested"), &json!("token file")));
    let again = scene.ask("POST", &wipe, "", "{\"kind\":\"device\"}").await;
    assert_eq!(again.status, 422);
    assert!(again.problem().contains("already requested"));
    let cancelled = scene.ask("POST", &format!("{PATH}/cancel-wipe"), "", "").await;
    assert_eq!((cancelled.status, &cancelled.json()["wipe"]["state"]), (200, &json!("cancelled")));
    assert_eq!(scene.ask("POST", &format!("{PATH}/cancel-wipe"), "", "").await.status, 422);
    assert_eq!(scene.ask("POST", "/v1/devices/hew/other/wipe", "", "{\"kind\":\"device\"}").await.status, 404);
}

#[tokio::test]
async fn an_account_only_wipe_needs_a_device_that_knows_it() {
    let scene = with_device(Version::V14_1).await;
    let refused = scene.ask("POST", &format!("{PATH}/wipe"), "", "{\"kind\":\"account_only\"}").await;
    assert_eq!(refused.status, 422);
    assert!(refused.problem().contains("16.1"));
    device(&scene, "hew", "new", Version::V16_1).await;
    let ordered = scene.ask("POST", "/v1/devices/hew/new/wipe", "", "{\"kind\":\"account_only\"}").await;
    assert_eq!((ordered.status, &ordered.json()["wipe"]["kind"]), (200, &json!("account_only")));
}

#[tokio::test]
async fn a_device_is_blocked_and_left_to_the_rules_again() {
    let scene = with_device(Version::V14_1).await;
    for (access, state) in [("\"block\"", "blocked"), ("\"quarantine\"", "quarantined"), ("\"allow\"", "allowed"), ("null", "allowed")] {
        let answer = scene.ask("PATCH", PATH, "", &format!("{{\"access\":{access}}}")).await;
        assert_eq!((answer.status, &answer.json()["access_state"]), (200, &json!(state)));
    }
    assert_eq!(scene.request("GET", PATH, "").await.json()["access_why"], "the default");
}

#[tokio::test]
async fn of_two_who_read_the_same_the_second_is_told() {
    let scene = with_device(Version::V14_1).await;
    let read = scene.request("GET", PATH, "").await;
    let if_match = format!("If-Match: {}\r\n", read.header("etag").expect("a revision"));
    assert_eq!(scene.ask("PATCH", PATH, &if_match, "{\"access\":\"block\"}").await.status, 200);
    let second = scene.ask("PATCH", PATH, &if_match, "{\"access\":\"allow\"}").await;
    assert!(second.status == 412 && second.problem().contains("Somebody changed it"), "{}", second.body);
    assert_eq!(scene.ask("DELETE", PATH, &if_match, "").await.status, 412);
    assert_eq!(scene.ask("PATCH", PATH, "If-Match: 1\r\n", "{\"access\":\"allow\"}").await.status, 412, "no ETag of ours");
    let device = scene.request("GET", PATH, "").await.json();
    assert_eq!((&device["access_state"], &device["own_access"]), (&json!("blocked"), &json!("block")));
    assert_eq!(scene.ask("PATCH", PATH, "If-Match: *\r\n", "{\"access\":\"allow\"}").await.status, 200);
}

#[tokio::test]
async fn an_order_to_erase_keeps_a_device_from_being_forgotten_and_says_so() {
    let scene = with_device(Version::V16_1).await;
    let wipe = format!("{PATH}/wipe");
    assert_eq!(scene.ask("POST", &wipe, "", "{\"kind\":\"device\"}").await.status, 200);
    let weaker = scene.ask("POST", &wipe, "", "{\"kind\":\"account_only\"}").await;
    assert!(weaker.status == 409 && weaker.problem().contains("ordered by token file"), "{}", weaker.body);
    let refused = scene.ask("DELETE", PATH, "", "").await;
    assert!(refused.status == 409 && refused.problem().contains("would be forgotten"), "{}", refused.body);
    assert_eq!(scene.ask("DELETE", &format!("{PATH}?forget_wipe=perhaps"), "", "").await.status, 400);
    assert_eq!(scene.ask("DELETE", &format!("{PATH}?forget_wipe=true"), "", "").await.status, 204);
}

#[tokio::test]
async fn a_removed_device_is_gone() {
    let scene = with_device(Version::V14_1).await;
    assert_eq!(scene.ask("DELETE", PATH, "", "").await.status, 204);
    assert_eq!(scene.ask("DELETE", PATH, "", "").await.status, 404);
    assert_eq!(scene.request("GET", "/v1/devices", "").await.json(), json!({ "items": [], "next": null }));
}

#[tokio::test]
async fn devices_are_filtered_and_paged() {
    let scene = internal_address("").await;
    for (mailbox, id) in [("hew", "a"), ("hew", "b"), ("anna", "c"), ("anna", "d"), ("berta", "e")] {
        device(&scene, mailbox, id, Version::V14_1).await;
    }
    scene.ask("PATCH", "/v1/devices/anna/d", "", "{\"access\":\"block\"}").await;
    let ids = |page: &Value| {
        page["items"].as_array().expect("items").iter().map(|d| d["device_id"].as_str().expect("id").to_owned()).collect::<String>()
    };
    for (query, wanted) in [
        ("mailbox=hew", "ab"),
        ("mailbox=hew&device=B", "b"),
        ("access=blocked", "d"),
        ("search=PHONE", "abcde"),
        ("search=ann", "cd"),
        ("wipe=requested", ""),
        ("policy=Strict", ""),
        ("last_seen_before=2020-01-01T00:00:00Z", ""),
    ] {
        assert_eq!(ids(&scene.request("GET", &format!("/v1/devices?{query}"), "").await.json()), wanted, "{query}");
    }
    let first = scene.request("GET", "/v1/devices?limit=2", "").await.json();
    let next = first["next"].as_str().expect("more");
    let second = scene.request("GET", &format!("/v1/devices?limit=3&after={next}"), "").await.json();
    assert_eq!((ids(&first).as_str(), ids(&second).as_str(), &second["next"]), ("ab", "cde", &Value::Null));
    let long = format!("search={}", "x".repeat(256));
    for bad in [
        long.as_str(),
        "access=banned",
        "wipe=x",
        "after=x",
        "after=-1",
        "after=99999999999999999999",
        "device=",
        "mailbox=@",
        "last_seen_before=now",
        "no=1",
    ] {
        assert_eq!(scene.request("GET", &format!("/v1/devices?{bad}"), "").await.status, 400, "{bad}");
    }
}

/// The gateway of these tests says so of this one.
#[tokio::test]
async fn devices_that_get_nowhere_are_shown_and_listed() {
    let scene = with_device(Version::V14_1).await;
    device(&scene, "looping@example.org", "LOOPS", Version::V14_1).await;
    let ids = async |query: &str| {
        let page = scene.request("GET", &format!("/v1/devices{query}"), "").await.json();
        page["items"]
            .as_array()
            .expect("items")
            .iter()
            .map(|item| item["device_id"].as_str().expect("an id").to_lowercase())
            .collect::<Vec<_>>()
    };
    assert_eq!(ids("?looping=true").await, ["loops"]);
    assert_eq!(ids("?looping=true&mailbox=hew").await, Vec::<String>::new());
    assert_eq!(ids("?looping=false").await, ["abc", "loops"]);
    let shown = scene.request("GET", "/v1/devices/looping@example.org/LOOPS", "").await.json();
    assert_eq!(shown["loops"][0]["count"], 12);
    assert_eq!(scene.request("GET", PATH, "").await.json()["loops"], json!([]));
    assert_eq!(scene.request("GET", "/v1/devices?looping=true", "").await.json()["items"][0]["loops"][0]["kind"], "syncs");
}
