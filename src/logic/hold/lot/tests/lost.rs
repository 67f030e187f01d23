//! What a device was sent and never got, and what passed by and could not be read.

use super::*;

impl Scene {
    /// A Sync or FolderSync is forwarded: what it is as of. The number after it is kept for its loss.
    fn ask(&mut self) -> u64 {
        self.number += 1;
        self.number - 1
    }

    fn undelivered(&mut self, ids: &[&str], has_folder_list: bool, as_of: u64) {
        let (mailbox, device) = (mailbox("hew"), device("a"));
        let ids: Vec<FolderId> = ids.iter().map(|id| FolderId::new(id).expect("short")).collect();
        self.lot.undelivered(&Who { hash: 7, mailbox: &mailbox, device: &device }, &ids, has_folder_list, as_of + 1, self.now);
    }

    fn lose_paths(&mut self) {
        let (mailbox, device) = (mailbox("hew"), device("a"));
        self.lot.lose_paths(&Who { hash: 7, mailbox: &mailbox, device: &device }, self.now);
    }

    fn sync_all(&mut self, ids: &[&str]) {
        self.expect("hew", "a", ids);
        self.synced("hew", "a", ids, FETCHED, self.number);
    }
}

#[test]
fn an_answer_that_got_lost_is_told_of_though_its_sync_was_learnt_from() {
    let mut s = scene(Resolve::Check);
    s.expect("hew", "a", &["5"]);
    let as_of = s.ask();
    s.synced("hew", "a", &["5"], FETCHED, as_of);
    let slot = s.offer("hew", "a", ping(900, INBOX));
    assert_eq!(s.answers(), []);
    s.undelivered(&["5"], false, as_of);
    assert_eq!((s.answers(), s.lot.checks_waiting()), (vec![(slot, changed(&["5"]))], 0));
    let again = s.ask();
    s.synced("hew", "a", &["5"], FETCHED, again);
    s.offer("hew", "a", ping(900, INBOX));
    s.wait(800);
    assert_eq!(s.answers(), []);
}

#[test]
fn a_loss_that_shows_after_a_newer_sync_disturbs_nobody() {
    let mut s = scene(Resolve::Check);
    s.expect("hew", "a", &["5"]);
    let lost = s.ask();
    let again = s.ask();
    s.synced("hew", "a", &["5"], FETCHED, again);
    s.offer("hew", "a", ping(900, INBOX));
    s.undelivered(&["5"], false, lost);
    s.wait(800);
    assert_eq!(s.answers(), []);
}

/// After a restart: a check would ask a backend for which the answer is given.
#[test]
fn a_device_that_was_not_known_is_told_without_a_check() {
    let mut s = scene(Resolve::Check);
    let lost = s.ask();
    s.change("hew", Scope::Mailbox);
    s.undelivered(&["5"], false, lost);
    let slot = s.offer("hew", "a", ping(900, INBOX));
    assert_eq!((s.answers(), s.lot.checks_waiting()), (vec![(slot, changed(&["5"]))], 0));
}

#[test]
fn a_folder_list_that_got_lost_is_asked_for_again_and_once() {
    let mut s = scene(Resolve::Check);
    s.sync("hew", "a");
    let lost = s.ask();
    s.learn("hew", "a", false, &[], lost);
    let slot = s.offer("hew", "a", ping(900, INBOX));
    s.undelivered(&[], true, lost);
    assert_eq!(s.answers(), [(slot, Outcome::HierarchyChanged)]);
    let again = s.ask();
    s.learn("hew", "a", false, &[], again);
    s.undelivered(&[], true, lost);
    s.offer("hew", "a", ping(900, INBOX));
    s.wait(800);
    assert_eq!(s.answers(), []);
}

#[test]
fn folders_whose_names_may_have_changed_are_woken_by_class_until_a_whole_list_is_read() {
    let mut s = scene(Resolve::Sync);
    let list = [("5", "Inbox", 2), ("6", "Work", 12), ("7", "Play", 12), ("1", "Calendar", 8)];
    let watched = [("5", Class::Email), ("6", Class::Email), ("7", Class::Email), ("1", Class::Calendar)];
    s.teach("hew", "a", &list);
    s.sync_all(&["5", "6", "7", "1"]);
    let slot = s.offer("hew", "a", ping(900, &watched));
    s.lose_paths();
    assert_eq!(s.answers(), [(slot, changed(&["6", "7"]))], "what was put down to these may have been the other's");
    for (name, woken) in [("Work", &["5", "6", "7"][..]), ("INBOX", &["5"])] {
        s.sync_all(&["5", "6", "7", "1"]);
        s.offer("hew", "a", ping(900, &watched));
        s.change("hew", Scope::FolderName(name.into()));
        assert_eq!(s.answers().pop().map(|(_, outcome)| outcome), Some(changed(woken)), "{name}");
    }
    s.teach("hew", "a", &list);
    s.sync_all(&["5", "6", "7", "1"]);
    s.offer("hew", "a", ping(900, &watched));
    s.change("hew", Scope::FolderName("Work".into()));
    assert_eq!(s.answers().pop().map(|(_, outcome)| outcome), Some(changed(&["6"])));
}
