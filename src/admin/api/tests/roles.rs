//! Who may do what: every operation of the table, with every role.

use axum::routing::MethodFilter;

use super::{at, device, policy, token};
use crate::admin::api::all;
use crate::admin::api::operation::CSV;
use crate::admin::tests::scene::internal_address;
use crate::logic::eas::Version;
use crate::store::Role;

fn word(method: MethodFilter) -> &'static str {
    let words = [(MethodFilter::GET, "GET"), (MethodFilter::POST, "POST"), (MethodFilter::PUT, "PUT"), (MethodFilter::PATCH, "PATCH")];
    words.into_iter().find(|(known, _)| *known == method).map_or("DELETE", |(_, word)| word)
}

/// A path whose parameters are names of nothing.
fn filled(path: &str) -> String {
    path.split('/').map(|part| if part.starts_with('{') { "x" } else { part }).collect::<Vec<_>>().join("/")
}

#[tokio::test]
async fn every_operation_is_refused_to_lesser_roles_and_to_strangers() {
    let scene = internal_address("").await;
    let (mut tokens, mut refused) = (Vec::new(), 0);
    for role in Role::ALL {
        tokens.push((role, token(&scene, role).await));
    }
    for operation in all() {
        let (method, path) = (word(operation.method), filled(operation.path));
        let Some(needed) = operation.role else {
            assert_eq!(scene.request_as("", method, &path, "").await.status, 200, "{method} {path}");
            continue;
        };
        assert_eq!(scene.request_as("", method, &path, "").await.status, 401, "{method} {path}");
        for (role, token) in &tokens {
            let answer = scene.ask_as(token, method, &path, "", "").await;
            if *role < needed {
                refused += 1;
                assert_eq!(answer.status, 403, "{method} {path} as {role:?}");
                assert!(answer.problem().contains(needed.name()), "{}", answer.body);
            } else {
                assert!(answer.status != 403 && answer.status != 401, "{method} {path} as {role:?}: {}", answer.body);
            }
        }
    }
    assert!(refused > 30, "{refused}");
}

#[tokio::test]
async fn what_two_could_overwrite_for_each_other_needs_the_revision_that_was_read() {
    let scene = internal_address("").await;
    policy(&scene, "x").await;
    let csv = "Content-Type: text/csv\r\n";
    let made = scene.ask_as(&scene.token, "PUT", "/v1/groups/x/mailboxes", &format!("{csv}{}", at(0)), "hew\n").await;
    assert_eq!(made.status, 200, "{}", made.body);
    assert_eq!(scene.ask("PUT", "/v1/lists/x", &at(0), "{\"rank\":1}").await.status, 200);
    let mut found = 0;
    for operation in all().into_iter().filter(|operation| operation.needs_revision) {
        found += 1;
        let (method, path) = (word(operation.method), filled(operation.path));
        let body = match operation.path {
            "/v1/policies/{policy}" => "{\"settings\":{}}",
            "/v1/default-policy" => "{\"policy\":null}",
            "/v1/access-rules" => "{\"default\":\"allow\",\"rules\":[]}",
            _ => "{}",
        };
        let takes = operation.takes.map_or("application/json", |(content_type, _)| content_type);
        let body = if takes == CSV { "hew\n" } else { body };
        let head = |more: &str| format!("Content-Type: {takes}\r\n{more}");
        let missing = scene.ask_as(&scene.token, method, &path, &head(""), body).await;
        assert_eq!(missing.status, 428, "{method} {path}: {}", missing.body);
        for stale in ["If-Match: \"77\"\r\n", "If-Match: W/\"1\"\r\n", "If-Match: 1\r\n"] {
            let answer = scene.ask_as(&scene.token, method, &path, &head(stale), body).await;
            assert_eq!(answer.status, 412, "{method} {path}: {}", answer.body);
            let present = answer.json()["revision"].as_u64().expect("the present revision");
            assert_eq!(answer.header("etag"), Some(format!("\"{present}\"").as_str()));
        }
    }
    assert!(found >= 9, "{found}");
}

#[tokio::test]
async fn bodies_that_are_not_json_or_say_too_much_are_told_apart() {
    let scene = internal_address("").await;
    device(&scene, "hew", "abc", Version::V14_1).await;
    let path = "/v1/devices/hew/abc";
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    assert_eq!(scene.ask_as(&scene.token, "PATCH", path, form, "{\"access\":\"block\"}").await.status, 415);
    assert_eq!(scene.ask("PATCH", path, "", "{\"access\":").await.status, 400);
    for body in ["{\"access\":\"ban\"}", "{}", "[]", "{\"access\":\"block\",\"also\":1}"] {
        let answer = scene.ask("PATCH", path, "", body).await;
        assert_eq!(answer.status, 422, "{body}");
        assert!(answer.problem().starts_with("Nothing was changed"), "{}", answer.body);
    }
    let device = scene.request("GET", path, "").await.json();
    assert_eq!(device["access_state"], "allowed");
}

#[tokio::test]
async fn a_page_of_another_site_changes_nothing_through_a_browser_that_knows_the_password() {
    let scene = internal_address("").await;
    device(&scene, "hew", "abc", Version::V14_1).await;
    for (site, status) in [("cross-site", 403), ("same-site", 403), ("same-origin", 422), ("none", 422)] {
        let answer = scene.ask("POST", "/v1/devices/hew/abc/cancel-wipe", &format!("Sec-Fetch-Site: {site}\r\n"), "").await;
        assert_eq!(answer.status, status, "{site}: {}", answer.body);
    }
}

#[tokio::test]
async fn who_is_refused_for_their_role_is_in_the_trail() {
    let scene = internal_address("").await;
    device(&scene, "hew", "abc", Version::V14_1).await;
    let helpdesk = token(&scene, Role::Helpdesk).await;
    assert_eq!(scene.ask_as(&helpdesk, "GET", "/v1/devices/hew/ABC/recovery-password", "", "").await.status, 403);
    let entry = scene.request("GET", "/v1/audit?mailbox=hew", "").await.json()["items"][0].clone();
    let word = |name: &str| entry[name].as_str().unwrap_or_default().to_owned();
    assert_eq!((word("act").as_str(), word("outcome").as_str(), word("actor").as_str()), ("not allowed", "refused", "helpdesk"));
    assert_eq!((word("device_id").as_str(), word("subject").as_str()), ("abc", "GET /v1/devices/hew/ABC/recovery-password"));
    assert!(word("detail").contains("needs the role admin"), "{entry}");
    assert!(helpdesk.contains(&word("token")) && !word("token").is_empty(), "{entry}");
    for _ in 0..200 {
        scene.ask_as(&helpdesk, "GET", "/v1/tokens", "", "").await;
    }
    let entries = scene.request("GET", "/v1/audit?actor=helpdesk&limit=1000", "").await.json()["items"].as_array().map_or(0, Vec::len);
    assert!((100..=125).contains(&entries), "not without end: {entries}");
}
