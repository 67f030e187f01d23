//! Offers, wakes, refusals, checks, drain: a held Ping's ordinary life.

use super::*;

#[test]
fn a_device_in_step_is_held_and_asks_nobody() {
    let mut s = scene(Resolve::Check);
    s.sync("hew", "a");
    s.offer("hew", "a", ping(900, INBOX));
    assert_eq!((s.lot.held_count(), s.lot.start_check(), s.answers()), (1, None, vec![]));
}

#[test]
fn a_change_wakes_the_folder_that_changed_and_no_other_mailbox() {
    let mut s = scene(Resolve::Check);
    s.teach("hew", "a", &[("5", "Inbox", 2), ("1", "Calendar", 8)]);
    for who in ["hew", "ada"] {
        s.sync(who, "a");
    }
    let hew = s.offer("hew", "a", ping(900, &[("5", Class::Email), ("1", Class::Calendar)]));
    s.offer("ada", "a", ping(900, INBOX));
    assert_eq!(s.change("hew", Scope::FolderName("INBOX".into())), 1);
    assert_eq!(s.answers(), [(hew, changed(&["5"]))]);
    assert_eq!((s.lot.held_count(), s.lot.idle_count()), (1, 1));
}

#[test]
fn a_change_just_before_parking_is_not_lost() {
    let mut s = scene(Resolve::Check);
    s.sync("hew", "a");
    s.change("hew", Scope::Mailbox);
    let slot = s.offer("hew", "a", ping(900, INBOX));
    assert_eq!(s.answers(), [(slot, changed(&["5"]))]);
}

#[test]
fn a_change_while_the_sync_is_under_way_is_not_lost() {
    let mut s = scene(Resolve::Check);
    s.expect("hew", "a", &["5"]);
    let as_of = s.number;
    s.change("hew", Scope::Class(Class::Email));
    s.synced("hew", "a", &["5"], FETCHED, as_of);
    let slot = s.offer("hew", "a", ping(900, INBOX));
    assert_eq!(s.answers(), [(slot, changed(&["5"]))]);
}

#[test]
fn a_proof_from_before_the_folder_was_known_proves_nothing() {
    let mut s = scene(Resolve::Check);
    let as_of = s.number;
    s.change("hew", Scope::Mailbox);
    s.offer("hew", "a", ping(900, INBOX));
    s.synced("hew", "a", &["5"], FETCHED, as_of);
    assert!(s.lot.start_check().is_some(), "still in doubt");
}

#[test]
fn a_wake_that_never_arrived_is_told_again() {
    let mut s = scene(Resolve::Check);
    s.sync("hew", "a");
    s.offer("hew", "a", ping(900, INBOX));
    s.change("hew", Scope::Mailbox);
    s.answers();
    let again = s.offer("hew", "a", ping(900, INBOX));
    assert_eq!(s.answers(), [(again, changed(&["5"]))]);
}

#[test]
fn the_heartbeat_ends_with_status_1_and_never_late() {
    let mut s = scene(Resolve::Check);
    s.sync("hew", "a");
    let slot = s.offer("hew", "a", ping(60, INBOX));
    s.wait(59);
    assert_eq!(s.answers(), []);
    s.wait(1);
    assert_eq!(s.answers(), [(slot, Outcome::Expired)]);
}

#[test]
fn a_second_ping_from_the_same_device_replaces_the_first() {
    let mut s = scene(Resolve::Check);
    s.sync("hew", "a");
    let first = s.offer("hew", "a", ping(900, INBOX));
    let second = s.offer("hew", "a", ping(0, &[]));
    assert_eq!(s.answers(), [(first, Outcome::Replaced)]);
    assert_eq!(s.lot.held_count(), 1);
    s.change("hew", Scope::Mailbox);
    assert_eq!(s.answers(), [(second, changed(&["5"]))]);
}

#[test]
fn empty_and_partial_pings_use_what_was_sent_before_and_else_get_status_3() {
    let mut s = scene(Resolve::Check);
    let refused = Outcome::Refused(PingRefusal::MissingParameters);
    let slot = s.offer("hew", "a", ping(0, &[]));
    assert_eq!(s.answers(), [(slot, refused.clone())]);
    let slot = s.offer("hew", "a", ping(900, &[]));
    assert_eq!(s.answers(), [(slot, refused.clone())]);
    let slot = s.offer("hew", "a", ping(0, INBOX));
    assert_eq!(s.answers(), [(slot, refused)], "a refused Ping is not remembered");
    s.sync("hew", "a");
    s.offer("hew", "a", ping(900, INBOX));
    s.offer("hew", "a", ping(600, &[]));
    s.answers();
    assert_eq!(s.lot.held_views(s.now).next().map(|v| (v.heartbeat_s, v.folders.len())), Some((600, 1)));
}

