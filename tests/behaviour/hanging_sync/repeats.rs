//! What an empty or Partial Sync stands for, which keys a Sync goes on from, and what is never sent twice.

use std::time::Duration;

use pushgate::logic::eas::sync::SyncRequest;
use pushgate::logic::eas::{Command, Version};
use pushgate::standin::cas::Kind;
use pushgate::standin::device::SyncWish;

use super::{NOTHING, Syncer, items, scene};
use crate::scene::{device, gateway, mailbox};

#[tokio::test]
async fn an_empty_sync_repeats_the_last_one_from_the_keys_of_the_latest_answers() {
    for kind in [Kind::Other, Kind::Sogo] {
        let (backend, gateway, mut syncer) = scene(kind).await;
        syncer.hold(&gateway, &syncer.hanging(600)).await;
        for _ in 0..2 {
            backend.deliver("hew", "Inbox");
            gateway.notify(mailbox("hew").folder("INBOX")).await;
            assert_eq!(items(&syncer.answer().await), [1], "{kind:?}");
            if kind == Kind::Sogo {
                assert_eq!(items(&syncer.asks(&SyncRequest::default()).await), [0], "new keys and nothing else");
            }
            syncer.hold(&gateway, &SyncRequest::default()).await;
            assert_eq!(gateway.pings("").await.pings[0].heartbeat_s, 600);
        }
    }
}

#[tokio::test]
async fn a_partial_sync_changes_the_wait_or_a_folder_and_keeps_the_rest() {
    for kind in [Kind::Other, Kind::Sogo] {
        let (backend, gateway, mut syncer) = scene(kind).await;
        syncer.hold(&gateway, &syncer.hanging(1)).await;
        assert_eq!(items(&syncer.answer().await), NOTHING);
        let partial = |heartbeat_s| SyncRequest { heartbeat_s: Some(heartbeat_s), is_partial: true, ..SyncRequest::default() };
        syncer.hold(&gateway, &partial(900)).await;
        assert_eq!(gateway.pings("").await.pings[0].heartbeat_s, 900);
        backend.deliver("hew", "Trash");
        gateway.notify(mailbox("hew").folder("Trash")).await;
        assert_eq!(items(&syncer.answer().await), [1], "{kind:?}");
        let trash = syncer.full().collections.remove(1);
        let listed = SyncRequest { collections: vec![trash], ..partial(500) };
        if kind == Kind::Sogo {
            syncer.asks(&listed).await;
        }
        let trash = syncer.full().collections.remove(1);
        syncer.hold(&gateway, &SyncRequest { collections: vec![trash], ..partial(500) }).await;
        backend.deliver("hew", "Inbox");
        gateway.notify(mailbox("hew").folder("INBOX")).await;
        assert_eq!(items(&syncer.answer().await), [1], "{kind:?}: the folder that was not listed");
    }
}

#[tokio::test]
async fn what_is_not_remembered_has_to_be_sent_in_full() {
    for kind in [Kind::Other, Kind::Sogo] {
        let (backend, _gateway, mut syncer) = scene(kind).await;
        let asked = backend.requests();
        let partial = SyncRequest { heartbeat_s: Some(600), is_partial: true, ..SyncRequest::default() };
        for request in [SyncRequest::default(), partial] {
            assert_eq!(syncer.asks(&request).await.status, Some(13), "{kind:?}");
        }
        assert_eq!(backend.requests(), asked);
    }
}

#[tokio::test]
async fn new_keys_are_passed_on_once_and_then_the_device_is_held() {
    let (backend, gateway, mut syncer) = scene(Kind::Sogo).await;
    backend.deliver("hew", "Inbox");
    let before = syncer.keys.clone();
    assert_eq!(items(&syncer.asks(&syncer.hanging(600)).await), [1]);
    let between = syncer.keys.clone();
    assert_eq!(items(&syncer.asks(&syncer.hanging(600)).await), [0]);
    assert!(before != between && between != syncer.keys);
    syncer.hold(&gateway, &syncer.hanging(600)).await;
}

#[tokio::test]
async fn keys_that_another_connection_moved_on_are_the_ones_it_is_asked_again_with() {
    let (backend, gateway, mut syncer) = scene(Kind::Other).await;
    syncer.hold(&gateway, &syncer.hanging(600)).await;
    let held = syncer.phone.take_line();
    // Two answers: the key that is held is by now one that the backend has forgotten.
    for _ in 0..2 {
        backend.deliver("hew", "Inbox");
        assert_eq!(items(&syncer.asks(&syncer.full()).await), [1]);
    }
    syncer.phone.put_line(held);
    backend.deliver("hew", "Inbox");
    gateway.notify(mailbox("hew").folder("INBOX")).await;
    let answer = syncer.answer().await;
    assert_eq!((items(&answer), answer.collections[0].status), (vec![1], Some(1)));
}

#[tokio::test]
async fn what_the_device_sends_along_is_answered_at_once_and_never_sent_twice() {
    let (backend, gateway, mut syncer) = scene(Kind::Other).await;
    backend.deliver("hew", "Inbox");
    syncer.asks(&syncer.full()).await;
    let mut phone = device().named("Phone2").in_step_at(&gateway).await;
    let (inbox, synced) = (phone.inbox(), backend.count(Command::Sync));
    let wish = pushgate::standin::device::SyncWish { heartbeat_s: Some(600), add: vec!["new1".into()], ..Default::default() };
    assert_eq!(phone.device.sync(&inbox, &wish).await.unwrap().status, 1);
    assert_eq!(backend.count(Command::Sync), synced + 1);
    gateway.holds(&[]).await;
}

