//! Checks: what they send, what they make of the answer, and that they let go.

use std::sync::Mutex;

use super::*;
use crate::logic::eas::{Class, FolderId, PingAnswer, PingFolder, PingRequest};

fn folder(id: &str) -> PingFolder {
    PingFolder { id: FolderId::new(id).expect("an id"), class: Class::Email }
}

fn request() -> CheckRequest {
    let mut headers = http::HeaderMap::new();
    for (name, value) in [
        ("authorization", "Basic aGV3Ong="),
        ("ms-asprotocolversion", "14.1"),
        ("x-ms-policykey", "7"),
        ("accept-encoding", "gzip"),
        ("content-length", "999"),
        ("connection", "close"),
    ] {
        headers.insert(name, value.parse().expect("value"));
    }
    let target = "/Microsoft-Server-ActiveSync?Cmd=Ping&User=hew&DeviceId=dev1&DeviceType=X".parse().expect("target");
    CheckRequest { target, headers, folders: vec![folder("5"), folder("7")] }
}

fn checker(cas: &Cas, tweak: impl FnOnce(&mut Config)) -> Checker {
    let mut config = Config::parse("", std::iter::empty()).expect("defaults");
    config.backend.check_heartbeat_s = 1;
    config.backend.connections_max = 1;
    tweak(&mut config);
    let backend = backend(&[cas], |inner| inner.backend.connections_max = 1);
    Checker::new(backend, &config.backend, &config.limits)
}

/// A backend that answers every Ping with the body that `script` makes of it, and keeps what it was sent.
async fn answering_pings<F>(script: F) -> (Cas, Arc<Mutex<Vec<(http::HeaderMap, PingRequest)>>>)
where
    F: Fn(&PingRequest) -> (u16, Vec<u8>) + Clone + Send + Sync + 'static,
{
    let seen: Arc<Mutex<Vec<_>>> = Arc::default();
    let log = Arc::clone(&seen);
    let cas = serving(move |request: Request<Incoming>| {
        let (script, log) = (script.clone(), Arc::clone(&log));
        async move {
            let (head, body) = request.into_parts();
            let ping = PingRequest::parse(&body.collect().await.expect("body").to_bytes(), 10).expect("a Ping");
            let (status, body) = script(&ping);
            log.lock().expect("lock").push((head.headers, ping));
            let body = http_body_util::Full::new(Bytes::from(body)).map_err(|never| match never {}).boxed();
            let mut response = Response::new(body);
            *response.status_mut() = http::StatusCode::from_u16(status).expect("a status");
            response
        }
    })
    .await;
    (cas, seen)
}

async fn result_of(status: u16, body: Vec<u8>) -> CheckResult {
    let (cas, _) = answering_pings(move |_| (status, body.clone())).await;
    checker(&cas, |_| ()).check(request(), route()).await
}

#[tokio::test]
async fn a_check_is_the_devices_own_ping_with_the_shortest_heartbeat() {
    let (cas, seen) = answering_pings(|_| (200, PingAnswer::Expired.encode())).await;
    assert_eq!(checker(&cas, |_| ()).check(request(), route()).await, CheckResult::Unchanged);
    let seen = seen.lock().expect("lock");
    let (headers, ping) = &seen[0];
    assert_eq!((ping.heartbeat_s, ping.folders.clone()), (Some(1), Some(vec![folder("5"), folder("7")])));
    for (name, value) in [
        ("authorization", "Basic aGV3Ong="),
        ("ms-asprotocolversion", "14.1"),
        ("x-ms-policykey", "7"),
        ("content-type", "application/vnd.ms-sync.wbxml"),
        ("x-forwarded-for", "192.0.2.7"),
    ] {
        assert_eq!(headers[name], value);
    }
    assert!(!headers.contains_key("accept-encoding") && headers["content-length"] != "999");
}

#[tokio::test]
async fn every_answer_means_something() {
    let changed = |ids: &[&str]| ids.iter().map(|id| FolderId::new(id).expect("an id")).collect::<Vec<_>>();
    let of = |answer: PingAnswer| result_of(200, answer.encode());
    assert_eq!(of(PingAnswer::Changes(changed(&["7"]))).await, CheckResult::Changed(changed(&["7"])));
    assert_eq!(of(PingAnswer::Changes(Vec::new())).await, CheckResult::Changed(changed(&["5", "7"])), "unnamed: all of them");
    assert_eq!(of(PingAnswer::HierarchyChanged).await, CheckResult::Hierarchy);
    let provision = http::StatusCode::from_u16(449).expect("a status");
    assert_eq!(of(PingAnswer::Other(142)).await, CheckResult::Refused(provision));
    assert_eq!(result_of(449, Vec::new()).await, CheckResult::Refused(provision));
    assert_eq!(result_of(401, Vec::new()).await, CheckResult::Refused(http::StatusCode::UNAUTHORIZED));
    for answer in [PingAnswer::MissingParameters, PingAnswer::ServerError, PingAnswer::TooManyFolders { max: 1 }] {
        assert_eq!(of(answer).await, CheckResult::Failed);
    }
    assert_eq!(result_of(200, b"<html>".to_vec()).await, CheckResult::Failed);
    assert_eq!(result_of(200, Vec::new()).await, CheckResult::Failed);
    assert_eq!(result_of(503, Vec::new()).await, CheckResult::Down);
    assert_eq!(result_of(200, vec![0; 2 << 20]).await, CheckResult::Failed, "longer than what we read");
}

