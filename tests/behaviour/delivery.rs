//! A device is in step once it *has* the answer: one that got lost on the way is told of again, and one that arrived costs nothing.

use std::time::Duration;

use pushgate::logic::eas::folder_sync::FolderSyncRequest;
use pushgate::logic::eas::sync::{SyncAnswer, SyncCollection, SyncRequest};
use pushgate::logic::eas::{Command, PingAnswer};
use pushgate::standin::cas::{Cas, Fault, FaultRule};

use crate::scene::{Gateway, Line, Phone, backend, device, gateway, mailbox, until};

/// A phone in step, whose Inbox then gets a mail that is notified while it is awake.
async fn scene() -> (Cas, Gateway, Phone) {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    let phone = device().in_step_at(&gateway).await;
    arrive(&backend, &gateway).await;
    (backend, gateway, phone)
}

async fn arrive(backend: &Cas, gateway: &Gateway) {
    backend.deliver("hew", "Inbox");
    assert_eq!(gateway.notify(mailbox("hew").folder("INBOX")).await.woken, Some(0));
}

/// A Sync of the Inbox from the key that the phone has.
fn sync(phone: &Phone) -> Vec<u8> {
    let inbox = phone.inbox();
    let known = phone.device.folders.iter().find(|folder| folder.id == inbox).unwrap();
    let collection = SyncCollection { get_changes: Some(true), window_size: Some(512), ..SyncCollection::new(inbox, &known.key) };
    phone.request(Command::Sync, &SyncRequest { collections: vec![collection], ..SyncRequest::default() }.encode())
}

/// The phone takes the answer for its own.
fn take(phone: &mut Phone, body: &[u8]) -> u32 {
    let collection = SyncAnswer::parse(body).unwrap().collections.remove(0);
    let inbox = phone.inbox();
    let known = phone.device.folders.iter_mut().find(|folder| folder.id == inbox).unwrap();
    known.key = collection.sync_key.unwrap().into();
    collection.server_commands
}

/// Its next Ping, on a new connection and without another Sync before it, tells of the Inbox; after a Sync it is held.
async fn is_told_again(backend: &Cas, gateway: &Gateway, phone: &mut Phone) {
    let inbox = phone.inbox();
    assert_eq!(phone.asks(Some(600), Some(std::slice::from_ref(&inbox))).await, PingAnswer::Changes(vec![inbox]));
    let again = sync(phone);
    let answer = phone.line().await.ask(again).await;
    assert_eq!(take(phone, &answer.body), 1);
    let asked = backend.requests();
    phone.hold(gateway).await;
    assert_eq!(backend.requests(), asked);
}

#[tokio::test]
async fn an_answer_cut_by_a_reset_is_told_of_again() {
    let (backend, gateway, mut phone) = scene().await;
    let request = sync(&phone);
    let mut line = gateway.line().await;
    line.send(request).await;
    line.head().await;
    line.reset();
    is_told_again(&backend, &gateway, &mut phone).await;
}

/// It is with the device's kernel, and the device never reads it: what a suspended app's connection looks like.
#[tokio::test]
async fn an_answer_that_nobody_read_is_told_of_again() {
    let (backend, gateway, mut phone) = scene().await;
    let (request, asked) = (sync(&phone), backend.count(Command::Sync));
    let mut line = gateway.line().await;
    line.send(request).await;
    until("the answer on its way", async || backend.count(Command::Sync) > asked && gateway.status().await.connections == 2).await;
    line.socket().readable().await.unwrap();
    // Bytes unread at the end make the kernel say so.
    drop(line.into_socket());
    is_told_again(&backend, &gateway, &mut phone).await;
}

/// More than the device takes: most of it waits with us.
#[tokio::test]
async fn an_answer_that_stalls_on_its_way_and_breaks_wakes_the_ping_held_meanwhile() {
    let (backend, gateway, mut phone) = scene().await;
    for _ in 0..400 {
        backend.deliver("hew", "Inbox");
    }
    gateway.notify(mailbox("hew").folder("INBOX")).await;
    let request = sync(&phone);
    let mut line = Line::with_little_room(gateway.address(), gateway.tls.clone()).await;
    line.send(request).await;
    line.socket().readable().await.unwrap();
    let undelivered = gateway.metric("pushgate_answers_undelivered_total", "").await;
    let inbox = [phone.inbox()];
    phone.ping(Some(600), Some(&inbox)).await;
    // Held, if the answer was taken for delivered so far.
    tokio::time::sleep(Duration::from_millis(700)).await;
    line.reset();
    assert_eq!(phone.answer().await, PingAnswer::Changes(inbox.into()));
    until("counted", async || gateway.metric("pushgate_answers_undelivered_total", "").await > undelivered).await;
}

