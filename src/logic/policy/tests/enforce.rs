//! What is refused whatever the device thinks of its policy.

use super::super::enforce::{Enforcement, Refused, decide, too_large};
use super::super::recovery::{self, Recovery};
use super::prepared;
use crate::logic::eas::settings::{RecoveryPassword, SettingsAnswer, SettingsRequest};
use crate::logic::eas::{BodyError, Command};
use crate::logic::wbxml::{PAGES, Tag, Writer, air_sync, air_sync_base, document_library, item_operations, search, settings, to_xml};

fn tag(page: u8, name: &str) -> Tag {
    Tag { page, token: PAGES[usize::from(page)].tokens().find(|(_, known)| *known == name).unwrap().0 }
}

fn fetches(what: &[(Tag, &str)]) -> Vec<u8> {
    let mut writer = Writer::new();
    writer.start(item_operations::ITEM_OPERATIONS);
    for (tag, text) in what {
        writer.start(item_operations::FETCH).text(item_operations::STORE, "Mailbox").text(*tag, text).end();
    }
    writer.end();
    writer.finish()
}

fn search_for(store: &str, link: &str) -> Vec<u8> {
    let mut writer = Writer::new();
    writer.start(search::SEARCH).start(tag(15, "Store")).text(tag(15, "Name"), store).start(tag(15, "Query")).start(tag(15, "EqualTo"));
    writer.empty(document_library::LINK_ID).text(tag(15, "Value"), link).end().end().end().end();
    writer.finish()
}

fn passes(command: Command, body: &[u8], settings: &[(&str, &str)]) -> bool {
    matches!(decide(command, body, &prepared(settings)), Ok(Enforcement::Forward { .. }))
}

fn xml(refused: &Refused) -> String {
    let mut out = String::new();
    to_xml(&refused.body, &mut out).unwrap();
    out.split_whitespace().collect()
}

const FILE: Tag = air_sync_base::FILE_REFERENCE;
const LINK: Tag = document_library::LINK_ID;

#[test]
fn attachments_that_are_off_are_not_fetched() {
    let off = &[("AttachmentsEnabled", "false")][..];
    let attachment = fetches(&[(FILE, "5:17:0")]);
    assert!(passes(Command::ItemOperations, &attachment, &[]));
    assert!(passes(Command::ItemOperations, &fetches(&[(air_sync::SERVER_ID, "5:17")]), off), "a message is no attachment");
    let Ok(Enforcement::Answer(refused)) = decide(Command::ItemOperations, &attachment, &prepared(off)) else { panic!("passed") };
    assert_eq!(
        (refused.http, xml(&refused).as_str()),
        (
            200,
            concat!(
                "<ItemOperationsxmlns=\"ItemOperations:\"><Status>1</Status><Response><Fetch><Status>16</Status>",
                "<FileReferencexmlns=\"AirSyncBase:\">5:17:0</FileReference></Fetch></Response></ItemOperations>"
            )
        )
    );
    let get = decide(Command::GetAttachment, b"", &prepared(off)).unwrap();
    assert_eq!(get, Enforcement::Answer(Refused { http: 403, body: vec![] }));
    assert!(passes(Command::GetAttachment, b"", &[]));
    assert!(passes(Command::Sync, b"anything", off));
}

#[test]
fn of_several_fetches_the_others_are_to_be_tried_again() {
    let body = fetches(&[(FILE, "5:17:0"), (air_sync::SERVER_ID, "5:17")]);
    let Ok(Enforcement::Answer(refused)) = decide(Command::ItemOperations, &body, &prepared(&[("AttachmentsEnabled", "no")])) else {
        panic!("passed")
    };
    let statuses: Vec<_> =
        xml(&refused).match_indices("<Fetch><Status>").map(|(at, found)| xml(&refused)[at + found.len()..][..2].to_owned()).collect();
    assert_eq!(statuses, ["16", "3<"]);
}

#[test]
fn an_attachment_that_is_too_large_is_known_by_its_answer() {
    let limit = prepared(&[("MaxAttachmentSize", "3MB")]);
    let max = |body: &[u8]| match decide(Command::ItemOperations, body, &limit) {
        Ok(Enforcement::Forward { answer_bytes_max }) => answer_bytes_max,
        other => panic!("{other:?}"),
    };
    let base64 = 4 << 20;
    assert_eq!(max(&fetches(&[(FILE, "a")])), Some(base64 + 16_384));
    assert_eq!(max(&fetches(&[(FILE, "a"), (FILE, "b")])), Some(2 * (base64 + 16_384)));
    assert_eq!(max(&fetches(&[(FILE, "a"), (air_sync::SERVER_ID, "b")])), None);
    assert_eq!(max(&fetches(&[])), None);
    assert_eq!(decide(Command::GetAttachment, b"", &limit), Ok(Enforcement::Forward { answer_bytes_max: Some(3 << 20) }));
    let refused = too_large(Command::ItemOperations, &fetches(&[(FILE, "a")])).unwrap();
    assert!(xml(&refused).contains("<Fetch><Status>11</Status>"), "{}", xml(&refused));
    assert_eq!(too_large(Command::GetAttachment, b"").map(|refused| refused.http), Ok(403));
}

