//! Attachments of 100 MB pass through in a few buffers' worth of memory.

use std::process::Command;

use crate::scene::{Reply, device, eas, gateway, http, raw_backend};

const LARGE: u64 = 100_000_000;
/// Growth of this process: both ends of every connection, the gateway and all allocator slack.
const GROWTH_BYTES_MAX: u64 = 20_000_000;
/// Set for the process in which nothing else runs.
const ALONE: &str = "PUSHGATE_TEST_ALONE";

/// The highest resident set of this process so far, bytes.
fn peak_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").trim().parse::<u64>().unwrap() * 1_024
}

/// Runs the test of this name once more, in a process of its own: other tests' memory would count here.
fn alone(test: &str) -> bool {
    if std::env::var_os(ALONE).is_some() {
        return true;
    }
    let program = std::env::current_exe().unwrap();
    let output = Command::new(program).args(["--exact", test, "--nocapture"]).env(ALONE, "1").output().unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
    false
}

#[tokio::test]
async fn an_attachment_of_100_mb_comes_down_in_little_memory() {
    if !alone("forwarding::large::an_attachment_of_100_mb_comes_down_in_little_memory") {
        return;
    }
    let backend = crate::scene::backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    let mut phone = device().in_step_at(&gateway).await;
    let request = phone.device.request(pushgate::logic::eas::Command::GetAttachment, &[], Some(&format!("a:{LARGE}")));
    let before = peak_bytes();
    let line = phone.line().await;
    line.send(request).await;
    assert_eq!(line.head().await.header("content-length"), Some("100000000"));
    line.drain_bytes(LARGE).await;
    let growth = peak_bytes() - before;
    assert!(growth < GROWTH_BYTES_MAX, "grew by {growth} bytes");
    assert_eq!(line.ask(http("OPTIONS", "/Microsoft-Server-ActiveSync")).await.status, 200);
}

#[tokio::test]
async fn a_mail_of_100_mb_goes_up_in_little_memory() {
    if !alone("forwarding::large::a_mail_of_100_mb_goes_up_in_little_memory") {
        return;
    }
    let backend = raw_backend(|_| Reply::Send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_vec())).await;
    let gateway = gateway().behind(backend.url()).start().await;
    let mut line = gateway.line().await;
    let request = eas("SendMail").version("12.1").header("Content-Type", "message/rfc822");
    line.send(request.header("Content-Length", &LARGE.to_string()).head()).await;
    let before = peak_bytes();
    let piece = vec![b'm'; 100_000];
    for _ in 0..LARGE / 100_000 {
        line.send(&piece[..]).await;
    }
    assert_eq!(line.answer().await.status, 200);
    assert_eq!(backend.only_request().body_bytes, LARGE);
    let growth = peak_bytes() - before;
    assert!(growth < GROWTH_BYTES_MAX, "grew by {growth} bytes");
}
