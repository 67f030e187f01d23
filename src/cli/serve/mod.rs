//! `serve`: the wiring. Starts the parts, says every bound address, reloads when told, waits for a reason to leave, drains.

mod life;
mod seams;
mod sources;
mod systemd;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::arguments;
use super::{Failure, Outcome};
use crate::admin::{self, Internal, Life, token};
use crate::config::Config;
use crate::directory::Directory;
use crate::gateway::tls::Acceptor;
use crate::gateway::{Gateway, open_files};
use crate::mail::Postman;
use crate::notify::{Intake, Supervisor};
use crate::store::Store;
use crate::telemetry;
pub use life::Conductor;
use seams::{InternalTls, Sink, View};

/// How often certificate files are looked at.
const CERTIFICATES_LOOKED_AT: Duration = Duration::from_secs(5);

/// Beyond the times of `[drain]`: two seconds for the last answers, two for the internal address, and some.
const LEAVE_MARGIN: Duration = Duration::from_secs(10);

/// `pushgate serve`
pub fn run(arguments: &arguments::Serve) -> Outcome {
    let config = super::load(&arguments.config)?;
    telemetry::log::start(&config.log).map_err(|error| Failure::Failed(error.to_string()))?;
    let acceptor = Acceptor::new(&config.tls).map_err(|error| Failure::Usage(error.to_string()))?;
    raise_open_files(&config);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::Failed(format!("cannot start: {error}")))?;
    let outcome = runtime.block_on(async {
        let running = start_from(config, acceptor, Some(arguments.config.clone())).await;
        let running = running.map_err(|error| Failure::Failed(format!("{error:#}")))?;
        // Before it says that it is ready: whoever reads that may send signals.
        let mut signals = Signals::new().map_err(|error| Failure::Failed(format!("cannot wait for signals: {error}")))?;
        tracing::info!(version = env!("CARGO_PKG_VERSION"), devices = ?running.https, internal = %running.internal, "ready");
        systemd::ready(None);
        let tasks = [tokio::spawn(watch_certificates(running.gateway.clone())), tokio::spawn(systemd::tend(running.gateway.clone()))];
        let reason = running.live(&mut signals).await;
        let held = running.gateway.lots.held();
        tracing::info!(reason, held, "draining");
        tasks.iter().for_each(JoinHandle::abort);
        tokio::spawn(signals.leave_at_once());
        let patience = running.gateway.config.drain.total() + LEAVE_MARGIN;
        systemd::stopping(held, patience);
        match tokio::time::timeout(patience, running.drain()).await {
            Ok(()) => tracing::info!("left"),
            Err(_) => tracing::warn!("not everything ended in time; leaving all the same"),
        }
        telemetry::log::end_window();
        Ok(())
    });
    // Dropped, it would wait for threads that ask the name server or read a file, however long they take.
    runtime.shutdown_background();
    outcome
}

/// A connection is a file; the limit that services start with is for something else.
fn raise_open_files(config: &Config) {
    match open_files::raise_to_most() {
        Ok(limit) if limit < (config.limits.connections_max + config.limits.parked_max) as u64 => {
            tracing::info!(limit, "open files bound the number of connections; raise LimitNOFILE for more");
        }
        Ok(_) => {}
        Err(error) => tracing::warn!(%error, "the limit of open files could not be raised"),
    }
}

/// A gateway with its addresses bound.
pub struct Running {
    /// Where devices connect, as bound.
    pub https: Vec<SocketAddr>,
    /// REST, metrics and notifications.
    pub internal: SocketAddr,
    /// Token of the internal address.
    pub token: String,
    /// The data plane.
    pub gateway: Arc<Gateway>,
    /// Partnerships, policies, the audit trail.
    pub store: Store,
    /// Told to reload or to leave.
    pub life: Arc<Conductor>,
    tasks: Vec<JoinHandle<()>>,
    internal_task: (oneshot::Sender<()>, JoinHandle<io::Result<()>>),
}

/// Starts everything. All addresses are bound when it returns, and readiness says so.
///
/// # Errors
/// The first thing that stopped it, with what it was about.
pub async fn start(config: Config, acceptor: Acceptor) -> anyhow::Result<Running> {
    start_from(config, acceptor, None).await
}

