//! What is not known to be unchanged: how it is cleared, how often, and that it is never called unchanged.

use super::*;

const NOTHING: SyncTraits = SyncTraits { brought: 0, sent: false, is_cut: false };
const SENT: SyncTraits = SyncTraits { brought: 0, sent: true, is_cut: false };

impl Scene {
    /// A Sync of folder 5.
    fn sync_5(&mut self, traits: SyncTraits) {
        self.expect("hew", "a", &["5"]);
        self.synced("hew", "a", &["5"], traits, self.number);
    }

    fn ping(&mut self) -> SlotKey {
        self.offer("hew", "a", ping(900, INBOX))
    }
}

#[test]
fn a_sync_that_brings_nothing_after_a_wake_is_cleared_once_more_after_the_settling_time() {
    let mut s = scene(Resolve::Sync);
    s.sync("hew", "a");
    s.change("hew", Scope::Mailbox);
    s.sync_5(NOTHING);
    let slot = s.ping();
    s.wait(5);
    assert_eq!(s.answers(), []);
    s.wait(2);
    assert_eq!(s.answers(), [(slot, changed(&["5"]))]);
    s.sync_5(NOTHING);
    s.ping();
    s.wait(800);
    assert_eq!(s.answers(), [], "once");
}

#[test]
fn a_sync_that_brings_less_than_was_reported_is_not_the_last_word_either() {
    let mut s = scene(Resolve::Sync);
    s.sync("hew", "a");
    s.change("hew", Scope::Mailbox);
    s.change("hew", Scope::Mailbox);
    s.sync_5(SyncTraits { brought: 1, ..NOTHING });
    let slot = s.ping();
    s.wait(7);
    assert_eq!(s.answers(), [(slot, changed(&["5"]))]);
}

#[test]
fn an_answer_in_several_pieces_counts_as_a_whole() {
    let mut s = scene(Resolve::Sync);
    s.sync("hew", "a");
    for _ in 0..3 {
        s.change("hew", Scope::Mailbox);
    }
    s.sync_5(SyncTraits { brought: 2, is_cut: true, ..NOTHING });
    s.sync_5(SyncTraits { brought: 1, ..NOTHING });
    s.ping();
    s.wait(60);
    assert_eq!(s.answers(), []);
}

#[test]
fn the_echo_of_a_devices_own_changes_costs_one_sync() {
    let mut s = scene(Resolve::Sync);
    s.sync("hew", "a");
    s.sync_5(SENT);
    s.ping();
    s.change("hew", Scope::Mailbox);
    s.change("hew", Scope::Mailbox);
    assert_eq!(s.answers(), [], "it may be its own");
    s.wait(10);
    assert_eq!(s.answers().len(), 1, "it may have been more");
    s.sync_5(NOTHING);
    s.ping();
    s.wait(800);
    assert_eq!(s.answers(), []);
}

#[test]
fn what_may_be_an_echo_does_not_wait_for_what_else_is_in_doubt() {
    for begins in [false, true] {
        let mut s = scene(Resolve::Check);
        s.sync("hew", "a");
        s.sync_5(SENT);
        let slot = s.offer("hew", "a", ping(900, &[("5", Class::Email), ("6", Class::Email)]));
        if begins {
            assert_eq!(s.lot.start_check(), Some(slot), "folder 6 is in doubt, and its check takes long");
        }
        s.change("hew", Scope::FolderId(FolderId::new("5").expect("short")));
        s.wait(6);
        assert_eq!(s.answers(), [], "it may be its own");
        s.wait(5);
        assert_eq!(s.answers(), [(slot, changed(&["5", "6"]))]);
    }
}

#[test]
fn what_may_be_an_echo_does_not_wait_for_a_turn_either() {
    let mut s = scene(Resolve::Sync);
    s.lot.options.resolve_gap = Duration::from_secs(600);
    // Somebody else has the first turn.
    s.offer("hew", "b", ping(900, INBOX));
    s.sync("hew", "a");
    s.sync_5(SENT);
    s.change("hew", Scope::FolderId(FolderId::new("5").expect("short")));
    let slot = s.offer("hew", "a", ping(900, &[("5", Class::Email), ("6", Class::Email)]));
    s.answers();
    s.wait(6);
    assert_eq!(s.answers(), [], "it may be its own");
    s.wait(5);
    assert_eq!(s.answers(), [(slot, changed(&["5", "6"]))]);
}

