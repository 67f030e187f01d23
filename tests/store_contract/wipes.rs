//! A lost phone: the order, what the device hears, what it answers.

use pushgate::logic::policy::wipe::{WipeKind, WipeState};
use pushgate::store::{AuditFilter, DeviceChange, DeviceFilter, Recorded, StoreError};

use crate::over_both;
use crate::scene::*;

over_both!(
    an_order_to_erase_is_heard_sent_acknowledged_and_survives,
    an_order_can_be_taken_back,
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
    assert_eq!(store.record(&hew, &lost, &kind, vec![DeviceChange::WipeSent]).await, Recorded::Saved);
    assert_eq!(store.record(&hew, &lost, &kind, vec![DeviceChange::WipeSent]).await, Recorded::Saved);
    let report = DeviceChange::WipeReported { is_done: true, with_credentials: true };
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
    store.remove_device(&anna(), &hew, &old).await.unwrap();
    assert_eq!((store.devices_of(&hew), store.health().seen), (0, 0));
    assert!(store.known(&hew, &old, &phone()).is_none());
    store.close().await;
    let store = database.open().await;
    assert!(store.device(&hew, &old).await.unwrap().is_none());
    comes(&store, &hew, "old").await;
    assert!(store.device(&hew, &old).await.unwrap().is_some(), "a device that syncs again makes a new one");
}
