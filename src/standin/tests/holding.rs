//! Ping and hanging Sync, and the workers they cost.

use super::*;
use crate::logic::eas::{Command, PingAnswer};
use tokio::time::Instant;

#[tokio::test]
async fn a_change_ends_a_held_ping() {
    let cas = cas(Kind::Other, |_| {}).await;
    let mut device = device(&cas);
    let inbox = in_step(&mut device).await;
    let (answer, ()) = tokio::join!(ping(&mut device, 3_000, &inbox), async {
        until("a Ping", || cas.count(Command::Ping) == 1).await;
        cas.deliver("hew", "Inbox");
    });
    assert_eq!(answer, PingAnswer::Changes(vec![inbox]));
}

#[tokio::test]
async fn ping_compares_with_the_last_sync_not_with_its_own_beginning() {
    for kind in KINDS {
        let range = |options: &mut CasOptions| (options.heartbeat_min_s, options.heartbeat_max_s) = (Some(1), Some(3_540));
        let cas = cas(kind, range).await;
        let mut device = device(&cas);
        let inbox = in_step(&mut device).await;
        cas.deliver("hew", "Inbox");
        for _ in 0..2 {
            assert_eq!(ping(&mut device, 60, &inbox).await, PingAnswer::Changes(vec![inbox.clone()]), "{kind:?}");
        }
        device.sync_all(&inbox).await.unwrap();
        assert_eq!(ping(&mut device, 1, &inbox).await.status(), 1, "{kind:?}");
    }
}

#[tokio::test]
async fn a_quiet_ping_expires_at_its_heartbeat() {
    let cas = cas(Kind::Other, |_| {}).await;
    let mut device = device(&cas);
    let inbox = in_step(&mut device).await;
    let before = Instant::now();
    assert_eq!(ping(&mut device, 3, &inbox).await, PingAnswer::Expired);
    assert!(before.elapsed() >= SECOND * 3);
}

#[tokio::test]
async fn heartbeats_out_of_range_are_answered_as_the_kind_does() {
    // Kind, heartbeat, answer, and whether it was held first.
    let cases = [
        (Kind::Exchange, 59, PingAnswer::HeartbeatOutOfRange { heartbeat_s: 60 }, false),
        (Kind::Exchange, 3_541, PingAnswer::HeartbeatOutOfRange { heartbeat_s: 3_540 }, false),
        (Kind::Horde, 59, PingAnswer::HeartbeatOutOfRange { heartbeat_s: 60 }, false),
        (Kind::Horde, 2_701, PingAnswer::HeartbeatOutOfRange { heartbeat_s: 2_700 }, false),
        (Kind::Sogo, 900, PingAnswer::HeartbeatOutOfRange { heartbeat_s: 10 }, true),
        (Kind::Sogo, 0, PingAnswer::HeartbeatOutOfRange { heartbeat_s: 10 }, true),
        (Kind::Sogo, 1, PingAnswer::Expired, true),
        (Kind::ZPush, 0, PingAnswer::Expired, false),
        (Kind::Grommunio, 1, PingAnswer::Expired, false),
    ];
    for (kind, heartbeat_s, expected, is_held) in cases {
        let cas = cas(kind, |_| {}).await;
        let mut device = device(&cas);
        let inbox = in_step(&mut device).await;
        let before = Instant::now();
        assert_eq!(ping(&mut device, heartbeat_s, &inbox).await, expected, "{kind:?} {heartbeat_s}");
        assert!(!is_held || before.elapsed() >= SECOND * 10, "{kind:?} {heartbeat_s} was not held");
    }
}

