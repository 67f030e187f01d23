//! kill -9 at any moment: what was acknowledged is there afterwards, and the database is whole.

use std::collections::{BTreeSet, HashMap};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use pushgate::config::{self, Secret, StoreUrl};
use pushgate::logic::eas::{PolicyKey, Version};
use pushgate::logic::policy::document::DocumentHash;
use pushgate::logic::policy::provisioning::{Application, Applied, Provisioning, Sent};
use pushgate::logic::policy::wipe::WipeKind;
use pushgate::logic::policy::{Setting, Timestamp};
use pushgate::store::{AuditFilter, DeviceChange, Recorded, Store};

use crate::scene::*;

/// Rounds of starting, writing, killing.
const ROUNDS: u32 = 20;
/// Tells the test program that it is the one to be killed.
const VICTIM: &str = "STORE_CONTRACT_VICTIM";

fn settings_in(folder: &Path) -> config::Store {
    config::Store {
        url: StoreUrl::Sqlite(folder.join("store.db")),
        password: Secret::new(""),
        ca: None,
        key_file: folder.join("store.key"),
        flush: Duration::from_millis(100),
        audit_keep: None,
    }
}

/// One act of each kind; every line says what was acknowledged, in one write: half a line would be another number.
async fn act(store: &Store, say: &mut impl Write) {
    let strict = name("Strict");
    let policy = store.snapshot().policies.find(&strict).map(|policy| policy.policy().clone());
    let revision = match policy {
        None => store.create_policy(&anna(), strict, settings(&[])).await.unwrap().revision,
        Some(policy) => {
            let interval = settings(&[("DevicePolicyRefreshInterval", &format!("{}m", 60 + policy.revision % 1_000))]);
            store.change_policy(&anna(), strict, policy.revision, interval).await.unwrap().revision
        }
    };
    say.write_all(format!("policy {revision}\n").as_bytes()).unwrap();
    let (hew, kind) = (mailbox("hew"), phone());
    let id = device_id(&format!("d{revision}"));
    let document =
        Sent { policy: name("Strict"), revision, version: Version::V14_1, hash: DocumentHash(revision), at: Timestamp(revision) };
    let key = PolicyKey(revision as u32);
    let applied = Applied { key, temporary_key: key, application: Application::AppliedInFull, document };
    let change = DeviceChange::Provisioned(Provisioning { applied: Some(applied), ..Default::default() });
    // A disk that is slow for once is not what is tested.
    if store.record(&hew, &id, &kind, vec![change]).await == Recorded::Saved {
        say.write_all(format!("key {revision}\n").as_bytes()).unwrap();
        store.order_wipe(&anna(), &hew, &id, WipeKind::Device).await.unwrap();
        say.write_all(format!("wipe {revision}\n").as_bytes()).unwrap();
    }
}

/// The one that is killed. Left to itself it acts three times and looks.
#[test]
fn every_act_is_said_once_it_is_acknowledged() {
    let victim = std::env::var_os(VICTIM).map(PathBuf::from);
    let own = tempfile::tempdir().unwrap();
    let folder = victim.clone().unwrap_or_else(|| own.path().to_owned());
    run(async {
        let store = Store::open(&settings_in(&folder)).await.unwrap();
        if victim.is_some() {
            // Written at once, unlike what a test usually prints.
            let mut out = std::io::stderr();
            loop {
                act(&store, &mut out).await;
            }
        }
        let mut said = Vec::new();
        for _ in 0..3 {
            act(&store, &mut said).await;
        }
        assert_eq!(String::from_utf8(said).unwrap().lines().last(), Some("wipe 3"));
    });
}

#[test]
fn killed_at_any_moment_nothing_acknowledged_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    // What was acknowledged in all rounds: the numbers of each kind.
    let mut acknowledged: HashMap<String, BTreeSet<u64>> = HashMap::new();
    let mut total = 0;
    for round in 0..ROUNDS {
        let started = Instant::now();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "killed::every_act_is_said_once_it_is_acknowledged", "--nocapture"])
            .env(VICTIM, folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        // A moment that differs in every round, counted from its first act.
        let pause = Duration::from_micros(u64::from(started.elapsed().subsec_nanos() ^ round.wrapping_mul(2_654_435_761)) % 60_000);
        let mut killer = None;
        for line in lines {
            let line = line.unwrap();
            let (what, number) = line.split_once(' ').unwrap_or_else(|| panic!("{line}"));
            acknowledged.entry(what.to_owned()).or_default().insert(number.parse().unwrap_or_else(|_| panic!("{line}")));
            total += 1;
            killer.get_or_insert_with(|| {
                let id = child.id().to_string();
                std::thread::spawn(move || {
                    std::thread::sleep(pause);
                    assert!(Command::new("kill").args(["-KILL", &id]).status().unwrap().success());
                })
            });
        }
        killer.expect("it acted").join().unwrap();
        child.wait().unwrap();
        check(folder.path(), &acknowledged, round);
    }
    println!("{ROUNDS} rounds, {total} acts acknowledged, none lost");
}

fn check(folder: &Path, acknowledged: &HashMap<String, BTreeSet<u64>>, round: u32) {
    let integrity: String =
        rusqlite::Connection::open(folder.join("store.db")).unwrap().query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(integrity, "ok", "round {round}");
    run(async {
        let store = Store::open(&settings_in(folder)).await.unwrap();
        let (hew, kind) = (mailbox("hew"), phone());
        let policy = store.snapshot().policies.find(&name("Strict")).expect("acknowledged").policy().clone();
        let last = acknowledged["policy"].last().copied();
        assert!(Some(policy.revision) >= last, "round {round}: policy {} of {last:?}", policy.revision);
        assert!(policy.revision == 1 || policy.is_set(Setting::DevicePolicyRefreshInterval));
        for what in ["key", "wipe"] {
            for n in acknowledged.get(what).into_iter().flatten() {
                let known = store.known(&hew, &device_id(&format!("d{n}")), &kind).unwrap_or_else(|| panic!("round {round}: device {n}"));
                let is_there = if what == "key" { known.provisioning.is_final(PolicyKey(*n as u32)) } else { known.wipe_stands() };
                assert!(is_there, "round {round}: {what} {n}");
            }
        }
        let trail = store.audit_trail(AuditFilter::default(), None, 1_000).await.unwrap();
        let orders = trail.iter().filter(|entry| entry.act == "wipe order").count() as u64;
        let devices = store.devices(Default::default(), 0, 1_000).await.unwrap().devices;
        let standing = devices.iter().filter(|stored| stored.partnership.wipe_stands()).count() as u64;
        assert!(trail.len() == 1_000 || orders == standing, "round {round}: every order with its entry, and none without");
        store.close().await;
    });
}
