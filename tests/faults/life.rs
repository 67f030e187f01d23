//! Reload, drain and what a service manager is told, of a real process with held Pings.

use std::os::unix::net::UnixDatagram;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pushgate::gateway::open_files;
use pushgate::logic::eas::{FolderId, PingAnswer};
use pushgate::standin::cas::{Cas, CasOptions};
use pushgate::standin::device::{Device, DeviceOptions};
use pushgate::standin::tls::{ThrowAway, Trust, client_config};

use crate::common::Ran;
use crate::devices::Devices;
use crate::process::Process;

async fn cas() -> Cas {
    Cas::start(CasOptions::default()).await.unwrap()
}

fn device(gateway: &Process, user: &str) -> Device {
    let tls = client_config(Trust::Root(gateway.certificate.certificate.clone()), false).unwrap();
    Device::new(Arc::new(DeviceOptions::new(gateway.https, Some(tls))), user, &format!("LIFE{user}"))
}

/// A device with its Ping held, in a task; what it is answered, and how long that took.
async fn held(gateway: &Process, user: &str) -> tokio::task::JoinHandle<(PingAnswer, Instant)> {
    let mut device = device(gateway, user);
    device.folder_sync().await.unwrap();
    let inbox: Vec<FolderId> = vec![device.folder_of_type(2).unwrap()];
    device.sync_all(&inbox[0]).await.unwrap();
    let before = gateway.status("held").await;
    let task = tokio::spawn(async move {
        let answer = device.ping(Some(900), Some(&inbox), Duration::from_secs(900), || {}).await.unwrap();
        (answer, Instant::now())
    });
    while gateway.status("held").await <= before {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    task
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_puts_the_file_in_force_and_what_is_held_stays() {
    let cas = cas().await;
    let gateway = Process::start(&cas, "ping.folders_max = 5").await;
    let ping = held(&gateway, "hew").await;

    gateway.edit("ping.folders_max = 5", "ping.folders_max = 0");
    let refused = gateway.run("reload").await.failed(1);
    assert!(refused.contains("everything stays as it was") && refused.contains("ping.folders_max: is a whole number"), "{refused}");
    // The same, asked of the gateway itself.
    let refused = gateway.run(&format!("reload --url http://{} --token-file token", gateway.internal)).await.failed(1);
    assert!(refused.contains("Nothing was changed: 1 problem") && refused.contains("ping.folders_max: is a whole number"), "{refused}");
    gateway.edit("certificate = \"certificate.pem\"", "certificate = \"absent.pem\"");
    gateway.edit("ping.folders_max = 0", "ping.folders_max = 5");
    assert!(gateway.run("reload").await.failed(1).contains("absent.pem"));
    gateway.edit("absent.pem", "certificate.pem");

    gateway.edit("ping.folders_max = 5", "ping.folders_max = 1");
    gateway.edit("limits.lots = 2", "limits.lots = 7");
    let told = gateway.run("reload").await.done();
    let wanted = "In force: ping.folders_max. 1 Pings held as before.\nNeeds a restart, and stays as it was: limits.lots.\n";
    assert_eq!(told, wanted);
    let mut other = device(&gateway, "kim");
    other.folder_sync().await.unwrap();
    let folders: Vec<FolderId> = other.folders.iter().take(2).map(|folder| folder.id.clone()).collect();
    let answer = other.ping(Some(900), Some(&folders), Duration::from_secs(900), || {}).await.unwrap();
    assert_eq!(answer, PingAnswer::TooManyFolders { max: 1 });

    assert_eq!(gateway.status("held").await, 1);
    cas.deliver("hew", "Inbox");
    gateway.webhook().notify(&["hew@example.org"]).await.unwrap();
    assert!(matches!(ping.await.unwrap().0, PingAnswer::Changes(_)), "its connection is the old one, and wakes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sighup_takes_other_backends_certificates_and_token() {
    let (old, new) = (cas().await, cas().await);
    let mut gateway = Process::start(&old, "").await;
    let ping = held(&gateway, "hew").await;
    gateway.edit(&old.url(), &new.url());
    let certificate = ThrowAway::new(&["localhost"]).unwrap();
    gateway.write("certificate.pem", &certificate.certificate_pem);
    gateway.write("key.pem", &certificate.key_pem);
    gateway.write("token", "a-token-of-somebody-else");
    gateway.certificate = certificate;
    gateway.signal(libc::SIGHUP);
    let began = Instant::now();
    // The new token opens as soon as all of it is in force.
    while gateway.webhook().call("GET", "/v1/status", String::new()).await.is_ok_and(|answer| answer.status != 200) {
        assert!(began.elapsed() < Duration::from_secs(20), "{}", gateway.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let before = old.requests();
    assert_eq!(device(&gateway, "kim").folder_sync().await.unwrap().status, 1);
    assert!((new.requests(), old.requests()) == (1, before), "{} at the new backend", new.requests());
    assert_eq!(gateway.status("held").await, 1);
    assert!(!ping.is_finished());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn drain_answers_everybody_and_the_command_waits_for_the_end() {
    let cas = cas().await;
    let mut gateway = Process::start(&cas, "drain.drain_s = 2").await;
    let mut pings = Vec::new();
    for user in ["hew", "kim", "lee"] {
        pings.push(held(&gateway, user).await);
    }
    let told = gateway.run("drain").await.done();
    assert_eq!(told, "3 held Pings are answered over 2 s.\nIt has left.\n");
    for ping in pings {
        assert_eq!(ping.await.unwrap().0, PingAnswer::Expired);
    }
    assert_eq!(gateway.wait(), Some(0));
    let Ran { code, err, .. } = gateway.run("drain").await;
    assert!(code == 1 && err.contains("cannot reach the gateway"), "{code} {err}");
}

/// Real sockets of twelve hundred devices; figures of the gateway itself, twenty times a second until it has left. (That each device gets
/// its answer before its connection ends is seen from the devices' side, with fewer, in the behaviour tests.)
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twelve_hundred_held_are_answered_evenly_over_the_time_and_the_process_leaves_by_its_deadline() {
    const HELD: usize = 1_200;
    const DRAIN: Duration = Duration::from_secs(4);
    open_files::ensure_sockets(HELD + 200).unwrap();
    let cas = cas().await;
    let mut gateway = Process::start(&cas, "drain.drain_s = 4").await;
    let devices = Devices::start(HELD, &gateway).await;
    devices.wait("all devices are held", Duration::from_secs(120), async || devices.tally.held() == HELD).await;
    assert_eq!(devices.tally.errors().len(), 0, "{:?}", devices.tally.first_error());
    gateway.signal(libc::SIGTERM);
    let began = Instant::now();
    let (mut at_half, mut drained) = (None, 0.0);
    let mut webhook = gateway.webhook();
    while let Ok(answer) = webhook.call("GET", "/metrics", String::new()).await {
        let text = String::from_utf8(answer.body).unwrap();
        let figure = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<f64>().ok());
        drained = figure("pushgate_pings_total{outcome=\"drained\"}").unwrap_or(drained);
        if began.elapsed() >= DRAIN / 2 {
            at_half.get_or_insert(drained as usize);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(gateway.wait(), Some(0));
    let (took, at_half) = (began.elapsed(), at_half.unwrap());
    println!("{at_half} of {drained} answered after half of {DRAIN:?}, left after {took:?}");
    // Three hundred a second are answered: the last look was a moment before the last answers.
    assert!(drained as usize >= HELD * 9 / 10, "{drained} of them were answered");
    assert!((HELD / 4..=HELD * 3 / 4).contains(&at_half), "{at_half} in the first half");
    assert!(took < DRAIN + Duration::from_secs(6), "{took:?}");
}

/// What systemd hears: a socket in its place, and the watchdog's time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_service_manager_is_told_of_start_reload_watchdog_and_end() {
    let cas = cas().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let heard = || {
        let mut bytes = [0; 4_096];
        let count = socket.recv(&mut bytes).expect("a message from the gateway");
        String::from_utf8(bytes[..count].to_vec()).unwrap()
    };
    let until = |wanted: &str| loop {
        let message = heard();
        if message.contains(wanted) {
            return message;
        }
    };
    let variables = [("NOTIFY_SOCKET", path.to_str().unwrap()), ("WATCHDOG_USEC", "900000")];
    let mut gateway = Process::start_with(&cas, "drain.drain_s = 0", &variables).await;
    until("READY=1");
    until("WATCHDOG=1");
    assert!(until("STATUS=").contains("0 Pings held"));
    gateway.signal(libc::SIGHUP);
    let reloading = until("RELOADING=1");
    assert!(reloading.contains("MONOTONIC_USEC="), "{reloading}");
    until("READY=1");
    gateway.edit("drain.drain_s = 0", "drain.drain_s = true");
    gateway.signal(libc::SIGHUP);
    assert!(until("READY=1").contains("STATUS=not reloaded: drain.drain_s"));
    until("WATCHDOG=1");
    gateway.signal(libc::SIGTERM);
    let stopping = until("STOPPING=1");
    assert!(stopping.contains("EXTEND_TIMEOUT_USEC="), "{stopping}");
    assert_eq!(gateway.wait(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_signal_ends_the_process_at_once() {
    let cas = cas().await;
    let mut gateway = Process::start(&cas, "drain.drain_s = 600").await;
    let mut pings = Vec::new();
    for user in ["hew", "kim", "lee", "max", "ned", "ora"] {
        pings.push(held(&gateway, user).await);
    }
    gateway.signal(libc::SIGTERM);
    // The first of each lot is answered at once, the others minutes later.
    while gateway.status("held").await == 6 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    gateway.signal(libc::SIGTERM);
    assert_eq!(gateway.wait(), Some(1));
    assert!(gateway.log().contains("a second signal"), "{}", gateway.log());
    pings.iter().for_each(tokio::task::JoinHandle::abort);
}
