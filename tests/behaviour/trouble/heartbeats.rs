//! Exchange's heartbeat alert.

use pushgate::admin::view::Readiness;

use crate::scene::{Gateway, Phone, backend, device, gateway, until};

async fn details(gateway: &Gateway) -> Vec<String> {
    let readiness: Readiness = serde_json::from_slice(&gateway.call("GET", "/readyz", String::new()).await.body).unwrap();
    assert!(readiness.ready, "devices are better off here than nowhere");
    readiness.details
}

#[tokio::test]
async fn short_heartbeats_are_said_in_the_readiness_and_long_ones_end_it() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).set("ping.hbi_sample_size", 3).start().await;
    let mut phone = device().in_step_at(&gateway).await;
    for heartbeat_s in [540, 500, 580] {
        assert!(details(&gateway).await.is_empty());
        holds(&mut phone, &gateway, heartbeat_s).await;
    }
    let told = details(&gateway).await;
    assert!(told[0].contains("the most recent [3] heartbeat intervals") && told[0].contains("[540]"), "{told:?}");
    for heartbeat_s in [900, 1_800, 3_000] {
        holds(&mut phone, &gateway, heartbeat_s).await;
    }
    assert!(details(&gateway).await.is_empty());
}

async fn holds(phone: &mut Phone, gateway: &Gateway, heartbeat_s: u32) {
    let inbox = [phone.inbox()];
    // On a connection of its own: the one before would wait for its answer.
    let request = phone.ping_request(Some(heartbeat_s), Some(&inbox));
    let mut line = gateway.line().await;
    line.send(request).await;
    phone.put_line(line);
    let is_held = async || gateway.pings("").await.pings.iter().any(|ping| ping.heartbeat_s == heartbeat_s);
    until("the Ping held", is_held).await;
}
