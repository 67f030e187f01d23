//! Doubt about a held Ping, and how it is cleared.

use pushgate::logic::eas::{Command, FolderId, PingAnswer};
use pushgate::standin::cas::{Cas, Fault, FaultRule};
use pushgate::standin::device::DeviceOptions;

use crate::scene::{Gateway, GatewayBuilder, Phone, backend, device, gateway, mailbox, until};

/// A phone that has synchronised without us: nothing is known of it here.
async fn stranger(backend: &Cas, gateway: &Gateway) -> (Phone, FolderId) {
    stranger_named("Phone1", backend, gateway).await
}

async fn stranger_named(name: &str, backend: &Cas, gateway: &Gateway) -> (Phone, FolderId) {
    stranger_of("hew", name, backend, gateway).await
}

async fn stranger_of(user: &str, name: &str, backend: &Cas, gateway: &Gateway) -> (Phone, FolderId) {
    let mut phone = device().of(user).named(name).at(gateway);
    let direct = std::sync::Arc::new(DeviceOptions::new(backend.address(), None));
    phone.device = pushgate::standin::device::Device::new(direct, user, name);
    phone.synchronise().await;
    let inbox = phone.inbox();
    (phone, inbox)
}

fn checking(backend: &Cas) -> GatewayBuilder {
    gateway().behind(backend.url()).set("backend.resolve", "\"check\"").set("backend.check_heartbeat_s", 1)
}

#[tokio::test]
async fn a_check_asks_the_backend_exactly_once_and_the_ping_stays_held() {
    let backend = backend().start().await;
    let gateway = checking(&backend).start().await;
    let (mut phone, inbox) = stranger(&backend, &gateway).await;
    phone.hold_for(&gateway, 600, std::slice::from_ref(&inbox)).await;
    assert_eq!(backend.count(Command::Ping), 1);
    let asked = backend.requests();
    phone.take_line();
    gateway.holds(&[]).await;
    phone.hold_for(&gateway, 600, &[inbox]).await;
    assert_eq!((backend.count(Command::Ping), backend.requests()), (1, asked), "in step now: nothing more to ask");
}

#[tokio::test]
async fn a_change_that_a_check_finds_wakes_the_ping() {
    let backend = backend().start().await;
    let gateway = checking(&backend).start().await;
    let (mut phone, inbox) = stranger(&backend, &gateway).await;
    backend.deliver("hew", "Inbox");
    assert_eq!(phone.asks(Some(600), Some(std::slice::from_ref(&inbox))).await, PingAnswer::Changes(vec![inbox]));
    assert_eq!(backend.count(Command::Ping), 1);
}

#[tokio::test]
async fn a_notification_does_not_wait_for_the_check_that_is_running() {
    let backend = backend().start().await;
    let gateway = checking(&backend).set("backend.check_heartbeat_s", 600).start().await;
    let (mut phone, inbox) = stranger(&backend, &gateway).await;
    phone.ping(Some(600), Some(std::slice::from_ref(&inbox))).await;
    until("the check at the backend", async || backend.count(Command::Ping) == 1).await;
    assert_eq!(gateway.pings("").await.pings[0].phase, "resolving");
    assert_eq!(gateway.notify(mailbox("hew").folder("INBOX")).await.woken, Some(1));
    assert_eq!(phone.answer().await, PingAnswer::Changes(vec![inbox]));
    until("the check given up", async || gateway.status().await.checks_running == 0).await;
}

#[tokio::test]
async fn a_device_that_hangs_up_takes_its_check_along() {
    let backend = backend().start().await;
    let gateway = checking(&backend).set("backend.check_heartbeat_s", 600).set("backend.checks_max", 1).start().await;
    let (mut phone, inbox) = stranger(&backend, &gateway).await;
    phone.ping(Some(600), Some(&[inbox])).await;
    until("the check at the backend", async || gateway.status().await.checks_running == 1).await;
    phone.take_line();
    until("the check given up", async || gateway.status().await.checks_running == 0).await;
}

#[tokio::test]
async fn a_check_that_gets_no_answer_leaves_the_ping_held() {
    let backend = backend().start().await;
    let gateway = checking(&backend).start().await;
    let (mut phone, inbox) = stranger(&backend, &gateway).await;
    backend.set_faults(vec![FaultRule { command: Some(Command::Ping), times: None, fault: Fault::Status(500) }]);
    phone.ping(Some(600), Some(&[inbox])).await;
    until("held, and still in doubt", async || {
        let pings = gateway.pings("").await.pings;
        let status = gateway.status().await;
        pings.len() == 1 && pings[0].phase == "resolving" && status.checks_running + status.checks_waiting == 0
    })
    .await;
    assert_eq!(gateway.notify(mailbox("hew").folder("INBOX")).await.woken, Some(1));
}

#[tokio::test]
async fn a_check_that_is_refused_ends_the_hold_so_that_the_device_hears_it() {
    let backend = backend().start().await;
    let gateway = checking(&backend).start().await;
    let (mut phone, inbox) = stranger(&backend, &gateway).await;
    backend.set_faults(vec![FaultRule { command: Some(Command::Ping), times: None, fault: Fault::Status(401) }]);
    assert_eq!(phone.asks(Some(600), Some(&[inbox])).await, PingAnswer::Expired);
}

