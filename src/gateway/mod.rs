//! The data plane: device connections in, backend requests out, held Pings in between.
//!
//! ```text
//! listener ─► proxy_protocol ─► tls ─► connection (hyper) ─► exchange ─┬─► backend (forward; observe learns on the way back)
//!     ▲                                    ▲                           └─► lots ─► lot_thread (mio; logic::hold decides)
//!     └── one task a connection            └──────── resume: the next request's first byte ────────┘
//! ```
//! An active connection is a tokio task with hyper in it; a parked one is a slot in a lot thread and nothing else.

pub mod backend;
mod body;
mod check;
mod client_certificate;
mod connection;
mod core_dumps;
mod crowd;
mod delivery;
mod drain;
mod exchange;
mod gate;
mod gathering;
mod handshakes;
mod hanging_sync;
mod heartbeats;
mod listener;
mod liveness;
mod lot_thread;
pub mod lots;
mod observe;
mod observed;
pub mod open_files;
mod own;
mod pace;
mod parked;
#[doc(hidden)]
pub mod proxy_protocol;
mod reading;
mod reload;
mod repeats;
mod shield;
mod sync_memory;
pub mod tls;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::watch;

use crate::config::limits::HANDSHAKE_UNDISTURBED;
use crate::config::{Config, Live};
use crate::logic::decide::PingBounds;
use crate::logic::eas::ClassSet;
use crate::logic::heartbeats::Heartbeats;
use crate::logic::hold::LotOptions;
use crate::logic::hold::folders::Coverage;
use crate::store::Store;
use backend::{Backend, Checker, SetupError, Verdicts};
pub use gate::{Found, Gate, TurnedAway, Who};
use liveness::Beats;
use lots::{Lots, Note};
pub use parked::{Parked, Peer};
pub use repeats::Looping;
pub use shield::Whom;
use tls::Acceptor;

/// Everything a connection needs, shared by all of them.
pub struct Gateway {
    /// What is configured, as of the last reload.
    pub config: Live<Config>,
    /// Ends the devices' TLS.
    pub acceptor: Acceptor,
    /// Held Pings.
    pub lots: Lots,
    backend: Backend,
    verdicts: Verdicts,
    checker: Checker,
    /// Last Syncs of devices that use hanging Sync.
    syncs: sync_memory::SyncMemory,
    /// Devices that repeat a password which the backend has just rejected.
    shields: shield::Shields,
    /// Devices that ask the same over and over.
    repeating: repeats::Repeating,
    heartbeats: std::sync::Mutex<Heartbeats>,
    /// `None`: policies are the backend's.
    gate: Option<gate::Gate>,
    runtime: Handle,
    /// Connections that are a task at this moment.
    active: AtomicUsize,
    handshakes: handshakes::Handshakes,
    crowd: crowd::Crowd,
    body_room: gathering::BodyRoom,
    checks_running: AtomicUsize,
    /// Not ready any more.
    leaving: watch::Sender<bool>,
    /// Nobody is accepted any more.
    draining: watch::Sender<bool>,
    /// Answers of the accept loops to being asked whether they live.
    accepting: Beats,
    lot_threads: std::sync::Mutex<Vec<JoinHandle<()>>>,
}

impl Gateway {
    /// Starts the lot threads; no address is bound yet. Must be called inside a tokio runtime. The store is closed by whoever opened it.
    ///
    /// # Errors
    /// Backend settings that cannot work, or a system out of descriptors or threads.
    pub fn start(config: Config, acceptor: Acceptor, store: Store) -> Result<Arc<Self>, StartError> {
        let backend = Backend::new(&config.backend, &config.limits)?;
        let (lots, inboxes) = Lots::new(config.limits.lots, config.limits.inbox_max, config.backend.checks_max)?;
        let gateway = Arc::new(Gateway {
            acceptor,
            lots,
            verdicts: Verdicts::new(backend.clone(), &config.auth),
            checker: Checker::new(backend.clone(), &config.backend, &config.limits),
            syncs: sync_memory::SyncMemory::new(config.limits.device_forget),
            shields: shield::Shields::new(&config.auth),
            repeating: repeats::Repeating::new(),
            heartbeats: std::sync::Mutex::default(),
            gate: config.provision.is_here.then(|| gate::Gate::new(store, config.provision.devices_max)),
            backend,
            runtime: Handle::current(),
            active: AtomicUsize::new(0),
            handshakes: handshakes::Handshakes::new(config.limits.handshakes_max, HANDSHAKE_UNDISTURBED),
            crowd: crowd::Crowd::new(),
            body_room: gathering::BodyRoom::new(config.limits.bodies_bytes_max),
            checks_running: AtomicUsize::new(0),
            leaving: watch::Sender::new(false),
            draining: watch::Sender::new(false),
            lot_threads: std::sync::Mutex::default(),
            config: Live::new(config),
            accepting: Beats::default(),
        });
        for (number, inbox) in inboxes.into_iter().enumerate() {
            let thread = lot_thread::LotThread::new(gateway.clone(), number, inbox);
            let handle = std::thread::Builder::new().name(format!("lot-{number}")).spawn(move || thread.run())?;
            gateway.threads().push(handle);
        }
        gate::start_recalling(&gateway);
        Ok(gateway)
    }

