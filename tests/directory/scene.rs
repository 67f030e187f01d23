//! A store, and a directory that is read into it.

use std::time::{Duration, Instant};

use pushgate::config::Config;
use pushgate::directory::{Directory, Status};
use pushgate::logic::eas::Mailbox;
use pushgate::store::{By, MembersKind, Origin, Store};
use tempfile::TempDir;

/// What a test looks at.
pub struct Scene {
    pub store: Store,
    pub directory: Option<Directory>,
    config: Config,
    _folder: TempDir,
}

/// Everything is read once a second.
pub async fn scene(section: &str) -> Scene {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let text = format!(
        "[mailbox]\ndefault_domain = \"example.org\"\n[store]\nurl = \"sqlite:{}\"\nkey_file = \"{}\"\n{section}",
        path("store.db"),
        path("store.key")
    );
    let config = Config::parse(&text, std::iter::empty()).unwrap_or_else(|problems| panic!("{problems:?}"));
    let store = Store::open(&config.store).await.unwrap();
    let mut scene = Scene { store, directory: None, config, _folder: folder };
    scene.start();
    scene
}

impl Scene {
    pub fn start(&mut self) {
        let settings = self.config.directory.clone().unwrap();
        self.directory = Some(Directory::start(settings, self.config.mailbox.clone(), self.store.clone()).unwrap());
    }

    pub fn status(&self) -> Status {
        self.directory.as_ref().unwrap().status()
    }

    /// Who is in a group; `None` if there is none.
    pub fn members(&self, name: &str) -> Option<Vec<String>> {
        let snapshot = self.store.snapshot();
        let group = snapshot.assigned.groups.iter().find(|group| group.name == name)?;
        Some(group.mailboxes.iter().map(Mailbox::to_string).collect())
    }

    pub fn origin(&self, name: &str) -> Origin {
        self.store.snapshot().members_record(MembersKind::Group, name).origin
    }

    /// Waits until the directory was read, or could not be.
    pub async fn read(&self) -> Status {
        eventually("a reading", async || self.status().read_at.is_some() || self.status().error.is_some()).await;
        self.status()
    }

    /// Waits for readings that began after this.
    pub async fn fails(&self, what: &str) {
        eventually(what, async || self.status().error.is_some_and(|error| error.contains(what))).await;
    }
}

pub async fn eventually(what: &str, is_so: impl AsyncFn() -> bool) {
    let started = Instant::now();
    while !is_so().await {
        assert!(started.elapsed() < Duration::from_secs(60), "{what}: not within a minute");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

pub fn anna() -> By {
    By { actor: "anna".into(), source: "192.0.2.7".into(), token: None }
}
