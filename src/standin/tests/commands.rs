//! Everything that is answered at once.

use std::time::Instant;

use super::*;
use crate::logic::eas::Command;
use crate::logic::wbxml::{Writer, folder_hierarchy as fh, get_item_estimate as gie, provision, settings};
use crate::standin::cas::{Fault, FaultRule};
use crate::standin::device::CaughtUp;

#[tokio::test]
async fn options_name_versions_and_commands_in_the_manner_of_the_kind() {
    for kind in KINDS {
        let cas = cas(kind, |_| {}).await;
        let answer = device(&cas).options().await.unwrap();
        assert!(answer.versions.contains(&"14.1".to_owned()), "{kind:?}");
        assert!(answer.commands.contains(&"Ping".to_owned()), "{kind:?}");
        assert_eq!(answer.commands.contains(&"Provision".to_owned()), kind != Kind::Sogo, "{kind:?}");
        assert_eq!((cas.options_count(), cas.requests()), (1, 1));
    }
}

#[tokio::test]
async fn a_wrong_password_gets_401_and_options_may_go_without() {
    let strict = cas(Kind::Other, |_| {}).await;
    let mut stranger = another_device(&strict, "hew", "Standin0001", |options| options.password = "guess".into());
    assert!(matches!(stranger.options().await, Err(crate::standin::device::DeviceError::Http(401))));
    let answer = stranger.command(Command::FolderSync, Vec::new()).await.unwrap();
    assert_eq!(answer.header("www-authenticate"), Some("Basic realm=\"stand-in\""));
    assert_eq!((strict.unauthorized_count(), strict.count(Command::FolderSync)), (2, 0));

    let lax = cas(Kind::Other, |options| options.options_asks_password = false).await;
    let mut stranger = another_device(&lax, "hew", "Standin0001", |options| options.password = "guess".into());
    assert!(stranger.options().await.is_ok());
}

#[tokio::test]
async fn every_kind_and_version_synchronises_in_both_query_forms() {
    for kind in KINDS {
        for version in VERSIONS {
            for packs_query in [false, true] {
                let cas = cas(kind, |_| {}).await;
                let mut device = another_device(&cas, "hew", "Standin0001", |options| {
                    options.version = version;
                    options.packs_query = packs_query;
                });
                let inbox = in_step(&mut device).await;
                let item = cas.deliver("hew", "Inbox");
                let news = device.sync_all(&inbox).await.unwrap();
                assert_eq!(news.items().collect::<Vec<_>>(), [item], "{kind:?} {version} {packs_query}");
                assert!(device.sync(&inbox, &SyncWish::default()).await.unwrap().added.is_empty());
                assert_eq!(cas.count_of("hew@example.org", Command::FolderSync), 1);
            }
        }
    }
}

#[tokio::test]
async fn folder_ids_have_the_form_of_the_kind() {
    let id = async |kind, device| cas(kind, |_| {}).await.folder_id("hew", device, "Inbox").unwrap();
    let sogo = id(Kind::Sogo, "a").await;
    assert!(sogo.starts_with("mail%2F") && sogo.len() == 39, "{sogo}");
    assert_eq!(sogo, id(Kind::Sogo, "b").await);
    let z_push = id(Kind::ZPush, "a").await;
    assert!(z_push.starts_with('U') && z_push.len() == 6, "{z_push}");
    assert_ne!(z_push, id(Kind::ZPush, "b").await);
    assert!(id(Kind::Horde, "a").await.starts_with('F'));
    assert!(id(Kind::Exchange, "a").await.parse::<u32>().is_ok());
}

#[tokio::test]
async fn all_spellings_of_a_user_are_one_mailbox() {
    let cas = cas(Kind::Other, |_| {}).await;
    let mut device = another_device(&cas, "EXAMPLE\\Hew", "Standin0001", |_| {});
    let inbox = in_step(&mut device).await;
    cas.deliver("hew@example.org", "Inbox");
    assert_eq!(device.sync_all(&inbox).await.unwrap().added.len(), 1);
    assert_eq!(cas.count_of("hew", Command::FolderSync), 1);
}

#[tokio::test]
async fn a_full_mailbox_comes_in_windows() {
    let cas = cas(Kind::Other, |_| {}).await;
    let mut device = device(&cas);
    let inbox = in_step(&mut device).await;
    let items: Vec<_> = (0..7).map(|_| cas.deliver("hew", "Inbox")).collect();
    let mut fetched = Vec::new();
    for expected_more in [true, true, false] {
        let answer = device.sync(&inbox, &wish(|wish| wish.window = Some(3))).await.unwrap();
        assert_eq!(answer.is_more, expected_more);
        fetched.extend(answer.items());
    }
    assert_eq!(fetched, items);
}