#[tokio::test]
async fn with_sync_a_device_in_doubt_is_told_once_and_held_from_then_on() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).set("backend.resolve", "\"sync\"").start().await;
    let (stranger, inbox) = stranger(&backend, &gateway).await;
    drop(stranger);
    let mut phone = device().at(&gateway);
    let watched = std::slice::from_ref(&inbox);
    assert_eq!(phone.asks(Some(600), Some(watched)).await, PingAnswer::Changes(watched.to_vec()));
    phone.synchronise().await;
    phone.hold(&gateway).await;
    assert_eq!(backend.count(Command::Ping), 0);
}

#[tokio::test]
async fn where_a_source_reports_folders_too_the_folder_list_is_in_doubt_first() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).set("notify.dovecot.folders", "true").start().await;
    let (stranger, inbox) = stranger(&backend, &gateway).await;
    drop(stranger);
    let mut phone = device().at(&gateway);
    let watched = std::slice::from_ref(&inbox);
    assert_eq!(phone.asks(Some(600), Some(watched)).await, PingAnswer::HierarchyChanged);
    phone.device.folder_sync().await.unwrap();
    assert_eq!(phone.asks(Some(600), Some(watched)).await, PingAnswer::Changes(watched.to_vec()));
}

#[tokio::test]
async fn a_folder_that_no_source_covers_is_checked_whatever_clears_doubt_elsewhere() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).set("backend.check_heartbeat_s", 1).start().await;
    let (mut phone, _) = stranger(&backend, &gateway).await;
    let calendar = [phone.folder(8)];
    phone.device.sync_all(&calendar[0]).await.unwrap();
    phone.hold_for(&gateway, 600, &calendar).await;
    assert_eq!(backend.count(Command::Ping), 1);
}

#[tokio::test]
async fn what_a_check_finds_in_an_uncovered_folder_wakes_the_ping() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).set("backend.check_heartbeat_s", 1).start().await;
    let (mut phone, _) = stranger(&backend, &gateway).await;
    let calendar = [phone.folder(8)];
    phone.device.sync_all(&calendar[0]).await.unwrap();
    backend.deliver("hew", "Calendar");
    assert_eq!(phone.asks(Some(600), Some(&calendar)).await, PingAnswer::Changes(calendar.to_vec()));
}

#[tokio::test]
async fn a_backend_that_fails_is_asked_by_one_check_at_a_time_until_it_answers() {
    let backend = backend().start().await;
    let one_at_a_time = checking(&backend).set("backend.checks_max", 1).set("backend.check_heartbeat_s", 1);
    let gateway = one_at_a_time.start().await;
    let mut phones = Vec::new();
    for number in 1..=6 {
        phones.push(stranger_named(&format!("Phone{number}"), &backend, &gateway).await);
    }
    backend.set_faults(vec![FaultRule { command: Some(Command::Ping), times: None, fault: Fault::Status(502) }]);
    for (phone, inbox) in &mut phones {
        phone.ping(Some(600), Some(std::slice::from_ref(inbox))).await;
    }
    let pings = async || gateway.pings("").await.pings;
    let asked = async || gateway.status().await.backend_requests_total - backend.options_count();
    until("the backend known to fail", async || {
        let ready = gateway.call("GET", "/readyz", String::new()).await;
        ready.status == 200 && String::from_utf8_lossy(&ready.body).contains("answers no checks")
    })
    .await;
    let told_enough = asked().await;
    assert!(told_enough < 6, "six devices are in doubt, and three checks tell enough, not {told_enough}");
    assert!(gateway.metric("pushgate_check_pause_seconds", "").await >= 2.0);
    until("a trial", async || asked().await > told_enough).await;
    assert!(pings().await.len() == 6 && pings().await.iter().all(|ping| ping.phase == "resolving"), "nobody was told anything");
    backend.set_faults(Vec::new());
    // Those whose check failed ask again half a minute later, the others at once.
    until("checked", async || pings().await.iter().filter(|ping| ping.phase == "parked").count() >= 2).await;
    assert_eq!(pings().await.len(), 6);
}

#[tokio::test]
async fn a_device_that_comes_back_after_a_change_does_not_wait_for_its_turn() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).set("backend.resolve_per_s", 1).start().await;
    // Turns are taken for a minute to come.
    let mut crowd = Vec::new();
    for number in 0..60 {
        let (mut phone, inbox) = stranger_named(&format!("Crowd{number}"), &backend, &gateway).await;
        phone.ping(Some(600), Some(&[inbox])).await;
        crowd.push(phone);
    }
    until("most of them wait", async || gateway.status().await.in_doubt >= 50).await;
    let (mut phone, inbox) = stranger_of("ada", "Phone1", &backend, &gateway).await;
    // Nobody is there to be told.
    assert_eq!(gateway.notify(mailbox("ada").folder("INBOX")).await.woken, Some(0));
    phone.ping(Some(600), Some(std::slice::from_ref(&inbox))).await;
    let answer = tokio::time::timeout(std::time::Duration::from_secs(20), phone.answer()).await;
    assert_eq!(answer.expect("long before its turn"), PingAnswer::Changes(vec![inbox]));
}