#[tokio::test]
async fn the_backends_own_minimum_is_learnt() {
    let (cas, seen) = answering_pings(|ping| match ping.heartbeat_s {
        Some(60) => (200, PingAnswer::Expired.encode()),
        _ => (200, PingAnswer::HeartbeatOutOfRange { heartbeat_s: 60 }.encode()),
    })
    .await;
    let checker = checker(&cas, |_| ());
    for _ in 0..2 {
        assert_eq!(checker.check(request(), route()).await, CheckResult::Unchanged);
    }
    let heartbeats: Vec<_> = seen.lock().expect("lock").iter().map(|(_, ping)| ping.heartbeat_s).collect();
    assert_eq!((heartbeats, checker.heartbeat_s()), (vec![Some(1), Some(60), Some(60)], 60));
}

#[tokio::test]
async fn a_backend_that_is_never_content_is_asked_twice_and_no_more() {
    for wrong in [0, 1, 3_541, u32::MAX] {
        let (cas, seen) = answering_pings(move |_| (200, PingAnswer::HeartbeatOutOfRange { heartbeat_s: wrong }.encode())).await;
        assert_eq!(checker(&cas, |_| ()).check(request(), route()).await, CheckResult::Failed);
        assert_eq!(seen.lock().expect("lock").len(), 1, "{wrong} teaches nothing");
    }
    let (cas, seen) = answering_pings(|ping| {
        let heartbeat_s = ping.heartbeat_s.unwrap_or(0) + 1;
        (200, PingAnswer::HeartbeatOutOfRange { heartbeat_s }.encode())
    })
    .await;
    assert_eq!(checker(&cas, |_| ()).check(request(), route()).await, CheckResult::Failed);
    assert_eq!(seen.lock().expect("lock").len(), 2);
}

#[tokio::test]
async fn a_cancelled_check_closes_its_connection_and_gives_its_turn_to_the_next() {
    let (sender, mut events) = tokio::sync::mpsc::unbounded_channel();
    let cas = scripted(move |mut stream, number| {
        let sender = sender.clone();
        async move {
            assert!(!read_request_bytes(&mut stream).await);
            sender.send((number, "asked")).expect("listened to");
            let mut more = [0; 1];
            let closed = matches!(stream.read(&mut more).await, Ok(0) | Err(_));
            sender.send((number, if closed { "closed" } else { "more" })).expect("listened to");
        }
    })
    .await;
    let checker = checker(&cas, |config| config.backend.checks_max = 1);
    let start = || {
        let checker = checker.clone();
        tokio::spawn(async move { checker.check(request(), route()).await })
    };
    let (first, _second) = (start(), start());
    assert_eq!(events.recv().await, Some((0, "asked")));
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(events.try_recv().is_err(), "one at a time");
    first.abort();
    let mut next = [events.recv().await, events.recv().await];
    next.sort();
    assert_eq!(next, [Some((0, "closed")), Some((1, "asked"))]);
}

/// Reads one request with a binary body; true when the peer closed instead.
async fn read_request_bytes(stream: &mut TcpStream) -> bool {
    read_request(stream).await.is_empty()
}

#[tokio::test]
async fn checks_and_forwarded_requests_do_not_wait_for_each_other() {
    let cas = scripted(|mut stream, _| async move {
        while let request = read_request(&mut stream).await
            && !request.is_empty()
        {
            if request.contains("Cmd=Ping") {
                return std::future::pending().await;
            }
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await.expect("written");
        }
    })
    .await;
    let checker = checker(&cas, |_| ());
    let checks = checker.clone();
    tokio::spawn(async move { checks.check(request(), route()).await });
    tokio::time::sleep(Duration::from_millis(50)).await;
    let backend = checker.backend();
    assert_eq!(text(backend.forward(head("GET", EAS), BackendBody::Empty, route()).await).await, "ok");
}