#[test]
fn out_of_range_and_too_many_folders_name_what_is_legal() {
    let mut s = scene(Resolve::Check);
    let refusals = [
        (ping(59, INBOX), PingRefusal::HeartbeatOutOfRange { heartbeat_s: 60 }),
        (ping(3_541, INBOX), PingRefusal::HeartbeatOutOfRange { heartbeat_s: 3_540 }),
        (PingRequest { folder_count: 6, ..ping(900, INBOX) }, PingRefusal::TooManyFolders { max: 5 }),
    ];
    for (request, refusal) in refusals {
        let slot = s.offer("hew", "a", request);
        assert_eq!(s.answers(), [(slot, Outcome::Refused(refusal))]);
    }
}

#[test]
fn a_device_never_seen_is_checked_once_and_then_held() {
    let mut s = scene(Resolve::Check);
    let slot = s.offer("hew", "a", ping(900, INBOX));
    assert_eq!((s.lot.start_check(), s.lot.start_check()), (Some(slot), None));
    s.checked(slot, &CheckFinding::Unchanged, 1, 2);
    s.wait(10);
    assert_eq!((s.answers(), s.lot.start_check(), s.lot.held_count()), (vec![], None, 1));
}

#[test]
fn a_check_that_finds_changes_wakes_with_them() {
    let mut s = scene(Resolve::Check);
    let slot = s.offer("hew", "a", ping(900, INBOX));
    s.lot.start_check();
    s.checked(slot, &CheckFinding::Changed(vec![FolderId::new("5").expect("short")]), 1, 2);
    assert_eq!(s.answers(), [(slot, changed(&["5"]))]);
}

#[test]
fn a_notification_overtakes_a_running_check_and_cancels_it() {
    let mut s = scene(Resolve::Check);
    let slot = s.offer("hew", "a", ping(900, INBOX));
    s.lot.start_check();
    s.change("hew", Scope::Mailbox);
    let outputs: Vec<_> = std::iter::from_fn(|| s.lot.poll_output()).collect();
    assert!(outputs.contains(&Output::CancelCheck { slot }), "{outputs:?}");
    s.checked(slot, &CheckFinding::Unchanged, 1, 3);
    assert_eq!(s.answers(), [], "a late finding changes nothing");
}

#[test]
fn a_failed_check_is_asked_again() {
    let mut s = scene(Resolve::Check);
    let slot = s.offer("hew", "a", ping(900, INBOX));
    s.lot.start_check();
    s.checked(slot, &CheckFinding::Failed, 1, 2);
    assert_eq!(s.lot.start_check(), None);
    s.wait(31);
    assert_eq!(s.lot.start_check(), Some(slot));
}

#[test]
fn doubt_is_cleared_by_a_sync_at_the_set_rate() {
    let mut s = scene(Resolve::Sync);
    let slots: Vec<_> = (0..4).map(|i| s.offer("hew", &format!("d{i}"), ping(900, INBOX))).collect();
    assert_eq!(s.answers(), [(slots[0], changed(&["5"]))], "one at once, the others in their turn");
    s.wait(1);
    assert_eq!(s.answers().len(), 3);
    assert_eq!(s.lot.start_check(), None);
}

#[test]
fn classes_without_a_source_are_polled() {
    let mut s = scene(Resolve::Sync);
    let folders = [("5", Class::Email), ("9", Class::Contacts)];
    s.expect("hew", "a", &["5", "9"]);
    s.synced("hew", "a", &["5", "9"], FETCHED, s.number);
    let slot = s.offer("hew", "a", ping(900, &folders));
    assert_eq!(s.lot.start_check(), None, "just synced");
    s.wait(301);
    assert_eq!((s.lot.start_check(), s.answers()), (Some(slot), vec![]));
}

#[test]
fn a_source_that_was_away_puts_everything_in_doubt() {
    let mut s = scene(Resolve::Check);
    s.sync("hew", "a");
    let slot = s.offer("hew", "a", ping(900, INBOX));
    s.lot.set_coverage(Coverage { epoch: 50, ..options(Resolve::Check).coverage }, s.now);
    assert_eq!(s.lot.start_check(), Some(slot));
    s.checked(slot, &CheckFinding::Unchanged, 60, 61);
    s.wait(60);
    assert_eq!(s.lot.start_check(), None);
}

#[test]
fn a_device_that_ignores_what_it_is_told_is_slowed() {
    let mut s = scene(Resolve::Check);
    s.sync("hew", "a");
    s.change("hew", Scope::Mailbox);
    for _ in 0..2 {
        s.offer("hew", "a", ping(900, INBOX));
        assert_eq!(s.answers().len(), 1);
    }
    let slot = s.offer("hew", "a", ping(900, INBOX));
    assert_eq!(s.answers(), [], "slowed");
    s.wait(1);
    assert_eq!(s.answers(), [(slot, changed(&["5"]))]);
    s.sync("hew", "a");
    s.change("hew", Scope::Mailbox);
    s.offer("hew", "a", ping(900, INBOX));
    assert_eq!(s.answers().len(), 1, "heeding it again makes it fast again");
}

