//! Who is woken by what.

use pushgate::logic::eas::{Class, FolderId, PingAnswer, Version};
use pushgate::standin::cas::Kind;

use crate::scene::{backend, device, gateway, mailbox};

#[tokio::test]
async fn a_webhook_wakes_a_held_ping_with_the_folder_that_changed_and_no_other() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    let mut phone = device().in_step_at(&gateway).await;
    let (inbox, trash) = (phone.folder(2), phone.folder(4));
    phone.hold_for(&gateway, 600, &[trash, inbox.clone()]).await;
    let taken = gateway.notify(mailbox("hew@example.org").folder("INBOX")).await;
    assert_eq!((taken.accepted, taken.woken), (1, Some(1)));
    assert_eq!(phone.answer().await, PingAnswer::Changes(vec![inbox]));
    gateway.holds(&[]).await;
}

#[tokio::test]
async fn every_device_of_the_mailbox_wakes_and_nobody_elses() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    let mut phone = device().in_step_at(&gateway).await;
    let mut tablet = device().named("Tablet1").in_step_at(&gateway).await;
    let mut other = device().of("anna").named("Phone2").in_step_at(&gateway).await;
    for device in [&mut phone, &mut tablet, &mut other] {
        device.hold(&gateway).await;
    }
    assert_eq!(gateway.notify(mailbox("hew").folder("INBOX")).await.woken, Some(2));
    assert_eq!((phone.answer().await, tablet.answer().await), (changes(&phone), changes(&tablet)));
    gateway.holds(&["Phone2"]).await;
    assert_eq!(gateway.notify(mailbox("anna").folder("INBOX")).await.woken, Some(1));
    assert_eq!(other.answer().await, changes(&other));
}

#[tokio::test]
async fn a_change_in_a_folder_that_is_not_watched_wakes_nobody() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    let mut phone = device().in_step_at(&gateway).await;
    phone.hold(&gateway).await;
    assert_eq!(gateway.notify(mailbox("hew").folder("Trash")).await.woken, Some(0));
    assert_eq!(gateway.notify(mailbox("hew").folder_id(phone.folder(4).as_str())).await.woken, Some(0));
    assert_eq!(gateway.notify(mailbox("hew").class("Calendar")).await.woken, Some(0));
    gateway.holds(&["Phone1"]).await;
}

#[tokio::test]
async fn folder_id_class_and_whole_mailbox_wake_what_they_mean() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    let mut phone = device().in_step_at(&gateway).await;
    let (inbox, trash) = (phone.folder(2), phone.folder(4));
    let both = [inbox.clone(), trash.clone()];
    phone.hold_for(&gateway, 600, &both).await;
    gateway.notify(mailbox("hew").folder_id(trash.as_str())).await;
    assert_eq!(phone.answer().await, PingAnswer::Changes(vec![trash.clone()]));
    for notification in [mailbox("hew").class("Email"), mailbox("hew")] {
        phone.synchronise_folders().await;
        phone.hold_for(&gateway, 600, &both).await;
        gateway.notify(notification).await;
        let PingAnswer::Changes(mut changed) = phone.answer().await else { panic!("not Status 2") };
        changed.sort_by(|a, b| a.as_str().cmp(b.as_str()));
        let mut expected = both.to_vec();
        expected.sort_by(|a, b| a.as_str().cmp(b.as_str()));
        assert_eq!(changed, expected);
    }
}

#[tokio::test]
async fn a_put_by_dovecot_for_its_inbox_wakes_the_inbox_of_the_device() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    let mut phone = device().in_step_at(&gateway).await;
    let both = [phone.folder(2), phone.folder(4)];
    phone.hold_for(&gateway, 600, &both).await;
    let body = r#"{"user":"hew","imap-uidvalidity":1478515200,"imap-uid":24,"folder":"INBOX","event":"messageNew","from":"Anna","subject":"Hi","snippet":"Hi","unseen":3}"#;
    gateway.dovecot(body).await;
    assert_eq!(phone.answer().await, changes(&phone));
}

#[tokio::test]
async fn a_change_that_comes_between_sync_and_ping_is_answered_at_once() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    let mut phone = device().in_step_at(&gateway).await;
    let inbox = [phone.inbox()];
    phone.hold(&gateway).await;
    gateway.notify(mailbox("hew").folder("INBOX")).await;
    phone.answer().await;
    phone.synchronise_folders().await;
    assert_eq!(gateway.notify(mailbox("hew").folder("INBOX")).await.woken, Some(0));
    assert_eq!(phone.asks(Some(600), Some(&inbox)).await, changes(&phone));
}

