//! What devices do: seen, described, provisioned.

use pushgate::logic::eas::{DeviceInformation, PolicyKey, Version};
use pushgate::logic::policy::document::DocumentHash;
use pushgate::logic::policy::provisioning::{Application, Applied, Offer, Provisioning, Sent};
use pushgate::logic::policy::{Partnership, Timestamp};
use pushgate::store::{DeviceChange, DeviceFilter, Recorded, Seen};

use crate::over_both;
use crate::scene::*;

over_both!(
    what_is_seen_is_written_within_the_flush_time,
    what_a_device_says_of_itself_is_kept,
    keys_survive_a_restart,
    odd_texts_of_devices_harm_nothing,
);

async fn what_is_seen_is_written_within_the_flush_time(database: Database) {
    let store = database.open().await;
    let (hew, id, kind) = (mailbox("hew"), device_id("abc"), phone());
    let tells = |seen| store.note(&hew, &id, &attempt(&kind), seen);
    [Seen::Attempt, Seen::Synced(3), Seen::Heartbeat(480), Seen::Heartbeat(900), Seen::Folders(7)].into_iter().for_each(tells);
    assert!(store.known(&hew, &id, &kind).is_some(), "known at once");
    let stored = async || store.device(&hew, &id).await.unwrap().map(|stored| stored.partnership);
    eventually("the heartbeat is written", async || stored().await.is_some_and(|device| device.last_heartbeat_s == Some(900))).await;
    let first = stored().await.unwrap();
    assert_eq!((first.last_sync_status, first.last_success_at, first.folders_synced), (Some(3), None, 7));
    assert_eq!((first.user_agent.as_deref(), first.version), (Some("Apple-iPhone/1.0"), Some(Version::V16_1)));
    tells(Seen::Synced(1));
    eventually("the success is written", async || stored().await.is_some_and(|device| device.last_success_at.is_some())).await;
    let second = stored().await.unwrap();
    let kept =
        Partnership { last_attempt_at: second.last_attempt_at, last_success_at: second.last_success_at, last_sync_status: None, ..first };
    assert_eq!(second, kept, "what was not seen again stays");
}

async fn what_a_device_says_of_itself_is_kept(database: Database) {
    let store = database.open().await;
    let (hew, kind) = (mailbox("hew"), phone());
    let id = comes(&store, &hew, "abc").await;
    let says = |information| store.record(&hew, &id, &kind, vec![DeviceChange::Informed(information)]);
    let model = DeviceInformation { model: Some("Lumia".into()), ..Default::default() };
    assert_eq!(says(model).await, Recorded::Saved);
    assert_eq!(says(DeviceInformation { phone_number: Some("+49".into()), ..Default::default() }).await, Recorded::Saved);
    let stored = store.device(&hew, &id).await.unwrap().unwrap();
    let information = &stored.partnership.information;
    assert_eq!((information.model.as_deref(), information.phone_number.as_deref()), (Some("Lumia"), Some("+49")));
    let lumias = DeviceFilter { search: Some("lum*A".into()), ..Default::default() };
    assert_eq!(store.devices(lumias.clone(), 0, 5).await.unwrap().devices.len(), 1);
    assert_eq!(says(DeviceInformation::default()).await, Recorded::Saved);
    assert!(store.devices(lumias, 0, 5).await.unwrap().devices.is_empty());
}

async fn keys_survive_a_restart(database: Database) {
    let store = database.open().await;
    let (hew, kind) = (mailbox("hew"), phone());
    let id = comes(&store, &hew, "abc").await;
    let document = Sent {
        policy: name("Strict"),
        revision: 3,
        version: Version::V14_1,
        hash: DocumentHash(0xFEDC_BA98_7654_3210),
        at: Timestamp(1_795_379_000),
    };
    let provisioning = Provisioning {
        offer: Some(Offer { key: PolicyKey(4_000_000_000), document: document.clone() }),
        applied: Some(Applied {
            key: PolicyKey(u32::MAX),
            temporary_key: PolicyKey(7),
            application: Application::PartiallyApplied,
            document,
        }),
        declined: Some(Application::NotApplied),
        asked_at: Some(Timestamp(1_795_379_001)),
        told_to_describe: true,
    };
    assert_eq!(store.record(&hew, &id, &kind, vec![DeviceChange::Provisioned(provisioning.clone())]).await, Recorded::Saved);
    assert_eq!(store.known(&hew, &id, &kind).unwrap().provisioning, provisioning, "nothing is lost in the small record");
    store.close().await;
    let store = database.open().await;
    assert_eq!(store.known(&hew, &id, &kind).unwrap().provisioning, provisioning);
    assert_eq!(store.device(&hew, &id).await.unwrap().unwrap().partnership.provisioning, provisioning);
    let strict = DeviceFilter { policy: Some(name("STRICT")), ..Default::default() };
    assert_eq!(store.devices(strict, 0, 5).await.unwrap().devices.len(), 1);
}

async fn odd_texts_of_devices_harm_nothing(database: Database) {
    let store = database.open().await;
    let (hew, kind) = (mailbox("o'hew+%_@example.org"), phone());
    let odd = "Robert'); DROP TABLE devices;--\0\u{7}\u{1F4F1}\\\"%_!";
    let id = device_id("a'b\"c%_");
    let seen = DeviceChange::Seen { version: Version::V2_5, user_agent: Some(odd.into()) };
    let model = DeviceInformation { model: Some(odd.into()), os: Some("x".repeat(1_024)), ..Default::default() };
    assert_eq!(store.record(&hew, &id, &kind, vec![seen, DeviceChange::Informed(model)]).await, Recorded::Saved);
    let stored = store.device(&hew, &id).await.unwrap().unwrap().partnership;
    assert!(stored.information.model.unwrap().starts_with("Robert'); DROP TABLE devices;--"));
    for search in ["%_!", "drop table", "\u{1F4F1}", "robert'*devices"] {
        let filter = DeviceFilter { search: Some(search.into()), ..Default::default() };
        assert_eq!(store.devices(filter, 0, 5).await.unwrap().devices.len(), 1, "{search}");
    }
    let literal = DeviceFilter { search: Some("r_bert".into()), ..Default::default() };
    assert!(store.devices(literal, 0, 5).await.unwrap().devices.is_empty(), "_ is itself");
}
