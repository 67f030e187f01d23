//! A backend that hangs, lies, breaks off, fails or is slow: held Pings that need not die do not, every wake is delivered, and once it is
//! well again every mail is fetched.

use std::time::Duration;

use pushgate::standin::cas::{Cas, CasOptions, Fault, FaultRule};

use crate::devices::{Devices, mailbox};
use crate::process::Process;

const DEVICES: usize = 40;
const WOKEN: usize = 10;
const PATIENCE: Duration = Duration::from_secs(90);
/// How long the trouble lasts once the woken devices have met it.
const TROUBLE: Duration = Duration::from_secs(2);

async fn survives(fault: Fault) {
    let cas = Cas::start(CasOptions::default()).await.unwrap();
    let gateway = Process::start(&cas, "backend.answer_timeout_s = 1\nbackend.down_s = 1").await;
    let devices = Devices::start(DEVICES, &gateway).await;
    let tally = &devices.tally;
    devices.wait("all devices are held", PATIENCE, async || tally.held() == DEVICES).await;

    let wakes = gateway.status("wakes_total").await;
    cas.set_faults(vec![FaultRule { command: None, times: None, fault }]);
    devices.deliver(&cas, 0..WOKEN);
    let mailboxes: Vec<String> = (0..WOKEN).map(mailbox).collect();
    gateway.webhook().notify(&mailboxes.iter().map(String::as_str).collect::<Vec<_>>()).await.unwrap();
    devices.wait("those with mail are woken", PATIENCE, async || gateway.status("wakes_total").await >= wakes + WOKEN as u64).await;
    tokio::time::sleep(TROUBLE).await;
    let held = gateway.status("held").await;
    assert!(held >= (DEVICES - WOKEN) as u64, "{fault:?}: only {held} are held");

    cas.set_faults(Vec::new());
    devices.wait("every mail is fetched", PATIENCE, async || tally.missing() == 0).await;
    devices.wait("all devices are held again", PATIENCE, async || tally.held() == DEVICES).await;
    assert!(!gateway.log().contains("panicked"), "{}", gateway.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backend_that_hangs_takes_nobody_with_it() {
    survives(Fault::Hang).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backend_that_announces_more_than_it_sends_takes_nobody_with_it() {
    survives(Fault::LieAboutLength(1_000)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backend_that_breaks_off_takes_nobody_with_it() {
    survives(Fault::CloseMidAnswer).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backend_that_fails_takes_nobody_with_it() {
    survives(Fault::Status(500)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_backend_takes_nobody_with_it() {
    survives(Fault::Delay(Duration::from_millis(700))).await;
}
