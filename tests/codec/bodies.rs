//! FolderSync, Sync, Provision, Settings: bytes ↔ values.

use std::fmt::Debug;

use pushgate::logic::eas::folder_change::{FolderAnswer, FolderCommand, FolderOrder, FolderRequest};
use pushgate::logic::eas::folder_sync::{Folder, FolderChange, FolderSyncAnswer, FolderSyncReader, FolderSyncRequest, FolderType};
use pushgate::logic::eas::provision::{PolicyAnswer, PolicyData, PolicyRequest, PolicyType, ProvisionAnswer, ProvisionRequest};
use pushgate::logic::eas::provision_doc::{DocValue, ProvisionDoc};
use pushgate::logic::eas::settings::{RecoveryPassword, SettingsAnswer, SettingsRequest};
use pushgate::logic::eas::sync::{SyncAnswer, SyncCollection, SyncObserver, SyncRequest, SyncedCollection, without_wait};
use pushgate::logic::eas::{BodyError, Class, Command, DeviceInformation, FolderId, PolicyKey, Root, root_command, status};
use pushgate::logic::wbxml::{PAGES, Tag, Writer, air_sync, provision};

use super::vector;

fn id(text: &str) -> FolderId {
    FolderId::new(text).unwrap()
}

fn text(text: &str) -> Option<String> {
    Some(text.to_owned())
}

/// The vector reads as the value, and the value writes as the vector.
fn both_ways<T: Debug + PartialEq>(name: &str, value: T, parse: fn(&[u8]) -> Result<T, BodyError>, encode: fn(&T) -> Vec<u8>) {
    assert_eq!(encode(&value), vector(name), "{name}");
    assert_eq!(parse(&vector(name)), Ok(value), "{name}");
}

#[test]
fn folder_sync() {
    both_ways("12", FolderSyncRequest { sync_key: "0".into() }, FolderSyncRequest::parse, FolderSyncRequest::encode);
    let folder = |own: &str, parent: &str, name: &str, kind| {
        FolderChange::Add(Folder { id: id(own), parent: id(parent), name: name.into(), kind: FolderType(kind) })
    };
    let changes = vec![folder("1", "0", "Calendar", 8), folder("5", "0", "Inbox", 2), folder("9", "5", "Büro", 12)];
    let answer = FolderSyncAnswer { status: 1, sync_key: text("1"), changes, is_cut: false };
    both_ways("13", answer, FolderSyncAnswer::parse, FolderSyncAnswer::encode);
    let refusal = FolderSyncAnswer { status: 142, ..Default::default() };
    both_ways("14", refusal, FolderSyncAnswer::parse, FolderSyncAnswer::encode);
}

#[test]
fn folder_sync_in_pieces_is_the_same() {
    let body = vector("13");
    let mut reader = FolderSyncReader::new();
    body.chunks(3).for_each(|piece| reader.push(piece).unwrap());
    assert_eq!(reader.finish(), FolderSyncAnswer::parse(&body));
    let mut cut = FolderSyncReader::new();
    cut.push(&body[..body.len() - 1]).unwrap();
    assert!(matches!(cut.finish(), Err(BodyError::Wbxml(_))));
}

#[test]
fn folder_sync_knows_updates_and_deletes() {
    let update = Folder { id: id("9"), parent: id("0"), name: "Office".into(), kind: FolderType::MAIL };
    let changes = vec![FolderChange::Update(update), FolderChange::Delete(id("1"))];
    let answer = FolderSyncAnswer { status: 1, sync_key: text("2"), changes, is_cut: false };
    assert_eq!(FolderSyncAnswer::parse(&answer.encode()), Ok(answer));
}

#[test]
fn folder_types_have_classes() {
    for (kinds, class) in [
        (&[1, 2, 3, 4, 5, 6, 12][..], Some(Class::Email)),
        (&[8, 13], Some(Class::Calendar)),
        (&[9, 14], Some(Class::Contacts)),
        (&[7, 15], Some(Class::Tasks)),
        (&[10, 17], Some(Class::Notes)),
        (&[0, 11, 16, 18, 19, 20, 255], None),
    ] {
        kinds.iter().for_each(|&kind| assert_eq!(FolderType(kind).class(), class, "{kind}"));
    }
}

#[test]
fn folder_changes_of_the_device() {
    for (order, command) in [
        (FolderOrder::Create { parent: id("0"), name: "New".into(), kind: FolderType::MAIL }, Command::FolderCreate),
        (FolderOrder::Update { id: id("9"), parent: id("5"), name: "Büro".into() }, Command::FolderUpdate),
        (FolderOrder::Delete { id: id("9") }, Command::FolderDelete),
    ] {
        let request = FolderRequest { sync_key: "4".into(), order };
        assert_eq!(root_command(&request.encode()), Ok(Root::Command(command)));
        assert_eq!(FolderRequest::parse(&request.encode()), Ok(request));
    }
    let answer = FolderAnswer { command: FolderCommand::Create, status: 1, sync_key: text("5"), id: Some(id("10")) };
    assert_eq!(FolderAnswer::parse(&answer.encode()), Ok(answer));
    assert_eq!(FolderRequest::parse(&vector("12")), Err(BodyError::WrongRoot));
}

