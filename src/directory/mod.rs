//! Groups read from an LDAP directory, on a thread of their own, every `directory.refresh_s`.
//!
//! In: what the configuration says of the directory. Out: groups in the store ([`Store::take_groups`]), from where the data plane has them
//! like any others. A reading counts whole or not at all: whatever fails, the groups stay those of the last one, and the failure is
//! logged, counted, and shown by `/readyz` and `/v1/status`. Nobody waits for a directory.

mod connect;
mod failure;
mod read;
mod status;

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::watch;

use crate::config;
use crate::logic::eas::Naming;
use crate::store::{By, DIRECTORY, MembersKind, Origin, Store};
use crate::telemetry::metrics::{DIRECTORY_GROUPS, DIRECTORY_READ_TIMESTAMP, DIRECTORY_READS_TOTAL};
use failure::Failure;
use read::Reading;
pub use status::Status;

/// The first wait after a reading that failed; it doubles up to `directory.refresh_s`.
const RETRY: Duration = Duration::from_secs(30);

/// A directory that is being read; its thread ends when the last of these goes away.
#[derive(Clone)]
pub struct Directory {
    status: Arc<Mutex<Status>>,
    _stay: Arc<watch::Sender<()>>,
}

/// What the thread works with.
struct Reader {
    settings: config::Directory,
    naming: Naming,
    store: Store,
    connector: connect::Connector,
    status: Arc<Mutex<Status>>,
}

impl Directory {
    /// Starts reading, at once and then every so often.
    ///
    /// # Errors
    /// If the CA file is not what it should be, or there is no thread.
    pub fn start(settings: config::Directory, naming: Naming, store: Store) -> anyhow::Result<Self> {
        let connector = connect::Connector::new(&settings).map_err(|error| anyhow::anyhow!("directory.ca: {error}"))?;
        let (stay, leave) = watch::channel(());
        let status = Arc::new(Mutex::new(Status::default()));
        let reader = Reader { settings, naming, store, connector, status: status.clone() };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let run = move || runtime.block_on(reader.run(leave));
        std::thread::Builder::new().name("directory".into()).spawn(run).map_err(|error| no_thread(&error))?;
        Ok(Directory { status, _stay: Arc::new(stay) })
    }

    /// How the readings went.
    pub fn status(&self) -> Status {
        status::lock(&self.status).clone()
    }
}

fn no_thread(error: &io::Error) -> anyhow::Error {
    anyhow::anyhow!("no thread for the directory: {error}")
}

impl Reader {
    async fn run(self, mut leave: watch::Receiver<()>) {
        let mut retry = RETRY;
        loop {
            let wait = match self.turn().await {
                Ok(()) => {
                    retry = RETRY;
                    self.settings.refresh
                }
                Err(failure) => {
                    self.failed(&failure);
                    let wait = retry.min(self.settings.refresh);
                    retry = retry.saturating_mul(2);
                    wait
                }
            };
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                // Nothing is ever sent: the sender went away.
                _ = leave.changed() => return,
            }
        }
    }

    /// One reading and what becomes of it.
    async fn turn(&self) -> Result<(), Failure> {
        let reading = read::read(&self.settings, &self.naming, &self.connector).await?;
        self.check(&reading)?;
        let by = By { actor: DIRECTORY.into(), source: self.settings.host.clone(), token: None };
        let (groups, mailboxes) = (reading.groups.len(), reading.memberships());
        let taken = self.store.take_groups(&by, reading.groups).await.map_err(|error| Failure::Store(error.to_string()))?;
        metrics::counter!(DIRECTORY_READS_TOTAL.name, "result" => "done").increment(1);
        metrics::gauge!(DIRECTORY_GROUPS.name).set(groups as f64);
        let at = crate::store::now();
        metrics::gauge!(DIRECTORY_READ_TIMESTAMP.name).set(at.0 as f64);
        let skipped: Vec<String> = reading.skipped.into_iter().chain(taken.by_hand).collect();
        let mut status = status::lock(&self.status);
        if status.failing_since.is_some() || status.read_at.is_none() || taken.changed > 0 {
            tracing::info!(groups, mailboxes, changed = taken.changed, strangers = reading.strangers, "groups read from the directory");
        }
        if !skipped.is_empty() && skipped != status.skipped {
            tracing::warn!(groups = ?skipped, "groups of the directory not taken: no usable name, a name twice, or one that a group made by hand has");
        }
        *status = Status { read_at: Some(at), failing_since: None, error: None, groups, mailboxes, strangers: reading.strangers, skipped };
        Ok(())
    }

    /// An answer that would take everybody's policy away is not believed: somebody changed a right, a place or a filter.
    fn check(&self, reading: &Reading) -> Result<(), Failure> {
        if reading.groups.is_empty() {
            return Err(Failure::NoGroup);
        }
        let snapshot = self.store.snapshot();
        let is_ours = |name: &str| snapshot.members_record(MembersKind::Group, name).origin == Origin::Directory;
        let had_members = snapshot.assigned.groups.iter().any(|group| !group.mailboxes.is_empty() && is_ours(&group.name));
        if had_members && reading.memberships() == 0 { Err(Failure::NoMember) } else { Ok(()) }
    }

    fn failed(&self, failure: &Failure) {
        metrics::counter!(DIRECTORY_READS_TOTAL.name, "result" => failure.label()).increment(1);
        let text = failure.to_string();
        let mut status = status::lock(&self.status);
        // Said when it begins and when it changes, not every time.
        if status.error.as_ref() != Some(&text) {
            tracing::error!(error = text, "the directory cannot be read; its groups stay as they are");
        }
        status.failing_since.get_or_insert_with(crate::store::now);
        status.error = Some(text);
    }
}
