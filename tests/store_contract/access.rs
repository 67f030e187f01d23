//! Allow, block, quarantine: what was said of a device, its mailbox and by rules reaches the gate.

use pushgate::logic::eas::{DeviceInformation, Version};
use pushgate::logic::policy::access::{Access, AccessState, AccessWhy, MailboxSettings, Pattern, Rule, Rules, Trait};
use pushgate::store::{DeviceChange, DeviceFilter, MailboxEdit, Recorded};

use crate::over_both;
use crate::scene::*;

over_both!(
    an_act_finds_a_device_that_has_just_come,
    new_rules_decide_every_known_device_anew,
    what_is_said_of_a_device_counts_for_more,
    a_mailbox_can_be_switched_off,
    a_device_that_describes_itself_is_decided_anew,
);

fn rules(about: Trait, pattern: &str, access: Access) -> Rules {
    Rules { rules: vec![Rule { about, pattern: Pattern::new(pattern).unwrap(), access }], default: Access::Allow }
}

async fn new_rules_decide_every_known_device_anew(database: Database) {
    let store = database.open().await;
    let hew = mailbox("hew");
    let id = comes(&store, &hew, "abc").await;
    let revision = store.set_rules(&anna(), rules(Trait::DeviceType, "smart*", Access::Block), 0).await.unwrap();
    assert_eq!(revision, 1);
    let state = || store.known(&hew, &id, &phone()).unwrap().access_state;
    eventually("the rule reaches the gate", async || state() == AccessState::Blocked).await;
    let blocked = DeviceFilter { access_state: Some(AccessState::Blocked), ..Default::default() };
    let page = store.devices(blocked, 0, 5).await.unwrap();
    assert!(matches!(page.devices[0].partnership.access_why, AccessWhy::Rule(_)));
    store.set_rules(&anna(), Rules::default(), 1).await.unwrap();
    eventually("and so does its end", async || state() == AccessState::Allowed).await;
}

async fn what_is_said_of_a_device_counts_for_more(database: Database) {
    let store = database.open().await;
    let hew = mailbox("hew");
    let id = comes(&store, &hew, "abc").await;
    let stored = store.set_device_access(&anna(), &hew, &id, Some(Access::Quarantine), None).await.unwrap();
    assert!(matches!(&stored.partnership.access_why, AccessWhy::Device { by, .. } if by == "anna"));
    let known = store.known(&hew, &id, &phone()).unwrap();
    assert_eq!((known.access_state, known.device_access.is_some()), (AccessState::Quarantined, true));
    store.close().await;
    let store = database.open().await;
    assert_eq!(store.known(&hew, &id, &phone()).unwrap().access_state, AccessState::Quarantined);
    let freed = store.set_device_access(&anna(), &hew, &id, None, None).await.unwrap();
    assert_eq!(freed.partnership.access_state, AccessState::Allowed);
    assert_eq!(freed.revision, stored.revision + 1);
}

async fn a_mailbox_can_be_switched_off(database: Database) {
    let store = database.open().await;
    let hew = mailbox("hew");
    let id = comes(&store, &hew, "abc").await;
    let other = comes(&store, &mailbox("other"), "abc").await;
    let settings = MailboxSettings { active_sync_enabled: false, devices_max: Some(2), ..Default::default() };
    let edit = MailboxEdit { settings: Some(settings.clone()), ..Default::default() };
    let record = store.change_mailbox(&anna(), hew.clone(), 0, edit).await.unwrap();
    assert_eq!(store.snapshot().mailbox(&hew), record);
    let known = store.known(&hew, &id, &phone()).unwrap();
    assert_eq!((known.access_state, known.access_why), (AccessState::Blocked, AccessWhy::ActiveSyncOff));
    assert_eq!(store.known(&mailbox("other"), &other, &phone()).unwrap().access_state, AccessState::Allowed);
    store.close().await;
    let store = database.open().await;
    assert_eq!(store.snapshot().mailbox(&hew).settings, settings);
    assert_eq!(store.known(&hew, &id, &phone()).unwrap().access_why, AccessWhy::ActiveSyncOff);
}

async fn a_device_that_describes_itself_is_decided_anew(database: Database) {
    let store = database.open().await;
    store.set_rules(&anna(), rules(Trait::Model, "Lumia*", Access::Block), 0).await.unwrap();
    let hew = mailbox("hew");
    let id = comes(&store, &hew, "abc").await;
    let state = || store.known(&hew, &id, &phone()).unwrap().access_state;
    assert_eq!(state(), AccessState::Discovery, "the rule needs to know its model");
    let says = DeviceInformation { model: Some("Lumia 800".into()), ..Default::default() };
    assert_eq!(store.record(&hew, &id, &phone(), vec![DeviceChange::Informed(says)]).await, Recorded::Saved);
    assert_eq!(state(), AccessState::Blocked);
}

/// The data plane does not wait for the partnership to be written; an administrator may be as quick.
async fn an_act_finds_a_device_that_has_just_come(database: Database) {
    let store = database.open().await;
    let hew = mailbox("hew");
    for number in 0..100 {
        let id = device_id(&format!("phone{number}"));
        store.change(&hew, &id, &phone(), vec![DeviceChange::Seen { version: Version::V14_1, user_agent: None }]);
        let blocked = store.set_device_access(&anna(), &hew, &id, Some(Access::Block), None).await;
        assert!(blocked.is_ok(), "{number}: {blocked:?}");
    }
}