#[tokio::test]
async fn a_bad_key_gets_status_3_and_the_key_before_is_still_good() {
    let cas = cas(Kind::ZPush, |_| {}).await;
    let mut device = device(&cas);
    let inbox = in_step(&mut device).await;
    let before = device.folders.clone();
    cas.deliver("hew", "Inbox");
    assert_eq!(device.sync(&inbox, &SyncWish::default()).await.unwrap().added.len(), 1);
    // The answer was lost: the device asks again with the key it has, and gets the same.
    device.folders = before.clone();
    assert_eq!(device.sync(&inbox, &SyncWish::default()).await.unwrap().added.len(), 1);
    // Two keys back is too far.
    cas.deliver("hew", "Inbox");
    device.sync(&inbox, &SyncWish::default()).await.unwrap();
    cas.deliver("hew", "Inbox");
    device.sync(&inbox, &SyncWish::default()).await.unwrap();
    device.folders = before;
    assert_eq!(device.sync(&inbox, &SyncWish::default()).await.unwrap().status, 3);
    // From 0 on everything comes again.
    assert_eq!(device.sync_all(&inbox).await.unwrap().added.len(), 3);
}

/// What came between its exchanges was fetched, and is no lost wake.
#[tokio::test]
async fn a_device_is_in_step_as_of_the_last_of_its_exchanges() {
    let cas = cas(Kind::ZPush, |_| {}).await;
    let mut device = device(&cas);
    let inbox = in_step(&mut device).await;
    device.folders.iter_mut().find(|folder| folder.id == inbox).unwrap().key = "no such key".into();
    cas.set_faults(vec![FaultRule { command: None, times: None, fault: Fault::Delay(Duration::from_millis(100)) }]);
    let start = Instant::now();
    // Status 3, key 0, and only then what there is.
    let CaughtUp { began, is_anew, .. } = device.come_in_step(&inbox).await.unwrap();
    assert!(is_anew && began - start >= Duration::from_millis(200), "{:?}", began - start);
}

#[tokio::test]
async fn what_a_device_does_itself_is_told_to_others_only() {
    let cas = cas(Kind::Other, |_| {}).await;
    let (mut one, mut two) = (device(&cas), another_device(&cas, "hew", "Standin0002", |_| {}));
    let (inbox_one, inbox_two) = (in_step(&mut one).await, in_step(&mut two).await);
    let added = one.sync(&inbox_one, &wish(|wish| wish.add = vec!["c1".into()])).await.unwrap();
    assert_eq!((added.created.len(), added.added.len()), (1, 0));
    let seen = two.sync(&inbox_two, &SyncWish::default()).await.unwrap();
    assert_eq!(
        seen.items().collect::<Vec<_>>(),
        added.created.iter().filter_map(|id| crate::standin::cas::ItemId::of_server_id(id)).collect::<Vec<_>>()
    );
    two.sync(&inbox_two, &wish(|wish| wish.mark_read = seen.added.clone())).await.unwrap();
    assert_eq!(one.sync(&inbox_one, &SyncWish::default()).await.unwrap().changed, added.created);
    two.sync(&inbox_two, &wish(|wish| wish.delete = seen.added.clone())).await.unwrap();
    assert_eq!(one.sync(&inbox_one, &SyncWish::default()).await.unwrap().deleted, added.created);
    assert!(two.sync(&inbox_two, &SyncWish::default()).await.unwrap().deleted.is_empty());
}

#[tokio::test]
async fn items_that_came_and_went_unseen_are_not_mentioned() {
    let cas = cas(Kind::Other, |_| {}).await;
    let mut device = device(&cas);
    let inbox = in_step(&mut device).await;
    let item = cas.deliver("hew", "Inbox");
    assert!(cas.change("hew", "Inbox", item));
    assert!(cas.remove("hew", "Inbox", item));
    assert!(!cas.remove("hew", "Inbox", item));
    let answer = device.sync(&inbox, &SyncWish::default()).await.unwrap();
    assert!(answer.added.is_empty() && answer.deleted.is_empty());
}

