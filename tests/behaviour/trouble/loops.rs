//! Devices that ask the same over and over are slowed and named; ordinary bursts are not.

use pushgate::admin::view::Trouble;
use pushgate::logic::eas::Command;
use pushgate::logic::eas::FolderId;
use pushgate::logic::eas::sync::{SyncCollection, SyncRequest};

use crate::scene::{Gateway, Line, Request, backend, device, eas, gateway, vector};

async fn loops(gateway: &Gateway) -> Vec<(String, u32)> {
    let troubles: Vec<Trouble> = serde_json::from_slice(&gateway.call("GET", "/v1/troubles", String::new()).await.body).unwrap();
    troubles.into_iter().filter_map(|trouble| trouble.looping).map(|looping| (looping.kind, looping.count)).collect()
}

/// How often the request passes before it is answered 503 with a time to wait, of so many times.
async fn passes(line: &mut Line, request: impl Into<Vec<u8>>, times: usize) -> usize {
    let request = request.into();
    for passed in 0..times {
        let answer = line.ask(request.clone()).await;
        if answer.status == 503 {
            let seconds: u32 = answer.header("retry-after").unwrap().parse().unwrap();
            assert!((50..=60).contains(&seconds), "{seconds}");
            return passed;
        }
        assert_eq!(answer.status, 200);
    }
    times
}

#[tokio::test]
async fn folder_lists_from_the_beginning_for_ever_are_slowed_before_they_reach_the_backend() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    let mut line = gateway.line().await;
    let request = eas("FolderSync").body(vector("12-"));
    // The first is a stranger's: strangers are the backend's to refuse, and are not counted.
    assert_eq!(passes(&mut line, &request, 30).await, 11);
    for _ in 0..20 {
        assert_eq!(line.ask(&request).await.status, 503);
    }
    assert_eq!(backend.count(Command::FolderSync), 11);
    assert_eq!(loops(&gateway).await, [("folder_syncs".to_owned(), 31)]);
    // Another device of the same user has nothing to do with it.
    device().in_step_at(&gateway).await;
}

fn sync_from_the_beginning(folders: &[&str]) -> Request {
    let collections = folders.iter().map(|id| SyncCollection::new(FolderId::new(id).unwrap(), "0")).collect();
    eas("Sync").body(SyncRequest { collections, ..SyncRequest::default() }.encode())
}

#[tokio::test]
async fn one_folder_from_the_beginning_for_ever_is_slowed_and_forty_folders_once_are_not() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    let mut line = gateway.line().await;
    line.ask(eas("FolderSync").body(vector("12-"))).await;
    for number in 0..40 {
        assert_eq!(line.ask(sync_from_the_beginning(&[&format!("{number}")])).await.status, 200);
    }
    assert!(loops(&gateway).await.is_empty());
    assert!(passes(&mut line, sync_from_the_beginning(&["5"]), 30).await <= 10);
    assert_eq!(loops(&gateway).await[0].0, "syncs");
}

#[tokio::test]
async fn pings_without_a_sync_in_between_are_slowed() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    let phone = device().in_step_at(&gateway).await;
    // Never accepted, and asked for again and again: Status 5.
    let request = phone.ping_request(Some(1), Some(&[phone.inbox()]));
    let mut line = gateway.line().await;
    assert_eq!(passes(&mut line, request.clone(), 60).await, 30);
    assert_eq!(loops(&gateway).await[0].0, "pings");
    let before = backend.requests();
    assert_eq!(line.ask(request).await.status, 503);
    assert_eq!(backend.requests(), before);
}

#[tokio::test]
async fn pings_between_syncs_are_a_busy_mailbox() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    let mut phone = device().in_step_at(&gateway).await;
    let inbox = [phone.inbox()];
    for _ in 0..50 {
        backend.deliver("hew", "Inbox");
        phone.asks(Some(1), Some(&inbox)).await;
        phone.synchronise_folders().await;
    }
    assert!(loops(&gateway).await.is_empty());
}

#[tokio::test]
async fn an_account_that_is_added_again_is_no_loop() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    for _ in 0..4 {
        let mut phone = device().in_step_at(&gateway).await;
        phone.hold(&gateway).await;
    }
    assert!(loops(&gateway).await.is_empty());
}

#[tokio::test]
async fn nobody_without_the_password_can_have_a_device_slowed() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).set("auth.shield_min_s", 0).start().await;
    let mut phone = device().named("Raw1").in_step_at(&gateway).await;
    let mut line = gateway.line().await;
    let request = eas("Ping").user("hew", "wrong").body(phone.ping_body(Some(600), Some(&[phone.inbox()])));
    for _ in 0..60 {
        assert_eq!(line.ask(&request).await.status, 401);
    }
    assert!(loops(&gateway).await.is_empty());
    phone.hold(&gateway).await;
}
