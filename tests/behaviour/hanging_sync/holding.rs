//! Held, woken, ended; and what else the device or the backend does meanwhile.

use pushgate::logic::eas::sync::{SyncCollection, SyncRequest};
use pushgate::logic::eas::{Command, FolderId, PingAnswer, Version};
use pushgate::standin::cas::{Fault, FaultRule, Kind};

use super::{NOTHING, Syncer, items, scene};
use crate::scene::{device, mailbox, until};

#[tokio::test]
async fn a_hanging_sync_is_held_and_woken_with_the_data_of_the_folder_that_changed() {
    for kind in [Kind::Other, Kind::Sogo, Kind::ZPush, Kind::Horde, Kind::Exchange] {
        let (backend, gateway, mut syncer) = scene(kind).await;
        syncer.hold(&gateway, &syncer.hanging(600)).await;
        let asked = backend.requests();
        backend.deliver("hew", "Inbox");
        assert_eq!(gateway.notify(mailbox("hew").folder("INBOX")).await.woken, Some(1));
        let answer = syncer.answer().await;
        assert_eq!((items(&answer), answer.collections[0].id.clone()), (vec![1], Some(syncer.folders[0].clone())), "{kind:?}");
        assert_eq!(backend.requests(), asked + 1, "{kind:?}: nothing was asked while it was held");
    }
}

#[tokio::test]
async fn a_list_of_what_is_held_tells_it_from_a_ping() {
    let (_backend, gateway, mut syncer) = scene(Kind::Other).await;
    let mut tablet = device().named("Tablet1").in_step_at(&gateway).await;
    tablet.hold(&gateway).await;
    syncer.hold(&gateway, &syncer.hanging(600)).await;
    let mut kinds: Vec<_> = gateway.pings("").await.pings.into_iter().map(|ping| (ping.device_id.to_lowercase(), ping.kind)).collect();
    kinds.sort();
    assert_eq!(kinds, [("phone1".into(), "Sync".into()), ("tablet1".into(), "Ping".into())]);
    let counts = async || gateway.status().await;
    until("both counted", async || (counts().await.held, counts().await.held_syncs) == (2, 1)).await;
    drop(syncer.phone.take_line().into_socket());
    until("one left", async || (counts().await.held, counts().await.held_syncs) == (1, 0)).await;
}

#[tokio::test]
async fn the_next_one_is_held_again_on_the_same_connection() {
    let (backend, gateway, mut syncer) = scene(Kind::Other).await;
    for _ in 0..3 {
        syncer.hold(&gateway, &syncer.hanging(600)).await;
        backend.deliver("hew", "Trash");
        gateway.notify(mailbox("hew").folder("Trash")).await;
        assert_eq!(items(&syncer.answer().await), [1]);
    }
}

#[tokio::test]
async fn its_end_is_an_empty_200_that_leaves_the_connection_open() {
    let (_backend, gateway, mut syncer) = scene(Kind::Other).await;
    syncer.hold(&gateway, &syncer.hanging(2)).await;
    let answer = syncer.line().await.answer().await;
    assert_eq!((answer.status, answer.header("content-length"), answer.header("content-type")), (200, Some("0"), None));
    syncer.hold(&gateway, &syncer.hanging(600)).await;
}

#[tokio::test]
async fn minutes_of_12_1_and_seconds_of_14_1_are_both_held() {
    let (_backend, gateway, mut syncer) = scene(Kind::Other).await;
    syncer.hold(&gateway, &syncer.hanging(600)).await;
    assert_eq!(gateway.pings("").await.pings[0].heartbeat_s, 600);
    let mut old = Syncer::in_step(device().named("Phone2").speaks(Version::V12_1).at(&gateway)).await;
    let request = SyncRequest { wait_min: Some(8), ..old.full() };
    old.hold(&gateway, &request).await;
    assert_eq!(gateway.pings("?device=phone2").await.pings[0].heartbeat_s, 480);
}

#[tokio::test]
async fn a_version_without_hanging_sync_passes_as_it_came() {
    let (backend, gateway, _) = scene(Kind::Other).await;
    let mut old = Syncer::in_step(device().named("Phone2").speaks(Version::V12_0).at(&gateway)).await;
    let request = SyncRequest { wait_min: Some(60), ..old.full() };
    assert_eq!(old.asks(&request).await.status, Some(14), "the backend's own answer");
    assert_eq!(backend.recorded().last().unwrap().body, request.encode());
}