#[test]
fn file_shares_and_sharepoint_are_closed_one_by_one() {
    let unc = ["\\\\server\\share\\a.txt", " \\\\SERVER", "file://server/a", "server/share", ""];
    let wss = ["http://sharepoint/a", "HTTPS://sharepoint", "  https://x"];
    for (links, closing, other) in [(&unc[..], "UNCAccessEnabled", "WSSAccessEnabled"), (&wss, "WSSAccessEnabled", "UNCAccessEnabled")] {
        for link in links {
            let fetch = fetches(&[(LINK, link)]);
            assert!(!passes(Command::ItemOperations, &fetch, &[(closing, "false")]), "{link:?}");
            assert!(passes(Command::ItemOperations, &fetch, &[(other, "false")]), "{link:?}");
            for store in ["DocumentLibrary", "Document Library", "documentlibrary"] {
                assert!(!passes(Command::Search, &search_for(store, link), &[(closing, "false")]), "{link:?}");
                assert!(passes(Command::Search, &search_for(store, link), &[(other, "false")]), "{link:?}");
            }
            // The store's name does not hide the link.
            assert!(!passes(Command::Search, &search_for("Mailbox", link), &[(closing, "false")]), "{link:?}");
        }
    }
    let Ok(Enforcement::Answer(refused)) =
        decide(Command::Search, &search_for("DocumentLibrary", unc[0]), &prepared(&[("UNCAccessEnabled", "no")]))
    else {
        panic!("passed")
    };
    assert_eq!(
        xml(&refused),
        "<Searchxmlns=\"Search:\"><Status>1</Status><Response><Store><Status>13</Status></Store></Response></Search>"
    );
}

#[test]
fn a_link_too_long_to_be_read_is_not_let_through() {
    let closed = prepared(&[("WSSAccessEnabled", "no")]);
    let long = format!("https://x/{}", "a".repeat(5_000));
    for (command, body) in [(Command::Search, search_for("DocumentLibrary", &long)), (Command::ItemOperations, fetches(&[(LINK, &long)]))] {
        assert!(matches!(decide(command, &body, &closed), Err(BodyError::Syntax(_))), "{command}");
    }
    let many: Vec<(Tag, &str)> = vec![(FILE, "a"); 201];
    assert!(matches!(decide(Command::ItemOperations, &fetches(&many), &closed), Err(BodyError::Syntax(_))));
    assert_eq!(decide(Command::Search, &fetches(&[]), &closed), Err(BodyError::WrongRoot));
}

fn with_password(password: &str) -> SettingsRequest {
    SettingsRequest { device_password: Some(RecoveryPassword::new(password.into())), ..Default::default() }
}

#[test]
fn a_recovery_password_is_kept_if_the_policy_says_so() {
    let allowed = prepared(&[("DevicePasswordEnabled", "true"), ("PasswordRecoveryEnabled", "true")]);
    let forbidden = prepared(&[]);
    let decide = |password: &str, policy| recovery::decide(&with_password(password), policy).unwrap();
    assert_eq!(decide("7Q4KD", Some(&allowed)), Recovery::Store(RecoveryPassword::new("7Q4KD".into())));
    assert_eq!(decide("", Some(&allowed)).status(), 1);
    assert_eq!(decide(&"ü".repeat(255), Some(&allowed)).status(), 1);
    assert_eq!(decide(&"ü".repeat(256), Some(&allowed)), Recovery::Refuse { status: 5 });
    assert_eq!(decide("7Q4KD", Some(&forbidden)), Recovery::Refuse { status: 7 });
    assert_eq!(decide("7Q4KD", None), Recovery::Refuse { status: 7 });
    assert_eq!(decide("", None), Recovery::Clear, "what is gone cannot be held against the policy");
    assert_eq!(recovery::decide(&SettingsRequest::default(), Some(&allowed)), None);
}

#[test]
fn a_backend_never_sees_a_recovery_password() {
    let mut writer = Writer::new();
    writer.start(settings::SETTINGS).start(tag(18, "UserInformation")).empty(settings::GET).end();
    writer.start(settings::DEVICE_PASSWORD).start(settings::SET).text(settings::PASSWORD, "7Q4KD-93ZXM").end().end().end();
    let body = writer.finish();
    let rest = SettingsRequest::without_device_password(&body).unwrap().expect("the user information");
    assert!(!rest.windows(5).any(|window| window == b"7Q4KD"));
    assert_eq!(SettingsRequest::parse(&rest).map(|request| request.has_other), Ok(true));
    assert_eq!(SettingsRequest::without_device_password(&with_password("7Q4KD").encode()), Ok(None));

    let backend = SettingsAnswer { status: 1, device_information: Some(1), device_password: None };
    let whole = SettingsAnswer::with_device_password(&backend.encode(), 1).unwrap();
    assert_eq!(SettingsAnswer::parse(&whole), Ok(SettingsAnswer { device_password: Some(1), ..backend }));
    assert!(SettingsAnswer::with_device_password(&search_for("", ""), 1).is_err());
}
