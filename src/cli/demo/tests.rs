//! The demo with something simple in the gateway's place: it ends TLS, passes everything through, and when a notification comes
//! it cuts all connections, so that the devices ask anew and the backend tells them at once what they have missed.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

use super::*;

fn arguments(devices: u32, ms: u64) -> arguments::Demo {
    arguments::Demo { devices, duration: Some(Duration::from_millis(ms)), port: 0, internal_port: 0, json: true }
}

async fn pass_through(config: Config, acceptor: Acceptor) -> anyhow::Result<Gateway> {
    let backend = config.backend.url[0].authority().expect("has a host").to_string();
    let (https, internal) = (TcpListener::bind("127.0.0.1:0").await?, TcpListener::bind("127.0.0.1:0").await?);
    let addresses = (https.local_addr()?, internal.local_addr()?);
    let acceptor = std::sync::Arc::new(acceptor);
    let notified = tokio::sync::watch::Sender::new(());
    let cut = notified.subscribe();
    tokio::spawn(async move {
        while let Ok((stream, _)) = https.accept().await {
            let (acceptor, backend, mut cut) = (acceptor.clone(), backend.clone(), cut.clone());
            tokio::spawn(async move {
                let Ok(mut accepted) = acceptor.accept(stream, Vec::new()).await else { return };
                let Ok(mut backend) = TcpStream::connect(backend).await else { return };
                cut.mark_unchanged();
                tokio::select! {
                    _ = copy_bidirectional(&mut accepted.stream, &mut backend) => {}
                    _ = cut.changed() => {}
                }
            });
        }
    });
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = internal.accept().await {
            let notified = notified.clone();
            tokio::spawn(async move {
                let mut request = [0; 4_096];
                while stream.read(&mut request).await.is_ok_and(|bytes| bytes > 0) {
                    let body = r#"{"accepted":1,"woken":1}"#;
                    let answer = format!("HTTP/1.1 202 Accepted\r\nContent-Length: {}\r\n\r\n{body}", body.len());
                    notified.send_replace(());
                    stream.write_all(answer.as_bytes()).await.ok();
                }
            });
        }
    });
    Ok(Gateway { https: addresses.0, internal: addresses.1, token: "secret".into(), drain: Box::pin(async {}) })
}

/// Plays with a gateway in the test's own runtime.
async fn summary(arguments: &arguments::Demo) -> Summary {
    let scene = Scene::start(arguments, pass_through).await.unwrap();
    play(arguments, &scene, View::new(true)).await.unwrap()
}

#[tokio::test]
async fn devices_are_held_woken_and_miss_nothing() {
    let arguments = arguments(3, 100);
    let summary = summary(&arguments).await;
    assert_eq!((summary.devices, summary.held_max, summary.wakes, summary.lost), (3, 3, 1, 0));
    // OPTIONS, FolderSync, two Syncs of each mail or calendar folder, Ping.
    assert!(summary.backend_requests >= 3 * 5, "{}", summary.backend_requests);
    assert!(summary.wake_p50_ms.is_some_and(|ms| ms > 0.0));
    assert!(judge(&arguments, &summary).is_ok());
}

#[tokio::test]
async fn nobody_held_is_a_failure_and_so_is_a_loss() {
    let summary = Summary { devices: 3, held_max: 0, wakes: 0, lost: 0, wake_p50_ms: None, wake_p99_ms: Some(1.5), backend_requests: 1 };
    assert!(judge(&arguments(3, 100), &summary).is_err());
    let line = serde_json::to_string(&summary).unwrap();
    let expected = r#"{"devices":3,"held_max":0,"wakes":0,"lost":0,"wake_p50_ms":null,"wake_p99_ms":1.5,"backend_requests":1}"#;
    assert_eq!(line, expected);
    assert!(judge(&arguments(3, 100), &Summary { held_max: 3, lost: 1, ..summary }).is_err());
}