#[test]
fn a_change_some_time_after_a_devices_own_is_no_echo() {
    let mut s = scene(Resolve::Sync);
    s.sync("hew", "a");
    s.sync_5(SENT);
    let slot = s.ping();
    s.wait(5);
    s.change("hew", Scope::Mailbox);
    assert_eq!(s.answers(), [(slot, changed(&["5"]))]);
}

#[test]
fn a_backend_that_reports_every_sync_is_slowed_not_spun() {
    let mut s = scene(Resolve::Sync);
    s.sync("hew", "a");
    s.change("hew", Scope::Mailbox);
    let mut wakes = 0;
    for _ in 0..600 {
        s.ping();
        s.wait(1);
        let told = s.answers().iter().filter(|(_, outcome)| matches!(outcome, Outcome::Changed(_))).count();
        for _ in 0..told {
            wakes += 1;
            s.sync_5(NOTHING);
            s.change("hew", Scope::Mailbox);
        }
    }
    assert!((2..40).contains(&wakes), "{wakes} Syncs in ten minutes");
}

#[test]
fn a_device_in_doubt_that_ignored_what_it_was_told_is_told_again() {
    let mut s = scene(Resolve::Sync);
    for _ in 0..2 {
        s.ping();
        s.wait(1);
        assert_eq!(s.answers().len(), 1);
    }
    let slot = s.ping();
    // It may be checked now; and if the check does not come, its heartbeat does.
    assert_eq!(s.lot.start_check(), Some(slot));
    s.checked(slot, &CheckFinding::Failed, 1, 1);
    s.wait(900);
    assert_eq!(s.answers(), [(slot, changed(&["5"]))]);
}

#[test]
fn nothing_changed_is_never_said_of_what_is_not_known() {
    let mut s = scene(Resolve::Check);
    let slot = s.ping();
    assert_eq!(s.lot.doubt_count(), 1);
    s.wait(901);
    assert_eq!((s.answers(), s.lot.doubt_count()), (vec![(slot, changed(&["5"]))], 0));
}

#[test]
fn a_class_that_loses_its_source_while_a_ping_is_held_is_cleared_by_a_sync() {
    let mut s = scene(Resolve::Sync);
    s.sync("hew", "a");
    let slot = s.ping();
    let covered = ClassSet::default();
    s.lot.set_coverage(Coverage { covered, epoch: 9, ..options(Resolve::Sync).coverage }, s.now);
    s.wait(301);
    assert_eq!((s.lot.start_check(), s.answers()), (None, vec![(slot, changed(&["5"]))]), "nothing was kept to check with");
}

#[test]
fn a_turn_outlives_the_connection_it_was_given_on() {
    let mut s = scene(Resolve::Sync);
    s.lot.options.resolve_gap = Duration::from_secs(100);
    for i in 0..3 {
        s.offer("hew", &format!("d{i}"), ping(900, INBOX));
    }
    for _ in 0..4 {
        s.wait(20);
        s.ping();
    }
    s.wait(400);
    let told = s.answers().into_iter().filter(|(_, outcome)| matches!(outcome, Outcome::Changed(_))).count();
    assert_eq!(told, 4, "pinging anew did not cost it its place");
}

#[test]
fn what_a_check_finds_in_folders_nobody_named_is_told_all_the_same() {
    let mut s = scene(Resolve::Check);
    let slot = s.ping();
    s.lot.start_check();
    s.checked(slot, &CheckFinding::Changed(vec![FolderId::new("other").expect("short")]), 1, 2);
    assert_eq!(s.answers(), [(slot, changed(&["5"]))]);
}

#[test]
fn a_check_that_ends_after_its_ping_was_replaced_proves_nothing() {
    let mut s = scene(Resolve::Check);
    let older = s.ping();
    s.lot.start_check();
    let newer = s.offer("hew", "a", ping(900, &[("5", Class::Email), ("6", Class::Email)]));
    s.checked(older, &CheckFinding::Unchanged, 1, 2);
    assert_eq!((s.lot.doubt_count(), s.lot.start_check()), (1, Some(newer)));
}

