//! `/v1/policies` and the default.

use serde_json::{Value, json};

use super::{at, errors, policy};
use crate::admin::tests::scene::internal_address;
use crate::logic::policy::{Kind, Setting};

#[tokio::test]
async fn a_policy_is_made_changed_and_removed() {
    let scene = internal_address("").await;
    let body =
        json!({ "name": "Strict policy", "settings": { "DevicePasswordEnabled": true, "max_inactivity_time_device_lock_s": "15m" } });
    let made = scene.ask("POST", "/v1/policies", "", &body.to_string()).await;
    assert_eq!((made.status, made.header("location"), made.header("etag")), (201, Some("/v1/policies/Strict%20policy"), Some("\"1\"")));
    assert_eq!(made.json()["settings"], json!({ "device_password_enabled": true, "max_inactivity_time_device_lock_s": 900 }));
    assert_eq!(made.json()["effective"]["min_device_password_length"], 4, "the default");

    let path = "/v1/policies/strict%20POLICY";
    let changed =
        scene.ask("PATCH", path, &at(1), "{\"settings\":{\"allow_camera\":false,\"max_inactivity_time_device_lock_s\":null}}").await;
    assert_eq!((changed.status, changed.header("etag")), (200, Some("\"2\"")));
    assert_eq!(changed.json()["settings"], json!({ "device_password_enabled": true, "allow_camera": false }));
    assert_eq!(scene.request("GET", path, "").await.json(), changed.json());

    assert_eq!(scene.ask("DELETE", path, &at(1), "").await.status, 412);
    assert_eq!(scene.ask("DELETE", path, &at(2), "").await.status, 204);
    assert_eq!(scene.request("GET", path, "").await.status, 404);
    assert_eq!(scene.ask("PATCH", path, &at(2), "{\"settings\":{}}").await.status, 404);
}

#[tokio::test]
async fn every_bad_setting_is_named_at_once_and_nothing_is_half_saved() {
    let scene = internal_address("").await;
    policy(&scene, "Strict").await;
    let settings = json!({ "MinDevicePasswordLength": 17, "allow_camera": "perhaps", "no_such": 1, "allow_wifi": false });
    let answer = scene.ask("PATCH", "/v1/policies/Strict", &at(1), &json!({ "settings": settings }).to_string()).await;
    assert_eq!(answer.status, 422);
    let mut named = errors(&answer, "setting");
    named.sort();
    assert_eq!(named, ["AllowCamera", "MinDevicePasswordLength", "null"]);
    let ranges = errors(&answer, "range");
    assert!(ranges.iter().any(|range| range.contains("from 1 to 16")), "{ranges:?}");
    let contradiction = scene.ask("PATCH", "/v1/policies/Strict", &at(1), "{\"settings\":{\"min_device_password_length\":6}}").await;
    assert_eq!(contradiction.status, 422);
    assert!(errors(&contradiction, "detail")[0].contains("DevicePasswordEnabled"), "{}", contradiction.body);
    let there = scene.request("GET", "/v1/policies/Strict", "").await.json();
    assert_eq!((&there["settings"], &there["revision"]), (&json!({}), &json!(1)));
}

#[tokio::test]
async fn of_two_administrators_the_second_is_told() {
    let scene = internal_address("").await;
    policy(&scene, "Strict").await;
    assert_eq!(scene.ask("PATCH", "/v1/policies/Strict", &at(1), "{\"settings\":{\"allow_wifi\":false}}").await.status, 200);
    let second = scene.ask("PATCH", "/v1/policies/Strict", &at(1), "{\"settings\":{\"allow_camera\":false}}").await;
    assert_eq!((second.status, second.header("etag")), (412, Some("\"2\"")));
    assert!(second.problem().contains("revision 2"));
    let over = scene.ask("PATCH", "/v1/policies/Strict", "If-Match: *\r\n", "{\"settings\":{\"allow_camera\":false}}").await;
    assert_eq!(over.status, 200, "who says * means it");
}

