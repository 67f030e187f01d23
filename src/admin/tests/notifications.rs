//! Notifications in: our own and Dovecot's, in order, repeated, wrong, too many.

use std::fs;
use std::path::Path;
use std::sync::atomic::Ordering;

use super::scene::internal_address;
use crate::config::limits::{NOTIFICATION_BODY_BYTES_MAX, NOTIFICATIONS_MAX};
use crate::logic::eas::{Class, FolderId};
use crate::logic::hold::Scope;
use crate::notify::Source;

const HEW: &str = "hew@example.org";
const DOMAIN: &str = "[mailbox]\ndefault_domain = \"example.org\"\n";

fn folder(name: &str) -> Scope {
    Scope::FolderName(name.into())
}

#[tokio::test]
async fn a_notification_reaches_the_lots_and_the_answer_counts_the_woken() {
    let scene = internal_address(DOMAIN).await;
    let answer = scene.notify(r#"{"mailbox":"EXAMPLE\\Hew","folder":"INBOX","subject":"not our business"}"#).await;
    assert_eq!((answer.status, answer.json()), (202, serde_json::json!({"accepted": 1, "repeated": 0, "woken": 1})));
    assert_eq!(scene.changes(), [(Source::Webhook, HEW.into(), folder("INBOX"))]);
}

#[tokio::test]
async fn an_array_is_one_batch_in_its_order() {
    let scene = internal_address(DOMAIN).await;
    let body = r#"[{"mailbox":"hew"},{"mailbox":"hew","class":"Calendar"},{"mailbox":"kim","folder_id":"5"},{"mailbox":"kim","folder":"Work/2024"}]"#;
    let answer = scene.notify(body).await;
    assert_eq!((answer.status, answer.json()["accepted"].as_u64(), answer.json()["woken"].as_u64()), (202, Some(4), Some(4)));
    let id = FolderId::new("5").expect("an id");
    let expected = [
        (HEW, Scope::Mailbox),
        (HEW, Scope::Class(Class::Calendar)),
        ("kim@example.org", Scope::FolderId(id)),
        ("kim@example.org", folder("Work/2024")),
    ];
    assert_eq!(scene.changes(), expected.map(|(mailbox, scope)| (Source::Webhook, mailbox.to_owned(), scope)));
    assert_eq!(scene.notify("[]").await.json()["accepted"], 0);
}

#[tokio::test]
async fn a_repeat_is_accepted_and_wakes_nobody() {
    let scene = internal_address(DOMAIN).await;
    let body = r#"[{"mailbox":"hew","id":"a1"},{"mailbox":"hew","id":"a1"},{"mailbox":"hew","folder":"INBOX","id":"a1"}]"#;
    assert_eq!(scene.notify(body).await.json(), serde_json::json!({"accepted": 3, "repeated": 1, "woken": 2}));
    assert_eq!(scene.notify(body).await.json(), serde_json::json!({"accepted": 3, "repeated": 3, "woken": 0}));
    assert_eq!(scene.changes().len(), 2);
    let without_id = r#"{"mailbox":"hew"}"#;
    scene.notify(without_id).await;
    scene.notify(without_id).await;
    assert_eq!(scene.changes().len(), 2);
}

#[tokio::test]
async fn an_overloaded_lot_means_503_and_the_senders_repeat_counts() {
    let scene = internal_address(DOMAIN).await;
    scene.sink.overloaded.store(true, Ordering::SeqCst);
    let body = r#"{"mailbox":"hew","id":"a1"}"#;
    let answer = scene.notify(body).await;
    assert_eq!(answer.status, 503);
    assert!(answer.head.contains("retry-after: 1"), "{}", answer.head);
    assert!(answer.problem().contains("send all of it again"));
    scene.sink.overloaded.store(false, Ordering::SeqCst);
    assert_eq!(scene.notify(body).await.json()["repeated"], 0);
    assert_eq!(scene.changes().len(), 1);
}

#[tokio::test]
async fn lots_that_take_their_time_leave_the_count_open() {
    let scene = internal_address(DOMAIN).await;
    scene.sink.silent.store(true, Ordering::SeqCst);
    let answer = scene.notify(r#"{"mailbox":"hew"}"#).await;
    assert_eq!((answer.status, answer.json()["woken"].is_null()), (202, true));
    let answer = scene.request("PUT", "/v1/dovecot", r#"{"user":"hew","event":"messageNew","folder":"INBOX"}"#).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, ""));
}

#[tokio::test]
async fn one_bad_entry_is_named_and_nothing_is_applied() {
    let scene = internal_address(DOMAIN).await;
    let answer = scene.notify(r#"[{"mailbox":"hew","id":"1"},{"folder":"INBOX"},{"mailbox":"hew","class":"Mail"}]"#).await;
    assert_eq!(answer.status, 422);
    assert!(answer.problem().starts_with("Nothing was applied: 2 entries are wrong"));
    let errors = answer.json()["errors"].clone();
    assert_eq!((&errors[0]["index"], &errors[1]["index"]), (&1.into(), &2.into()));
    assert!(errors[1]["detail"].as_str().expect("a sentence").contains("Email, Calendar"));
    assert!(scene.changes().is_empty());
    assert_eq!(scene.notify(r#"{"mailbox":"hew","id":"1"}"#).await.json()["repeated"], 0);
}

#[tokio::test]
async fn what_is_not_json_is_400() {
    let scene = internal_address("").await;
    for body in ["", "{", "mailbox=hew", "[{\"mailbox\":\"hew\"}", "{\"mailbox\":\"hew\"}{}", "17"] {
        let answer = scene.notify(body).await;
        assert_eq!(answer.status, 400, "{body}");
        assert!(answer.problem().contains("not JSON"));
    }
    assert!(scene.changes().is_empty());
}

#[tokio::test]
async fn too_long_a_body_and_too_many_entries_are_413() {
    let scene = internal_address("").await;
    let head = |length: usize| {
        format!(
            "POST /v1/notifications HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {}\r\nContent-Length: {length}\r\n\r\n",
            scene.token
        )
    };
    // Announced: refused before a byte of it came.
    let answer = scene.raw(head(NOTIFICATION_BODY_BYTES_MAX + 1).as_bytes()).await;
    assert_eq!(answer.status, 413);
    assert!(answer.problem().contains("several requests"));
    // Chunked: refused when the bound is passed; the last chunk is missing, so that nothing unread is left to reset the answer.
    let chunked = head(0).replace("Content-Length: 0", "Transfer-Encoding: chunked");
    let mut request = format!("{chunked}{:x}\r\n", NOTIFICATION_BODY_BYTES_MAX + 1).into_bytes();
    request.resize(request.len() + NOTIFICATION_BODY_BYTES_MAX + 1, b' ');
    assert_eq!(scene.raw(&request).await.status, 413);
    let many = format!("[{}]", vec![r#"{"mailbox":"a"}"#; NOTIFICATIONS_MAX + 1].join(","));
    assert_eq!(scene.notify(&many).await.status, 413);
    assert!(scene.changes().is_empty());
}

#[tokio::test]
async fn a_switched_off_source_is_not_there_but_a_person_may_still_notify() {
    let scene = internal_address("[notify.webhook]\nenabled = false\n[notify.dovecot]\nenabled = false\n").await;
    let answer = scene.notify(r#"{"mailbox":"hew"}"#).await;
    assert_eq!(answer.status, 404);
    assert!(answer.problem().contains("notify.webhook.enabled"));
    let answer = scene.request("PUT", "/v1/dovecot", "{}").await;
    assert!(answer.status == 404 && answer.problem().contains("notify.dovecot.enabled"));
    let answer = scene.request("POST", "/v1/notifications?source=manual", r#"{"mailbox":"hew"}"#).await;
    assert_eq!(answer.status, 202);
    assert_eq!(scene.changes(), [(Source::Manual, "hew".to_owned(), Scope::Mailbox)]);
    assert_eq!(scene.request("POST", "/v1/notifications?source=x", "{}").await.status, 400);
}

/// A captured request, sent to our path with our token, and otherwise byte for byte.
fn captured(path: &Path, token: &str) -> Vec<u8> {
    let bytes = fs::read_to_string(path).expect("captured text");
    let (first, rest) = bytes.split_once("\r\n").expect("a request line");
    let method = first.split(' ').next().expect("a method");
    let own: Vec<&str> = rest.split("\r\n").filter(|line| !line.starts_with("Authorization:")).collect();
    // Keep-alive is real, but a test wants an end.
    let own = own.join("\r\n").replace("Connection: Keep-Alive", "Connection: close");
    format!("{method} /v1/dovecot HTTP/1.1\r\nAuthorization: Bearer {token}\r\n{own}").into_bytes()
}

/// What each capture means; the number at a name's end is the order in which they came.
fn meaning(name: &str) -> Option<Scope> {
    match name {
        // The same message reported twice: after a dropped connection, after two seconds of silence.
        "l-drop-005.http" | "m-slow-007.http" => None,
        "y-lua-mailbox-028.http" | "y-lua-mailbox-030.http" | "y-lua-mailbox-031.http" => Some(Scope::Hierarchy),
        "y-lua-mailbox-029.http" => None,
        "z-lua-otherfolder-032.http" => Some(folder("Work")),
        _ => Some(folder("INBOX")),
    }
}

#[tokio::test]
async fn every_request_captured_from_dovecot_is_understood() {
    let scene = internal_address("[mailbox]\ndefault_domain = \"example.test\"\n").await;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/dovecot");
    let mut files: Vec<_> = fs::read_dir(folder).expect("captures").map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    assert_eq!(files.len(), 33);
    for file in files {
        let name = file.file_name().and_then(|name| name.to_str()).expect("a name");
        let answer = scene.raw(&captured(&file, &scene.token)).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, ""), "{name}");
        let user = if name.starts_with("t-user") { "via-imap@example.test" } else { "u1@example.test" };
        let expected: Vec<_> = meaning(name).map(|scope| (Source::Dovecot, user.to_owned(), scope)).into_iter().collect();
        assert_eq!(scene.changes(), expected, "{name}");
    }
}

#[tokio::test]
async fn dovecot_keeps_one_connection_for_many_requests() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let scene = internal_address("").await;
    let mut stream = tokio::net::TcpStream::connect(scene.address).await.expect("connected");
    for uid in 1..=3 {
        let body = format!(r#"{{"user":"u1","event":"messageNew","folder":"INBOX","imap-uidvalidity":7,"imap-uid":{uid}}}"#);
        let head = format!(
            "PUT /v1/dovecot HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Length: {}\r\n\r\n",
            scene.token,
            body.len()
        );
        stream.write_all(format!("{head}{body}").as_bytes()).await.expect("sent");
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            answer.push(stream.read_u8().await.expect("answered"));
        }
        assert!(answer.starts_with(b"HTTP/1.1 200"));
    }
    assert_eq!(scene.changes().len(), 3);
}

#[tokio::test]
async fn mail_of_the_canary_is_heard_and_reaches_nobody() {
    let scene = internal_address("[notify.canary]\nmailbox = \"canary@example.org\"\n").await;
    assert!(scene.supervisor.sources().iter().all(|source| source.heard.is_none()));
    let body = r#"[{"user":"canary@example.org","event":"MessageNew","folder":"INBOX","uidvalidity":1,"uid":1},
        {"user":"hew@example.org","event":"MessageNew","folder":"INBOX","uidvalidity":1,"uid":1}]"#;
    assert_eq!(scene.request("PUT", "/v1/dovecot", body).await.status, 200);
    assert_eq!(scene.changes().into_iter().map(|(_, mailbox, _)| mailbox).collect::<Vec<_>>(), ["hew@example.org"]);
    let heard = scene.supervisor.sources().into_iter().filter(|source| source.heard.is_some()).map(|source| source.source);
    assert_eq!(heard.collect::<Vec<_>>(), [Source::Dovecot]);
    let answer = scene.notify(r#"{"mailbox":"canary@example.org"}"#).await;
    assert_eq!((answer.status, answer.json()["repeated"].as_u64()), (202, Some(0)));
    assert!(scene.changes().is_empty());
}
