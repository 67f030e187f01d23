//! Sources and canaries under a hand-driven clock.

use std::time::Duration;

use super::canary::{Act, Canary, Heard};
use super::*;

const EVERY: Duration = Duration::from_secs(60);
const LATE: Duration = Duration::from_secs(30);
const TRUST: Duration = Duration::from_secs(3_600);
const WEBHOOK: usize = 0;
const DOVECOT: usize = 1;

fn at(seconds: u64) -> Moment {
    Moment(seconds * 1_000_000)
}

fn email() -> ClassSet {
    [Class::Email].into_iter().collect()
}

/// A webhook for `webhook`, and Dovecot with a canary for Email.
fn sources(webhook: ClassSet) -> Sources {
    let webhook = SourceTraits { covers: webhook, ..SourceTraits::default() };
    let dovecot = SourceTraits { covers: email(), covers_hierarchy: true, has_canary: true };
    Sources::new([webhook, dovecot], TRUST, Canary::gap_max(EVERY, LATE), at(0))
}

#[test]
fn a_canary_goes_out_at_once_and_then_every_so_often() {
    let mut canary = Canary::new(EVERY, LATE, at(5));
    assert_eq!(canary.poll(at(5)), Some(Act::Deliver { round: 1 }));
    assert_eq!((canary.poll(at(70)), canary.poll_timeout()), (None, None), "one delivery at a time");
    canary.handed_over(1, at(6));
    assert_eq!(canary.heard(None, at(6)), Some(Heard { latency: Duration::ZERO, is_in_time: true }), "before the delivery is confirmed");
    canary.delivered(1);
    assert_eq!(canary.poll_timeout(), Some(at(65)));
    assert_eq!(canary.poll(at(65)), Some(Act::Deliver { round: 2 }));
}

#[test]
fn a_canary_that_was_delivered_and_is_not_back_in_time_is_missing_once() {
    let mut canary = Canary::new(EVERY, LATE, at(0));
    canary.poll(at(0));
    canary.handed_over(1, at(1));
    assert_eq!(canary.poll(at(40)), None, "nobody knows yet whether it was delivered");
    canary.delivered(1);
    assert_eq!(canary.poll_timeout(), Some(at(31)));
    assert_eq!(canary.poll(at(40)), Some(Act::Missing { round: 1 }));
    assert_eq!(canary.poll(at(41)), None);
    assert_eq!(canary.heard(Some(1), at(43)), Some(Heard { latency: Duration::from_secs(42), is_in_time: false }));
    assert_eq!(canary.heard(Some(1), at(44)), None, "a repeat");
}

#[test]
fn a_canary_that_is_back_too_late_is_missing_even_if_nobody_looked_at_the_clock() {
    let mut canary = Canary::new(EVERY, LATE, at(0));
    canary.poll(at(0));
    canary.handed_over(1, at(0));
    canary.delivered(1);
    assert_eq!(canary.heard(Some(1), at(31)).map(|heard| heard.is_in_time), Some(false));
    assert_eq!(canary.poll(at(31)), Some(Act::Missing { round: 1 }));
}

#[test]
fn a_late_notification_is_not_taken_for_that_of_the_next_canary() {
    let mut canary = Canary::new(EVERY, LATE, at(0));
    for (round, now) in [(1, 0), (2, 60)] {
        assert_eq!(canary.poll(at(now)), (round == 1 || now == 60).then_some(Act::Deliver { round }));
        canary.handed_over(round, at(now));
        canary.delivered(round);
        assert_eq!(canary.poll(at(now + 30)), Some(Act::Missing { round }));
    }
    canary.poll(at(120));
    canary.handed_over(3, at(120));
    assert_eq!(canary.heard(Some(1), at(121)).map(|heard| heard.is_in_time), Some(false));
    assert_eq!(canary.heard(Some(9), at(121)), None);
    assert_eq!(canary.heard(None, at(121)), Some(Heard { latency: Duration::from_secs(1), is_in_time: true }));
}

#[test]
fn a_canary_that_could_not_be_delivered_is_never_missing() {
    let mut canary = Canary::new(EVERY, LATE, at(0));
    canary.poll(at(0));
    canary.handed_over(1, at(1));
    assert!(canary.undelivered(1));
    assert_eq!((canary.poll(at(50)), canary.heard(None, at(50))), (None, None));
    canary.poll(at(60));
    canary.handed_over(2, at(60));
    canary.heard(None, at(61));
    assert!(!canary.undelivered(2), "it came back whatever the mail server says of it");
}