#[tokio::test]
async fn z_push_says_status_1_with_an_empty_folder_list() {
    let cas = cas(Kind::ZPush, |_| {}).await;
    let mut device = device(&cas);
    in_step(&mut device).await;
    let body = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/02-ping-req-heartbeat-only.wbxml")).unwrap();
    assert_eq!(device.command(Command::Ping, body.clone()).await.unwrap().body, [3, 1, 0x6A, 0, 0, 13, 0x45, 0x47, 3, b'3', 0, 1, 1]);
    let inbox = device.folder_of_type(2).unwrap();
    ping(&mut device, 1, &inbox).await;
    let mut short = crate::logic::eas::PingRequest { heartbeat_s: Some(1), ..Default::default() }.encode();
    let answer = device.command(Command::Ping, std::mem::take(&mut short)).await.unwrap();
    let expected = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/05-ping-resp-1-zpush-empty-folders.wbxml")).unwrap();
    assert_eq!(answer.body, expected);
}

#[tokio::test]
async fn heartbeat_and_folders_are_remembered_and_missing_ones_are_asked_for() {
    let cas = cas(Kind::Other, |_| {}).await;
    let mut device = device(&cas);
    let inbox = in_step(&mut device).await;
    let waits = Duration::from_secs(1);
    assert_eq!(device.ping(None, None, waits, || {}).await.unwrap(), PingAnswer::MissingParameters);
    assert_eq!(device.ping(Some(1), None, waits, || {}).await.unwrap(), PingAnswer::MissingParameters);
    assert_eq!(device.ping(None, Some(&[inbox]), waits, || {}).await.unwrap(), PingAnswer::Expired);
    assert_eq!(device.ping(None, None, waits, || {}).await.unwrap(), PingAnswer::Expired);
    assert_eq!(device.command(Command::Ping, vec![3, 1, 0x6A]).await.unwrap().body, PingAnswer::Syntax.encode());
}

#[tokio::test]
async fn a_changed_folder_list_ends_a_ping_where_the_kind_looks() {
    for (kind, expected) in [(Kind::ZPush, 7), (Kind::Other, 7), (Kind::Horde, 1), (Kind::Sogo, 1)] {
        let cas = cas(kind, |options| options.heartbeat_min_s = Some(1)).await;
        let mut device = device(&cas);
        let inbox = in_step(&mut device).await;
        cas.create_folder("hew", "Projects", 12);
        assert_eq!(ping(&mut device, 1, &inbox).await.status(), expected, "{kind:?}");
    }
}

#[tokio::test]
async fn the_newest_ping_of_a_device_ends_the_one_before() {
    for (kind, body_is_empty) in [(Kind::Other, false), (Kind::Horde, true)] {
        let cas = cas(kind, |options| options.poll_s = (kind == Kind::Horde).then_some(1)).await;
        let (mut old, mut new) = (device(&cas), device(&cas));
        let inbox = in_step(&mut old).await;
        in_step(&mut new).await;
        let request = crate::logic::eas::PingRequest {
            heartbeat_s: Some(2_000),
            folders: Some(vec![crate::logic::eas::PingFolder { id: inbox.clone(), class: crate::logic::eas::Class::Email }]),
            folder_count: 1,
        };
        let (ended, ()) = tokio::join!(old.command(Command::Ping, request.encode()), async {
            until("a Ping", || cas.count(Command::Ping) == 1).await;
            ping(&mut new, 60, &inbox).await;
        });
        assert_eq!(ended.unwrap().body.is_empty(), body_is_empty, "{kind:?}");
    }
}