#[test]
fn nothing_moves_a_ping_beyond_the_end_of_a_drain() {
    let mut s = scene(Resolve::Check);
    s.sync("hew", "a");
    let slot = s.ping();
    s.lot.drain(s.now + Duration::from_secs(10), s.now);
    s.sync("hew", "a");
    s.wait(10);
    assert_eq!(s.answers(), [(slot, Outcome::Drained)]);
}

#[test]
fn a_folder_list_of_which_nothing_is_known_is_asked_for_when_a_source_reports_such_changes() {
    let mut s = scene(Resolve::Sync);
    s.lot.options.coverage.covers_hierarchy = true;
    s.sync("hew", "a");
    let slot = s.ping();
    assert_eq!(s.answers(), [(slot, Outcome::HierarchyChanged)]);
    s.teach("hew", "a", &[("5", "Inbox", 2)]);
    s.ping();
    s.wait(600);
    assert_eq!(s.answers(), []);
}

#[test]
fn a_folder_created_while_an_unknown_device_fetches_its_folders_is_not_lost() {
    let mut s = scene(Resolve::Sync);
    s.lot.options.coverage.covers_hierarchy = true;
    let as_of = s.number;
    s.change("hew", Scope::Hierarchy);
    s.learn("hew", "a", true, &[], as_of);
    s.sync("hew", "a");
    let slot = s.ping();
    assert_eq!(s.answers(), [(slot, Outcome::HierarchyChanged)]);
}

#[test]
fn a_device_forgotten_while_it_syncs_is_in_doubt_afterwards() {
    let mut s = scene(Resolve::Check);
    s.lot.options.devices_max = 1;
    s.expect("hew", "a", &["5"]);
    let as_of = s.number;
    s.expect("ada", "b", &["5"]);
    s.change("hew", Scope::Mailbox);
    let slot = s.ping();
    s.synced("hew", "a", &["5"], NOTHING, as_of);
    assert_eq!((s.lot.doubt_count(), s.lot.start_check()), (1, Some(slot)));
}

#[test]
fn checks_that_are_no_longer_wanted_do_not_pile_up() {
    let mut s = scene(Resolve::Check);
    for _ in 0..5_000 {
        s.ping();
    }
    assert_eq!(s.lot.checks_waiting(), 1);
    s.answers();
    s.lot.check_invariants().expect("the books agree");
    assert!(s.lot.checks.len() < 200, "{} places", s.lot.checks.len());
}

#[test]
fn lost_reports_put_what_was_proven_before_in_doubt_whatever_the_sources_say_later() {
    let mut s = scene(Resolve::Sync);
    s.sync("hew", "a");
    let slot = s.ping();
    s.number += 1;
    s.lot.set_coverage(options(Resolve::Sync).coverage, s.now);
    assert_eq!(s.answers(), [], "nothing was lost yet");
    s.lot.reports_lost(s.number, s.now);
    assert_eq!(s.answers(), [(slot, changed(&["5"]))]);
    s.ping();
    s.lot.set_coverage(options(Resolve::Sync).coverage, s.now);
    s.wait(2);
    assert_eq!(s.answers().len(), 1, "an epoch of the sources that is older");
    s.sync_5(NOTHING);
    s.ping();
    s.wait(800);
    assert_eq!(s.answers(), []);
}

