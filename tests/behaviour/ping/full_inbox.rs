//! A change that finds a lot's inbox full is not lost, although nobody repeats it.

use pushgate::gateway::lots::Lots;
use pushgate::logic::eas::{Mailbox, PingAnswer};
use pushgate::logic::hold::{MailboxChange, Scope};

use crate::scene::{backend, device, gateway};

fn changes(of: &str, folder: &str, count: usize) -> Vec<MailboxChange> {
    let mailbox = Mailbox::normalise(of, Some("example.org"), true).unwrap();
    vec![MailboxChange { mailbox, scope: Scope::FolderName(folder.into()) }; count]
}

/// Gives the lot so much to do that a change finds no room; the first one that does not is `of` this mailbox.
fn refuse_a_change(lots: &Lots, busy: &str, of: &str) {
    let much = changes(busy, "Nowhere/2024/Nothing/At/All", 100_000);
    assert!(lots.changed(much).is_ok());
    // One of them is being worked off, sixteen wait.
    while lots.changed(changes(busy, "Nowhere", 1)).is_ok() {}
    assert!(lots.changed(changes(of, "INBOX", 1)).is_err(), "the lot was faster");
}

#[tokio::test]
async fn a_change_that_finds_no_room_wakes_the_device_all_the_same() {
    let backend = backend().start().await;
    let one_lot = gateway().behind(backend.url()).set("limits.lots", 1).set("limits.inbox_max", 16);
    let gateway = one_lot.start().await;
    let _busy = device().of("anna").named("Phone2").in_step_at(&gateway).await;
    let mut phone = device().in_step_at(&gateway).await;
    phone.hold(&gateway).await;
    refuse_a_change(&gateway.inner().lots, "anna", "hew");
    let inbox = phone.folder(2);
    assert_eq!(phone.answer().await, PingAnswer::Changes(vec![inbox]));
    assert!(gateway.metric("pushgate_inbox_full_total", "note=\"change\"").await >= 2.0);
}