#[tokio::test]
async fn a_policy_that_something_names_stays() {
    let scene = internal_address("").await;
    policy(&scene, "Strict").await;
    assert_eq!(scene.ask("POST", "/v1/policies", "", "{\"name\":\"STRICT\"}").await.status, 409, "one name in any case");
    assert_eq!(scene.ask("PUT", "/v1/default-policy", &at(0), "{\"policy\":\"none such\"}").await.status, 404);
    assert_eq!(scene.ask("PUT", "/v1/default-policy", &at(0), "{}").await.status, 422, "none is said as null");
    let chosen = scene.ask("PUT", "/v1/default-policy", &at(0), "{\"policy\":\"strict\"}").await;
    assert_eq!((chosen.status, chosen.json()), (200, json!({ "policy": "Strict" })));
    let refused = scene.ask("DELETE", "/v1/policies/Strict", &at(1), "").await;
    assert_eq!(refused.status, 409);
    assert!(refused.json()["used_by"].as_array().is_some_and(|users| users.len() == 1), "{}", refused.body);
    assert_eq!(scene.ask("PUT", "/v1/default-policy", &at(1), "{\"policy\":null}").await.status, 200);
    assert_eq!(scene.ask("DELETE", "/v1/policies/Strict", &at(1), "").await.status, 204);
}

#[tokio::test]
async fn policies_come_a_page_at_a_time() {
    let scene = internal_address("").await;
    for name in ["b", "a", "C", "d d"] {
        policy(&scene, name).await;
    }
    let mut names = Vec::new();
    let mut path = "/v1/policies?limit=3".to_owned();
    loop {
        let page = scene.request("GET", &path, "").await.json();
        names.extend(page["items"].as_array().expect("items").iter().map(|policy| policy["name"].as_str().expect("a name").to_owned()));
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/v1/policies?limit=3&after={next}");
    }
    assert_eq!(names, ["a", "b", "C", "d d"]);
    for bad in ["limit=0", "limit=1001", "limit=x", "before=1"] {
        let answer = scene.request("GET", &format!("/v1/policies?{bad}"), "").await;
        assert_eq!(answer.status, 400, "{bad}");
        answer.problem();
    }
}

/// Both ends of every range, every word, and what lies just outside.
#[tokio::test]
async fn every_setting_goes_in_and_comes_out_as_it_was() {
    let scene = internal_address("").await;
    let base = json!({ "device_password_enabled": true, "alphanumeric_device_password_required": true });
    let body = json!({ "name": "All", "settings": base });
    assert_eq!(scene.ask("POST", "/v1/policies", "", &body.to_string()).await.status, 201);
    for setting in Setting::ALL {
        let key = setting.definition().key;
        let (good, bad) = samples(setting);
        for value in good {
            let body = json!({ "settings": { key: value } }).to_string();
            let answer = scene.ask("PATCH", "/v1/policies/All", "If-Match: *\r\n", &body).await;
            // The two that others rest on cannot be taken away from under them.
            let is_rest = matches!(key, "device_password_enabled" | "alphanumeric_device_password_required");
            assert!(answer.status == 200 || is_rest, "{body}: {}", answer.body);
            let there = scene.request("GET", "/v1/policies/All", "").await.json();
            assert!(there["effective"][key] == value || is_rest, "{body}: {}", there["effective"][key]);
        }
        for value in bad {
            let body = json!({ "settings": { key: value } }).to_string();
            let answer = scene.ask("PATCH", "/v1/policies/All", "If-Match: *\r\n", &body).await;
            assert_eq!(answer.status, 422, "{body}");
            assert_eq!(errors(&answer, "setting"), [setting.name()]);
        }
    }
}

/// Values a setting may have, and some it may not.
fn samples(setting: Setting) -> (Vec<Value>, Vec<Value>) {
    match setting.definition().kind {
        Kind::Bool => (vec![json!(false), json!(true)], vec![json!(2), json!("maybe"), json!([]), json!({})]),
        Kind::Number { min, max, no_limit, .. } => {
            let good = [json!(min), json!(max)].into_iter().chain(no_limit.map(|word| json!(word)));
            let over = (max < u32::MAX).then(|| json!(u64::from(max) + 1));
            let under = (min > 0).then(|| json!(min - 1));
            (good.collect(), over.into_iter().chain(under).chain([json!(-1), json!(true), json!(1.5)]).collect())
        }
        Kind::Choice(words) => (words.iter().map(|(word, _)| json!(word)).collect(), vec![json!("Sometimes"), json!(1)]),
        Kind::Names => (vec![json!(["a.exe", "b c.exe"]), json!([])], vec![json!([""]), json!([1]), json!(["a,b"])]),
        Kind::Hashes => (vec![json!(["2fd4e1c67a2d28fced849ee1bb76e7391b93eb12"]), json!([])], vec![json!(["not a hash"]), json!("x")]),
    }
}