/// Email is covered, the calendar is not and was polled just now.
fn polled() -> (Scene, [(&'static str, Class); 2]) {
    let mut s = scene(Resolve::Sync);
    s.lot.options.coverage.covered = ClassSet::from_iter([Class::Email]);
    s.expect("hew", "a", &["5", "1"]);
    s.synced("hew", "a", &["5", "1"], FETCHED, s.number);
    (s, [("5", Class::Email), ("1", Class::Calendar)])
}

#[test]
fn who_is_woken_is_told_of_what_is_in_doubt_as_well() {
    let (mut s, folders) = polled();
    let slot = s.offer("hew", "a", ping(900, &folders));
    s.wait(100);
    s.change("hew", Scope::FolderId(FolderId::new("5").expect("short")));
    assert_eq!(s.answers(), [(slot, changed(&["5"]))], "no doubt yet");
    s.sync_5(FETCHED);
    s.offer("hew", "a", ping(900, &folders));
    s.wait(300);
    assert_eq!((s.answers(), s.lot.checks_waiting()), (vec![], 1));
    s.change("hew", Scope::FolderId(FolderId::new("5").expect("short")));
    assert_eq!(s.answers().pop().map(|(_, told)| told), Some(changed(&["5", "1"])));
}

#[test]
fn a_place_in_the_queue_of_checks_outlives_the_ping_it_was_given_to() {
    let (mut s, folders) = polled();
    s.offer("hew", "a", ping(900, &folders));
    s.wait(310);
    for other in ["b", "c"] {
        s.offer("hew", other, ping(900, &folders));
        s.wait(1);
    }
    // It pings anew, and is still in front of those that came later.
    let again = s.offer("hew", "a", ping(900, &folders));
    assert_eq!((s.lot.checks_waiting(), s.lot.start_check()), (3, Some(again)));
}

#[test]
fn a_device_that_pings_anew_all_the_time_is_told_to_sync_within_a_heartbeat_of_doubt() {
    let (mut s, folders) = polled();
    let mut told_after = None;
    for minute in 0..30 {
        s.offer("hew", "a", ping(900, &folders));
        s.wait(60);
        let is_told = s.answers().iter().any(|(_, outcome)| *outcome == changed(&["1"]));
        told_after = told_after.or(is_told.then_some(minute));
    }
    assert!(told_after.is_some_and(|minute| (18..=21).contains(&minute)), "5 minutes of proof and 15 of doubt: {told_after:?}");
}

#[test]
fn a_check_that_began_in_time_ends_although_its_turn_to_sync_has_come() {
    let (mut s, folders) = polled();
    s.offer("hew", "a", ping(900, &folders));
    s.wait(890);
    let slot = s.offer("hew", "a", ping(900, &folders));
    s.wait(295);
    assert_eq!(s.lot.start_check(), Some(slot));
    s.wait(60);
    s.checked(slot, &CheckFinding::Unchanged, s.number, s.number);
    s.wait(100);
    assert_eq!(s.answers().into_iter().filter(|(_, outcome)| *outcome != Outcome::Replaced).count(), 0);
}

#[test]
fn a_folder_of_somebody_else_is_polled_although_a_source_covers_its_class() {
    let mut s = scene(Resolve::Check);
    s.sync("hew", "a");
    s.teach("hew", "a", &[("5", "Inbox", 2), ("1", "Calendar", 8)]);
    let (own, theirs) = ("1", "S7f3a1");
    for (id, is_polled) in [(own, false), (theirs, true)] {
        s.expect("hew", "a", &[id]);
        s.synced("hew", "a", &[id], FETCHED, s.number);
        s.offer("hew", "a", ping(900, &[("5", Class::Email), (id, Class::Calendar)]));
        s.wait(310);
        assert_eq!(s.lot.checks_waiting(), usize::from(is_polled), "{id}");
    }
    // Whoever tells us all the same is believed.
    s.answers();
    s.change("hew", Scope::FolderId(FolderId::new(theirs).expect("short")));
    assert_eq!(s.answers().pop().map(|(_, told)| told), Some(changed(&[theirs])));
}

#[test]
fn a_hanging_sync_is_told_to_fetch_the_folder_list_that_asking_it_again_would_not_prove() {
    let mut s = scene(Resolve::Check);
    s.lot.options.coverage.covers_hierarchy = true;
    s.sync("hew", "a");
    let offer = Offer {
        mailbox: mailbox("hew"),
        hash: 7,
        device: device("a"),
        ping: ping(900, INBOX),
        kind: HoldKind::Sync,
        received: s.now,
        connection: "connection",
    };
    let slot = s.lot.offer(offer, s.now);
    s.wait(1);
    assert_eq!((s.answers(), s.lot.checks_waiting()), (vec![(slot, Outcome::HierarchyChanged)], 0));
}

#[test]
fn who_waited_for_a_check_and_needs_a_sync_after_all_does_not_wait_for_a_heartbeat() {
    let (mut s, folders) = polled();
    let slot = s.offer("hew", "a", ping(900, &folders));
    s.wait(310);
    assert_eq!((s.answers(), s.lot.checks_waiting()), (vec![], 1));
    s.number += 1;
    s.lot.reports_lost(s.number, s.now);
    s.synced("hew", "a", &["1"], FETCHED, s.number);
    s.wait(1);
    assert_eq!(s.answers(), [(slot, changed(&["5"]))]);
}