#[tokio::test]
async fn held_pings_use_up_the_workers_and_the_next_request_waits() {
    let cas = cas(Kind::Sogo, |options| {
        options.workers = 2;
        options.heartbeat_max_s = Some(3_540);
    })
    .await;
    let mut idle = another_device(&cas, "cas", "Standin9999", |_| {});
    for number in 0..2 {
        let mut device = another_device(&cas, "hew", &format!("Standin{number}"), |_| {});
        let inbox = in_step(&mut device).await;
        tokio::spawn(async move {
            let asking = ping(&mut device, 30, &inbox);
            // The second one hangs up, which frees nothing.
            tokio::time::timeout(if number == 0 { Duration::from_secs(9) } else { SECOND }, asking).await.ok();
        });
        until("a Ping", || cas.workers_busy() == number + 1).await;
    }
    let before = Instant::now();
    let (waited, ()) = tokio::join!(idle.folder_sync(), async {
        until("a queue", || cas.queued() == 1).await;
        tokio::time::sleep(SECOND * 3).await;
        assert_eq!((cas.workers_busy(), cas.queued()), (2, 1));
    });
    waited.unwrap();
    assert!(before.elapsed() >= SECOND * 20, "a worker was free after {:?}", before.elapsed());
    assert_eq!(cas.workers_busy_max(), 2);
}

#[tokio::test]
async fn a_full_queue_turns_requests_away() {
    let cas = cas(Kind::Other, |options| {
        options.workers = 1;
        options.queue_max = 0;
    })
    .await;
    let (mut device, mut other) = (device(&cas), another_device(&cas, "cas", "Standin0002", |_| {}));
    let inbox = in_step(&mut device).await;
    let (_, refused) = tokio::join!(ping(&mut device, 10, &inbox), async {
        until("a Ping", || cas.workers_busy() == 1).await;
        other.folder_sync().await
    });
    assert!(matches!(refused, Err(crate::standin::device::DeviceError::Http(503))));
    assert_eq!(cas.turned_away_count(), 1);
}

#[tokio::test]
async fn even_options_waits_for_a_worker() {
    let cas = cas(Kind::Sogo, |options| {
        options.workers = 1;
        options.heartbeat_max_s = Some(3_540);
    })
    .await;
    let (mut device, mut other) = (device(&cas), another_device(&cas, "cas", "Standin0002", |_| {}));
    let inbox = in_step(&mut device).await;
    assert_eq!(cas.take_waits().count, 0);
    let (_, answered) = tokio::join!(ping(&mut device, 20, &inbox), async {
        until("a Ping", || cas.workers_busy() == 1).await;
        other.options().await
    });
    answered.unwrap();
    let waits = cas.take_waits();
    assert!(waits.count == 1 && waits.max >= SECOND * 10 && waits.total == waits.max, "{waits:?}");
    assert_eq!(cas.take_waits().count, 0, "asked once");
}

#[tokio::test]
async fn exchange_holds_without_a_worker() {
    let cas = cas(Kind::Exchange, |options| options.workers = 1).await;
    let (mut device, mut other) = (device(&cas), another_device(&cas, "cas", "Standin0002", |_| {}));
    let inbox = in_step(&mut device).await;
    let (answer, ()) = tokio::join!(ping(&mut device, 3_000, &inbox), async {
        until("a Ping", || cas.count(Command::Ping) == 1).await;
        other.folder_sync().await.unwrap();
        cas.deliver("hew", "Inbox");
    });
    assert_eq!(answer.status(), 2);
}

#[tokio::test]
async fn a_hanging_sync_brings_the_data_when_it_is_there() {
    let cas = cas(Kind::Other, |_| {}).await;
    let mut device = device(&cas);
    let inbox = in_step(&mut device).await;
    let waiting = wish(|wish| wish.heartbeat_s = Some(3_000));
    let (answer, item) = tokio::join!(device.sync(&inbox, &waiting), async {
        tokio::time::sleep(SECOND).await;
        cas.deliver("hew", "Inbox")
    });
    assert_eq!(answer.unwrap().items().collect::<Vec<_>>(), [item]);
    let quiet = device.sync(&inbox, &wish(|wish| wish.heartbeat_s = Some(2))).await.unwrap();
    assert_eq!((quiet.status, quiet.added.len()), (1, 0));
    let too_long = device.sync(&inbox, &wish(|wish| wish.heartbeat_s = Some(3_600))).await.unwrap();
    assert_eq!((too_long.status, too_long.limit), (14, Some(3_540)));
}
