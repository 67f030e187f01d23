//! A lost phone: the order, what the device hears, what it answers.

use pushgate::logic::policy::wipe::{WipeKind, WipeState};
use pushgate::store::{AuditFilter, DeviceChange, DeviceFilter, Recorded, Removal, StoreError};

use crate::over_both;
use crate::scene::*;

over_both!(
    an_order_to_erase_is_heard_sent_acknowledged_and_survives,
    an_order_can_be_taken_back,
    no_order_takes_the_place_of_a_stronger_one,
    a_device_to_be_erased_is_not_removed_unsaid,
    an_erased_device_that_comes_back_is_entered_once,
    a_removed_device_is_not_brought_back_by_what_was_seen_before,
);

async fn an_order_to_erase_is_heard_sent_acknowledged_and_survives(database: Database) {
    let store = database.open().await;
    let (hew, kind) = (mailbox("hew"), phone());
    let lost = comes(&store, &hew, "lost").await;
    let ordered = store.order_wipe(&anna(), &hew, &lost, WipeKind::Device).await.unwrap();
    assert_eq!(ordered.partnership.wipe.as_ref().unwrap().requested_by, "anna");
    assert!(store.known(&hew, &lost, &kind).unwrap().wipe_stands(), "in effect when the call returns");
    store.close().await;

    let store = database.open().await;
    assert!(store.known(&hew, &lost, &kind).unwrap().wipe_stands(), "and after a restart");
    let again = store.order_wipe(&anna(), &hew, &lost, WipeKind::Device).await;
    assert!(matches!(again, Err(StoreError::Unsuitable(why)) if why.contains("already requested")));
    assert_eq!(store.record(&hew, &lost, &kind, vec![DeviceChange::WipeSent { from: None }]).await, Recorded::Saved);
    assert_eq!(store.record(&hew, &lost, &kind, vec![DeviceChange::WipeSent { from: None }]).await, Recorded::Saved);
    let report = DeviceChange::WipeReported { is_done: true, with_credentials: true, from: None };
    assert_eq!(store.record(&hew, &lost, &kind, vec![report]).await, Recorded::Saved);
    assert_eq!(store.known(&hew, &lost, &kind).unwrap().wipe.unwrap().state, WipeState::Acknowledged);
    let acknowledged = DeviceFilter { wipe_state: Some(WipeState::Acknowledged), ..Default::default() };
    let page = store.devices(acknowledged, 0, 10).await.unwrap();
    let wipe = page.devices[0].partnership.wipe.as_ref().unwrap();
    assert!(wipe.sent_at.is_some() && wipe.acknowledged_at.is_some() && wipe.acknowledged_with_credentials);
    let acts: Vec<_> =
        store.audit_trail(AuditFilter::default(), None, 9).await.unwrap().into_iter().map(|entry| (entry.act, entry.actor)).collect();
    let told = [("wipe acknowledged", "the device"), ("wipe sent", "the device"), ("wipe order", "anna"), ("wipe order", "anna")];
    assert_eq!(acts, told.map(|(act, actor)| (act.to_owned(), actor.to_owned())));
}

async fn an_order_can_be_taken_back(database: Database) {
    let store = database.open().await;
    let hew = mailbox("hew");
    let found = comes(&store, &hew, "found").await;
    assert!(matches!(store.cancel_wipe(&anna(), &hew, &found).await, Err(StoreError::Unsuitable(_))));
    store.order_wipe(&anna(), &hew, &found, WipeKind::AccountOnly).await.unwrap();
    let cancelled = store.cancel_wipe(&anna(), &hew, &found).await.unwrap();
    assert_eq!(cancelled.partnership.wipe.unwrap().cancelled_by.as_deref(), Some("anna"));
    assert!(!store.known(&hew, &found, &phone()).unwrap().wipe_stands());
    let nobody = store.order_wipe(&anna(), &hew, &device_id("nobody"), WipeKind::Device).await;
    assert!(matches!(nobody, Err(StoreError::Missing(_))));
}