#[tokio::test]
async fn an_empty_sync_repeats_the_last_one_except_on_sogo() {
    for (kind, is_good) in [(Kind::Other, true), (Kind::Sogo, false)] {
        let cas = cas(kind, |_| {}).await;
        let mut device = device(&cas);
        in_step(&mut device).await;
        let unchanged = device.command(Command::Sync, Vec::new()).await.unwrap();
        assert_eq!((unchanged.status, unchanged.body.is_empty()), (200, is_good));
        cas.deliver("hew", "Inbox");
        assert!(!device.command(Command::Sync, Vec::new()).await.unwrap().body.is_empty());
    }
}

#[tokio::test]
async fn the_folder_list_comes_whole_and_then_as_differences() {
    let cas = cas(Kind::ZPush, |_| {}).await;
    let mut device = device(&cas);
    let all = device.folder_sync().await.unwrap();
    assert_eq!((all.added.len(), all.deleted.len()), (7, 0));
    cas.create_folder("hew", "Projects", 12);
    assert_eq!(device.folder_sync().await.unwrap().added[0].name, "Projects");
    assert!(cas.rename_folder("hew", "Projects", "Old"));
    assert_eq!(device.folder_sync().await.unwrap().added[0].name, "Old");
    assert!(cas.remove_folder("hew", "Old"));
    assert_eq!(device.folder_sync().await.unwrap().deleted.len(), 1);
    assert_eq!(device.folders.len(), 7);
    let nothing = device.folder_sync().await.unwrap();
    assert!(nothing.added.is_empty() && nothing.deleted.is_empty());
}

#[tokio::test]
async fn a_device_makes_renames_and_deletes_folders() {
    let cas = cas(Kind::Horde, |_| {}).await;
    let mut device = device(&cas);
    let mut key = device.folder_sync().await.unwrap().key;
    let inbox = device.folder_of_type(2).unwrap();
    let edit = |command: Command, key: &str, server_id: Option<&str>| {
        let mut writer = Writer::new();
        writer.start(command.root().unwrap().0).text(fh::SYNC_KEY, key);
        if let Some(server_id) = server_id {
            writer.text(fh::SERVER_ID, server_id);
        }
        writer.text(fh::PARENT_ID, "0").text(fh::DISPLAY_NAME, "Mine").number(fh::TYPE, 12_u8).end();
        (command, writer.finish())
    };
    let mut send = async |(command, body)| {
        let answer = device.command(command, body).await.unwrap();
        let root = crate::standin::tree::Node::parse(&answer.body).unwrap();
        let text = |tag| root.child_text(tag).unwrap_or_default().to_owned();
        (text(fh::STATUS), text(fh::SYNC_KEY), text(fh::SERVER_ID))
    };
    let (status, new_key, id) = send(edit(Command::FolderCreate, &key, None)).await;
    assert_eq!((status.as_str(), id.starts_with('F')), ("1", true));
    key = new_key;
    assert_eq!(send(edit(Command::FolderCreate, &key, None)).await.0, "2", "it exists");
    assert_eq!(send(edit(Command::FolderUpdate, &key, Some(inbox.as_str()))).await.0, "3", "the Inbox stays");
    let (status, key, _) = send(edit(Command::FolderDelete, &key, Some(&id))).await;
    assert_eq!(status, "1");
    assert_eq!(send(edit(Command::FolderDelete, &key, Some(&id))).await.0, "4", "it is gone");
    assert_eq!(send(edit(Command::FolderDelete, "77", Some(&id))).await.0, "9", "the key is wrong");
}

#[tokio::test]
async fn a_policy_is_taken_in_two_phases_and_shown_from_then_on() {
    use crate::standin::device::DeviceError;
    for (version, demand) in [(Version::V12_1, DeviceError::Http(449)), (Version::V14_1, DeviceError::Status(Command::Sync, 142))] {
        for packs_query in [false, true] {
            let cas = cas(Kind::Exchange, |options| options.wants_policy = true).await;
            let mut device = another_device(&cas, "hew", "Standin0001", |options| {
                options.version = version;
                options.packs_query = packs_query;
            });
            let nowhere = FolderId::new("1").unwrap();
            let refused = device.sync_all(&nowhere).await.unwrap_err();
            assert_eq!(refused.to_string(), demand.to_string(), "{version} {packs_query}");
            device.provision().await.unwrap();
            assert_eq!(cas.count(Command::Provision), 2);
            in_step(&mut device).await;
            // Not the key that was given to it: it must ask again.
            device.policy_key = device.policy_key.map(|key| key + 1);
            assert!(device.sync_all(&nowhere).await.is_err());
            device.provision().await.unwrap();
            in_step(&mut device).await;
        }
    }
}

