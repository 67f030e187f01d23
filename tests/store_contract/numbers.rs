//! How long the large things take, and how much memory a device costs.

use std::time::{Duration, Instant};

use pushgate::logic::policy::access::{Access, AccessState, Rules};
use pushgate::store::{GATE_RECORD_BYTES, Seen, Store};

use crate::over_both;
use crate::scene::*;

over_both!(ten_thousand_devices_seen_are_one_flush, a_hundred_thousand_devices_are_loaded_at_start);

async fn ten_thousand_devices_seen_are_one_flush(database: Database) {
    let mut settings = database.settings();
    settings.flush = Duration::from_secs(60);
    let store = Store::open(&settings).await.unwrap();
    let kind = phone();
    // Their first contact is a change each; what is measured is the second, which is merely seen.
    for second in [false, true] {
        let started = Instant::now();
        for n in 0..10_000 {
            store.note(&mailbox(&format!("u{n}")), &device_id("d"), &attempt(&kind), Seen::Heartbeat(480));
        }
        let noted = started.elapsed();
        eventually("first contacts are written", async || store.health().changes == 0).await;
        if !second {
            println!("10,000 first contacts written in {:?}", started.elapsed());
        }
        let started = Instant::now();
        // Closing flushes.
        if second {
            println!("10,000 devices noted in {noted:?}");
            store.close().await;
            println!("10,000 devices flushed in {:?}", started.elapsed());
        }
    }
    let store = database.open().await;
    let stored = store.device(&mailbox("u9999"), &device_id("d")).await.unwrap().unwrap();
    assert_eq!(stored.partnership.last_heartbeat_s, Some(480));
    assert_eq!(store.health().devices, 10_000);

    let started = Instant::now();
    store.set_rules(&anna(), Rules { rules: Vec::new(), default: Access::Block }, 0).await.unwrap();
    let blocked = |n: u32| store.known(&mailbox(&format!("u{n}")), &device_id("d"), &kind).unwrap().access_state == AccessState::Blocked;
    eventually("all are decided anew", async || (0..10_000).all(blocked)).await;
    println!("10,000 devices decided anew in {:?}", started.elapsed());
}

async fn a_hundred_thousand_devices_are_loaded_at_start(database: Database) {
    database.open().await.close().await;
    let numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)";
    let applied = r#"{"applied":{"key":"'||i||'","temporary_key":"7","application":"AppliedInFull","policy":"Strict","revision":1,"version":"14.1","hash":"fedcba9876543210","at":"2026-11-22T20:23:13Z"}}"#;
    database
        .by_hand(&format!(
            "INSERT INTO devices (mailbox, device_id, generation, revision, device_type, information, information_words, first_sync_at, \
             folders_synced, provisioning, access_state, access_why) {numbers} SELECT 'user' || i || '@example.org', 'appl' || i, 1, 1, 'iPhone', \
             '{{}}', '', 1795379000, 12, '{applied}', 'allowed', '{{\"because\":\"default\"}}' FROM n"
        ))
        .unwrap();
    let started = Instant::now();
    let store = database.open().await;
    let bytes = store.gate_bytes() as f64 / 100_000.0;
    println!("100,000 devices loaded in {:?}; {bytes:.0} bytes a device, {GATE_RECORD_BYTES} of them the record", started.elapsed());
    assert_eq!(store.health().devices, 100_000);
    const { assert!(GATE_RECORD_BYTES <= 64) };
    assert!(bytes <= 120.0, "{bytes} bytes a device");
    let known = store.known(&mailbox("user77777"), &device_id("appl77777"), &phone()).unwrap();
    assert!(known.provisioning.is_final(pushgate::logic::eas::PolicyKey(77_777)));
}
