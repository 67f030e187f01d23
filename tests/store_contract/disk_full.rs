//! SQLite on a disk that is full: a file system of two megabytes.

use pushgate::config::{Secret, StoreUrl};
use pushgate::store::{DeviceChange, Recorded, Seen, Store, StoreError};

use crate::scene::*;

/// A small file system that goes away with it.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mounted = std::process::Command::new("mount").args(["-t", "tmpfs", "-o", "size=2m", "tmpfs"]).arg(folder.path()).status();
        assert!(mounted.is_ok_and(|status| status.success()), "a small tmpfs can be mounted");
        SmallDisk(folder)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // What cannot be taken away is in the temporary folder.
        let _ = std::process::Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[test]
fn a_full_disk_is_an_error_and_nothing_is_half_saved() {
    if !crate::postgres::is_root() {
        // Whoever may not mount is root of a namespace of their own.
        let mut again = std::process::Command::new("unshare");
        again.args(["--map-root-user", "--mount", "--"]).arg(std::env::current_exe().unwrap());
        let status = again.args(["--exact", "disk_full::a_full_disk_is_an_error_and_nothing_is_half_saved"]).status().unwrap();
        assert!(status.success(), "needs root, or user namespaces");
        return;
    }
    run(async {
        let disk = SmallDisk::mount();
        let path = disk.0.path().join("store.db");
        let settings = pushgate::config::Store {
            url: StoreUrl::Sqlite(path.clone()),
            password: Secret::new(""),
            ca: None,
            key_file: disk.0.path().join("store.key"),
            flush: std::time::Duration::from_millis(100),
            audit_keep: None,
        };
        let store = Store::open(&settings).await.unwrap();
        let (hew, kind) = (mailbox("hew"), phone());
        let id = comes(&store, &hew, "abc").await;
        store.create_policy(&anna(), name("Strict"), crate::scene::settings(&[])).await.unwrap();

        let ballast = disk.0.path().join("ballast");
        // As much as there is, whatever that is.
        let _ = std::fs::write(&ballast, vec![1; 4 << 20]);
        let many = (0..20_000).map(|n| (mailbox(&format!("user{n}")), Some(name("Strict")))).collect();
        let refused = store.assign_mailboxes(&anna(), many).await;
        assert!(matches!(&refused, Err(StoreError::Unavailable(why)) if why.contains("full")), "{refused:?}");
        assert!(store.snapshot().mailboxes.is_empty(), "nothing is half-saved");
        assert!(store.health().trouble().is_some_and(|trouble| trouble.contains("is the disk full?")), "{:?}", store.health());
        store.note(&hew, &id, &attempt(&kind), Seen::Heartbeat(480));
        let agent = "x".repeat(500);
        let mut kept = 0;
        for n in 0..200 {
            let seen = DeviceChange::Seen { version: pushgate::logic::eas::Version::V14_1, user_agent: Some(format!("{n}{agent}")) };
            let wait = std::time::Duration::from_millis(50);
            let recorded = tokio::time::timeout(wait, store.record(&hew, &device_id(&format!("d{n}")), &kind, vec![seen])).await;
            kept += u32::from(recorded != Ok(Recorded::Saved));
        }
        assert!(kept > 0, "the disk is full");
        assert!(store.known(&hew, &device_id("d199"), &kind).is_some(), "in effect all the same");

        std::fs::remove_file(&ballast).unwrap();
        eventually("all is written", async || store.health().changes == 0 && store.health().seen == 0).await;
        assert_eq!(store.devices(Default::default(), 0, 1_000).await.unwrap().devices.len(), 201);
        assert_eq!((store.health().dropped, store.health().trouble()), (0, None));
        store.create_policy(&anna(), name("Other"), crate::scene::settings(&[])).await.unwrap();
        store.close().await;
        let integrity: String =
            rusqlite::Connection::open(&path).unwrap().query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(integrity, "ok");
    });
}