#[tokio::test]
async fn the_small_commands_answer() {
    let cas = cas(Kind::Other, |_| {}).await;
    let mut device = device(&cas);
    let inbox = in_step(&mut device).await;
    cas.deliver("hew", "Inbox");
    let read = |body: &[u8]| crate::standin::tree::Node::parse(body).unwrap();

    let mut writer = Writer::new();
    writer.start(settings::SETTINGS).start(settings::DEVICE_INFORMATION).start(settings::SET);
    writer.text(settings::MODEL, "Model-X").end().end().end();
    let answer = read(&device.command(Command::Settings, writer.finish()).await.unwrap().body);
    assert_eq!(answer.child(settings::DEVICE_INFORMATION).unwrap().child_number(settings::STATUS), Some(1));

    let mut writer = Writer::new();
    writer.start(provision::PROVISION).start(provision::POLICIES).start(provision::POLICY);
    writer.text(provision::POLICY_TYPE, "MS-EAS-Provisioning-WBXML").end().end().end();
    let answer = read(&device.command(Command::Provision, writer.finish()).await.unwrap().body);
    let policy = answer.child(provision::POLICIES).unwrap().child(provision::POLICY).unwrap();
    assert_eq!(policy.child_number(provision::STATUS), Some(2));

    let mut writer = Writer::new();
    writer.start(gie::GET_ITEM_ESTIMATE).start(gie::COLLECTIONS).start(gie::COLLECTION);
    writer.text(gie::COLLECTION_ID, inbox.as_str()).end().end().end();
    let answer = device.command(Command::GetItemEstimate, writer.finish()).await.unwrap();
    assert_eq!(read(&answer.body).children[0].child_number(gie::STATUS), Some(1));
    assert!(answer.body.windows(2).any(|window| window == b"1\0"), "one item is new");

    assert_eq!(device.attachment("5:17:100000").await.unwrap(), vec![0; 100_000]);
    let sent = device.command(Command::SendMail, provision_body()).await.unwrap();
    assert_eq!((sent.status, sent.body.len()), (200, 0));
    let search = device.command(Command::Search, Vec::new()).await.unwrap();
    assert_eq!(read(&search.body).children.len(), 1, "a Status and nothing else");
}

/// Any WBXML will do for mail that is thrown away.
fn provision_body() -> Vec<u8> {
    let mut writer = Writer::new();
    writer.empty(provision::PROVISION);
    writer.finish()
}

#[tokio::test]
async fn autodiscover_names_the_server() {
    let cas = cas(Kind::Other, |_| {}).await;
    let request = "POST /Autodiscover/Autodiscover.xml HTTP/1.1\r\nHost: mail.example.org\r\nAuthorization: Basic aGV3OnRlc3Q=\r\n\
                   Content-Length: 0\r\n\r\n";
    let answer = device(&cas).raw(request.into()).await.unwrap();
    let body = String::from_utf8(answer.body).unwrap();
    assert!(body.contains("<Url>http://mail.example.org/Microsoft-Server-ActiveSync</Url>"), "{body}");
    assert_eq!(cas.autodiscover_count(), 1);
}

#[tokio::test]
async fn requests_are_recorded_as_they_came() {
    let cas = cas(Kind::Other, |options| options.record_max = 2).await;
    let mut device = device(&cas);
    device.options().await.unwrap();
    let inbox = in_step(&mut device).await;
    device.sync(&inbox, &SyncWish::default()).await.unwrap();
    let recorded = cas.recorded();
    assert_eq!(recorded.len(), 2);
    assert!(recorded[1].uri.to_string().starts_with("/Microsoft-Server-ActiveSync?Cmd=Sync&User=hew&"), "{}", recorded[1].uri);
    assert_eq!(recorded[1].headers["ms-asprotocolversion"], "14.1");
    assert_eq!(recorded[1].body[..4], [3, 1, 0x6A, 0]);
}

#[tokio::test]
async fn sogo_does_what_the_body_says_not_the_query() {
    let cas = cas(Kind::Sogo, |_| {}).await;
    let mut device = device(&cas);
    let body = [0x03, 0x01, 0x6A, 0x00, 0x00, 0x07, 0x56, 0x52, 0x03, 0x30, 0x00, 0x01, 0x01];
    device.command(Command::Settings, body.to_vec()).await.unwrap();
    assert_eq!((cas.count(Command::FolderSync), cas.count(Command::Settings)), (1, 0));
}