#[tokio::test]
async fn a_change_before_the_first_ping_is_not_lost() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    let mut phone = device().in_step_at(&gateway).await;
    assert_eq!(gateway.notify(mailbox("hew").folder("INBOX")).await.woken, Some(0));
    let inbox = [phone.inbox()];
    assert_eq!(phone.asks(Some(600), Some(&inbox)).await, changes(&phone));
}

#[tokio::test]
async fn every_version_of_the_protocol_is_held_and_woken() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    for version in Version::ALL {
        let id = format!("Phone{}", version.name().replace('.', "p"));
        let mut phone = device().named(&id).speaks(version).in_step_at(&gateway).await;
        phone.hold(&gateway).await;
        assert_eq!(gateway.notify(mailbox("hew").folder("INBOX")).await.woken, Some(1), "{version:?}");
        assert_eq!(phone.answer().await, changes(&phone), "{version:?}");
    }
}

#[tokio::test]
async fn in_front_of_every_kind_of_backend_a_ping_is_held_and_woken() {
    let kinds = [
        ("exchange", Kind::Exchange),
        ("sogo", Kind::Sogo),
        ("z-push", Kind::ZPush),
        ("grommunio", Kind::Grommunio),
        ("horde", Kind::Horde),
        ("other", Kind::Other),
    ];
    for (name, kind) in kinds {
        let backend = backend().kind(kind).start().await;
        let gateway = gateway().behind(backend.url()).set("backend.kind", format!("\"{name}\"")).start().await;
        for mut phone in [device().at(&gateway), device().named("Packed1").packs_query().at(&gateway)] {
            phone.synchronise().await;
            let before = backend.requests();
            phone.hold(&gateway).await;
            assert_eq!(backend.requests(), before, "{name}");
            assert_eq!(gateway.notify(mailbox("hew").folder("INBOX")).await.woken, Some(1), "{name}");
            assert_eq!(phone.answer().await, changes(&phone), "{name}");
        }
    }
}

#[tokio::test]
async fn two_hundred_folders_are_watched_each() {
    let backend = backend().start().await;
    for number in 0..190 {
        backend.create_folder("hew", &format!("Folder{number}"), 12);
    }
    let gateway = gateway().behind(backend.url()).start().await;
    let mut phone = device().in_step_at(&gateway).await;
    let mail = phone.device.folders.iter().filter(|folder| folder.class() == Some(Class::Email));
    let folders: Vec<FolderId> = mail.map(|folder| folder.id.clone()).collect();
    for folder in &folders {
        phone.device.sync_all(folder).await.unwrap();
    }
    for last in [folders.len() - 1, 100] {
        phone.hold_for(&gateway, 600, &folders).await;
        gateway.notify(mailbox("hew").folder_id(folders[last].as_str())).await;
        assert_eq!(phone.answer().await, PingAnswer::Changes(vec![folders[last].clone()]));
        phone.device.sync_all(&folders[last]).await.unwrap();
    }
}

#[tokio::test]
async fn a_device_in_step_pings_again_without_a_request_to_the_backend() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    let mut phone = device().in_step_at(&gateway).await;
    let before = (backend.requests(), gateway.status().await.backend_requests_total);
    for _ in 0..3 {
        phone.hold(&gateway).await;
        phone.take_line();
        gateway.holds(&[]).await;
    }
    phone.hold(&gateway).await;
    assert_eq!((backend.requests(), gateway.status().await.backend_requests_total), before);
}

#[tokio::test]
async fn a_device_that_ignores_what_it_is_told_is_slowed_and_still_told() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    let mut phone = device().in_step_at(&gateway).await;
    let inbox = [phone.inbox()];
    gateway.notify(mailbox("hew").folder("INBOX")).await;
    for _ in 0..2 {
        assert_eq!(phone.asks(Some(600), Some(&inbox)).await, changes(&phone));
    }
    let began = std::time::Instant::now();
    assert_eq!(phone.asks(Some(600), Some(&inbox)).await, changes(&phone));
    assert!(began.elapsed() > std::time::Duration::from_millis(500), "the third time it waits");
}

fn changes(phone: &crate::scene::Phone) -> PingAnswer {
    PingAnswer::Changes(vec![phone.inbox()])
}