#[tokio::test]
async fn waits_that_are_not_possible_name_the_nearest_that_is() {
    let (backend, gateway, mut syncer) = scene(Kind::Sogo).await;
    let asked = backend.requests();
    let wait = |wait_min, heartbeat_s| SyncRequest { wait_min, heartbeat_s, ..syncer.full() };
    let many = SyncRequest {
        collections: (0..201).map(|n| SyncCollection::new(FolderId::new(&n.to_string()).unwrap(), "1")).collect(),
        heartbeat_s: Some(600),
        ..SyncRequest::default()
    };
    let cases = [
        (wait(Some(8), Some(480)), 4, None),
        (wait(Some(60), None), 14, Some(59)),
        (wait(Some(0), None), 14, Some(1)),
        (wait(None, Some(3_541)), 14, Some(3_540)),
        (wait(None, Some(0)), 14, Some(1)),
        (many, 15, Some(200)),
    ];
    for (request, status, limit) in cases {
        let answer = syncer.asks(&request).await;
        assert_eq!((answer.status, answer.limit), (Some(status), limit), "{request:?}");
    }
    assert_eq!(backend.requests(), asked);
    drop(gateway);
}

#[tokio::test]
async fn a_change_while_the_backend_is_asked_is_not_lost() {
    let (backend, gateway, mut syncer) = scene(Kind::Other).await;
    let asked = backend.count(Command::Sync);
    let slow = Fault::Delay(std::time::Duration::from_millis(300));
    backend.set_faults(vec![FaultRule { command: Some(Command::Sync), times: Some(1), fault: slow }]);
    syncer.send(&syncer.hanging(600)).await;
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    // Reported now, and to be seen only after the backend has been asked.
    assert_eq!(gateway.notify(mailbox("hew").folder("INBOX")).await.woken, Some(0));
    until("asked again because of the notice", async || backend.count(Command::Sync) == asked + 2).await;
    syncer.phone.is_held(&gateway).await;
    backend.deliver("hew", "Inbox");
    // What was reported and not yet there is looked for once more after a while, without another notice.
    assert_eq!(items(&syncer.answer().await), [1]);
}

#[tokio::test]
async fn a_newer_ping_or_hanging_sync_ends_it_and_a_plain_sync_does_not() {
    let (backend, gateway, mut syncer) = scene(Kind::Other).await;
    syncer.hold(&gateway, &syncer.hanging(600)).await;
    let mut older = syncer.phone.take_line();
    assert_eq!(items(&syncer.asks(&syncer.full()).await), NOTHING);
    gateway.holds(&["Phone1"]).await;
    syncer.hold(&gateway, &syncer.hanging(500)).await;
    let answer = older.answer().await;
    assert_eq!((answer.status, answer.body.len(), answer.header("connection")), (200, 0, Some("close")));
    let mut older = syncer.phone.take_line();
    let inbox = [syncer.phone.inbox()];
    syncer.phone.hold_for(&gateway, 400, &inbox).await;
    assert_eq!(older.answer().await.body.len(), 0);
    let mut older = syncer.phone.take_line();
    syncer.hold(&gateway, &syncer.hanging(300)).await;
    assert_eq!(older.answer().await.ping(), PingAnswer::Expired);
    backend.deliver("hew", "Inbox");
    gateway.notify(mailbox("hew").folder("INBOX")).await;
    assert_eq!(items(&syncer.answer().await), [1]);
}

#[tokio::test]
async fn a_device_that_hangs_up_frees_its_slot() {
    let (_backend, gateway, mut syncer) = scene(Kind::Other).await;
    syncer.hold(&gateway, &syncer.hanging(600)).await;
    drop(syncer.phone.take_line().into_socket());
    gateway.holds(&[]).await;
}

#[tokio::test]
async fn a_password_that_is_wrong_by_now_is_the_backends_to_refuse() {
    let (backend, gateway, mut syncer) = scene(Kind::Other).await;
    syncer.hold(&gateway, &syncer.hanging(600)).await;
    backend.set_faults(vec![FaultRule { command: Some(Command::Sync), times: None, fault: Fault::Status(401) }]);
    gateway.notify(mailbox("hew").folder("INBOX")).await;
    assert_eq!(syncer.line().await.answer().await.status, 401);
}

#[tokio::test]
async fn a_drain_ends_it_with_an_empty_answer() {
    let (_backend, gateway, mut syncer) = scene(Kind::Other).await;
    syncer.hold(&gateway, &syncer.hanging(600)).await;
    gateway.drain().await;
    let answer = syncer.line().await.answer().await;
    assert_eq!((answer.status, answer.body.len(), answer.header("connection")), (200, 0, Some("close")));
}

#[tokio::test]
async fn a_request_that_came_behind_it_is_answered_after_it() {
    let (backend, gateway, mut syncer) = scene(Kind::Other).await;
    syncer.hold(&gateway, &syncer.hanging(600)).await;
    let next = syncer.full();
    syncer.send(&next).await;
    backend.deliver("hew", "Inbox");
    gateway.notify(mailbox("hew").folder("INBOX")).await;
    assert_eq!(items(&syncer.answer().await), [1]);
    // The same old key once more: the backend says the same once more.
    assert_eq!(items(&syncer.answer().await), [1]);
}