#[tokio::test]
async fn an_answer_that_the_backend_gave_to_nobody_is_told_of_again() {
    let (backend, gateway, mut phone) = scene().await;
    phone.device.sync_all(&phone.inbox()).await.unwrap();
    // Nothing is notified from here on: all that says of the mail is the answer that gets lost.
    backend.deliver("hew", "Inbox");
    let slow = Fault::Delay(Duration::from_millis(200));
    backend.set_faults(vec![FaultRule { command: Some(Command::Sync), times: Some(1), fault: slow }]);
    let (request, asked) = (sync(&phone), backend.requests());
    let mut line = gateway.line().await;
    line.send(request).await;
    until("the backend at work", async || backend.requests() > asked).await;
    line.reset();
    is_told_again(&backend, &gateway, &mut phone).await;
}

#[tokio::test]
async fn a_folder_list_that_got_lost_is_asked_for_again() {
    let (backend, gateway, mut phone) = scene().await;
    phone.device.sync_all(&phone.inbox()).await.unwrap();
    let sync_key = phone.device.folder_sync().await.unwrap().key;
    backend.create_folder("hew", "New", 12);
    let request = phone.request(Command::FolderSync, &FolderSyncRequest { sync_key }.encode());
    let mut line = gateway.line().await;
    line.send(request).await;
    line.head().await;
    line.reset();
    let inbox = [phone.inbox()];
    assert_eq!(phone.asks(Some(600), Some(&inbox)).await, PingAnswer::HierarchyChanged);
    assert_eq!(phone.device.folder_sync().await.unwrap().status, 1);
    phone.hold(&gateway).await;
}

#[tokio::test]
async fn an_answer_that_arrived_costs_the_next_ping_nothing_on_this_connection_or_another() {
    let (backend, gateway, mut phone) = scene().await;
    for round in 0..4 {
        let asked = backend.requests();
        let request = sync(&phone);
        let answer = phone.line().await.ask(request).await;
        assert_eq!(take(&mut phone, &answer.body), 1, "round {round}");
        let older = match round {
            // On the same connection.
            0 => None,
            // On another, while the first stays open, is closed in order, or just ends.
            1 => Some(phone.take_line()),
            2 => {
                let mut line = phone.take_line();
                line.say_close_notify().await;
                drop(line);
                None
            }
            _ => {
                drop(phone.take_line().into_socket());
                None
            }
        };
        phone.hold(&gateway).await;
        // A round later, whatever was to be found out about that answer is.
        tokio::time::sleep(Duration::from_millis(700)).await;
        gateway.holds(&["Phone1"]).await;
        assert_eq!(backend.requests(), asked + 1, "round {round}: the Sync, and nothing else");
        drop(older);
        backend.deliver("hew", "Inbox");
        assert_eq!(gateway.notify(mailbox("hew").folder("INBOX")).await.woken, Some(1));
        assert_eq!(phone.answer().await, PingAnswer::Changes(vec![phone.inbox()]));
    }
}

/// HTTP/1.0 and `Connection: close`: every request on a connection of its own.
#[tokio::test]
async fn a_device_that_closes_after_every_answer_is_held_without_another_sync() {
    let (backend, gateway, mut phone) = scene().await;
    let mut request = sync(&phone);
    let line_end = request.windows(2).position(|two| two == b"\r\n").unwrap();
    request.splice(line_end..line_end, *b"\r\nConnection: close");
    let mut line = gateway.line().await;
    let answer = line.ask(request).await;
    assert_eq!((take(&mut phone, &answer.body), answer.header("connection")), (1, Some("close")));
    drop(line);
    let asked = backend.requests();
    phone.hold(&gateway).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    gateway.holds(&["Phone1"]).await;
    assert_eq!(backend.requests(), asked);
}
