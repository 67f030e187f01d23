//! What the gateway itself says, says nothing of itself.

use crate::scene::{Answer, backend, device, eas, gateway, http, mailbox, vector};

fn is_discreet(answer: &Answer, what: &str) {
    assert_eq!(answer.header("strict-transport-security"), Some("max-age=31536000"), "{what}: {}", answer.head);
    for name in ["server", "x-powered-by", "via"] {
        assert_eq!(answer.header(name), None, "{what}");
    }
    let text = format!("{}{}", answer.head, String::from_utf8_lossy(&answer.body)).to_lowercase();
    assert!(!text.contains("pushgate") && !text.contains("hyper") && !text.contains("rustls"), "{what}: {text}");
}

#[tokio::test]
async fn our_own_answers_demand_https_and_carry_no_banner() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    let mut line = gateway.line().await;
    for (what, request, status) in [
        ("a query", http("POST", "/Microsoft-Server-ActiveSync?Cmd=x").body(Vec::new()), 400),
        ("a method", http("PUT", "/Microsoft-Server-ActiveSync"), 405),
        ("a head", http("GET", "/x").without("Host"), 400),
        ("a body", eas("Settings").version("12.1").body(vector("12-")), 400),
        ("a Ping", eas("Ping").body(b"\x03\x01\x6a\x00\xff".to_vec()), 200),
    ] {
        let answer = line.ask(request).await;
        assert_eq!(answer.status, status, "{what}");
        is_discreet(&answer, what);
    }
    let mut phone = device().in_step_at(&gateway).await;
    phone.device.disconnect();
    let inbox = [phone.inbox()];
    let request = phone.ping_request(Some(600), Some(&inbox));
    line.send(request).await;
    gateway.holds(&["Phone1"]).await;
    gateway.notify(mailbox("hew").folder("INBOX")).await;
    is_discreet(&line.answer().await, "a wake");
}

#[tokio::test]
async fn without_a_backend_the_answer_is_as_discreet() {
    let gateway = gateway().behind("http://127.0.0.1:1").start().await;
    let answer = gateway.line().await.ask(http("GET", "/x")).await;
    assert_eq!(answer.status, 502);
    is_discreet(&answer, "502");
}
