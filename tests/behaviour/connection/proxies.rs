//! Balancers in front of us, and who they say the device is.

use pushgate::logic::eas::PingAnswer;
use pushgate::standin::cas::Cas;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::scene::{Gateway, GatewayBuilder, Line, backend, device, gateway, http, mailbox};

const PROXY_V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xC6\x33\x64\x08\x7F\0\0\x01\xC3\x50\x01\xBB";
const PROXY_V2_LOCAL: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";
const PROXY_V1: &[u8] = b"PROXY TCP4 198.51.100.7 127.0.0.1 50000 443\r\n";

fn trusting(backend: &Cas) -> GatewayBuilder {
    gateway().behind(backend.url()).set("listen.trusted_proxies", "[\"127.0.0.0/8\"]")
}

/// A device behind a balancer that begins with these bytes.
async fn behind_balancer(gateway: &Gateway, header: &[u8]) -> std::io::Result<Line> {
    let mut stream = TcpStream::connect(gateway.address()).await?;
    stream.write_all(header).await?;
    Line::shake_hands(stream, gateway.tls.clone()).await
}

fn forwarded_for(backend: &Cas) -> String {
    backend.recorded().last().unwrap().headers["x-forwarded-for"].to_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_proxy_header_of_either_version_tells_the_backend_who_the_device_is() {
    let backend = backend().start().await;
    let gateway = trusting(&backend).set("listen.proxy_protocol", true).start().await;
    for (header, address) in [(PROXY_V1, "198.51.100.7"), (PROXY_V2, "198.51.100.8")] {
        let mut line = behind_balancer(&gateway, header).await.unwrap();
        let forged = http("OPTIONS", "/Microsoft-Server-ActiveSync").header("X-Forwarded-For", "203.0.113.9");
        assert_eq!(line.ask(forged).await.status, 200);
        assert_eq!(forwarded_for(&backend), address);
    }
    for health_check in [&b"PROXY UNKNOWN\r\n"[..], PROXY_V2_LOCAL] {
        let mut line = behind_balancer(&gateway, health_check).await.unwrap();
        line.ask(http("OPTIONS", "/Microsoft-Server-ActiveSync")).await;
        assert_eq!(forwarded_for(&backend), "127.0.0.1");
    }
}

#[tokio::test]
async fn a_held_ping_behind_a_balancer_is_listed_with_the_devices_address() {
    let backend = backend().start().await;
    let direct = gateway().behind(backend.url()).start().await;
    let mut phone = device().in_step_at(&direct).await;
    let gateway =
        trusting(&backend).set("listen.proxy_protocol", true).set("backend.check_heartbeat_s", 1).set("backend.resolve", "\"check\"");
    let gateway = gateway.start().await;
    phone.put_line(behind_balancer(&gateway, PROXY_V1).await.unwrap());
    phone.hold(&gateway).await;
    assert_eq!(gateway.pings("").await.pings[0].address, "198.51.100.7:50000");
    assert_eq!(forwarded_for(&backend), "198.51.100.7", "a check is made in the device's name");
    gateway.notify(mailbox("hew").folder("INBOX")).await;
    assert_eq!(phone.answer().await, PingAnswer::Changes(vec![phone.inbox()]));
}

#[tokio::test]
async fn a_proxy_header_is_refused_from_strangers_and_its_absence_from_balancers() {
    let backend = backend().start().await;
    let strict = gateway().behind(backend.url()).set("listen.proxy_protocol", true);
    let strict = strict.set("listen.trusted_proxies", "[\"192.0.2.0/24\"]").start().await;
    assert!(behind_balancer(&strict, PROXY_V1).await.is_err(), "a stranger's header");
    assert!(behind_balancer(&strict, b"").await.is_err(), "a stranger without one");
    let gateway = trusting(&backend).set("listen.proxy_protocol", true).start().await;
    assert!(behind_balancer(&gateway, b"").await.is_err(), "a balancer without one");
    assert!(behind_balancer(&gateway, b"PROXY TCP4 nonsense\r\n").await.is_err(), "nonsense");
    assert_eq!(backend.requests(), 0);
}

#[tokio::test]
async fn a_proxy_header_without_being_asked_for_is_no_tls() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    assert!(behind_balancer(&gateway, PROXY_V1).await.is_err());
}

#[tokio::test]
async fn plain_http_of_a_trusted_balancer_is_held_and_woken_and_its_word_is_believed() {
    let backend = backend().start().await;
    let gateway = trusting(&backend).set("listen.plain_address", "[\"127.0.0.1:0\"]").start().await;
    let mut phone = device().in_step_at(&gateway).await;
    let plain = gateway.addresses[1];
    let mut line = Line::plain(plain).await;
    let request = http("OPTIONS", "/Microsoft-Server-ActiveSync").header("X-Forwarded-For", "203.0.113.9");
    assert_eq!(line.ask(request).await.status, 200);
    assert_eq!(forwarded_for(&backend), "203.0.113.9, 127.0.0.1");
    phone.put_line(line);
    for _ in 0..2 {
        phone.hold(&gateway).await;
        gateway.notify(mailbox("hew").folder("INBOX")).await;
        assert_eq!(phone.answer().await, PingAnswer::Changes(vec![phone.inbox()]));
        phone.synchronise_folders().await;
    }
    phone.hold(&gateway).await;
    drop(phone.take_line());
    gateway.holds(&[]).await;
}

#[tokio::test]
async fn a_plain_request_behind_a_plain_ping_is_answered_after_it() {
    let backend = backend().start().await;
    let gateway = trusting(&backend).set("listen.plain_address", "[\"127.0.0.1:0\"]").start().await;
    let mut phone = device().in_step_at(&gateway).await;
    let mut both = phone.ping_request(Some(600), Some(&[phone.inbox()]));
    both.extend(http("OPTIONS", "/Microsoft-Server-ActiveSync").bytes());
    let mut line = Line::plain(gateway.addresses[1]).await;
    line.send(both).await;
    phone.put_line(line);
    phone.is_held(&gateway).await;
    gateway.notify(mailbox("hew").folder("INBOX")).await;
    assert_eq!(phone.answer().await, PingAnswer::Changes(vec![phone.inbox()]));
    assert_eq!(phone.line().await.answer().await.status, 200);
}

#[tokio::test]
async fn plain_http_of_anybody_else_is_closed_without_a_word() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).set("listen.trusted_proxies", "[\"192.0.2.0/24\"]");
    let gateway = gateway.set("listen.plain_address", "[\"127.0.0.1:0\"]").start().await;
    let mut line = Line::plain(gateway.addresses[1]).await;
    let _ = line.try_send(http("OPTIONS", "/Microsoft-Server-ActiveSync")).await;
    line.ends().await;
    assert_eq!(backend.requests(), 0);
}

#[tokio::test]
async fn every_listening_address_takes_devices() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).set("listen.address", "[\"127.0.0.1:0\", \"127.0.0.2:0\"]").start().await;
    assert_eq!(gateway.addresses.len(), 2);
    let mut phone = device().in_step_at(&gateway).await;
    for address in gateway.addresses.clone() {
        phone.put_line(Line::tls(address, gateway.tls.clone()).await.unwrap());
        phone.hold(&gateway).await;
        gateway.notify(mailbox("hew").folder("INBOX")).await;
        assert_eq!(phone.answer().await, PingAnswer::Changes(vec![phone.inbox()]));
        phone.synchronise_folders().await;
    }
}
