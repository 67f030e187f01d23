//! Plays the seeds of the fuzzer and every input that once broke a promise, without a fuzzer: `tests/fuzz.sh` looks for more.

#![expect(clippy::unwrap_used, reason = "in a test, a panic is the report")]

#[path = "../fuzz/src/lib.rs"]
mod fuzz;

use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

use pushgate::logic::hold::guards::Guards;

/// Inputs of a target: its seeds, what once broke a promise, and the project's own vectors where they are of the target's form.
fn inputs(target: &str) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let vectors = (target == "wbxml").then(|| root.join("tests/vectors"));
    let folders = [root.join("fuzz/seeds").join(target), root.join("fuzz/regressions").join(target)].into_iter().chain(vectors);
    let mut inputs: Vec<PathBuf> = folders
        .filter(|folder| folder.is_dir())
        .flat_map(|folder| std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()))
        .filter(|path| !path.extension().is_some_and(|ending| ending == "xml" || ending == "txt"))
        .collect();
    inputs.sort();
    inputs
}

fn play_all(target: &str) {
    let (_, play) = fuzz::TARGETS.iter().find(|(name, _)| *name == target).unwrap();
    let inputs = inputs(target);
    assert!(!inputs.is_empty(), "{target} has no seeds");
    let broken: Vec<&PathBuf> = inputs.iter().filter(|path| catch_unwind(|| play(&std::fs::read(path).unwrap())).is_err()).collect();
    assert!(broken.is_empty(), "{target}: of {} inputs these break a promise: {broken:?}", inputs.len());
}

macro_rules! tests {
    ($($target:ident),+) => {
        $(#[test]
        fn $target() {
            play_all(stringify!($target));
        })+

        /// No target is left out, here or among the fuzzer's programs.
        #[test]
        fn every_target_is_played() {
            let named: Vec<&str> = fuzz::TARGETS.iter().map(|(name, _)| *name).collect();
            assert_eq!(named, [$(stringify!($target)),+]);
            let programs = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/fuzz_targets");
            let mut programs: Vec<String> =
                std::fs::read_dir(programs).unwrap().map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into()).collect();
            programs.sort();
            assert_eq!(named, programs);
        }
    };
}

/// A guard to be removed, and what happens then.
type Defect = (&'static str, fn(&mut Guards), &'static [u8]);

/// The first three bytes: mail, calendar and contacts are covered, the list of folders is not; what is in doubt is told (0) or checked
/// (1). Then FolderSync (14), Sync (9), the end of one (11), Ping (0), report (4), time (7), a check's end (16), lost reports (19).
const DEFECTS: [Defect; 7] = [
    ("sync_to_ping", |guards| guards.sync_to_ping = false, &[8, 0, 0, 9, 0, 1, 11, 0, 0, 16, 4, 0, 0, 3, 0, 0, 0, 2, 1, 7, 9]),
    (
        "check_to_registration",
        |guards| guards.check_to_registration = false,
        &[8, 1, 0, 14, 0, 11, 0, 0, 0, 0, 9, 0, 1, 11, 0, 0, 16, 19, 0, 2, 0, 0, 0, 2, 1, 4, 0, 0, 3, 16, 0, 0, 7, 9],
    ),
    (
        "dead_connection",
        |guards| guards.dead_connection = false,
        &[8, 0, 0, 9, 0, 1, 11, 0, 0, 16, 0, 0, 0, 2, 1, 4, 0, 0, 3, 0, 0, 0, 2, 1, 7, 9],
    ),
    ("restart", |guards| guards.restart = false, &[8, 0, 0, 0, 0, 0, 2, 1, 7, 10]),
    (
        "list_replaced",
        |guards| guards.list_replaced = false,
        &[8, 0, 0, 9, 0, 3, 11, 0, 0, 16, 0, 0, 0, 2, 1, 4, 0, 1, 3, 0, 0, 0, 2, 3, 7, 9],
    ),
    ("not_learnt", |guards| guards.not_learnt = false, &[8, 0, 0, 9, 0, 1, 11, 0, 0, 16, 0, 0, 0, 2, 1, 4, 0, 0, 5, 7, 9]),
    ("full_inbox", |guards| guards.full_inbox = false, &[8, 0, 0, 9, 0, 1, 11, 0, 0, 16, 0, 0, 0, 2, 1, 19, 0, 2, 7, 10]),
];

#[test]
fn a_lot_that_lacks_a_guard_is_seen_to_lose_something() {
    for (name, remove, story) in DEFECTS {
        fuzz::lot::play(story);
        let mut guards = Guards::default();
        remove(&mut guards);
        assert!(catch_unwind(|| fuzz::lot::play_with(story, guards)).is_err(), "{name}: nothing is seen");
    }
}

tests!(http_head, ldap, lot, migrations, notifications, proxy_protocol, query, record_open, wbxml);