/// As [`start`]; `file` is where the configuration is read again when it is reloaded.
///
/// # Errors
/// As [`start`].
pub async fn start_from(config: Config, acceptor: Acceptor, file: Option<PathBuf>) -> anyhow::Result<Running> {
    let metrics = telemetry::install();
    let token = token::load_or_create(&config.internal.token_file).map_err(|error| anyhow::anyhow!("internal.token_file: {error}"))?;
    let token_text = token.reveal().to_owned();
    let internal_listener = TcpListener::bind(config.internal.address).await;
    let internal_listener =
        internal_listener.map_err(|error| anyhow::anyhow!("cannot listen on internal.address {}: {error}", config.internal.address))?;
    let store = Store::open(&config.store).await?;
    let gateway = Gateway::start(config, acceptor, store.clone())?;
    let listeners = gateway.bind()?;
    let https = listeners.iter().map(|listener| listener.local_addr()).collect::<Result<_, _>>()?;

    let supervisor = Arc::new(Supervisor::new(&gateway.config.notify));
    let directory = gateway.config.directory.clone();
    let directory = directory.map(|settings| Directory::start(settings, gateway.config.mailbox.clone(), store.clone())).transpose()?;
    let view = View::new(gateway.clone(), supervisor.clone(), store.clone(), directory);
    let mut tasks = vec![tokio::spawn(telemetry::upkeep(metrics.clone())), tokio::spawn(view.clone().refresh())];
    tasks.push(tokio::spawn(sources::tell_lots(gateway.clone(), supervisor.subscribe())));
    tasks.push(tokio::spawn(supervisor.clone().run()));
    tasks.extend(gateway.config.mail.clone().map(|mail| tokio::spawn(Postman::new(mail).run(store.news()))));
    tasks.extend(listeners.into_iter().map(|listener| tokio::spawn(listener.run(gateway.clone()))));

    let token = Arc::new(ArcSwap::from_pointee(token));
    let life = Arc::new(Conductor::new(gateway.clone(), token.clone(), file));
    let config = &gateway.config;
    let router = admin::router(Internal {
        token,
        intake: Intake::new(Arc::new(Sink(gateway.lots.clone())), &config.mailbox, &config.notify, supervisor),
        view: Arc::new(view),
        metrics,
        store: store.clone(),
        life: life.clone(),
        mailboxes: config.mailbox.clone(),
    });
    let internal = internal_listener.local_addr()?;
    let (leave, leaving) = oneshot::channel::<()>();
    let leaving = async { drop(leaving.await) };
    let internal_task = if internal.ip().is_loopback() {
        tokio::spawn(admin::serve(internal_listener, admin::Plain, router, leaving))
    } else {
        tokio::spawn(admin::serve(internal_listener, InternalTls(gateway.clone()), router, leaving))
    };
    Ok(Running { https, internal, token: token_text, gateway, store, life, tasks, internal_task: (leave, internal_task) })
}

impl Running {
    /// Reloads when told; the reason to leave, once there is one.
    async fn live(&self, signals: &mut Signals) -> &'static str {
        loop {
            tokio::select! {
                _ = signals.terminate.recv() => return "SIGTERM",
                _ = signals.interrupt.recv() => return "SIGINT",
                () = self.life.is_to_leave() => return "an administrator",
                _ = signals.hang_up.recv() => drop(self.life.reload().await),
            }
        }
    }

    /// Answers held Pings over `drain.drain_s`, ends what is active, and stops. The internal address goes last.
    pub async fn drain(self) {
        self.gateway.drain().await;
        self.tasks.iter().for_each(JoinHandle::abort);
        let (leave, task) = self.internal_task;
        drop(leave);
        // It ends by itself two seconds after it was told to.
        let _ = task.await;
        self.store.close().await;
    }
}

/// SIGTERM from a service manager, SIGINT from a person, SIGHUP from either.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    fn new() -> io::Result<Signals> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// While it leaves, another signal ends the process at once.
    async fn leave_at_once(mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
        tracing::warn!("a second signal: leaving at once");
        std::process::exit(1);
    }
}

/// Takes over changed certificate files; held connections keep theirs.
async fn watch_certificates(gateway: Arc<Gateway>) {
    let mut last_error = None;
    loop {
        tokio::time::sleep(CERTIFICATES_LOOKED_AT).await;
        let gateway = gateway.clone();
        let Ok(reloaded) = tokio::task::spawn_blocking(move || gateway.acceptor.reload()).await else { return };
        match reloaded {
            Ok(is_news) => {
                last_error = None;
                if is_news {
                    tracing::info!("certificates reloaded");
                }
            }
            // While a file is being replaced it may be half there; said once, not every five seconds.
            Err(error) => {
                let text = error.to_string();
                if last_error.as_ref() != Some(&text) {
                    tracing::error!(error = text, "certificates not reloaded; the old ones stay");
                }
                last_error = Some(text);
            }
        }
    }
}
