//! The devices' TLS: versions, resumption, certificates that change.

use std::sync::Arc;

use pushgate::config::Tls;
use pushgate::gateway::tls::Acceptor;
use pushgate::logic::eas::PingAnswer;
use pushgate::standin::tls::{ThrowAway, Trust, client_config};
use rustls::{HandshakeKind, ProtocolVersion};

use crate::scene::{Gateway, Line, backend, device, gateway, mailbox, tls_only};

/// Holds and wakes a Ping on this connection.
async fn holds_and_wakes(gateway: &Gateway, mut line: Line) {
    let mut phone = device().in_step_at(gateway).await;
    phone.put_line(line);
    phone.hold(gateway).await;
    gateway.notify(mailbox("hew").folder("INBOX")).await;
    assert_eq!(phone.answer().await, PingAnswer::Changes(vec![phone.inbox()]));
    line = phone.take_line();
    assert_eq!(line.ask("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await.status, 404);
}

#[tokio::test]
async fn both_versions_of_tls_are_held_and_woken() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    for (version, expected) in [(&rustls::version::TLS12, ProtocolVersion::TLSv1_2), (&rustls::version::TLS13, ProtocolVersion::TLSv1_3)] {
        let line = Line::tls(gateway.address(), tls_only(version, &gateway.certificate.certificate)).await.unwrap();
        assert_eq!(line.session().protocol_version(), Some(expected));
        holds_and_wakes(&gateway, line).await;
    }
}

#[tokio::test]
async fn a_session_is_resumed_and_its_ping_held_and_woken() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let device = tls_only(version, &gateway.certificate.certificate);
        let mut first = Line::tls(gateway.address(), device.clone()).await.unwrap();
        // The tickets of TLS 1.3 come with the first answer.
        first.ask("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
        assert_eq!(first.session().handshake_kind(), Some(HandshakeKind::Full));
        let second = Line::tls(gateway.address(), device).await.unwrap();
        assert_eq!(second.session().handshake_kind(), Some(HandshakeKind::Resumed), "{version:?}");
        holds_and_wakes(&gateway, second).await;
    }
}

#[tokio::test]
async fn a_replaced_certificate_is_shown_to_new_devices_while_a_held_ping_stays_held() {
    let directory = tempfile::tempdir().unwrap();
    let (chain, key) = (directory.path().join("chain.pem"), directory.path().join("key.pem"));
    let write = |certificate: &ThrowAway| {
        std::fs::write(&chain, &certificate.certificate_pem).unwrap();
        std::fs::write(&key, &certificate.key_pem).unwrap();
    };
    let (old, new) = (ThrowAway::new(&["localhost"]).unwrap(), ThrowAway::new(&["localhost"]).unwrap());
    write(&old);
    let files = Tls { certificates: vec![(chain.clone(), key.clone())], client_ca: None, client_required: false };
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).with_acceptor(Acceptor::new(&files).unwrap(), old).start().await;
    let mut phone = device().in_step_at(&gateway).await;
    phone.hold(&gateway).await;
    write(&new);
    assert!(gateway.inner().acceptor.reload().unwrap());
    let trusts_new = client_config(Trust::Root(new.certificate.clone()), false).unwrap();
    let line = Line::tls(gateway.address(), trusts_new).await.unwrap();
    assert_eq!(line.session().peer_certificates().unwrap()[0], new.certificate);
    assert!(Line::tls(gateway.address(), Arc::clone(&gateway.tls)).await.is_err(), "the old one is not shown any more");
    gateway.holds(&["Phone1"]).await;
    gateway.notify(mailbox("hew").folder("INBOX")).await;
    assert_eq!(phone.answer().await, PingAnswer::Changes(vec![phone.inbox()]));
}

#[tokio::test]
async fn a_certificate_that_cannot_be_used_leaves_the_old_one_in_place() {
    let directory = tempfile::tempdir().unwrap();
    let (chain, key) = (directory.path().join("chain.pem"), directory.path().join("key.pem"));
    let old = ThrowAway::new(&["localhost"]).unwrap();
    std::fs::write(&chain, &old.certificate_pem).unwrap();
    std::fs::write(&key, &old.key_pem).unwrap();
    let files = Tls { certificates: vec![(chain.clone(), key)], client_ca: None, client_required: false };
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).with_acceptor(Acceptor::new(&files).unwrap(), old).start().await;
    std::fs::write(&chain, "half a file").unwrap();
    assert!(gateway.inner().acceptor.reload().is_err());
    holds_and_wakes(&gateway, gateway.line().await).await;
}
