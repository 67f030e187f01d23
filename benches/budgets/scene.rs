//! What runs: the gateway, the stand-in CAS, crews of devices; all on loopback, all ended with the scene.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::ops::Range;
use std::path::Path;
use std::process::{Child as Process, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use pushgate::standin::tls::ThrowAway;
use pushgate::standin::webhook::Webhook;
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::cas;
use super::child::Child;
use super::crew::{Order, Question, Report};
use super::process::{self, Memory};

/// New devices a second: two cores do their handshakes, their logins, and the stand-in's share.
const RATE: f64 = 800.0;
/// Time for any number of devices to be held.
const HELD_WITHIN: Duration = Duration::from_secs(90);
/// A heartbeat that does not end here.
const HEARTBEAT_S: u32 = 3_540;

/// Everything that runs.
pub struct Scene {
    /// Asks the gateway and notifies it.
    pub webhook: Webhook,
    /// For whatever talks to the gateway.
    pub runtime: Runtime,
    cas: Child,
    /// Processes of devices, oldest first.
    pub crews: Vec<Child>,
    /// Devices in them.
    pub devices: usize,
    gateway: Process,
    target: SocketAddr,
    internal: SocketAddr,
    /// Goes away with the scene.
    directory: TempDir,
}

impl Scene {
    /// The gateway (this program) and the CAS, without a device.
    pub fn start(program: &Path) -> anyhow::Result<Scene> {
        let directory = tempfile::tempdir()?;
        let mut cas = Child::start("cas", &"")?;
        let cas_address: SocketAddr = cas.read()?;
        let (target, internal) = (free_address()?, free_address()?);
        let pair = ThrowAway::new(&["localhost"])?;
        let file = |name: &str| directory.path().join(name);
        std::fs::write(file("cert.pem"), &pair.certificate_pem)?;
        std::fs::write(file("key.pem"), &pair.key_pem)?;
        let config = format!(
            "[listen]\naddress = [\"{target}\"]\n[tls]\ncertificate = \"cert.pem\"\nprivate_key = \"key.pem\"\n\
             [backend]\nurl = [\"http://{cas_address}\"]\nkind = \"sogo\"\nrequests_per_s = 100000\n[mailbox]\ndefault_domain = \"example.org\"\n\
             [internal]\naddress = \"{internal}\"\n[ping]\nheartbeat_min_s = 1\n\
             [notify.webhook]\ncovers = [\"Email\", \"Calendar\", \"Contacts\", \"Tasks\", \"Notes\"]\n"
        );
        std::fs::write(file("pushgate.toml"), config)?;
        let log = std::fs::File::create(file("gateway.log"))?;
        let gateway = Command::new(program)
            .args(["serve", "--config", "pushgate.toml"])
            .current_dir(directory.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("the gateway cannot be started")?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let webhook = Webhook::new(internal, "");
        let mut scene = Scene { webhook, runtime, cas, crews: Vec::new(), devices: 0, gateway, target, internal, directory };
        scene.until("the gateway is ready", Duration::from_secs(10), |scene| {
            let ready = scene.runtime.block_on(scene.webhook.call("GET", "/readyz", String::new()));
            Ok(ready.is_ok_and(|answer| answer.status == 200))
        })?;
        scene.webhook = scene.another_webhook()?;
        Ok(scene)
    }

    /// One more connection to the gateway's internal address, made already.
    pub fn another_webhook(&self) -> anyhow::Result<Webhook> {
        let token = std::fs::read_to_string(self.directory.path().join("pushgate.token")).context("the gateway's token")?;
        let mut webhook = Webhook::new(self.internal, token.trim());
        self.runtime.block_on(webhook.call("GET", "/healthz", String::new()))?;
        Ok(webhook)
    }

    /// A message for each of these users: a wake without one would be looked into again by the gateway.
    pub fn deliver(&mut self, numbers: Range<usize>) -> anyhow::Result<()> {
        self.cas.ask::<u64>(&cas::Order::Deliver(numbers)).map(drop)
    }

    /// Requests that the CAS has had.
    pub fn backend_requests(&mut self) -> anyhow::Result<u64> {
        self.cas.ask(&cas::Order::Count)
    }

    /// More devices, in a process of their own; returns when all are held.
    pub fn add(&mut self, devices: usize) -> anyhow::Result<()> {
        let order = Order { target: self.target, first: self.devices, devices, rate: RATE, heartbeat_s: HEARTBEAT_S };
        self.crews.push(Child::start("crew", &order)?);
        self.devices += devices;
        self.until_held()
    }

    /// Devices that ask for this heartbeat; returns at once.
    pub fn crew_apart(&self, devices: usize, heartbeat_s: u32) -> anyhow::Result<Child> {
        Child::start("crew", &Order { target: self.target, first: 1_000_000, devices, rate: RATE, heartbeat_s })
    }

    /// Ends all devices; returns when the gateway knows.
    pub fn remove_all(&mut self) -> anyhow::Result<()> {
        self.crews.clear();
        self.devices = 0;
        self.until("all have gone", Duration::from_secs(20), |scene| Ok(scene.status("connections")? == 0.0))
    }

    /// Waits until all devices are held.
    pub fn until_held(&mut self) -> anyhow::Result<()> {
        let devices = self.devices as f64;
        self.until("all are held", HELD_WITHIN, |scene| Ok(scene.status("held")? == devices))
    }

    /// Waits for something.
    pub fn until(
        &mut self,
        what: &str,
        patience: Duration,
        mut is_so: impl FnMut(&mut Scene) -> anyhow::Result<bool>,
    ) -> anyhow::Result<()> {
        let deadline = Instant::now() + patience;
        while !is_so(self)? {
            ensure!(Instant::now() < deadline, "waited {patience:?} in vain until {what}; devices: {:?}", self.failures());
            sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// A number of the gateway's status.
    pub fn status(&mut self, name: &str) -> anyhow::Result<f64> {
        let answer = self.runtime.block_on(self.webhook.call("GET", "/v1/status", String::new()))?;
        let status: Value = serde_json::from_slice(&answer.body).context("the gateway's status")?;
        status[name].as_f64().with_context(|| format!("the status has no number {name}"))
    }

    /// What every device noted, oldest crew first.
    pub fn reports(&mut self) -> anyhow::Result<Vec<Report>> {
        self.crews.iter_mut().map(|crew| crew.ask(&Question::Report)).collect()
    }

    /// The gateway's process id.
    pub fn gateway_pid(&self) -> u32 {
        self.gateway.id()
    }

    /// The gateway's memory now.
    pub fn memory(&self) -> anyhow::Result<Memory> {
        process::memory(self.gateway.id())
    }

    fn failures(&mut self) -> Option<Vec<u64>> {
        Some(self.reports().ok()?.iter().map(|report| report.failures).collect())
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        // First, or they would complain about a gateway that is gone.
        self.crews.clear();
        // One that has ended already is what we want.
        let _ = self.gateway.kill();
        let _ = self.gateway.wait();
    }
}

/// An address that was free a moment ago.
fn free_address() -> std::io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}
