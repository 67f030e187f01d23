//! A stand-in CAS: an HTTP server on a socket of its own that behaves like an ActiveSync server, with real state.
//!
//! In: HTTP/1.1 requests and calls of [`Cas`] that change a mailbox. Out: answers, in the manner of the [`Kind`] it stands for,
//! and counters of what it was asked. Users need not be made: any name with the right password has a mailbox with the
//! usual folders.
//!
//! A connection comes in at `listen`, a request at `http`; it waits for one of the `workers`, is done by the file of its command, and may wait
//! in `held`. What the kinds do differently is one table, `manners`. Everything else is `mailbox`.

mod body;
mod faults;
mod folders;
mod held;
mod http;
mod listen;
mod mailbox;
mod manners;
mod ping;
mod policy;
mod record;
mod shared;
mod small;
mod sync;
mod sync_request;
mod workers;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rustls::ServerConfig;
use tokio::net::TcpListener;
use tokio::sync::watch;

pub use self::faults::{Fault, FaultRule};
use self::listen::Door;
pub use self::record::Recorded;
use self::shared::{Shared, Who};
pub use self::workers::Waits;
use crate::config::BackendKind;
use crate::logic::eas::{Command, Version};

/// What a backend is.
pub type Kind = BackendKind;

/// How a stand-in behaves.
#[derive(Debug, Clone)]
pub struct CasOptions {
    /// Where it listens; port 0: any free one.
    pub bind: SocketAddr,
    /// HTTPS with this; `None`: plain HTTP.
    pub tls: Option<Arc<ServerConfig>>,
    /// What it stands for.
    pub kind: Kind,
    /// The domain of users without one; `hew`, `X\hew` and `hew@domain` are one mailbox.
    pub domain: String,
    /// Everybody's password.
    pub password: String,
    /// Whether OPTIONS needs the password.
    pub options_asks_password: bool,
    /// Whether devices must take a policy (Provision) before they are answered anything else.
    pub wants_policy: bool,
    /// Requests served at once; a held one counts as long as it is held (except for Exchange).
    pub workers: usize,
    /// Requests that wait for a worker; more get 503.
    pub queue_max: usize,
    /// Instead of the kind's own minimum heartbeat, in protocol seconds.
    pub heartbeat_min_s: Option<u32>,
    /// Instead of the kind's own maximum heartbeat.
    pub heartbeat_max_s: Option<u32>,
    /// Instead of the kind's own interval between two looks of a held request.
    pub poll_s: Option<u32>,
    /// How long a protocol second takes: tests make it short.
    pub second: Duration,
    /// How many of the last requests are kept as they came; 0: none.
    pub record_max: usize,
}

impl Default for CasOptions {
    fn default() -> Self {
        CasOptions {
            bind: SocketAddr::from(([127, 0, 0, 1], 0)),
            tls: None,
            kind: Kind::Other,
            domain: "example.org".into(),
            password: "test".into(),
            options_asks_password: true,
            wants_policy: false,
            workers: usize::MAX,
            queue_max: usize::MAX,
            heartbeat_min_s: None,
            heartbeat_max_s: None,
            poll_s: None,
            second: Duration::from_secs(1),
            record_max: 0,
        }
    }
}

/// An item in any mailbox of a stand-in; unique in it. A device sees it as `<folder id>:<number>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ItemId(pub u64);

impl ItemId {
    /// The item that a device calls so.
    pub fn of_server_id(server_id: &str) -> Option<Self> {
        server_id.rsplit_once(':')?.1.parse().ok().map(ItemId)
    }
}

/// A running stand-in; it stops, with all its connections, when this is dropped.
#[derive(Debug)]
pub struct Cas {
    shared: Arc<Shared>,
    address: SocketAddr,
    connections: watch::Sender<Door>,
}

