//! Bodies: a Ping as it is held, a FolderSync and a Sync as they pass by and are learnt from.

use std::hint::black_box;

use pushgate::logic::eas::folder_sync::{Folder, FolderChange, FolderSyncAnswer, FolderType};
use pushgate::logic::eas::sync::SyncAnswer;
use pushgate::logic::eas::{Class, FolderId, PingAnswer, PingFolder, PingRequest};
use pushgate::logic::wbxml::{Tag, Writer, air_sync};

use super::{Part, Work, again};

/// Folders of a Ping, of a folder list; items of a Sync.
const PING_FOLDERS: usize = 5;
const FOLDERS: usize = 30;
const ITEMS: usize = 100;

const STEPS: u64 = 64;
/// For documents that take long.
const FEW: u64 = 4;

pub fn parts() -> Vec<Part> {
    vec![
        Part { name: "ping_read", what: "read a Ping of 5 folders", steps: STEPS, prepare: ping_read },
        Part { name: "ping_write", what: "write it", steps: STEPS, prepare: ping_write },
        Part { name: "ping_answer_write", what: "write the answer that names one folder", steps: STEPS, prepare: ping_answer_write },
        Part { name: "folder_sync_read", what: "read a FolderSync answer of 30 folders", steps: FEW, prepare: folder_sync_read },
        Part { name: "folder_sync_write", what: "write it", steps: FEW, prepare: folder_sync_write },
        Part { name: "sync_read", what: "watch a Sync answer of 100 mails (57 kB) pass by", steps: FEW, prepare: sync_read },
        Part { name: "sync_write", what: "write it", steps: FEW, prepare: sync_write },
    ]
}

/// Ids as SOGo makes them: the longest in use.
pub fn folder_id(number: usize) -> FolderId {
    FolderId::new(&format!("mail/{:08X}-5F2E-4C11-{number:04}", 0x1A2B_3C4D)).expect("short enough")
}

/// A Ping that names Inbox, three mail folders and the Calendar.
pub fn ping() -> PingRequest {
    let class = |number| if number == PING_FOLDERS - 1 { Class::Calendar } else { Class::Email };
    let folders: Vec<_> = (0..PING_FOLDERS).map(|number| PingFolder { id: folder_id(number), class: class(number) }).collect();
    PingRequest { heartbeat_s: Some(600), folder_count: folders.len(), folders: Some(folders) }
}

/// A folder list, as changes to an empty one; the first folders are those that [`ping`] names.
pub fn folder_list(count: usize) -> Vec<FolderChange> {
    let kind = |number| match number {
        0 => FolderType::INBOX,
        4 => FolderType::CALENDAR,
        _ => FolderType::MAIL,
    };
    let name = |number| if number == 0 { "INBOX".to_owned() } else { format!("Project {number}") };
    let root = FolderId::new("0").expect("short enough");
    let add = |number| FolderChange::Add(Folder { id: folder_id(number), parent: root.clone(), name: name(number), kind: kind(number) });
    (0..count).map(add).collect()
}

fn ping_read() -> Box<dyn Work> {
    let body = ping().encode();
    again(STEPS, move || {
        black_box(PingRequest::parse(black_box(&body), 200)).expect("what we wrote we read");
    })
}

fn ping_write() -> Box<dyn Work> {
    let ping = ping();
    again(STEPS, move || drop(black_box(black_box(&ping).encode())))
}

fn ping_answer_write() -> Box<dyn Work> {
    let answer = PingAnswer::Changes(vec![folder_id(0)]);
    let mut out = Vec::new();
    again(STEPS, move || {
        out.clear();
        black_box(&answer).encode_into(black_box(&mut out));
    })
}

fn folder_sync_answer() -> FolderSyncAnswer {
    FolderSyncAnswer { status: 1, sync_key: Some("1".to_owned()), changes: folder_list(FOLDERS), is_cut: false }
}

fn folder_sync_read() -> Box<dyn Work> {
    let body = folder_sync_answer().encode();
    again(FEW, move || {
        let answer = black_box(FolderSyncAnswer::parse(black_box(&body))).expect("what we wrote we read");
        assert_eq!(answer.changes.len(), FOLDERS);
    })
}

fn folder_sync_write() -> Box<dyn Work> {
    let answer = folder_sync_answer();
    again(FEW, move || drop(black_box(black_box(&answer).encode())))
}

fn sync_read() -> Box<dyn Work> {
    let body = write_mails(&preview());
    again(FEW, move || {
        let answer = black_box(SyncAnswer::parse(black_box(&body))).expect("what we wrote we read");
        assert_eq!(answer.collections.first().map(|c| c.server_commands), Some(ITEMS as u32));
    })
}

fn sync_write() -> Box<dyn Work> {
    let preview = preview();
    again(FEW, move || drop(black_box(write_mails(black_box(&preview)))))
}

/// What a device asks of each mail at first: 400 characters.
fn preview() -> String {
    "Lorem ipsum dolor sit amet, consectetur adipiscing elit. ".repeat(8)[..400].to_owned()
}

/// A Sync answer with new mails, as a backend writes it.
fn write_mails(preview: &str) -> Vec<u8> {
    let mut writer = Writer::new();
    writer.start(air_sync::SYNC).start(air_sync::COLLECTIONS).start(air_sync::COLLECTION);
    writer.text(air_sync::SYNC_KEY, "18").text(air_sync::COLLECTION_ID, folder_id(0).as_str()).number(air_sync::STATUS, 1_u8);
    writer.start(air_sync::COMMANDS);
    for number in 0..ITEMS as u32 {
        writer.start(air_sync::ADD).number(air_sync::SERVER_ID, number).start(air_sync::APPLICATION_DATA);
        writer.text(email(0x16), "ada@example.org").text(email(0x18), "\"Charles Babbage\" <charles@example.org>");
        writer
            .text(email(0x14), "The engine, and what it may weave")
            .text(email(0x0F), "2024-05-01T09:30:00.000Z")
            .number(email(0x15), 0_u8);
        writer.start(body(0x0A)).number(body(0x06), 1_u8).number(body(0x0C), 5_120_u32).text(body(0x0B), preview).end();
        writer.end().end();
    }
    writer.end().end().end().end();
    writer.finish()
}

/// A tag of the Email page: To, From, Subject, DateReceived, Read.
fn email(token: u8) -> Tag {
    Tag { page: 2, token }
}

/// A tag of the AirSyncBase page: Body, Type, EstimatedDataSize, Data.
fn body(token: u8) -> Tag {
    Tag { page: 17, token }
}
