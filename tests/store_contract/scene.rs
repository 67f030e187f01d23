//! Databases, stores on them, devices and administrators.

use std::future::Future;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use pushgate::config::{self, Secret, StoreUrl};
use pushgate::logic::eas::{DeviceId, DeviceType, Mailbox, Version};
use pushgate::logic::policy::{Attempt, Changes, PolicyName};
use pushgate::store::{By, DeviceChange, Recorded, Seen, Store, StoreError};
use tempfile::TempDir;

use crate::postgres;

/// An empty database, and a folder for the files beside it.
pub struct Database {
    pub url: StoreUrl,
    pub folder: TempDir,
}

impl Database {
    pub fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Database { url: StoreUrl::Sqlite(folder.path().join("store.db")), folder }
    }

    pub fn postgres() -> Self {
        Database { url: StoreUrl::Postgres(Secret::new(postgres::new_database())), folder: tempfile::tempdir().unwrap() }
    }

    pub fn settings(&self) -> config::Store {
        config::Store {
            url: self.url.clone(),
            password: Secret::new(""),
            ca: None,
            key_file: self.key_file(),
            flush: Duration::from_millis(100),
            audit_keep: None,
        }
    }

    pub fn key_file(&self) -> PathBuf {
        self.folder.path().join("store.key")
    }

    pub async fn open(&self) -> Store {
        Store::open(&self.settings()).await.unwrap_or_else(|error| panic!("{error}"))
    }

    /// Statements by another program.
    pub fn by_hand(&self, sql: &str) -> Result<(), String> {
        match &self.url {
            StoreUrl::Sqlite(path) => rusqlite::Connection::open(path).unwrap().execute_batch(sql).map_err(|error| error.to_string()),
            StoreUrl::Postgres(url) => postgres::by_hand(url.reveal(), sql),
        }
    }
}

/// Runs a behaviour; one that hangs fails.
pub fn run(behaviour: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(Duration::from_secs(120), behaviour).await.expect("it ends") });
    runtime.shutdown_background();
}

/// Waits until something is so; things happen within seconds, and the machine may be busy.
pub async fn eventually(what: &str, is_so: impl AsyncFn() -> bool) {
    let started = Instant::now();
    while !is_so().await {
        assert!(started.elapsed() < Duration::from_secs(30), "{what}: not within 30 s");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

pub fn anna() -> By {
    By { actor: "anna".into(), source: "192.0.2.7".into(), token: None }
}

pub fn mailbox(name: &str) -> Mailbox {
    Mailbox::normalise(name, Some("example.org"), true).unwrap()
}

pub fn device_id(id: &str) -> DeviceId {
    DeviceId::new(id.as_bytes()).unwrap()
}

pub fn phone() -> DeviceType {
    DeviceType::new(b"SmartPhone").unwrap()
}

pub fn name(text: &str) -> PolicyName {
    PolicyName::new(text).unwrap()
}

pub fn settings(pairs: &[(&str, &str)]) -> Changes {
    Changes::parse(pairs.iter().copied()).unwrap()
}

pub fn attempt(device_type: &DeviceType) -> Attempt<'_> {
    Attempt { version: Version::V16_1, device_type, user_agent: Some("Apple-iPhone/1.0") }
}

/// A device that has come once.
pub async fn comes(store: &Store, mailbox: &Mailbox, id: &str) -> DeviceId {
    let id = device_id(id);
    let seen = DeviceChange::Seen { version: Version::V16_1, user_agent: Some("Apple-iPhone/1.0".into()) };
    assert_eq!(store.record(mailbox, &id, &phone(), vec![seen]).await, Recorded::Saved);
    store.note(mailbox, &id, &attempt(&phone()), Seen::Attempt);
    id
}

pub fn assert_conflict<T: std::fmt::Debug>(result: Result<T, StoreError>, current: u64) {
    assert!(matches!(result, Err(StoreError::Conflict { revision }) if revision == current), "{result:?}");
}
