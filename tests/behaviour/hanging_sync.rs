//! Syncs that wait for a change.

use std::collections::HashMap;

use pushgate::logic::eas::sync::{SyncAnswer, SyncCollection, SyncRequest};
use pushgate::logic::eas::{Command, FolderId, PingAnswer, Version};
use pushgate::standin::cas::{Cas, Fault, FaultRule, Kind};

use crate::scene::{Answer, Gateway, Line, Phone, backend, device, gateway, mailbox, until};

/// A phone that uses hanging Sync for its Inbox and Trash.
struct Syncer {
    phone: Phone,
    folders: Vec<FolderId>,
    keys: HashMap<FolderId, String>,
}

impl Syncer {
    /// With its folders fetched and synchronised.
    async fn in_step(mut phone: Phone) -> Self {
        assert_eq!(phone.device.folder_sync().await.unwrap().status, 1);
        let folders = vec![phone.folder(2), phone.folder(4)];
        let keys = folders.iter().map(|id| (id.clone(), "0".to_owned())).collect();
        let mut this = Syncer { phone, folders, keys };
        for _ in 0..2 {
            this.send(&this.full()).await;
            this.answer().await;
        }
        this
    }

    /// Everything from the present keys, to be answered at once.
    fn full(&self) -> SyncRequest {
        let collections = self.folders.iter().map(|id| SyncCollection::new(id.clone(), &self.keys[id])).collect();
        SyncRequest { collections, ..SyncRequest::default() }
    }

    fn hanging(&self, heartbeat_s: u32) -> SyncRequest {
        SyncRequest { heartbeat_s: Some(heartbeat_s), ..self.full() }
    }

    async fn send(&mut self, request: &SyncRequest) {
        let bytes = self.phone.request(Command::Sync, &request.encode());
        self.phone.line().await.send(bytes).await;
    }

    /// The answer, whose keys count from now on.
    async fn answer(&mut self) -> SyncAnswer {
        let answer = self.phone.line().await.answer().await;
        self.take(&answer)
    }

    fn take(&mut self, answer: &Answer) -> SyncAnswer {
        assert_eq!(answer.status, 200, "{}", answer.head);
        let answer = SyncAnswer::parse(&answer.body).unwrap();
        for collection in &answer.collections {
            self.keys.insert(collection.id.clone().unwrap(), collection.sync_key.clone().unwrap());
        }
        answer
    }

    async fn asks(&mut self, request: &SyncRequest) -> SyncAnswer {
        self.send(request).await;
        self.answer().await
    }

    /// Sends it and waits until it is held.
    async fn hold(&mut self, gateway: &Gateway, request: &SyncRequest) {
        self.send(request).await;
        self.phone.is_held(gateway).await;
    }

    async fn line(&mut self) -> &mut Line {
        self.phone.line().await
    }
}

/// How many items an answer brings for each folder.
fn items(answer: &SyncAnswer) -> Vec<u32> {
    answer.collections.iter().map(|collection| collection.server_commands).collect()
}

const NOTHING: &[u32] = &[];

async fn scene(kind: Kind) -> (Cas, Gateway, Syncer) {
    let backend = backend().kind(kind).start().await;
    let kind = if kind == Kind::Sogo { "\"sogo\"" } else { "\"other\"" };
    let gateway = gateway().behind(backend.url()).set("backend.kind", kind).set("ping.heartbeat_min_s", 1).start().await;
    let syncer = Syncer::in_step(device().at(&gateway)).await;
    (backend, gateway, syncer)
}

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
