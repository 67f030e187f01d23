//! A backend that fails takes nobody along.

use std::time::Duration;

use pushgate::logic::eas::{Command, PingAnswer};
use pushgate::standin::cas::{Cas, Fault, FaultRule};

use crate::scene::{Line, Reply, backend, device, gateway, http, mailbox, raw_backend, soon, until, vector};

fn faulty(backend: &Cas, command: Command, fault: Fault) {
    backend.set_faults(vec![FaultRule { command: Some(command), times: None, fault }]);
}

fn options() -> crate::scene::Request {
    http("OPTIONS", "/Microsoft-Server-ActiveSync")
}

#[tokio::test]
async fn a_backend_that_is_down_is_502_and_it_is_used_again_when_it_is_back() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).set("backend.down_s", 1).start().await;
    let mut line = gateway.line().await;
    backend.refuse_connections(true);
    let answer = line.ask(options()).await;
    assert_eq!((answer.status, answer.header("content-type")), (502, Some("text/plain; charset=utf-8")));
    backend.refuse_connections(false);
    assert_eq!(line.ask(options()).await.status, 200);
}

#[tokio::test]
async fn a_backend_nobody_listens_at_is_502() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let gateway = gateway().behind(url).start().await;
    assert_eq!(gateway.line().await.ask(options()).await.status, 502);
}

#[tokio::test]
async fn a_backend_that_hangs_is_504_and_the_connection_goes_on() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).set("backend.answer_timeout_s", 1).start().await;
    let mut phone = device().in_step_at(&gateway).await;
    faulty(&backend, Command::FolderSync, Fault::Hang);
    let request = phone.request(Command::FolderSync, &vector("12-"));
    let line = phone.line().await;
    assert_eq!(line.ask(request).await.status, 504);
    assert_eq!(line.ask(options()).await.status, 200);
}

#[tokio::test]
async fn more_requests_than_the_backend_may_get_wait_and_are_told_503() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).set("backend.connections_max", 1).set("backend.answer_timeout_s", 1).start().await;
    let mut phone = device().in_step_at(&gateway).await;
    faulty(&backend, Command::FolderSync, Fault::Hang);
    let request = phone.request(Command::FolderSync, &vector("12-"));
    let mut lines = [gateway.line().await, gateway.line().await, gateway.line().await];
    for line in &mut lines {
        line.send(request.clone()).await;
    }
    let mut statuses = Vec::new();
    for line in &mut lines {
        let answer = line.answer().await;
        assert_eq!(answer.header("retry-after").is_some(), answer.status == 503);
        statuses.push(answer.status);
    }
    assert!(statuses.iter().all(|status| matches!(status, 503 | 504)), "{statuses:?}");
    assert!(statuses.contains(&503), "{statuses:?}");
    backend.set_faults(Vec::new());
    assert_eq!(phone.line().await.ask(options()).await.status, 200);
}

#[tokio::test]
async fn an_answer_that_breaks_off_cuts_its_devices_connection_and_no_other() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    let mut phone = device().in_step_at(&gateway).await;
    let mut other = device().named("Phone2").in_step_at(&gateway).await;
    other.hold(&gateway).await;
    let mut third = gateway.line().await;
    assert_eq!(third.ask(options()).await.status, 200);
    let request = phone.device.request(Command::GetAttachment, &[], Some("a:2000000"));
    for fault in [Fault::CloseMidAnswer, Fault::LieAboutLength(10)] {
        faulty(&backend, Command::GetAttachment, fault);
        phone.line().await.send(request.clone()).await;
        let mut cut: Line = phone.take_line();
        let answer = soon("the end", cut.try_answer(false)).await;
        assert!(answer.is_err(), "{fault:?} passed for a whole answer: {answer:?}");
        assert_eq!(third.ask(options()).await.status, 200);
    }
    assert_eq!(gateway.notify(mailbox("hew").folder("INBOX")).await.woken, Some(1));
    assert_eq!(other.answer().await, PingAnswer::Changes(vec![other.inbox()]));
}

/// Without a length only a reset, or the missing end of TLS, tells that something is missing.
#[tokio::test]
async fn a_chunked_answer_that_breaks_off_is_never_completed() {
    let half = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n";
    let backend = raw_backend(|_| Reply::SendAndClose(half.to_vec())).await;
    let gateway = gateway().behind(backend.url()).start().await;
    let mut line = gateway.line().await;
    line.send(http("GET", "/x")).await;
    let rest = String::from_utf8(line.rest().await).unwrap();
    assert!(!rest.contains("0\r\n\r\n"), "{rest}");
}

#[tokio::test]
async fn a_device_that_hangs_up_while_it_waits_for_the_backend_is_let_go() {
    let backend = raw_backend(|_| Reply::Hang).await;
    let gateway = gateway().behind(backend.url()).start().await;
    for request in [http("GET", "/x"), crate::scene::eas("Ping").body(vector("01-"))] {
        let before = backend.requests().len();
        let mut line = gateway.line().await;
        line.send(request).await;
        until("the request at the backend", async || backend.requests().len() > before).await;
        drop(line.into_socket());
        until("no connection", async || gateway.status().await.connections == 0).await;
    }
}

#[tokio::test]
async fn an_answer_that_stands_still_is_cut() {
    let half = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabcde";
    let backend = raw_backend(|_| Reply::Send(half.to_vec())).await;
    let gateway = gateway().behind(backend.url()).set("limits.body_idle_s", 1).start().await;
    let mut line = gateway.line().await;
    line.send(http("GET", "/x")).await;
    assert!(soon("the end", line.try_answer(false)).await.is_err());
}

#[tokio::test]
async fn an_answer_that_is_not_http_is_502() {
    for nonsense in [&b"SSH-2.0-OpenSSH_9.2\r\n\r\n"[..], b"HTTP/1.1 200 OK\r\nContent-Length: 1, 2\r\n\r\n", b""] {
        let backend = raw_backend(move |_| Reply::SendAndClose(nonsense.to_vec())).await;
        let gateway = gateway().behind(backend.url()).start().await;
        let status = gateway.line().await.ask(http("POST", "/x").body("x")).await.status;
        assert_eq!(status, 502, "{}", String::from_utf8_lossy(nonsense));
    }
}

#[tokio::test]
async fn a_late_answer_is_still_an_answer() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    backend.set_faults(vec![FaultRule { command: None, times: Some(1), fault: Fault::Delay(Duration::from_millis(700)) }]);
    assert_eq!(gateway.line().await.ask(options()).await.status, 200);
}

#[tokio::test]
async fn while_the_backend_is_down_held_pings_stay_held_and_are_woken() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    let mut phone = device().in_step_at(&gateway).await;
    phone.hold(&gateway).await;
    backend.refuse_connections(true);
    faulty(&backend, Command::Sync, Fault::Status(500));
    let mut line = phone.take_line();
    phone.hold(&gateway).await;
    assert_eq!(line.answer().await.ping(), PingAnswer::Expired, "replaced by the Ping of its own device");
    assert_eq!(gateway.notify(mailbox("hew").folder("INBOX")).await.woken, Some(1));
    assert_eq!(phone.answer().await, PingAnswer::Changes(vec![phone.inbox()]));
}
