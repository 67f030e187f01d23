//! The stand-ins prove each other: every command of the CAS against the device.

mod commands;
mod holding;
mod trouble;

use std::sync::Arc;
use std::time::Duration;

use super::cas::{Cas, CasOptions, Kind};
use super::device::{Device, DeviceOptions, SyncWish};
use crate::logic::eas::{FolderId, Version};

/// A protocol second in these tests.
const SECOND: Duration = Duration::from_millis(20);

/// A CAS of that kind with short seconds, changed by `edit`.
async fn cas(kind: Kind, edit: impl FnOnce(&mut CasOptions)) -> Cas {
    let mut options = CasOptions { kind, second: SECOND, ..CasOptions::default() };
    edit(&mut options);
    Cas::start(options).await.unwrap()
}

/// hew's phone, talking to the CAS directly.
fn device(cas: &Cas) -> Device {
    another_device(cas, "hew", "Standin0001", |_| {})
}

fn another_device(cas: &Cas, user: &str, id: &str, edit: impl FnOnce(&mut DeviceOptions)) -> Device {
    let mut options = DeviceOptions::new(cas.address(), None);
    edit(&mut options);
    Device::new(Arc::new(options), user, id)
}

/// A phone that has its folders and an empty, synchronised Inbox; returns the Inbox.
async fn in_step(device: &mut Device) -> FolderId {
    device.folder_sync().await.unwrap();
    let inbox = device.folder_of_type(2).unwrap();
    device.sync_all(&inbox).await.unwrap();
    inbox
}

/// A Ping for one folder with a heartbeat of so many (short) seconds.
async fn ping(device: &mut Device, heartbeat_s: u32, folder: &FolderId) -> crate::logic::eas::PingAnswer {
    let folders = [folder.clone()];
    device.ping(Some(heartbeat_s), Some(&folders), Duration::from_secs(1), || {}).await.unwrap()
}

/// Waits for something that is about to happen; fails after a second.
async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..1_000 {
        if is_so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("{what} did not happen");
}

fn wish(edit: impl FnOnce(&mut SyncWish)) -> SyncWish {
    let mut wish = SyncWish::default();
    edit(&mut wish);
    wish
}

const KINDS: [Kind; 6] = [Kind::Exchange, Kind::Sogo, Kind::ZPush, Kind::Grommunio, Kind::Horde, Kind::Other];
const VERSIONS: [Version; 3] = [Version::V12_1, Version::V14_1, Version::V16_1];
