//! Access rules, tokens, the audit trail, the OpenAPI document.

use serde_json::json;

use super::{at, device, policy};
use crate::admin::tests::scene::internal_address;
use crate::logic::eas::Version;

#[tokio::test]
async fn rules_are_replaced_as_a_whole_and_devices_decided_by_them() {
    let scene = internal_address("").await;
    device(&scene, "hew", "abc", Version::V14_1).await;
    let rules = json!({ "default": "allow", "rules": [{ "about": "user_agent", "pattern": "phone/*", "access": "quarantine" }] });
    let put = scene.ask("PUT", "/v1/access-rules", &at(0), &rules.to_string()).await;
    assert_eq!((put.status, put.header("etag"), put.json()), (200, Some("\"1\""), rules.clone()));
    assert_eq!(scene.request("GET", "/v1/access-rules", "").await.json(), rules);
    // Devices are decided anew within seconds, by the writer.
    let began = std::time::Instant::now();
    while scene.request("GET", "/v1/devices/hew/abc", "").await.json()["access_state"] != "quarantined" {
        assert!(began.elapsed().as_secs() < 30, "the device is not decided anew");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    for bad in [
        json!({ "default": "allow" }),
        json!({ "default": "maybe", "rules": [] }),
        json!({ "default": "allow", "rules": [{ "about": "colour", "pattern": "x", "access": "allow" }] }),
        json!({ "default": "allow", "rules": [{ "about": "os", "pattern": "", "access": "allow" }] }),
        json!({ "default": "allow", "rules": vec![json!({ "about": "os", "pattern": "x", "access": "allow" }); 1_001] }),
    ] {
        assert_eq!(scene.ask("PUT", "/v1/access-rules", &at(1), &bad.to_string()).await.status, 422, "{bad:.80}");
    }
}

#[tokio::test]
async fn a_token_is_shown_once_used_and_revoked() {
    let scene = internal_address("").await;
    let made = scene.ask("POST", "/v1/tokens", "", "{\"name\":\"anna\",\"role\":\"viewer\"}").await;
    assert_eq!(made.status, 201);
    let (id, secret) = (made.json()["id"].as_str().expect("an id").to_owned(), made.json()["token"].as_str().expect("a token").to_owned());
    assert_eq!(scene.ask_as(&secret, "GET", "/v1/policies", "", "").await.status, 200);
    let listed = scene.request("GET", "/v1/tokens", "").await;
    assert!(listed.body.contains(&id) && !listed.body.contains(&secret) && !listed.body.contains("argon2"), "{}", listed.body);
    assert_eq!(listed.json()["items"][0]["made_by"], "token file");
    assert_eq!(scene.ask("DELETE", &format!("/v1/tokens/{id}"), "", "").await.status, 204);
    assert_eq!(scene.ask_as(&secret, "GET", "/v1/policies", "", "").await.status, 401, "at once");
    assert_eq!(scene.ask("DELETE", &format!("/v1/tokens/{id}"), "", "").await.status, 404);
    for bad in ["{\"name\":\"\",\"role\":\"viewer\"}", "{\"name\":\"a\",\"role\":\"god\"}", "{\"name\":\"a\"}"] {
        assert_eq!(scene.ask("POST", "/v1/tokens", "", bad).await.status, 422, "{bad}");
    }
}

#[tokio::test]
async fn whoever_acts_is_in_the_trail_with_what_came_of_it() {
    let scene = internal_address("").await;
    let anna = scene.ask("POST", "/v1/tokens", "", "{\"name\":\"anna\",\"role\":\"admin\"}").await;
    let anna = anna.json()["token"].as_str().expect("a token").to_owned();
    let json = "Content-Type: application/json\r\n";
    scene.ask_as(&anna, "POST", "/v1/policies", json, "{\"name\":\"Strict\"}").await;
    scene.ask_as(&anna, "POST", "/v1/policies", json, "{\"name\":\"Strict\"}").await;
    let trail = scene.request("GET", "/v1/audit?actor=anna", "").await.json();
    let told: Vec<_> =
        trail["items"].as_array().expect("items").iter().map(|entry| (entry["act"].as_str(), entry["outcome"].as_str())).collect();
    assert_eq!(told, [(Some("policy create"), Some("refused")), (Some("policy create"), Some("done"))], "the newest first");
    for _ in 0..3 {
        policy(&scene, &format!("p{}", scene.request("GET", "/v1/audit", "").await.body.len())).await;
    }
    let (mut ids, mut after) = (Vec::new(), String::new());
    loop {
        let page = scene.request("GET", &format!("/v1/audit?limit=2{after}"), "").await.json();
        ids.extend(page["items"].as_array().expect("items").iter().filter_map(|entry| entry["id"].as_u64()));
        let Some(next) = page["next"].as_str() else { break };
        after = format!("&after={next}");
    }
    assert_eq!(ids, [6, 5, 4, 3, 2, 1]);
    assert_eq!(scene.request("GET", "/v1/audit?until=2020-01-01T00:00:00Z", "").await.json()["items"], json!([]));
    for bad in ["since=yesterday", "after=x", "limit=0", "mailbox=@", "who=x"] {
        assert_eq!(scene.request("GET", &format!("/v1/audit?{bad}"), "").await.status, 400, "{bad}");
    }
    assert_eq!(scene.request("DELETE", "/v1/audit", "").await.status, 405);
}

#[tokio::test]
async fn the_gateway_describes_itself() {
    let scene = internal_address("").await;
    let document = scene.request("GET", "/openapi.json", "").await.json();
    assert_eq!(document["openapi"], "3.1.0");
    let settings = &document["components"]["schemas"]["Policy"]["properties"]["settings"]["properties"];
    assert_eq!(settings["min_device_password_length"]["title"], "MinDevicePasswordLength");
    assert!(document["paths"]["/v1/devices/{mailbox}/{device}/wipe"]["post"].is_object());
}
