//! The time of day is set forwards and back by hours while Pings are held (libfaketime of Debian between the process and the system's
//! clock): what waits goes by a clock that nobody sets, so nothing ends early or late, and nobody is kept waiting for hours.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use pushgate::logic::eas::folder_sync::FolderSyncRequest;
use pushgate::logic::eas::{Command, FolderId, PingAnswer};
use pushgate::logic::policy::Timestamp;
use pushgate::standin::cas::{Cas, CasOptions};
use pushgate::standin::device::{Device, DeviceError, DeviceOptions};
use pushgate::standin::tls::{Trust, client_config};
use serde_json::Value;
use tokio::task::JoinHandle;

use crate::devices::{Devices, mailbox};
use crate::process::{Around, Process};

const DEVICES: usize = 30;
const PATIENCE: Duration = Duration::from_secs(60);
/// A heartbeat that runs while the clock is set.
const HEARTBEAT_S: u32 = 4;
/// An answer may come so much late: of a busy machine, not of a clock.
const LATE_MAX: Duration = Duration::from_secs(3);
/// Where the clock is set to, one after the other, in hours from the true time: forwards, back beyond it, a month ahead, and right again.
const HOURS: [i64; 4] = [5, -6, 720, 0];

/// The time of day, of processes that are started around it.
struct Clock(tempfile::TempDir);

impl Clock {
    fn new() -> Clock {
        let clock = Clock(tempfile::tempdir().unwrap());
        clock.set(0);
        clock
    }

    fn around(&self) -> Around {
        let library = format!("/usr/lib/{}-linux-gnu/faketime/libfaketimeMT.so.1", std::env::consts::ARCH);
        assert!(std::path::Path::new(&library).exists(), "the Debian package libfaketime is missing");
        let file = self.0.path().join("clock");
        let variables = [
            ("LD_PRELOAD", library.as_str()),
            ("FAKETIME_TIMESTAMP_FILE", file.to_str().unwrap()),
            // Looked at each time, so that a step is a step.
            ("FAKETIME_NO_CACHE", "1"),
            // Of clocks only the one that can be set, of files nothing.
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
            ("NO_FAKE_STAT", "1"),
        ];
        Around { variables: variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into(), ..Around::default() }
    }

    /// So many hours from the true time.
    fn set(&self, hours: i64) {
        let next = self.0.path().join("next");
        std::fs::write(&next, format!("{hours:+}h\n")).unwrap();
        std::fs::rename(next, self.0.path().join("clock")).unwrap();
    }
}

fn options(gateway: &Process) -> Arc<DeviceOptions> {
    let tls = client_config(Trust::Root(gateway.certificate.certificate.clone()), true).unwrap();
    Arc::new(DeviceOptions::new(gateway.https, Some(tls)))
}

/// A Ping of [`HEARTBEAT_S`] that is held; its answer and how long that took.
async fn short_ping(options: &Arc<DeviceOptions>, id: &str) -> JoinHandle<(PingAnswer, Duration)> {
    let mut device = Device::new(options.clone(), "kim", id);
    device.folder_sync().await.unwrap();
    let inbox: Vec<FolderId> = vec![device.folder_of_type(2).unwrap()];
    device.sync_all(&inbox[0]).await.unwrap();
    let (sent, is_sent) = tokio::sync::oneshot::channel();
    let task = tokio::spawn(async move {
        let mut began = Instant::now();
        let told = || {
            began = Instant::now();
            let _ = sent.send(());
        };
        let answer = device.ping(Some(HEARTBEAT_S), Some(&inbox), Duration::from_secs(60), told).await.unwrap();
        (answer, began.elapsed())
    });
    is_sent.await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(!task.is_finished(), "it is not held");
    task
}

