//! Leaving in good order.

use std::time::{Duration, Instant};

use pushgate::logic::eas::PingAnswer;

use crate::scene::{Line, backend, device, gateway, http, mailbox, soon, until};

#[tokio::test]
async fn a_drain_answers_everybody_status_1_by_its_end_and_closes() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).set("drain.drain_s", 1).start().await;
    let mut phones = Vec::new();
    for number in 0..8 {
        let mut phone = device().of(&format!("user{number}")).named(&format!("Phone{number}")).in_step_at(&gateway).await;
        phone.device.disconnect();
        phone.hold(&gateway).await;
        phones.push(phone);
    }
    let mut idle = gateway.line().await;
    idle.ask(http("OPTIONS", "/Microsoft-Server-ActiveSync")).await;
    let address = gateway.address();
    let began = Instant::now();
    let draining = tokio::spawn(gateway.drain());
    let mut times = Vec::new();
    for phone in &mut phones {
        let answer = phone.line().await.answer().await;
        times.push(began.elapsed());
        assert_eq!((answer.ping(), answer.header("connection")), (PingAnswer::Expired, Some("close")));
        phone.line().await.ends().await;
    }
    idle.ends().await;
    let last = times.iter().max().unwrap();
    assert!(*last < Duration::from_secs(3), "the last after {last:?}");
    soon("the end of the drain", draining).await.unwrap();
    assert!(tokio::net::TcpStream::connect(address).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn while_draining_readyz_says_so_and_a_change_still_wakes() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).set("drain.drain_s", 600).start().await;
    let mut phones = Vec::new();
    for number in 0..6 {
        let mut phone = device().of(&format!("user{number}")).named(&format!("Phone{number}")).in_step_at(&gateway).await;
        phone.hold(&gateway).await;
        phones.push(phone);
    }
    let drain = gateway.inner().drain();
    let observing = async {
        let ready = || async { Line::plain(gateway.internal).await.ask(http("GET", "/readyz")).await };
        until("not ready", async || ready().await.status == 503).await;
        assert!(String::from_utf8(ready().await.body).unwrap().contains("draining"));
        // The first of each lot goes at once, the others much later.
        until("some gone", async || gateway.held().await.len() <= 5).await;
        let left = gateway.held().await;
        assert!(!left.is_empty());
        let number: usize = left[0].trim_start_matches("phone").parse().unwrap();
        gateway.notify(mailbox(&format!("user{number}")).folder("INBOX")).await;
        assert_eq!(phones[number].answer().await, PingAnswer::Changes(vec![phones[number].inbox()]));
    };
    tokio::select! {
        () = drain => panic!("a drain of ten minutes is over"),
        () = observing => {}
    }
}

#[tokio::test]
async fn a_request_that_is_being_answered_is_finished_before_leaving() {
    use pushgate::standin::cas::{Fault, FaultRule};

    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).set("drain.drain_s", 2).start().await;
    let mut line = gateway.line().await;
    let options = http("OPTIONS", "/Microsoft-Server-ActiveSync");
    backend.set_faults(vec![FaultRule { command: None, times: None, fault: Fault::Delay(Duration::from_millis(400)) }]);
    line.send(&options).await;
    until("the request at the backend", async || backend.requests() == 1).await;
    let draining = tokio::spawn(gateway.drain());
    assert_eq!(line.answer().await.status, 200);
    line.ends().await;
    soon("the end of the drain", draining).await.unwrap();
}

#[tokio::test]
async fn readyz_fails_before_devices_are_turned_away() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).set("drain.unready_s", 2).start().await;
    let (address, internal) = (gateway.address(), gateway.internal);
    let draining = tokio::spawn(gateway.drain());
    let ready = async || Line::plain(internal).await.ask(http("GET", "/readyz")).await.status;
    until("not ready", async || ready().await == 503).await;
    assert!(tokio::net::TcpStream::connect(address).await.is_ok(), "devices are taken in all the same");
    soon("the end of the drain", draining).await.unwrap();
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}