#[test]
fn sync_requests() {
    let waiting =
        SyncRequest { collections: vec![SyncCollection::new(id("5"), "1588849311")], heartbeat_s: Some(900), ..Default::default() };
    both_ways("31", waiting, SyncRequest::skim, SyncRequest::encode);
    let partial = SyncRequest { wait_min: Some(15), is_partial: true, ..Default::default() };
    both_ways("32", partial, SyncRequest::skim, SyncRequest::encode);
    let old = SyncCollection { class: text("Email"), ..SyncCollection::new(id("5"), "0") };
    both_ways("35", SyncRequest { collections: vec![old], ..Default::default() }, SyncRequest::skim, SyncRequest::encode);
    assert_eq!(SyncRequest::skim(b""), Ok(SyncRequest::default()));
}

#[test]
fn a_sync_that_sends_or_fetches_items_says_so() {
    let mut writer = Writer::new();
    writer.start(air_sync::SYNC).start(air_sync::COLLECTIONS).start(air_sync::COLLECTION);
    writer
        .text(air_sync::SYNC_KEY, "7")
        .text(air_sync::COLLECTION_ID, "5")
        .empty(air_sync::GET_CHANGES)
        .number(air_sync::WINDOW_SIZE, 50_u8);
    writer.start(air_sync::COMMANDS).start(air_sync::FETCH).text(air_sync::SERVER_ID, "5:1").end().end();
    writer.end().end().number(air_sync::WAIT, 10_u8).end();
    let body = writer.finish();
    let request = SyncRequest::skim(&body).unwrap();
    let [collection] = &request.collections[..] else { panic!("one collection") };
    assert!(collection.has_commands);
    assert_eq!((collection.get_changes, collection.window_size, request.wait_min), (Some(true), Some(50), Some(10)));

    let waitless = without_wait(&body).unwrap();
    assert_eq!(SyncRequest::skim(&waitless), Ok(SyncRequest { wait_min: None, ..request }));
    assert_eq!(waitless.len(), body.len() - b"\x64\x0310\0\x01".len(), "only the wait is gone");
}

#[test]
fn sync_answers() {
    both_ways("33", SyncAnswer { status: Some(14), limit: Some(60), ..Default::default() }, SyncAnswer::parse, SyncAnswer::encode);
    both_ways("34", SyncAnswer { status: Some(142), ..Default::default() }, SyncAnswer::parse, SyncAnswer::encode);
    assert_eq!(SyncAnswer::parse(b""), Ok(SyncAnswer::default()));
    assert_eq!(SyncAnswer::default().encode(), b"");
}

#[test]
fn a_sync_answer_is_watched_in_pieces_without_keeping_items() {
    let collection = |own: &str, more_available, server_commands| SyncedCollection {
        id: Some(id(own)),
        status: Some(1),
        sync_key: text("8"),
        more_available,
        server_commands,
        ..Default::default()
    };
    let answer = SyncAnswer { collections: vec![collection("5", true, 3), collection("1", false, 0)], ..Default::default() };
    let body = answer.encode();
    for size in [1, 2, 7, body.len()] {
        let mut observer = SyncObserver::new();
        body.chunks(size).for_each(|piece| observer.push(piece).unwrap());
        assert_eq!(observer.finish(), Ok(answer.clone()));
    }
    assert_eq!(answer.collections.iter().map(SyncedCollection::is_in_step).collect::<Vec<_>>(), [false, true]);
}

#[test]
fn a_broken_sync_answer_teaches_nothing() {
    let body = vector("34");
    let mut observer = SyncObserver::new();
    observer.push(&body[..body.len() - 1]).unwrap();
    assert!(observer.push(b"\x83").is_err());
    assert!(observer.push(b"\x01").is_err(), "an error is final");
    assert!(observer.finish().is_err());
}

#[test]
fn provision_requests() {
    let ask = |device_information| ProvisionRequest {
        device_information,
        policy: Some(PolicyRequest { policy_type: PolicyType::Wbxml, policy_key: None, status: None }),
        ..Default::default()
    };
    let (parse, encode) = (ProvisionRequest::parse, ProvisionRequest::encode);
    both_ways("15", ask(None), parse, encode);
    let more = DeviceInformation {
        user_agent: text("ExampleMail/1.0"),
        enable_outbound_sms: text("0"),
        mobile_operator: text("ExampleTel"),
        ..device()
    };
    both_ways("16", ask(Some(more)), parse, encode);
    let policy = PolicyRequest { policy_type: PolicyType::Wbxml, policy_key: Some(PolicyKey(1_307_199_584)), status: Some(1) };
    both_ways("18", ProvisionRequest { policy: Some(policy), ..Default::default() }, parse, encode);
    both_ways("20", ProvisionRequest::default(), parse, encode);
    both_ways("22", ProvisionRequest { remote_wipe: Some(1), ..Default::default() }, parse, encode);
    both_ways("24", ProvisionRequest { account_only_remote_wipe: Some(1), ..Default::default() }, parse, encode);
}