async fn a_removed_device_is_not_brought_back_by_what_was_seen_before(database: Database) {
    let mut settings = database.settings();
    settings.flush = std::time::Duration::from_secs(60);
    let store = pushgate::store::Store::open(&settings).await.unwrap();
    let hew = mailbox("hew");
    let old = comes(&store, &hew, "old").await;
    assert_eq!(store.devices_of(&hew), 1);
    assert_eq!(store.health().seen, 1);
    store.remove_device(&anna(), &hew, &old, Removal::default()).await.unwrap();
    assert_eq!((store.devices_of(&hew), store.health().seen), (0, 0));
    assert!(store.known(&hew, &old, &phone()).is_none());
    store.close().await;
    let store = database.open().await;
    assert!(store.device(&hew, &old).await.unwrap().is_none());
    comes(&store, &hew, "old").await;
    assert!(store.device(&hew, &old).await.unwrap().is_some(), "a device that syncs again makes a new one");
}

/// What the trail says, the newest first.
async fn details(store: &pushgate::store::Store) -> Vec<(String, String)> {
    let entries = store.audit_trail(AuditFilter::default(), None, 20).await.unwrap();
    entries.into_iter().map(|entry| (entry.act, entry.detail)).collect()
}

async fn no_order_takes_the_place_of_a_stronger_one(database: Database) {
    let store = database.open().await;
    let hew = mailbox("hew");
    let lost = comes(&store, &hew, "lost").await;
    store.order_wipe(&anna(), &hew, &lost, WipeKind::AccountOnly).await.unwrap();
    store.order_wipe(&anna(), &hew, &lost, WipeKind::Device).await.unwrap();
    let weaker = store.order_wipe(&anna(), &hew, &lost, WipeKind::AccountOnly).await;
    assert!(matches!(&weaker, Err(StoreError::InTheWay(why)) if why.contains("requested, ordered by anna")), "{weaker:?}");
    assert_eq!(store.known(&hew, &lost, &phone()).unwrap().wipe.unwrap().kind, WipeKind::Device);
    let told = details(&store).await;
    assert!(told[0].1.contains("would be less"), "{told:?}");
    assert!(told[1].1.starts_with("device; in the place of an order to erase the account alone (requested, ordered by anna"), "{told:?}");
}

async fn a_device_to_be_erased_is_not_removed_unsaid(database: Database) {
    let store = database.open().await;
    let hew = mailbox("hew");
    let lost = comes(&store, &hew, "lost").await;
    let stored = store.order_wipe(&anna(), &hew, &lost, WipeKind::Device).await.unwrap();
    let refused = store.remove_device(&anna(), &hew, &lost, Removal::default()).await;
    assert!(matches!(&refused, Err(StoreError::InTheWay(why)) if why.contains("would be forgotten")), "{refused:?}");
    let stale = Removal { forget_wipe: true, read_revision: Some(stored.revision - 1) };
    assert_conflict(store.remove_device(&anna(), &hew, &lost, stale).await, stored.revision);
    assert!(store.known(&hew, &lost, &phone()).unwrap().wipe_stands());
    let meant = Removal { forget_wipe: true, read_revision: Some(stored.revision) };
    store.remove_device(&anna(), &hew, &lost, meant).await.unwrap();
    let told = details(&store).await;
    assert!(told[0].1.starts_with("a SmartPhone; forgotten: an order to erase the device (requested, ordered by anna"), "{told:?}");
}

async fn an_erased_device_that_comes_back_is_entered_once(database: Database) {
    let store = database.open().await;
    let (hew, kind) = (mailbox("hew"), phone());
    let lost = comes(&store, &hew, "lost").await;
    store.order_wipe(&anna(), &hew, &lost, WipeKind::Device).await.unwrap();
    let report = DeviceChange::WipeReported { is_done: true, with_credentials: true, from: None };
    for change in
        [DeviceChange::WipeSent { from: None }, report, DeviceChange::WipeSent { from: None }, DeviceChange::WipeSent { from: None }]
    {
        assert_eq!(store.record(&hew, &lost, &kind, vec![change]).await, Recorded::Saved);
    }
    let wipe = store.device(&hew, &lost).await.unwrap().unwrap().partnership.wipe.unwrap();
    assert_eq!(wipe.state, WipeState::Acknowledged);
    assert!(wipe.sent_at <= wipe.acknowledged_at && wipe.sent_again_at >= wipe.acknowledged_at);
    store.cancel_wipe(&anna(), &hew, &lost).await.unwrap();
    let told = details(&store).await;
    let acts: Vec<&str> = told.iter().map(|(act, _)| act.as_str()).collect();
    assert_eq!(acts, ["wipe cancel", "wipe sent again", "wipe acknowledged", "wipe sent", "wipe order"]);
    assert!(told[0].1.starts_with("to erase the device (acknowledged, ordered by anna"), "{told:?}");
}