/// What the gateway takes for the time, as it notes when it first saw a device.
async fn time_of(gateway: &Process, mailbox: &str, id: &str) -> String {
    let began = Instant::now();
    loop {
        let answer = gateway.webhook().call("GET", &format!("/v1/devices/{mailbox}/{id}"), String::new()).await.unwrap();
        let device: Value = serde_json::from_slice(&answer.body).unwrap();
        if let Some(time) = device["first_sync_at"].as_str() {
            return time.to_owned();
        }
        // It is written soon, not at once.
        assert!(began.elapsed() < PATIENCE, "{device}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// It ends as it should, and has never panicked.
fn leaves(gateway: &mut Process) {
    gateway.signal(libc::SIGTERM);
    assert_eq!(gateway.wait(), Some(0), "{}", gateway.log());
    assert!(!gateway.log().contains("panicked"), "{}", gateway.log());
}

/// Whether a time is about so many hours from the true one.
fn is_about(time: &str, hours: i64) -> bool {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs() as i64 + hours * 3_600;
    // To the minute, whatever passes between two looks.
    (-120..=5).any(|seconds| Timestamp((now + seconds) as u64).to_string()[..16] == time[..16])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn held_pings_end_when_their_heartbeat_does_and_every_wake_arrives_whatever_the_time_of_day() {
    let cas = Cas::start(CasOptions::default()).await.unwrap();
    let clock = Clock::new();
    let mut gateway = Process::start_around(&cas, "ping.heartbeat_min_s = 1\nstore.flush_s = 1\ndrain.drain_s = 0", clock.around()).await;
    let options = options(&gateway);
    let devices = Devices::start(DEVICES, &gateway).await;
    let tally = &devices.tally;
    devices.wait("all devices are held", PATIENCE, async || tally.held() == DEVICES).await;
    let mut webhook = gateway.webhook();

    for hours in HOURS {
        let ping = short_ping(&options, &format!("SHORT{}", hours.unsigned_abs())).await;
        let asked = cas.options_count();
        clock.set(hours);
        let (answer, took) = ping.await.unwrap();
        assert_eq!(answer, PingAnswer::Expired);
        let heartbeat = Duration::from_secs(HEARTBEAT_S.into());
        // A timer may fire a tick of the wheel early.
        assert!(took + Duration::from_millis(50) > heartbeat && took < heartbeat + LATE_MAX, "{hours:+} h: answered after {took:?}");
        assert_eq!(tally.held(), DEVICES, "{hours:+} h: nobody else is answered");

        devices.deliver(&cas, 0..DEVICES);
        let mailboxes: Vec<String> = (0..DEVICES).map(mailbox).collect();
        webhook.notify(&mailboxes.iter().map(String::as_str).collect::<Vec<_>>()).await.unwrap();
        devices.wait("every mail is fetched", PATIENCE, async || tally.missing() == 0).await;
        devices.wait("all devices are held again", PATIENCE, async || tally.held() == DEVICES).await;
        assert_eq!(cas.options_count(), asked, "{hours:+} h: credentials are believed as long as before");

        // A session is resumed, or not, by a device that comes back; a new one is known from its own time on.
        let id = format!("NEW{}", hours.unsigned_abs());
        let mut device = Device::new(options.clone(), "lee", &id);
        for _ in 0..2 {
            assert_eq!(device.folder_sync().await.unwrap().status, 1);
            device.disconnect();
        }
        let since = time_of(&gateway, "lee@example.org", &id).await;
        assert!(is_about(&since, hours), "{hours:+} h: first seen {since}");
        assert_eq!(gateway.details().await, "[]", "{hours:+} h");
    }
    assert!(tally.errors().is_empty(), "{:?}", tally.first_error());
    leaves(&mut gateway);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shields_and_slowed_devices_wait_as_long_as_before_whatever_the_time_of_day() {
    /// Long enough for a busy machine to ask twice within it.
    const SHIELD: Duration = Duration::from_secs(6);
    let cas = Cas::start(CasOptions::default()).await.unwrap();
    let clock = Clock::new();
    let settings = format!("auth.shield_min_s = {0}\nauth.shield_max_s = {0}\ndrain.drain_s = 0", SHIELD.as_secs());
    let mut gateway = Process::start_around(&cas, &settings, clock.around()).await;
    let options = options(&gateway);
    let from_the_beginning = FolderSyncRequest { sync_key: "0".into() }.encode();

    for (round, hours) in [-6, 6, 0].into_iter().enumerate() {
        let mut looping = Device::new(options.clone(), "hew", &format!("LOOP{round}"));
        let mut slowed_for = None;
        while slowed_for.is_none() {
            let answer = looping.command(Command::FolderSync, from_the_beginning.clone()).await.unwrap();
            assert!([200, 503].contains(&answer.status), "{}", answer.status);
            slowed_for = answer.header("retry-after").map(|seconds| seconds.parse::<u32>().unwrap());
        }
        let mut stale = Device::new(options.clone(), "kim", &format!("STALE{round}")).with_password("of last year");
        let rejected = async |device: &mut Device| matches!(device.folder_sync().await, Err(DeviceError::Http(401)));
        let before = cas.unauthorized_count();
        let asked_at = Instant::now();
        assert!(rejected(&mut stale).await);
        clock.set(hours);

        assert!(rejected(&mut stale).await);
        assert_eq!(cas.unauthorized_count(), before + 1, "{hours:+} h: the backend is spared");
        let answer = looping.command(Command::FolderSync, from_the_beginning.clone()).await.unwrap();
        let seconds: u32 = answer.header("retry-after").unwrap().parse().unwrap();
        assert!(answer.status == 503 && seconds <= 60, "{hours:+} h: slowed for {slowed_for:?} s before, and for {seconds} s now");

        tokio::time::sleep((SHIELD + Duration::from_millis(200)).saturating_sub(asked_at.elapsed())).await;
        assert!(rejected(&mut stale).await);
        assert_eq!(cas.unauthorized_count(), before + 2, "{hours:+} h: the backend is asked once more");
        assert_eq!(gateway.details().await, "[]", "{hours:+} h");
    }
    leaves(&mut gateway);
}
