//! The real lot in seeded worlds: nothing is lost, and each guard that is removed loses something.
//!
//! A failure says how to play it again: `cargo sim -- --seed N` (with `--trace`: every step).

mod sweep;
mod world;

use pushgate::logic::hold::guards::Guards;
use sweep::{Window, sweep};

/// Enough to meet every kind of world; the wide sweep is `cargo sim -- --seeds 10000`.
const SEEDS: u64 = 120;
/// Within so many seeds a removed guard must show.
const FOUND_WITHIN: u64 = 1_000;

fn loses_without(window: Window) {
    let found = sweep(0, FOUND_WITHIN, Some(window), false);
    let Err(failure) = found else { panic!("{} is not found in {FOUND_WITHIN} seeds", window.name()) };
    assert!(failure.contains("without being told") || failure.contains("has not seen"), "another failure: {failure}");
}

#[test]
fn nothing_is_lost() {
    if let Err(failure) = sweep(0, SEEDS, None, false) {
        panic!("{failure}");
    }
}

#[test]
fn a_seed_makes_the_same_world_again() {
    let play = || format!("{:?}", world::run(7, Guards::default(), false).unwrap());
    assert_eq!(play(), play());
}

#[test]
fn every_window_is_found_by_its_name() {
    for window in Window::ALL {
        assert_eq!(Window::named(window.name()), Some(window));
    }
}

#[test]
fn a_change_between_sync_answer_and_ping() {
    loses_without(Window::SyncToPing);
}

#[test]
fn a_change_between_check_and_registration() {
    loses_without(Window::CheckToRegistration);
}

#[test]
fn a_wake_written_to_a_dead_connection() {
    loses_without(Window::DeadConnection);
}

#[test]
fn a_restart_of_the_gateway_or_a_source() {
    loses_without(Window::Restart);
}

#[test]
fn a_folder_list_replaced_while_a_wake_is_in_flight() {
    loses_without(Window::ListReplaced);
}

#[test]
fn a_folder_not_learnt_yet() {
    loses_without(Window::NotLearnt);
}

#[test]
fn a_notice_that_outruns_the_backends_view() {
    loses_without(Window::Outrun);
}

#[test]
fn a_report_that_finds_the_inbox_full() {
    loses_without(Window::FullInbox);
}