#[test]
fn provision_answers() {
    let word = |policy_type, status, key: Option<u32>, data| ProvisionAnswer {
        status: 1,
        policy: Some(PolicyAnswer { policy_type, status, policy_key: key.map(PolicyKey), data }),
        ..Default::default()
    };
    let (parse, encode) = (ProvisionAnswer::parse, ProvisionAnswer::encode);
    both_ways("17", word(PolicyType::Wbxml, 1, Some(1_307_199_584), Some(PolicyData::Document(document()))), parse, encode);
    both_ways("19", word(PolicyType::Wbxml, 1, Some(3_942_919_513), None), parse, encode);
    both_ways("21", ProvisionAnswer { status: 1, remote_wipe: true, ..Default::default() }, parse, encode);
    both_ways("23", ProvisionAnswer { status: 1, account_only_remote_wipe: true, ..Default::default() }, parse, encode);
    both_ways("25", word(PolicyType::Wbxml, 2, None, None), parse, encode);
    let wap = "<wap-provisioningdoc><characteristic type=\"SecurityPolicy\"><parm name=\"4131\" value=\"0\"/></characteristic></wap-provisioningdoc>";
    both_ways("26", word(PolicyType::WapXml, 1, Some(1_307_199_584), Some(PolicyData::WapXml(wap.into()))), parse, encode);
}

#[test]
fn application_lists_keep_their_entries() {
    let mut answer = ProvisionAnswer::parse(&vector("17")).unwrap();
    let Some(PolicyData::Document(document)) = answer.policy.as_mut().and_then(|policy| policy.data.as_mut()) else { panic!("a document") };
    document.0.push((provision::UNAPPROVED_IN_ROM_APPLICATION_LIST, DocValue::List(vec!["game.exe".into(), "chat.exe".into()])));
    document.0.push((provision::APPROVED_APPLICATION_LIST, DocValue::List(Vec::new())));
    assert_eq!(ProvisionAnswer::parse(&answer.encode()), Ok(answer));
}

#[test]
fn settings() {
    let about = SettingsRequest { device_information: Some(device()), ..Default::default() };
    both_ways("27", about, SettingsRequest::parse, SettingsRequest::encode);
    let stored = SettingsAnswer { status: 1, device_information: Some(1), device_password: None };
    both_ways("28", stored, SettingsAnswer::parse, SettingsAnswer::encode);
    let secret = SettingsRequest { device_password: Some(RecoveryPassword::new("7Q4KD-93ZXM".into())), ..Default::default() };
    both_ways("29", secret, SettingsRequest::parse, SettingsRequest::encode);
    let stored = SettingsAnswer { status: 1, device_information: None, device_password: Some(1) };
    both_ways("30", stored, SettingsAnswer::parse, SettingsAnswer::encode);
}

#[test]
fn the_root_says_which_command_a_body_is() {
    assert_eq!(root_command(&vector("bad-19")), Ok(Root::Command(Command::Sync)));
    assert_eq!(root_command(&vector("20")), Ok(Root::Command(Command::Provision)));
    assert_eq!(root_command(b""), Ok(Root::Empty));
    assert_eq!(root_command(b"\x03\x01\x6A\x00\x07"), Ok(Root::Other(air_sync::ADD)));
    assert!(root_command(&vector("bad-15")).is_err());
    assert!(root_command(b"\x03\x01\x6A\x00\x00").is_err());
}

#[test]
fn one_element_answers_are_the_vectors() {
    assert_eq!(status::answer(Command::FolderSync, status::DEVICE_NOT_PROVISIONED), Some(vector("14")));
    assert_eq!(status::answer(Command::Sync, status::DEVICE_NOT_PROVISIONED), Some(vector("34")));
    assert_eq!(status::answer(Command::Ping, 7), Some(vector("10")));
}

fn device() -> DeviceInformation {
    DeviceInformation {
        model: text("Model-X"),
        imei: text("490154203237518"),
        friendly_name: text("Ada phone"),
        os: text("ExampleOS 9.1"),
        os_language: text("en-us"),
        phone_number: text("15550100"),
        ..Default::default()
    }
}

fn document() -> ProvisionDoc {
    let settings = [
        ("DevicePasswordEnabled", "1"),
        ("AlphanumericDevicePasswordRequired", "0"),
        ("PasswordRecoveryEnabled", "1"),
        ("RequireStorageCardEncryption", "0"),
        ("AttachmentsEnabled", "1"),
        ("MinDevicePasswordLength", "4"),
        ("MaxInactivityTimeDeviceLock", "900"),
        ("MaxDevicePasswordFailedAttempts", "8"),
        ("MaxAttachmentSize", ""),
        ("AllowSimpleDevicePassword", "1"),
        ("DevicePasswordExpiration", ""),
        ("DevicePasswordHistory", "0"),
    ];
    let tag = |name| Tag { page: 14, token: PAGES[14].tokens().find(|(_, known)| *known == name).unwrap().0 };
    ProvisionDoc(settings.into_iter().map(|(name, value)| (tag(name), DocValue::Text(value.into()))).collect())
}