#[test]
fn a_new_folder_elsewhere_answers_status_7_until_the_folders_are_learnt() {
    let mut s = scene(Resolve::Check);
    s.teach("hew", "a", &[("5", "Inbox", 2)]);
    s.sync("hew", "a");
    let slot = s.offer("hew", "a", ping(900, INBOX));
    s.change("hew", Scope::Hierarchy);
    assert_eq!(s.answers(), [(slot, Outcome::HierarchyChanged)]);
    s.teach("hew", "a", &[("5", "Inbox", 2), ("6", "New", 12)]);
    s.offer("hew", "a", ping(900, INBOX));
    assert_eq!((s.answers(), s.lot.held_count()), (vec![], 1));
}

#[test]
fn an_unknown_folder_name_wakes_every_email_folder_and_nothing_else() {
    let mut s = scene(Resolve::Check);
    s.teach("hew", "a", &[("5", "Inbox", 2), ("6", "Work", 12), ("1", "Calendar", 8)]);
    s.expect("hew", "a", &["5", "6", "1"]);
    s.synced("hew", "a", &["5", "6", "1"], FETCHED, s.number);
    let folders = [("5", Class::Email), ("6", Class::Email), ("1", Class::Calendar)];
    s.offer("hew", "a", ping(900, &folders));
    s.change("hew", Scope::FolderName("Nobody knows".into()));
    assert_eq!(s.answers().pop().map(|(_, o)| o), Some(changed(&["5", "6"])));
}

#[test]
fn a_device_that_hangs_up_frees_its_slot_and_its_place() {
    let mut s = scene(Resolve::Check);
    s.sync("hew", "a");
    let slot = s.offer("hew", "a", ping(900, INBOX));
    assert_eq!(s.lot.release(slot), Some("connection"));
    assert_eq!((s.lot.held_count(), s.lot.idle_count(), s.lot.release(slot)), (0, 0, None));
    assert_eq!(s.change("hew", Scope::Mailbox), 0);
}

#[test]
fn a_drain_answers_everybody_by_its_end() {
    let mut s = scene(Resolve::Check);
    for i in 0..10 {
        s.sync("hew", &format!("d{i}"));
        s.offer("hew", &format!("d{i}"), ping(900, INBOX));
    }
    s.lot.drain(s.now + Duration::from_secs(10), s.now);
    s.wait(5);
    let early = s.answers().len();
    assert!((4..=6).contains(&early), "{early} of 10 after half the time");
    s.wait(5);
    assert_eq!(s.answers().len() + early, 10);
    let late = s.offer("hew", "d1", ping(900, INBOX));
    assert_eq!(s.answers(), [(late, Outcome::Drained)]);
}

#[test]
fn unseen_devices_are_forgotten_and_the_number_remembered_is_bounded() {
    let mut lot = Lot::<&str>::new(LotOptions { devices_max: 10, ..options(Resolve::Check) });
    for i in 0..50u64 {
        let name = mailbox(&format!("user{i}"));
        lot.expect(&Who { hash: i, mailbox: &name, device: &device("a") }, ["5"].into_iter(), Moment(i * 1_000_000));
        assert!(lot.registry().device_count() <= 10);
    }
    let mut s = scene(Resolve::Check);
    s.sync("hew", "a");
    s.now = s.now + Duration::from_secs(2 * 86_400);
    for _ in 0..200 {
        s.lot.advance(s.now, 10);
    }
    assert_eq!((s.lot.registry().device_count(), s.lot.registry().mailbox_count()), (0, 0));
}

fn hanging_sync(s: &mut Scene, wait_s: u32, received: Moment) -> SlotKey {
    let (mailbox, device, kind, ping) = (mailbox("hew"), device("a"), HoldKind::Sync, ping(wait_s, INBOX));
    s.lot.offer(Offer { mailbox, hash: 7, device, ping, kind, received, connection: "connection" }, s.now)
}

#[test]
fn a_hanging_sync_is_not_remembered_for_pings() {
    let mut s = scene(Resolve::Check);
    s.sync("hew", "a");
    s.offer("hew", "a", ping(900, INBOX));
    let now = s.now;
    hanging_sync(&mut s, 600, now);
    s.answers();
    let slot = s.offer("hew", "a", ping(0, &[]));
    assert!(s.answers().contains(&(slot, Outcome::Refused(PingRefusal::MissingParameters))));
}

#[test]
fn the_newest_request_is_held_even_when_an_older_one_comes_back_after_it() {
    let mut s = scene(Resolve::Check);
    s.sync("hew", "a");
    let began = s.now;
    s.wait(5);
    let now = s.now;
    let newer = hanging_sync(&mut s, 600, now);
    let older = hanging_sync(&mut s, 600, began);
    assert_eq!(s.answers(), [(older, Outcome::Replaced)]);
    assert!(s.lot.is_held(newer));
}
