//! Which folder a source means by a name, when the list that says so could not be read.

use pushgate::logic::eas::folder_change::{FolderAnswer, FolderCommand, FolderOrder, FolderRequest};
use pushgate::logic::eas::folder_sync::{Folder, FolderChange, FolderSyncAnswer, FolderSyncRequest, FolderType};
use pushgate::logic::eas::sync::{SyncAnswer, SyncCollection, SyncRequest, SyncedCollection};
use pushgate::logic::eas::{Class, Command, FolderId, PingAnswer, PingFolder, PingRequest};

use crate::scene::{Gateway, Line, RawRequest, Reply, eas, gateway, mailbox, raw_backend, until};

fn id(text: &str) -> FolderId {
    FolderId::new(text).unwrap()
}

fn wbxml(body: &[u8]) -> Reply {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Type: application/vnd.ms-sync.wbxml\r\nContent-Length: {}\r\n\r\n", body.len());
    Reply::Send([head.as_bytes(), body].concat())
}

/// Folders 6 and 7, as they are called after the first FolderSync.
fn list() -> Vec<u8> {
    let folder = |number, name: &str| Folder { id: id(number), parent: id("0"), name: name.into(), kind: FolderType::MAIL };
    let changes = [folder("6", "Work"), folder("7", "Play")].map(FolderChange::Add).into();
    FolderSyncAnswer { status: 1, sync_key: Some("1".into()), changes, is_cut: false }.encode()
}

/// A backend in which nothing ever is new, but for what its FolderSync says.
fn script(request: &RawRequest) -> Reply {
    if !request.line().contains("Cmd=") {
        return Reply::Send(b"HTTP/1.1 200 OK\r\nMS-Server-ActiveSync: 14.1\r\nContent-Length: 0\r\n\r\n".to_vec());
    }
    if request.line().contains("Cmd=FolderUpdate") {
        let answer = FolderAnswer { command: FolderCommand::Update, status: 1, sync_key: Some("1".into()), id: None };
        return wbxml(&answer.encode());
    }
    if !request.line().contains("Cmd=FolderSync") {
        let in_step =
            |number| SyncedCollection { id: Some(id(number)), status: Some(1), sync_key: Some("2".into()), ..SyncedCollection::default() };
        return wbxml(&SyncAnswer { collections: ["6", "7"].map(in_step).into(), ..SyncAnswer::default() }.encode());
    }
    match FolderSyncRequest::parse(&request.body).unwrap().sync_key.as_str() {
        "0" => wbxml(&list()),
        // In it the two swap their names; then it breaks the rules.
        _ => wbxml(&[&list()[..], &[0x45]].concat()),
    }
}

async fn asks(line: &mut Line, command: Command, body: Vec<u8>) -> u16 {
    line.ask(eas(command.name()).body(body)).await.status
}

async fn syncs(line: &mut Line) {
    let collections = ["6", "7"].map(|number| SyncCollection::new(id(number), "2")).into();
    assert_eq!(asks(line, Command::Sync, SyncRequest { collections, ..SyncRequest::default() }.encode()).await, 200);
}

async fn is_held(gateway: &Gateway, line: &mut Line) {
    let folders = ["6", "7"].map(|number| PingFolder { id: id(number), class: Class::Email }).to_vec();
    let ping = PingRequest { heartbeat_s: Some(600), folder_count: 2, folders: Some(folders) };
    line.send(eas("Ping").body(ping.encode())).await;
    until("the Ping held", async || gateway.pings("").await.pings.iter().any(|ping| ping.phase == "parked")).await;
}

#[tokio::test]
async fn an_unreadable_list_leaves_its_device_to_be_woken_by_class() {
    let backend = raw_backend(script).await;
    let gateway = gateway().behind(backend.url()).start().await;
    let mut line = gateway.line().await;
    let fetch = |key: &str| FolderSyncRequest { sync_key: key.into() }.encode();
    assert_eq!(asks(&mut line, Command::FolderSync, fetch("0")).await, 200);
    syncs(&mut line).await;
    is_held(&gateway, &mut line).await;
    gateway.notify(mailbox("hew").folder("Work")).await;
    assert_eq!(line.answer().await.ping(), PingAnswer::Changes(vec![id("6")]), "as long as it is known what Work is");
    let unreadable = gateway.metric("pushgate_folder_lists_unreadable_total", "").await;
    assert_eq!(asks(&mut line, Command::FolderSync, fetch("1")).await, 200);
    assert!(gateway.metric("pushgate_folder_lists_unreadable_total", "").await > unreadable);
    syncs(&mut line).await;
    is_held(&gateway, &mut line).await;
    gateway.notify(mailbox("hew").folder("Work")).await;
    assert_eq!(line.answer().await.ping(), PingAnswer::Changes(vec![id("6"), id("7")]));
    // A whole list that can be read puts an end to it.
    assert_eq!(asks(&mut line, Command::FolderSync, fetch("0")).await, 200);
    syncs(&mut line).await;
    is_held(&gateway, &mut line).await;
    gateway.notify(mailbox("hew").folder("Play")).await;
    assert_eq!(line.answer().await.ping(), PingAnswer::Changes(vec![id("7")]));
}

#[tokio::test]
async fn a_folder_that_the_device_renames_is_known_by_its_new_name() {
    let backend = raw_backend(script).await;
    let gateway = gateway().behind(backend.url()).start().await;
    let mut line = gateway.line().await;
    assert_eq!(asks(&mut line, Command::FolderSync, FolderSyncRequest { sync_key: "0".into() }.encode()).await, 200);
    for (number, name) in [("6", "Old"), ("7", "Work")] {
        let order = FolderOrder::Update { id: id(number), parent: id("0"), name: name.into() };
        assert_eq!(asks(&mut line, Command::FolderUpdate, FolderRequest { sync_key: "1".into(), order }.encode()).await, 200);
    }
    syncs(&mut line).await;
    is_held(&gateway, &mut line).await;
    gateway.notify(mailbox("hew").folder("Work")).await;
    assert_eq!(line.answer().await.ping(), PingAnswer::Changes(vec![id("7")]));
}
