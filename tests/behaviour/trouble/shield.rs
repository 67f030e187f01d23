//! The stale-password shield: what the backend sees of a password it has rejected.

use pushgate::admin::view::Trouble;
use pushgate::logic::eas::Command;
use pushgate::standin::cas::{Cas, Fault, FaultRule};

use crate::scene::{Gateway, Line, Request, backend, device, eas, gateway, http, until, vector};

fn folder_sync(password: &str) -> Request {
    eas("FolderSync").user("hew", password).body(vector("12-"))
}

/// What the backend was asked with wrong passwords, beside the one that the gateway tries by itself.
fn rejected_at(backend: &Cas) -> u64 {
    backend.unauthorized_count()
}

async fn statuses(line: &mut Line, request: &Request, times: usize) -> Vec<u16> {
    let mut statuses = Vec::new();
    for _ in 0..times {
        statuses.push(line.ask(request).await.status);
    }
    statuses
}

async fn troubles(gateway: &Gateway) -> Vec<Trouble> {
    serde_json::from_slice(&gateway.call("GET", "/v1/troubles", String::new()).await.body).unwrap()
}

#[tokio::test]
async fn a_forgotten_phone_asks_a_hundred_times_and_the_backend_sees_one() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    let mut line = gateway.line().await;
    assert_eq!(statuses(&mut line, &folder_sync("old"), 100).await, [401; 100]);
    assert_eq!(rejected_at(&backend), 1);
    let answer = line.ask(folder_sync("old")).await;
    assert_eq!(answer.header("www-authenticate"), Some("Basic realm=\"stand-in\""), "the backend's own challenge");
    // Pings and what is no command at all are the same password.
    assert_eq!(line.ask(eas("Ping").user("hew", "old").body(vector("02-"))).await.status, 401);
    assert_eq!(rejected_at(&backend), 1);
    let shown = troubles(&gateway).await;
    let shield = shown[0].shield.as_ref().unwrap();
    assert_eq!((shown[0].mailbox.as_deref(), shown[0].device_id.as_deref()), (Some("hew@example.org"), Some("raw1")));
    assert_eq!((shield.rejected, shield.spared), (1, 101));
    assert!((295..=300).contains(&shield.until.since(shield.since)), "{shield:?}");
}

#[tokio::test]
async fn options_with_a_stale_password_are_shielded_by_address() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    let options = http("OPTIONS", "/Microsoft-Server-ActiveSync").user("hew", "old");
    assert_eq!(statuses(&mut gateway.line().await, &options, 10).await, [401; 10]);
    assert_eq!(rejected_at(&backend), 1);
    let right = options.user("hew", "test");
    assert_eq!(gateway.line().await.ask(right).await.status, 200);
}

#[tokio::test]
async fn a_new_password_passes_at_once_and_nobody_else_can_take_that_away() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    let mut line = gateway.line().await;
    // Somebody who knows the device's id guesses passwords.
    for guess in 0..50 {
        assert_eq!(line.ask(folder_sync(&format!("guess{guess}"))).await.status, 401);
    }
    assert_eq!(rejected_at(&backend), 50, "guesses are the backend's to count");
    let right = folder_sync("test");
    assert_eq!(gateway.line().await.ask(&right).await.status, 200, "the owner, from the same device");
    // And the stale one goes on: it hinders neither him nor another device.
    assert_eq!(statuses(&mut line, &folder_sync("guess1"), 5).await, [401; 5]);
    assert_eq!(gateway.line().await.ask(&right).await.status, 200);
    let mut phone = device().in_step_at(&gateway).await;
    phone.hold(&gateway).await;
    assert_eq!(rejected_at(&backend), 50);
}

#[tokio::test]
async fn success_of_another_device_with_the_same_credentials_clears_it() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    let reject = || FaultRule { command: Some(Command::FolderSync), times: Some(1), fault: Fault::Status(401) };
    backend.set_faults(vec![reject()]);
    let mut line = gateway.line().await;
    assert_eq!(statuses(&mut line, &folder_sync("test"), 3).await, [401; 3], "the administrator has not set the password yet");
    let requests = backend.requests();
    device().named("Tablet").in_step_at(&gateway).await;
    assert!(backend.requests() > requests);
    assert_eq!(line.ask(folder_sync("test")).await.status, 200);
    assert!(troubles(&gateway).await.is_empty());
}

#[tokio::test]
async fn one_failure_of_a_password_that_was_good_is_not_held_against_it() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    let mut line = gateway.line().await;
    assert_eq!(line.ask(folder_sync("test")).await.status, 200);
    let failing = |times| vec![FaultRule { command: None, times: Some(times), fault: Fault::Status(401) }];
    for _ in 0..5 {
        backend.set_faults(failing(1));
        assert_eq!(statuses(&mut line, &folder_sync("test"), 2).await, [401, 200], "a backend that stumbles");
    }
    backend.set_faults(failing(2));
    assert_eq!(statuses(&mut line, &folder_sync("test"), 3).await, [401; 3], "one that means it");
}

#[tokio::test]
async fn after_its_time_one_request_tries_and_success_ends_it() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).set("auth.shield_min_s", 1).start().await;
    backend.set_faults(vec![FaultRule { command: Some(Command::FolderSync), times: Some(2), fault: Fault::Status(401) }]);
    let mut line = gateway.line().await;
    let requests = backend.requests();
    until("good again", async || line.ask(folder_sync("test")).await.status == 200).await;
    assert_eq!(backend.requests() - requests, 3, "at the beginning, after one second, and after two more");
}

#[tokio::test]
async fn what_is_not_about_the_password_does_not_shield() {
    for status in [403, 500, 503, 449] {
        let backend = backend().start().await;
        let gateway = gateway().behind(backend.url()).start().await;
        backend.set_faults(vec![FaultRule { command: Some(Command::FolderSync), times: Some(3), fault: Fault::Status(status) }]);
        let mut line = gateway.line().await;
        assert_eq!(statuses(&mut line, &folder_sync("test"), 4).await, [status, status, status, 200]);
    }
}

#[tokio::test]
async fn it_can_be_switched_off() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).set("auth.shield_min_s", 0).start().await;
    assert_eq!(statuses(&mut gateway.line().await, &folder_sync("old"), 5).await, [401; 5]);
    assert_eq!(rejected_at(&backend), 5);
}