    /// Device connections, active and parked.
    pub fn connections(&self) -> usize {
        self.active.load(Ordering::Relaxed) + self.lots.parked()
    }

    /// Those of them that are a task.
    pub fn active(&self) -> usize {
        self.active.load(Ordering::Relaxed)
    }

    /// Requests sent to backends since the start, checks and verdicts included.
    pub fn backend_requests(&self) -> u64 {
        self.backend.requests_total()
    }

    /// Requests that wait for their turn under `backend.requests_per_s`.
    pub fn backend_waiting(&self) -> usize {
        self.backend.waiting()
    }

    /// Checks under way.
    pub fn checks_running(&self) -> usize {
        self.checks_running.load(Ordering::Relaxed)
    }

    fn threads(&self) -> std::sync::MutexGuard<'_, Vec<JoinHandle<()>>> {
        self.lot_threads.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// One lot's share of the configuration.
    fn lot_options(&self) -> LotOptions {
        let Config { ping, backend, notify, limits, .. } = &*self.config;
        let covered = notify.webhook.unwrap_or_default().union(notify.dovecot.unwrap_or_default());
        let lots = limits.lots;
        LotOptions {
            ping: PingBounds {
                heartbeat_min_s: ping.heartbeat_min_s,
                heartbeat_max_s: ping.heartbeat_max_s,
                folders_max: ping.folders_max,
            },
            coverage: Coverage {
                covered,
                covers_hierarchy: notify.dovecot.is_some() && notify.dovecot_folders,
                epoch: 0,
                trust: notify.trust,
                poll: backend.poll_interval,
                settle: notify.settle,
            },
            resolve: backend.resolve,
            resolve_gap: Duration::from_secs(1) * lots as u32 / backend.resolve_per_s,
            idle: limits.idle,
            devices_max: limits.devices_max.div_ceil(lots),
            device_forget: limits.device_forget,
            guards: Default::default(),
        }
    }

    /// Tells every lot what the sources cover from now on (classes, and whether the folder list), and how long a proof lasts that
    /// rests on them. What was proven before the change number `epoch` is in doubt; the lots clear it at their pace.
    pub async fn cover(&self, (covered, covers_hierarchy): (ClassSet, bool), trust: Duration, epoch: u64) {
        let coverage = Coverage { covered, covers_hierarchy, trust, epoch, ..self.lot_options().coverage };
        self.lots.send_all(|| Note::Coverage(coverage)).await;
    }

    /// Classes that a source reports.
    pub fn covered(&self) -> ClassSet {
        self.lot_options().coverage.covered
    }

    /// The place of an address's network in the configuration.
    fn network_of(&self, ip: IpAddr) -> Option<usize> {
        self.config.networks.iter().position(|network| network.cidr.iter().any(|net| net.contains(&ip)))
    }

    fn is_trusted(&self, ip: IpAddr) -> bool {
        self.config.listen.trusted_proxies.iter().any(|net| net.contains(&ip))
    }
}

/// Why the gateway did not start.
#[derive(Debug)]
pub enum StartError {
    /// A backend setting.
    Backend(SetupError),
    /// The system: descriptors, threads, addresses.
    System(std::io::Error),
}

impl std::fmt::Display for StartError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            StartError::Backend(error) => error.fmt(f),
            StartError::System(error) => write!(f, "the system refused: {error}"),
        }
    }
}

impl std::error::Error for StartError {}

impl From<SetupError> for StartError {
    fn from(error: SetupError) -> Self {
        StartError::Backend(error)
    }
}

impl From<std::io::Error> for StartError {
    fn from(error: std::io::Error) -> Self {
        StartError::System(error)
    }
}
