//! The disk with the store of a running gateway is full: Pings are held and woken as before, what was acknowledged is not lost, it says so,
//! and it goes on by itself once there is room.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use pushgate::logic::eas::Version;
use pushgate::standin::cas::{Cas, CasOptions};
use pushgate::standin::device::{Device, DeviceError, DeviceOptions, Obeys, Provisioned};
use pushgate::standin::tls::{Trust, client_config};
use serde_json::Value;

use crate::devices::{Devices, mailbox};
use crate::process::{Around, Process};

const DEVICES: usize = 20;
const PATIENCE: Duration = Duration::from_secs(60);

/// Eight megabytes that are there for whoever enters, and gone with the last of them.
struct SmallDisk {
    /// Keeps them; ends with its standard input.
    holder: Child,
    directory: tempfile::TempDir,
}

impl SmallDisk {
    fn new() -> SmallDisk {
        let directory = tempfile::tempdir().unwrap();
        let mut command = Command::new("unshare");
        if !is_root() {
            command.arg("--map-root-user");
        }
        let script = format!("mount -t tmpfs -o size=8m tmpfs {} && echo mounted && exec cat", directory.path().display());
        command.args(["--mount", "sh", "-c", &script]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut holder = command.spawn().unwrap();
        let mut said = String::new();
        BufReader::new(holder.stdout.as_mut().unwrap()).read_line(&mut said).unwrap();
        assert_eq!(said, "mounted\n", "needs root, or user namespaces");
        SmallDisk { holder, directory }
    }

    /// For a process that sees it; it stays in its own folder.
    fn around(&self) -> Around {
        let mut words: Vec<String> = ["nsenter", "--wd=.", "--mount"].map(str::to_owned).into();
        if !is_root() {
            words.extend(["--user", "--preserve-credentials"].map(str::to_owned));
        }
        words.extend(["--target".to_owned(), self.holder.id().to_string(), "--".to_owned()]);
        Around { words, ..Around::default() }
    }

    /// A file on it, as we see it.
    fn file(&self, name: &str) -> PathBuf {
        let inside = self.directory.path().strip_prefix("/").unwrap();
        PathBuf::from(format!("/proc/{}/root", self.holder.id())).join(inside).join(name)
    }

    /// Takes all the room.
    fn fill(&self) {
        let mut ballast = std::fs::File::create(self.file("ballast")).unwrap();
        while ballast.write(&[1; 4_096]).is_ok() {}
    }

    fn make_room(&self) {
        std::fs::remove_file(self.file("ballast")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

#[expect(unsafe_code, reason = "the standard library does not say who we are")]
fn is_root() -> bool {
    // SAFETY: it reads a number.
    unsafe { libc::geteuid() == 0 }
}

/// A phone that knows a policy and has a partnership.
async fn phone(gateway: &Process, id: &str) -> Device {
    let tls = client_config(Trust::Root(gateway.certificate.certificate.clone()), false).unwrap();
    let options = DeviceOptions { version: Version::V14_1, ..DeviceOptions::new(gateway.https, Some(tls)) };
    let mut device = Device::new(Arc::new(options), "kim", id);
    device.policy_key = Some(0);
    assert_eq!(device.folder_sync().await.unwrap().status, 1);
    device
}

/// The HTTP status of an order to erase.
async fn order_wipe(gateway: &Process, id: &str) -> u16 {
    act(gateway, id, "wipe", r#"{"kind": "device"}"#).await
}

async fn act(gateway: &Process, id: &str, what: &str, body: &str) -> u16 {
    let path = format!("/v1/devices/kim@example.org/{id}/{what}");
    gateway.webhook().call("POST", &path, body.to_owned()).await.unwrap().status
}

/// A device as administrators see it.
async fn shown(gateway: &Process, id: &str) -> Value {
    let answer = gateway.webhook().call("GET", &format!("/v1/devices/kim@example.org/{id}"), String::new()).await.unwrap();
    serde_json::from_slice(&answer.body).unwrap()
}

/// Whether it is told to erase itself, by asking for its folders.
async fn is_told(device: &mut Device) -> bool {
    match device.folder_sync().await {
        Ok(answer) => answer.status == 140,
        Err(DeviceError::Http(status)) => status == 449,
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_loses_nothing_acknowledged_and_nobody_held() {
    let cas = Cas::start(CasOptions::default()).await.unwrap();
    let disk = SmallDisk::new();
    let settings = format!("store.url = \"sqlite:{}\"\nstore.flush_s = 1", disk.directory.path().join("pushgate.db").display());
    let mut gateway = Process::start_around(&cas, &settings, disk.around()).await;
    assert!(disk.file("pushgate.db").exists(), "the store is on the small disk");
    let devices = Devices::start(DEVICES, &gateway).await;
    let tally = &devices.tally;
    devices.wait("all devices are held", PATIENCE, async || tally.held() == DEVICES).await;
    let (mut erased, mut other) = (phone(&gateway, "ERASED").await, phone(&gateway, "OTHER").await);
    phone(&gateway, "SCRIBBLE").await;
    assert_eq!(order_wipe(&gateway, "ERASED").await, 200);
    assert!(is_told(&mut erased).await);
    assert_eq!(gateway.details().await, "[]");

    disk.fill();
    // The log of the database may have some room inside.
    let is_full = async || order_wipe(&gateway, "SCRIBBLE").await == 503 || act(&gateway, "SCRIBBLE", "cancel-wipe", "").await == 503;
    devices.wait("nothing can be written", PATIENCE, is_full).await;
    // What cannot be saved is not promised, and not half done.
    assert_eq!(order_wipe(&gateway, "OTHER").await, 503);
    assert!(!is_told(&mut other).await, "the order was refused");
    assert!(gateway.details().await.contains("takes no writes"), "{}", gateway.details().await);
    // The phone that was told acknowledges: it has no other moment to do so.
    assert_eq!(erased.fetch_policy(Obeys::InFull).await.unwrap(), Provisioned::Wipe);
    assert_eq!(erased.acknowledge_wipe(false, 1).await.unwrap().status, 1);

    devices.deliver(&cas, 0..DEVICES);
    let mailboxes: Vec<String> = (0..DEVICES).map(mailbox).collect();
    gateway.webhook().notify(&mailboxes.iter().map(String::as_str).collect::<Vec<_>>()).await.unwrap();
    devices.wait("every mail is fetched", PATIENCE, async || tally.missing() == 0).await;
    devices.wait("all devices are held again", PATIENCE, async || tally.held() == DEVICES).await;
    phone(&gateway, "LATECOMER").await;
    assert!(gateway.details().await.contains("takes no writes"), "{}", gateway.details().await);
    assert!(tally.errors().is_empty(), "{:?}", tally.first_error());

    disk.make_room();
    devices.wait("it goes on by itself", PATIENCE, async || gateway.details().await == "[]").await;
    let metrics = async || String::from_utf8(gateway.webhook().call("GET", "/metrics", String::new()).await.unwrap().body).unwrap();
    let is_written = async || metrics().await.contains("pushgate_store_queue_length{of=\"changes\"} 0\n");
    devices.wait("what waited is written", PATIENCE, is_written).await;
    assert_eq!(order_wipe(&gateway, "OTHER").await, 200);
    assert_eq!(tally.held(), DEVICES, "nobody noticed");

    // What is on the disk is what a new process knows.
    gateway.kill();
    gateway.restart().await;
    assert_eq!(shown(&gateway, "ERASED").await["wipe"]["state"], "acknowledged");
    assert_eq!(shown(&gateway, "OTHER").await["wipe"]["state"], "requested");
    assert_eq!(shown(&gateway, "LATECOMER").await["device_id"], "latecomer");
    other.disconnect();
    assert!(is_told(&mut other).await);
    let log = gateway.log();
    assert!(!log.contains("panicked") && log.contains("the database takes no writes"), "{log}");
}
