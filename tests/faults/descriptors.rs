//! The limit of open files is reached: whoever is held stays and is woken, and who waits at the door comes in once there is room.

use std::time::Duration;

use pushgate::standin::cas::{Cas, CasOptions};

use crate::devices::{Devices, mailbox};
use crate::process::Process;

const DEVICES: usize = 40;
const PATIENCE: Duration = Duration::from_secs(90);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_descriptors_nobody_new_comes_in_and_nobody_held_is_lost() {
    let cas = Cas::start(CasOptions::default()).await.unwrap();
    let gateway = Process::start(&cas, "").await;
    let devices = Devices::start(DEVICES, &gateway).await;
    let tally = &devices.tally;
    devices.wait("all devices are held", PATIENCE, async || tally.held() == DEVICES).await;

    // A webhook on its connection, and as many files as there are: one more device is one too many.
    let mut webhook = gateway.webhook();
    webhook.call("GET", "/v1/status", String::new()).await.unwrap();
    let before = gateway.most_open_files();
    gateway.limit_open_files(gateway.open_files());
    let outside: Vec<_> = knocking(&gateway).await;
    let woken = webhook.notify(&[&mailbox(0), &mailbox(1)]).await.unwrap();
    assert_eq!(woken.woken, Some(2));
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(gateway.log().contains("cannot accept a connection"), "{}", gateway.log());
    let status = webhook.call("GET", "/v1/status", String::new()).await.unwrap();
    let status: serde_json::Value = serde_json::from_slice(&status.body).unwrap();
    assert!(status["held"].as_u64().unwrap() >= DEVICES as u64 - 2, "{status}");

    drop(outside);
    gateway.limit_open_files(before);
    devices.deliver(&cas, 2..10);
    let mailboxes: Vec<String> = (2..10).map(mailbox).collect();
    webhook.notify(&mailboxes.iter().map(String::as_str).collect::<Vec<_>>()).await.unwrap();
    devices.wait("every mail is fetched", PATIENCE, async || tally.missing() == 0).await;
    devices.wait("all devices are held", PATIENCE, async || tally.held() == DEVICES).await;
    tokio::net::TcpStream::connect(gateway.https).await.unwrap();
}

/// Sockets that the kernel takes and the gateway cannot.
async fn knocking(gateway: &Process) -> Vec<tokio::net::TcpStream> {
    let mut sockets = Vec::new();
    for _ in 0..20 {
        sockets.push(tokio::net::TcpStream::connect(gateway.https).await.unwrap());
    }
    sockets
}
