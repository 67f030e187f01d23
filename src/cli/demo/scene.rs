//! The parts of the demo: backend, gateway, devices; all on loopback, in this process.

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::control;
use crate::cli::arguments;
use crate::config::Config;
use crate::gateway::open_files;
use crate::gateway::tls::Acceptor;
use crate::logic::eas::{Class, ClassSet};
use crate::standin::cas::{Cas, CasOptions, Kind};
use crate::standin::device::{Behaviour, Device, DeviceOptions};
use crate::standin::tally::Tally;
use crate::standin::tls::{ThrowAway, Trust, client_config};
use crate::standin::webhook::Webhook;

/// Everybody's domain.
const DOMAIN: &str = "example.org";
/// Workers of the stand-in CAS: held Pings would need one each.
pub(super) const WORKERS: usize = 8;
/// Pause between two devices at the beginning: 500 a second is a busy morning, not an attack.
const BETWEEN_DEVICES: Duration = Duration::from_millis(2);
/// Sockets beside those of the devices: backend connections on both sides, curl by hand.
const OTHER_SOCKETS: usize = 2_000;

/// A running gateway, as far as the demo needs it.
pub(super) struct Gateway {
    /// Where devices connect.
    pub(super) https: SocketAddr,
    /// Where notifications go.
    pub(super) internal: SocketAddr,
    /// The bearer token of the internal address.
    pub(super) token: String,
    /// Stops it in good order.
    pub(super) drain: Pin<Box<dyn Future<Output = ()>>>,
}

/// Everything that runs.
pub(super) struct Scene {
    pub(super) cas: Arc<Cas>,
    /// Where lines put mail into mailboxes.
    pub(super) control: SocketAddr,
    pub(super) gateway: Gateway,
    pub(super) tally: Arc<Tally>,
    pub(super) devices: usize,
    running: JoinSet<()>,
    /// Token and certificate; goes away with its files when this is dropped.
    directory: PrivateDirectory,
}

impl Scene {
    /// Starts the parts; the devices come one after the other.
    pub(super) async fn start<S>(arguments: &arguments::Demo, start: S) -> anyhow::Result<Scene>
    where
        S: AsyncFnOnce(Config, Acceptor) -> anyhow::Result<Gateway>,
    {
        let devices = arguments.devices as usize;
        // Both ends of each connection are in this process.
        open_files::ensure_sockets(2 * devices + OTHER_SOCKETS)?;
        let directory = PrivateDirectory::new()?;
        let backend =
            CasOptions { kind: Kind::Sogo, domain: DOMAIN.into(), workers: WORKERS, heartbeat_max_s: Some(3_540), ..CasOptions::default() };
        let cas = Cas::start(backend).await.context("the stand-in CAS")?;
        let certificate = ThrowAway::new(&["localhost", "127.0.0.1"])?;
        std::fs::write(directory.path().join("ca.pem"), &certificate.certificate_pem).context("the certificate")?;
        let acceptor = Acceptor::from_pem(&certificate.certificate_pem, &certificate.key_pem).map_err(|error| anyhow!("{error}"))?;
        let gateway = start(config(arguments, &cas, directory.path())?, acceptor).await.context("the gateway")?;
        let tally = Arc::new(Tally::new(devices));
        let options = DeviceOptions::new(gateway.https, Some(client_config(Trust::Root(certificate.certificate), true)?));
        let mut running = JoinSet::new();
        running.spawn(bring(devices, Arc::new(options), tally.clone()));
        let (cas, listener) = (Arc::new(cas), TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?);
        let control = listener.local_addr()?;
        running.spawn(control::listen(listener, cas.clone()));
        Ok(Scene { cas, control, gateway, tally, devices, running, directory })
    }

    pub(super) fn user(&self, device: usize) -> String {
        user(device)
    }

    pub(super) fn mailbox(&self, device: usize) -> String {
        format!("{}@{DOMAIN}", user(device))
    }

    /// Where token and certificate are.
    pub(super) fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub(super) fn webhook(&self) -> Webhook {
        Webhook::new(self.gateway.internal, self.gateway.token.clone())
    }

    /// Devices first, then the gateway, then the backend.
    pub(super) async fn stop(mut self) {
        self.running.shutdown().await;
        self.gateway.drain.await;
    }
}

/// Brings the devices, one user each, and keeps them going until dropped.
async fn bring(devices: usize, options: Arc<DeviceOptions>, tally: Arc<Tally>) {
    let mut running = JoinSet::new();
    // Mail is what people wait for; the other folders are there to be watched.
    let classes = [Class::Email, Class::Calendar].into_iter().collect::<ClassSet>();
    let behaviour = Arc::new(Behaviour { classes, ..Behaviour::default() });
    for number in 0..devices {
        let device = Device::new(options.clone(), &user(number), &format!("DEMO{number:08}"));
        let (behaviour, tally) = (behaviour.clone(), tally.clone());
        running.spawn(async move { behaviour.run(device, number, tally).await });
        tokio::time::sleep(BETWEEN_DEVICES).await;
    }
    while running.join_next().await.is_some() {}
}

fn user(device: usize) -> String {
    format!("user{}", device + 1)
}

/// What an operator would write, for these parts.
fn config(arguments: &arguments::Demo, cas: &Cas, directory: &Path) -> anyhow::Result<Config> {
    let loopback = |port| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
    let text = format!(
        r#"
        [listen]
        address = ["{}"]
        [backend]
        url = ["{}"]
        kind = "sogo"
        requests_per_s = 100000
        connections_max = 64
        [mailbox]
        default_domain = "{DOMAIN}"
        [internal]
        address = "{}"
        token_file = "{}"
        [store]
        url = "sqlite:{}"
        key_file = "{}"
        [notify.webhook]
        covers = ["Email", "Calendar", "Contacts", "Tasks", "Notes"]
        [drain]
        drain_s = 0
        [log]
        level = "warn"
        "#,
        loopback(arguments.port),
        cas.url(),
        loopback(arguments.internal_port),
        directory.join("token").display(),
        directory.join("store.db").display(),
        directory.join("store.key").display(),
    );
    Config::parse(&text, std::iter::empty()).map_err(|problems| {
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        anyhow!("the demo's configuration: {}", lines.join("; "))
    })
}

/// A directory that only we can read, for token and certificate.
struct PrivateDirectory(PathBuf);

impl PrivateDirectory {
    fn new() -> anyhow::Result<Self> {
        let path = std::env::temp_dir().join(format!("pushgate-demo-{}-{}", std::process::id(), super::random(usize::MAX)));
        std::fs::DirBuilder::new().mode(0o700).create(&path).with_context(|| format!("cannot make {}", path.display()))?;
        Ok(PrivateDirectory(path))
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for PrivateDirectory {
    fn drop(&mut self) {
        // What cannot be removed is left to the cleaner of temporary files.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
