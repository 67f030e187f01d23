//! The gateway is killed with 2,000 devices held: all of them are in doubt at once, and the backend must not notice.

use std::time::Duration;

use pushgate::gateway::open_files;
use pushgate::logic::eas::Command;
use pushgate::standin::cas::{Cas, CasOptions, Kind};

use crate::devices::{Devices, mailbox};
use crate::process::Process;

const DEVICES: usize = 2_000;
const CHECKS_MAX: usize = 4;
/// A check of SOGo that finds nothing takes ten of these.
const SECOND: Duration = Duration::from_millis(5);
/// 2,000 checks of 50 ms, four at a time, are 25 s; a slow machine has four times as long.
const PATIENCE: Duration = Duration::from_secs(120);

/// Backends do not notice that a check was cancelled: its worker goes on until the heartbeat is over.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_check_that_is_overtaken_keeps_its_place_until_the_backend_is_done() {
    let options = CasOptions { kind: Kind::ZPush, workers: 64, ..CasOptions::default() };
    let cas = Cas::start(options).await.unwrap();
    let settings = format!("backend.kind = \"z-push\"\nbackend.resolve = \"check\"\nbackend.checks_max = {CHECKS_MAX}");
    let mut gateway = Process::start(&cas, &settings).await;
    let devices = Devices::start(40, &gateway).await;
    let tally = &devices.tally;
    devices.wait("all devices are held", PATIENCE, async || tally.held() == 40).await;
    gateway.kill();
    gateway.restart().await;
    devices.wait("checks run", PATIENCE, async || cas.count(Command::Ping) >= 4).await;
    let mut webhook = gateway.webhook();
    for number in 0..40 {
        devices.deliver(&cas, std::iter::once(number));
        webhook.notify(&[&mailbox(number)]).await.unwrap();
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    devices.wait("every mail is fetched", PATIENCE, async || tally.missing() == 0).await;
    let doubt = async || gateway.status("checks_running").await + gateway.status("checks_waiting").await;
    devices.wait("no doubt remains", PATIENCE, async || tally.held() == 40 && doubt().await == 0).await;
    println!("{} checks, at most {} at once", cas.count(Command::Ping), cas.pings_max());
    assert!(cas.pings_max() <= CHECKS_MAX, "{} checks at once", cas.pings_max());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_devices_learn_of_every_mail_through_four_checks() {
    open_files::ensure_sockets(2 * DEVICES + 600).unwrap();
    let options = CasOptions { kind: Kind::Sogo, workers: 64, heartbeat_max_s: Some(3_540), second: SECOND, ..CasOptions::default() };
    let cas = Cas::start(options).await.unwrap();
    let settings = format!("backend.kind = \"sogo\"\nbackend.resolve = \"check\"\nbackend.checks_max = {CHECKS_MAX}");
    let mut gateway = Process::start(&cas, &settings).await;
    let devices = Devices::start(DEVICES, &gateway).await;
    let tally = &devices.tally;
    let took = devices.wait("all devices are held", PATIENCE, async || tally.held() == DEVICES).await;
    println!("{DEVICES} devices held {took:.1} s after the last was started, {} checks", cas.count(Command::Ping));
    assert_eq!(cas.count(Command::Ping), 0, "devices that have just synchronised are in step");

    gateway.kill();
    let silent = devices.deliver(&cas, (0..DEVICES).step_by(4));
    gateway.restart().await;

    // Notifications overtake the checks that wait and those that run.
    let mut overtaking = 0;
    let mut webhook = gateway.webhook();
    for first in (1..DEVICES).step_by(400) {
        let numbers: Vec<usize> = (first..DEVICES.min(first + 400)).step_by(4).collect();
        overtaking += devices.deliver(&cas, numbers.iter().copied());
        let mailboxes: Vec<String> = numbers.iter().map(|&number| mailbox(number)).collect();
        webhook.notify(&mailboxes.iter().map(String::as_str).collect::<Vec<_>>()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let told = devices.wait("every mail is fetched", PATIENCE, async || tally.missing() == 0).await;
    println!("{silent} mails delivered meanwhile and {overtaking} overtaking ones fetched {told:.1} s after the last of them");

    let doubt = async || gateway.status("checks_running").await + gateway.status("checks_waiting").await;
    let took = devices.wait("no doubt remains", PATIENCE, async || tally.held() == DEVICES && doubt().await == 0).await;
    println!("no doubt left after {took:.1} s more; {} checks, at most {} at once", cas.count(Command::Ping), cas.pings_max());
    assert!(cas.pings_max() <= CHECKS_MAX, "{} checks at once", cas.pings_max());
    assert!(cas.count(Command::Ping) > 0, "doubt was cleared in another way");
    println!("errors that devices saw: {:?}", tally.errors());
}