impl Cas {
    /// Starts one.
    ///
    /// # Errors
    /// The address cannot be bound.
    pub async fn start(options: CasOptions) -> std::io::Result<Cas> {
        let listener = TcpListener::bind(options.bind).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::new(options));
        let connections = watch::Sender::new(Door::Open);
        tokio::spawn(listen::accept(listener, shared.clone(), connections.subscribe()));
        Ok(Cas { shared, address, connections })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its base address, for `backend.url`.
    pub fn url(&self) -> String {
        let scheme = if self.shared.options.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// Puts a new item into a folder, by the folder's name ("Inbox", "Calendar"), and wakes who waits for it.
    ///
    /// # Panics
    /// The mailbox has no folder of that name.
    pub fn deliver(&self, user: &str, folder: &str) -> ItemId {
        let item = self.shared.next_item();
        self.with_folder(user, folder, |folder| folder.add(item, None));
        item
    }

    /// Changes an item (marks it read or unread); false: it is not there.
    ///
    /// # Panics
    /// The mailbox has no folder of that name.
    pub fn change(&self, user: &str, folder: &str, item: ItemId) -> bool {
        self.with_folder(user, folder, |folder| folder.edit(item, None, |item| item.is_read = !item.is_read))
    }

    /// Deletes an item; false: it is not there.
    ///
    /// # Panics
    /// The mailbox has no folder of that name.
    pub fn remove(&self, user: &str, folder: &str, item: ItemId) -> bool {
        self.with_folder(user, folder, |folder| folder.edit(item, None, |item| item.is_gone = true))
    }

    fn with_folder<T>(&self, user: &str, name: &str, work: impl FnOnce(&mut mailbox::Folder) -> T) -> T {
        self.shared.with_mailbox(&self.shared.mailbox_name(user), |mailbox| {
            let folder = mailbox.folder_by_name(name);
            let done = work(folder.unwrap_or_else(|| panic!("{user} has no folder \"{name}\"")));
            mailbox.tell();
            done
        })
    }

    /// Makes a folder under the root, with FolderSync's Type (12: mail, 13: calendar, …).
    pub fn create_folder(&self, user: &str, name: &str, folder_type: u8) {
        self.shared.with_mailbox(&self.shared.mailbox_name(user), |mailbox| mailbox.create_folder(0, name, folder_type));
    }

    /// Renames a folder; false: it is not there.
    pub fn rename_folder(&self, user: &str, name: &str, new_name: &str) -> bool {
        self.edit_folder(user, name, |folder| folder.name = new_name.to_owned())
    }

    /// Deletes a folder; false: it is not there.
    pub fn remove_folder(&self, user: &str, name: &str) -> bool {
        self.edit_folder(user, name, |folder| folder.is_gone = true)
    }

    fn edit_folder(&self, user: &str, name: &str, edit: impl FnOnce(&mut mailbox::Folder)) -> bool {
        self.shared.with_mailbox(&self.shared.mailbox_name(user), |mailbox| {
            let number = mailbox.folder_by_name(name).map(|folder| folder.number);
            number.inspect(|&number| mailbox.edit_folder(number, edit)).is_some()
        })
    }

    /// The id of a folder as that device sees it.
    pub fn folder_id(&self, user: &str, device: &str, folder: &str) -> Option<String> {
        let mailbox = self.shared.mailbox_name(user);
        let who = Who { mailbox: mailbox.clone(), device: device.to_lowercase(), version: Version::V14_1 };
        self.shared.with_mailbox(&mailbox, |mailbox| Some(self.shared.folder_id(&who, mailbox.folder_by_name(folder)?)))
    }

    /// How often a command was asked for, with the right password.
    pub fn count(&self, command: Command) -> u64 {
        self.shared.records.of(command)
    }

    /// How often this user asked for it.
    pub fn count_of(&self, user: &str, command: Command) -> u64 {
        self.shared.records.of_user(&self.shared.mailbox_name(user), command)
    }

    /// How many requests came, of any kind.
    pub fn requests(&self) -> u64 {
        self.shared.records.total.load(Ordering::Relaxed)
    }

    /// How many OPTIONS were answered.
    pub fn options_count(&self) -> u64 {
        self.shared.records.options.load(Ordering::Relaxed)
    }

    /// How many Autodiscover requests were answered.
    pub fn autodiscover_count(&self) -> u64 {
        self.shared.records.autodiscovers.load(Ordering::Relaxed)
    }

    /// How many requests got 401.
    pub fn unauthorized_count(&self) -> u64 {
        self.shared.records.unauthorized.load(Ordering::Relaxed)
    }

    /// How many requests got 503 because the queue was full.
    pub fn turned_away_count(&self) -> u64 {
        self.shared.records.turned_away.load(Ordering::Relaxed)
    }

    /// Workers busy now.
    pub fn workers_busy(&self) -> usize {
        self.shared.workers.busy()
    }

    /// Most workers busy at once so far.
    pub fn workers_busy_max(&self) -> usize {
        self.shared.workers.busy_max()
    }

    /// Most Pings served at once so far; one whose device hung up counts as long as it keeps its worker.
    pub fn pings_max(&self) -> usize {
        self.shared.pings.max()
    }

    /// Requests waiting for a worker now.
    pub fn queued(&self) -> usize {
        self.shared.workers.queued()
    }

    /// How long requests waited for a worker since this was last asked; those that still wait count each time.
    pub fn take_waits(&self) -> Waits {
        self.shared.workers.take_waits()
    }

    /// What heartbeats it takes and how it looks for changes, in words.
    pub fn manner(&self) -> String {
        self.shared.manners.to_string()
    }

    /// The last requests as they came, oldest first (see [`CasOptions::record_max`]).
    pub fn recorded(&self) -> Vec<Recorded> {
        self.shared.records.last()
    }

    /// Makes it misbehave; replaces the rules before. An empty list makes it well again.
    pub fn set_faults(&self, rules: Vec<FaultRule>) {
        self.shared.faults.set(rules);
    }

    /// Resets new connections (true) or takes them again; those that are there stay.
    pub fn refuse_connections(&self, refuse: bool) {
        self.connections.send_replace(if refuse { Door::Refusing } else { Door::Open });
    }
}