#[tokio::test]
async fn an_empty_sync_repeats_the_wait_in_every_version_that_has_one() {
    for version in [Version::V12_1, Version::V14_0, Version::V14_1, Version::V16_0, Version::V16_1] {
        let (backend, gateway, _) = scene(Kind::Other).await;
        let mut syncer = Syncer::in_step(device().named("Phone2").speaks(version).at(&gateway)).await;
        // HeartbeatInterval is new in 14.0.
        let (wait_min, heartbeat_s) = if version == Version::V12_1 { (Some(10), None) } else { (None, Some(600)) };
        syncer.hold(&gateway, &SyncRequest { wait_min, heartbeat_s, ..syncer.full() }).await;
        for round in 0..2 {
            backend.deliver("hew", "Inbox");
            gateway.notify(mailbox("hew").folder("INBOX")).await;
            assert_eq!(items(&syncer.answer().await), [1], "{version:?}, round {round}");
            syncer.hold(&gateway, &SyncRequest::default()).await;
            assert_eq!(gateway.pings("?device=phone2").await.pings[0].heartbeat_s, 600, "{version:?}, round {round}");
        }
    }
}

/// The device still has the key before it, and what an empty Sync would stand for goes on from the one after it.
#[tokio::test]
async fn an_empty_sync_after_an_answer_that_was_lost_has_to_be_sent_in_full() {
    for kind in [Kind::Other, Kind::Sogo] {
        let (backend, gateway, mut syncer) = scene(kind).await;
        syncer.hold(&gateway, &syncer.hanging(600)).await;
        backend.deliver("hew", "Inbox");
        gateway.notify(mailbox("hew").folder("INBOX")).await;
        let mut line = syncer.phone.take_line();
        line.head().await;
        line.reset();
        assert_eq!(syncer.asks(&SyncRequest::default()).await.status, Some(13), "{kind:?}");
        assert_eq!(items(&syncer.asks(&syncer.hanging(600)).await), [1], "{kind:?}: what was lost comes again");
    }
}

/// Answered at once; the wake and the empty Sync after it repeat the folders, and not what was sent along.
#[tokio::test]
async fn changes_sent_along_are_left_out_of_what_is_repeated() {
    let (backend, gateway, _) = scene(Kind::Other).await;
    let mut phone = device().named("Phone2").in_step_at(&gateway).await;
    let inbox = phone.inbox();
    let wish = SyncWish { heartbeat_s: Some(600), add: vec!["new1".into()], ..SyncWish::default() };
    assert_eq!(phone.device.sync(&inbox, &wish).await.unwrap().created.len(), 1);
    // Its empty Sync comes on another connection: by then the kernel has long acknowledged the answer on this one.
    tokio::time::sleep(Duration::from_millis(100)).await;
    for _ in 0..2 {
        let empty = phone.request(Command::Sync, b"");
        phone.line().await.send(empty).await;
        phone.is_held(&gateway).await;
        backend.deliver("hew", "Inbox");
        gateway.notify(mailbox("hew").folder("INBOX")).await;
        assert_eq!(phone.line().await.answer().await.status, 200);
    }
    let sent = backend.recorded().into_iter().filter(|request| request.uri.to_string().contains("Cmd=Sync"));
    let sent: Vec<_> = sent.map(|request| SyncRequest::skim(&request.body).unwrap()).collect();
    let with_commands = sent.iter().filter(|request| request.collections.iter().any(|c| c.has_commands)).count();
    assert_eq!(with_commands, 1, "{sent:?}");
}

#[tokio::test]
async fn the_bounds_are_those_of_the_configuration_and_include_themselves() {
    let backend = crate::scene::backend().start().await;
    let gateway = gateway().behind(backend.url()).set("ping.heartbeat_min_s", 290).set("ping.heartbeat_max_s", 930);
    let gateway = gateway.set("ping.folders_max", 2).start().await;
    let mut syncer = Syncer::in_step(device().at(&gateway)).await;
    let wait = |wait_min, heartbeat_s| SyncRequest { wait_min, heartbeat_s, ..syncer.full() };
    let one_more = SyncRequest {
        heartbeat_s: Some(600),
        collections: [syncer.full().collections, syncer.full().collections].concat(),
        ..syncer.full()
    };
    let refused = [
        (wait(None, Some(289)), 14, Some(290)),
        (wait(None, Some(931)), 14, Some(930)),
        (wait(Some(4), None), 14, Some(5)),
        (wait(Some(16), None), 14, Some(15)),
        (one_more, 15, Some(2)),
    ];
    let held = [(wait(None, Some(290)), 290), (wait(None, Some(930)), 930), (wait(Some(5), None), 300), (wait(Some(15), None), 900)];
    for (request, status, limit) in refused {
        let answer = syncer.asks(&request).await;
        assert_eq!((answer.status, answer.limit), (Some(status), limit), "{request:?}");
    }
    for (request, heartbeat_s) in held {
        syncer.hold(&gateway, &request).await;
        assert_eq!(gateway.pings("").await.pings[0].heartbeat_s, heartbeat_s);
        syncer.phone.take_line();
        gateway.holds(&[]).await;
    }
}