#[test]
fn what_is_remembered_of_canaries_is_bounded() {
    let mut canary = Canary::new(EVERY, LATE, at(0));
    for round in 1..100 {
        canary.poll(at(round * 60));
        canary.handed_over(round, at(round * 60));
        canary.delivered(round);
        canary.poll(at(round * 60 + 30));
    }
    assert_eq!(canary.heard(Some(50), at(9_000)), None);
    assert!(canary.heard(Some(95), at(9_000)).is_some());
}

#[test]
fn a_missing_canary_uncovers_and_its_return_begins_a_new_epoch() {
    let mut sources = sources(ClassSet::default());
    let started = Covered { classes: email(), hierarchy: true, is_lasting: true, epochs: 0 };
    assert_eq!(sources.covered(at(1)), started);
    assert!(!sources.proven(DOVECOT, at(2)), "in time: no new epoch");
    assert!(sources.failed(DOVECOT, at(92)));
    assert!(!sources.failed(DOVECOT, at(152)), "an alarm is given once");
    let lost = sources.covered(at(93));
    assert_eq!((lost.classes, lost.hierarchy), (ClassSet::default(), false));
    assert_eq!(sources.failed_for(Class::Email).collect::<Vec<_>>(), [DOVECOT]);
    assert!(sources.proven(DOVECOT, at(182)));
    assert_eq!(sources.covered(at(183)), Covered { epochs: 1, ..started });
    assert!(!sources.proven(DOVECOT, at(242)));
}

#[test]
fn trust_is_lasting_while_proofs_come_and_grows_old_without() {
    let mut sources = sources(ClassSet::default());
    sources.proven(DOVECOT, at(60));
    assert_eq!(sources.poll_timeout(at(61)), Some(at(3_660)));
    assert!(sources.unprovable(DOVECOT, at(120)));
    assert!(!sources.unprovable(DOVECOT, at(180)), "said once");
    assert!(sources.covered(at(3_659)).is_lasting, "the last proof still carries");
    let old = sources.covered(at(3_660));
    assert_eq!((old.classes, old.is_lasting), (email(), false), "believed on its word, no longer proven");
    assert_eq!(sources.poll_timeout(at(3_660)), None);
    assert!(sources.proven(DOVECOT, at(4_000)), "what happened meanwhile nobody watched");
    assert!(sources.covered(at(4_001)).is_lasting);
}

#[test]
fn proofs_far_apart_leave_a_gap_though_none_was_missing() {
    let mut sources = sources(ClassSet::default());
    sources.proven(DOVECOT, at(60));
    assert!(!sources.proven(DOVECOT, at(60 + 150)), "one round failed to be delivered");
    assert!(sources.proven(DOVECOT, at(210 + 151)));
}

#[test]
fn a_source_without_a_canary_cannot_vouch_for_one_that_failed() {
    let mut both = sources(email());
    both.heard(WEBHOOK, at(80));
    both.failed(DOVECOT, at(90));
    assert_eq!(both.covered(at(91)).classes, ClassSet::default());
    let mut apart = sources([Class::Calendar].into_iter().collect());
    assert!(!apart.covered(at(1)).is_lasting, "the calendar is not proven");
    apart.failed(DOVECOT, at(90));
    assert_eq!(apart.covered(at(91)).classes, [Class::Calendar].into_iter().collect());
}

#[test]
fn a_source_that_is_only_believed_is_never_lasting() {
    let mut sources = Sources::new([SourceTraits { covers: email(), ..SourceTraits::default() }], TRUST, Duration::ZERO, at(0));
    sources.heard(WEBHOOK, at(7));
    assert!(!sources.proven(WEBHOOK, at(8)) && !sources.unprovable(WEBHOOK, at(8)));
    assert_eq!(sources.covered(at(9)), Covered { classes: email(), hierarchy: false, is_lasting: false, epochs: 0 });
    assert_eq!(sources.source(WEBHOOK).and_then(|source| source.heard), Some(at(7)));
    // A connection that was lost, as sources with one will report it.
    assert!(sources.failed(WEBHOOK, at(10)) && sources.proven(WEBHOOK, at(20)));
    assert_eq!(sources.covered(at(21)).epochs, 1);
}
