//! What an answered check says besides what it was asked.

use std::sync::Arc;
use std::time::Duration;

use pushgate::logic::eas::{Command, FolderId};
use pushgate::standin::cas::{Cas, CasOptions, Kind};
use pushgate::standin::device::{Device, DeviceOptions};
use pushgate::standin::tls::{Trust, client_config};
use tokio::time::timeout;

use crate::process::Process;

/// Z-Push's shortest Ping is one of these.
const CHECK: Duration = Duration::from_secs(3);
const VERDICT_TTL: Duration = Duration::from_secs(4);

/// The backend took the device's credentials for the check, so they need not be asked about.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answered_check_renews_the_verdict() {
    let cas = Cas::start(CasOptions { kind: Kind::ZPush, second: CHECK, ..CasOptions::default() }).await.unwrap();
    let ttl_s = VERDICT_TTL.as_secs();
    let settings = format!("backend.kind = \"z-push\"\nbackend.resolve = \"check\"\nauth.verdict_ttl_s = {ttl_s}");
    let mut gateway = Process::start(&cas, &settings).await;
    let tls = client_config(Trust::Root(gateway.certificate.certificate.clone()), true).unwrap();
    let mut device = Device::new(Arc::new(DeviceOptions::new(gateway.https, Some(tls))), "hew", "VERDICT1");
    device.folder_sync().await.unwrap();
    let inbox = vec![device.folders[0].id.clone()];
    device.sync_all(&inbox[0]).await.unwrap();

    // All is forgotten: the credentials are asked about, and then, by a check, whether anything is new.
    gateway.kill();
    device.disconnect();
    gateway.restart().await;
    assert!(is_held(&mut device, &inbox, VERDICT_TTL + CHECK / 2).await);
    assert_eq!((cas.options_count(), cas.count(Command::Ping)), (1, 1));

    // Older than that question's answer may be, but not than that of the check.
    assert!(is_held(&mut device, &inbox, Duration::from_millis(500)).await);
    assert_eq!(cas.options_count(), 1, "the credentials were asked about again");
}

/// Pings, and hangs up after some time; whether there was no answer until then.
async fn is_held(device: &mut Device, folders: &[FolderId], time: Duration) -> bool {
    let answer = timeout(time, device.ping(Some(900), Some(folders), Duration::from_secs(900), || {})).await;
    device.disconnect();
    answer.is_err()
}
