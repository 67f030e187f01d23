//! Which devices are one device, and which names are one mailbox.

use pushgate::logic::eas::{PingAnswer, Version};

use crate::scene::{backend, device, gateway, mailbox};

#[tokio::test]
async fn plain_and_base64_queries_of_a_device_are_one_device() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    let mut plain = device().in_step_at(&gateway).await;
    plain.hold(&gateway).await;
    let mut packed = device().packs_query().at(&gateway);
    packed.ping(None, None).await;
    assert_eq!(plain.answer().await, PingAnswer::Expired);
    gateway.holds(&["Phone1"]).await;
    gateway.notify(mailbox("hew").folder("INBOX")).await;
    assert_eq!(packed.answer().await, PingAnswer::Changes(vec![plain.inbox()]));
}

#[tokio::test]
async fn the_case_of_a_device_id_does_not_make_another_device() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    let mut phone = device().in_step_at(&gateway).await;
    phone.hold(&gateway).await;
    let mut shouting = device().named("PHONE1").at(&gateway);
    shouting.ping(None, None).await;
    assert_eq!(phone.answer().await, PingAnswer::Expired);
    assert_eq!(gateway.held().await, ["phone1"]);
}

#[tokio::test]
async fn the_same_device_id_of_two_users_is_two_devices() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    let mut hews = device().in_step_at(&gateway).await;
    let mut annas = device().of("anna").in_step_at(&gateway).await;
    hews.hold(&gateway).await;
    annas.hold(&gateway).await;
    gateway.holds(&["Phone1", "Phone1"]).await;
    assert_eq!(gateway.notify(mailbox("anna").folder("INBOX")).await.woken, Some(1));
    assert_eq!(annas.answer().await, PingAnswer::Changes(vec![annas.inbox()]));
}

#[tokio::test]
async fn three_spellings_of_a_user_are_one_mailbox() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    let mut phones = Vec::new();
    for (id, user) in [("A1", "EXAMPLE\\hew"), ("A2", "hew"), ("A3", "Hew@Example.org")] {
        let mut phone = device().named(id).of(user).in_step_at(&gateway).await;
        phone.hold(&gateway).await;
        phones.push(phone);
    }
    let held = gateway.pings("?mailbox=hew").await.pings;
    assert_eq!(held.iter().filter(|ping| ping.mailbox == "hew@example.org").count(), 3);
    for name in ["hew", "EXAMPLE\\HEW", "hew@example.org"] {
        assert_eq!(gateway.notify(mailbox(name).folder("Trash")).await.woken, Some(0));
    }
    assert_eq!(gateway.notify(mailbox("EXAMPLE\\hew").folder("INBOX")).await.woken, Some(3));
    for phone in &mut phones {
        assert_eq!(phone.answer().await, PingAnswer::Changes(vec![phone.inbox()]));
    }
}

#[tokio::test]
async fn a_base64_query_is_held_in_every_version_that_has_one() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    for version in Version::ALL.into_iter().filter(|version| *version >= Version::V12_1) {
        let id = format!("Packed{}", version.name().replace('.', "p"));
        let mut phone = device().named(&id).speaks(version).packs_query().in_step_at(&gateway).await;
        phone.hold(&gateway).await;
        assert_eq!(gateway.notify(mailbox("hew").folder("INBOX")).await.woken, Some(1), "{version:?}");
        assert_eq!(phone.answer().await, PingAnswer::Changes(vec![phone.inbox()]), "{version:?}");
    }
}
