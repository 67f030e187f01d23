//! PostgreSQL goes away and comes back; and how it is spoken to when it is not on this machine.

use std::time::{Duration, Instant};

use pushgate::config::limits::{STORE_CHANGES_MAX, STORE_FACTS_MAX};
use pushgate::config::{self, Secret, StoreUrl};
use pushgate::logic::eas::PolicyKey;
use pushgate::logic::policy::provisioning::{Offer, Provisioning, Sent};
use pushgate::logic::policy::wipe::{WipeKind, WipeState};
use pushgate::store::{DeviceChange, Recorded, Seen, Store, StoreError};

use crate::postgres::{Server, by_hand};
use crate::scene::*;

fn settings_for(url: String, folder: &std::path::Path) -> config::Store {
    config::Store {
        url: StoreUrl::Postgres(Secret::new(url)),
        password: Secret::new(""),
        ca: None,
        key_file: folder.join("store.key"),
        flush: Duration::from_millis(100),
        audit_keep: None,
    }
}

#[test]
fn with_the_database_away_devices_are_served_and_what_they_do_is_written_later() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let mut server = Server::new(&[], |_| ());
        let settings = settings_for(server.url("postgres"), folder.path());
        let store = Store::open(&settings).await.unwrap();
        let (hew, kind) = (mailbox("hew"), phone());
        let id = comes(&store, &hew, "abc").await;
        store.create_policy(&anna(), name("Strict"), crate::scene::settings(&[])).await.unwrap();
        store.order_wipe(&anna(), &hew, &id, WipeKind::Device).await.unwrap();
        store.cancel_wipe(&anna(), &hew, &id).await.unwrap();
        store.order_wipe(&anna(), &hew, &id, WipeKind::Device).await.unwrap();

        server.stop();
        eventually("it is noticed", async || !store.health().is_connected).await;
        assert!(store.health().trouble().unwrap().contains("served from memory"));
        assert!(store.known(&hew, &id, &kind).unwrap().wipe_stands());
        assert_eq!(store.snapshot().policies.len(), 1);
        let started = Instant::now();
        let refused = store.create_policy(&anna(), name("Other"), crate::scene::settings(&[])).await;
        assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
        let unread = store.device(&hew, &id).await;
        assert!(matches!(unread, Err(StoreError::Unavailable(_))), "{unread:?}");
        assert!(started.elapsed() < Duration::from_secs(5), "at once");

        // A device acknowledges its wipe, another one comes for the first time, gets a key, and is seen.
        let report =
            vec![DeviceChange::WipeSent { from: None }, DeviceChange::WipeReported { is_done: true, with_credentials: true, from: None }];
        assert_eq!(store.record(&hew, &id, &kind, report).await, Recorded::Kept);
        let new = device_id("new");
        let offer = Offer { key: PolicyKey(77), document: sent() };
        let provisioning = Provisioning { offer: Some(offer), ..Default::default() };
        let changes = vec![DeviceChange::Provisioned(provisioning.clone())];
        assert_eq!(store.record(&hew, &new, &kind, changes).await, Recorded::Kept);
        store.note(&hew, &new, &attempt(&kind), Seen::Heartbeat(480));
        assert_eq!(store.known(&hew, &new, &kind).unwrap().provisioning, provisioning, "in effect all the same");
        assert!(store.health().changes >= 2, "{:?}", store.health());

        server.start();
        eventually("it is back", async || store.health().is_connected && store.health().changes == 0 && store.health().seen == 0).await;
        let stored = store.device(&hew, &id).await.unwrap().unwrap().partnership;
        assert_eq!(stored.wipe.unwrap().state, WipeState::Acknowledged);
        let stored = async || store.device(&hew, &new).await.unwrap().unwrap().partnership;
        assert_eq!(stored().await.provisioning, provisioning);
        eventually("what was seen is written", async || stored().await.last_heartbeat_s == Some(480)).await;
        store.create_policy(&anna(), name("Other"), crate::scene::settings(&[])).await.unwrap();
        assert_eq!(store.health().dropped, 0);
        store.close().await;
    });
}

#[test]
fn memory_for_what_waits_is_bounded_and_the_bound_is_said() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let mut server = Server::new(&[], |_| ());
        let store = Store::open(&settings_for(server.url("postgres"), folder.path())).await.unwrap();
        server.stop();
        eventually("it is noticed", async || !store.health().is_connected).await;
        let (hew, kind) = (mailbox("hew"), phone());
        let devices = STORE_FACTS_MAX + 50;
        for n in 0..devices {
            store.note(&hew, &device_id(&format!("d{n}")), &attempt(&kind), Seen::Attempt);
        }
        let health = store.health();
        assert_eq!((health.seen, health.changes), (STORE_FACTS_MAX, STORE_CHANGES_MAX));
        // Of what was seen, and of the first contacts.
        assert_eq!(health.dropped, 50 + (devices - STORE_CHANGES_MAX) as u64);
        assert!(health.is_full && health.trouble().unwrap().contains("memory for it is full"), "{health:?}");
        assert_eq!(store.devices_of(&hew) as usize, devices, "in effect all the same");
        let more = store.record(&hew, &device_id("d0"), &kind, vec![DeviceChange::WipeSent { from: None }]).await;
        assert_eq!(more, Recorded::InMemoryOnly);
    });
}

fn sent() -> Sent {
    Sent {
        policy: name("Strict"),
        revision: 1,
        version: pushgate::logic::eas::Version::V14_1,
        hash: pushgate::logic::policy::document::DocumentHash(1),
        at: pushgate::logic::policy::Timestamp(1),
    }
}

#[test]
fn a_database_that_is_not_there_is_said_at_start() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let url = format!("postgres://somebody:hush@127.0.0.1:{port}/pushgate");
        let error = Store::open(&settings_for(url, folder.path())).await.err().expect("refused").to_string();
        assert!(error.contains("store.url") && error.contains("onnect"), "{error}");
        assert!(!error.contains("hush"), "{error}");
    });
}

#[test]
fn off_this_machine_it_is_tls_with_a_verified_certificate() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let (ca, certificate, key) = (folder.path().join("ca.pem"), made.cert.pem(), made.signing_key.serialize_pem());
        std::fs::write(&ca, &certificate).unwrap();
        let server = Server::new(&["ssl=on"], |data| {
            for (file, text) in [("server.crt", &certificate), ("server.key", &key)] {
                let path = data.join(file);
                std::fs::write(&path, text).unwrap();
                std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
                let owner = std::fs::metadata(data).unwrap();
                let (user, group) = (std::os::unix::fs::MetadataExt::uid(&owner), std::os::unix::fs::MetadataExt::gid(&owner));
                std::os::unix::fs::chown(&path, Some(user), Some(group)).unwrap();
            }
        });
        let url = format!("postgres://postgres@localhost:{}/postgres?sslmode=require", server.port);
        let mut settings = settings_for(url, folder.path());
        let error = Store::open(&settings).await.err().expect("nobody vouches for it").to_string();
        assert!(error.contains("certificate"), "{error}");
        settings.ca = Some(ca);
        let store = Store::open(&settings).await.unwrap_or_else(|error| panic!("{error}"));
        let encrypted = "DO $$ BEGIN IF NOT EXISTS (SELECT 1 FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid) \
                         WHERE s.ssl AND a.application_name = 'pushgate') THEN RAISE EXCEPTION 'in the clear'; END IF; END $$";
        by_hand(&server.url("postgres"), encrypted).unwrap();
        store.close().await;
    });
}
