//! A whole gateway in this process: what `pushgate serve` starts, without signals and log.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use pushgate::admin::view::{HeldPings, Status, Taken};
use pushgate::cli::serve::{Running, start};
use pushgate::config::Config;
use pushgate::gateway::tls::Acceptor;
use pushgate::standin::device::HttpAnswer;
use pushgate::standin::tls::{ThrowAway, Trust, client_config};
use pushgate::standin::webhook::Webhook;
use rustls::ClientConfig;
use tempfile::TempDir;

use super::{Line, Notification, until};

/// A gateway with the defaults of the reference, except for what a test on one machine needs.
pub fn gateway() -> GatewayBuilder {
    let mut builder = GatewayBuilder { keys: BTreeMap::new(), acceptor: None };
    for (key, value) in [
        ("listen.address", "[\"127.0.0.1:0\"]"),
        ("mailbox.default_domain", "\"example.org\""),
        ("internal.address", "\"127.0.0.1:0\""),
        ("drain.drain_s", "0"),
        ("limits.lots", "2"),
    ] {
        builder = builder.set(key, value);
    }
    builder
}

pub struct GatewayBuilder {
    /// `section.key` → value as TOML.
    keys: BTreeMap<String, String>,
    acceptor: Option<(Acceptor, ThrowAway)>,
}

impl GatewayBuilder {
    /// In front of this backend.
    pub fn behind(self, url: impl AsRef<str>) -> Self {
        self.set("backend.url", format!("[\"{}\"]", url.as_ref()))
    }

    /// Any key of the configuration, its value as TOML.
    pub fn set(mut self, key: &str, value: impl ToString) -> Self {
        self.keys.insert(key.to_owned(), value.to_string());
        self
    }

    /// Another way to its certificate; devices trust the one given.
    pub fn with_acceptor(mut self, acceptor: Acceptor, trusted: ThrowAway) -> Self {
        self.acceptor = Some((acceptor, trusted));
        self
    }

    pub async fn start(mut self) -> Gateway {
        let directory = tempfile::tempdir().unwrap();
        let file = |name: &str| directory.path().join(name).display().to_string();
        self = self.set("internal.token_file", format!("{:?}", file("token")));
        // Several gateways may share these.
        self.keys.entry("store.url".into()).or_insert_with(|| format!("\"sqlite:{}\"", file("store.db")));
        self.keys.entry("store.key_file".into()).or_insert_with(|| format!("{:?}", file("key")));
        let mut text = String::new();
        for (key, value) in &self.keys {
            text += &format!("{key} = {value}\n");
        }
        let config = Config::parse(&text, std::iter::empty()).unwrap();
        let (acceptor, certificate) = self.acceptor.unwrap_or_else(|| {
            let certificate = ThrowAway::new(&["localhost"]).unwrap();
            (Acceptor::from_pem(&certificate.certificate_pem, &certificate.key_pem).unwrap(), certificate)
        });
        let running = start(config, acceptor).await.unwrap();
        Gateway {
            addresses: running.https.clone(),
            internal: running.internal,
            token: running.token.clone(),
            tls: client_config(Trust::Root(certificate.certificate.clone()), false).unwrap(),
            certificate,
            running: Some(running),
            _directory: directory,
        }
    }
}

/// A running gateway. It drains, in the background, when this is dropped.
pub struct Gateway {
    /// `listen.address`, then `listen.plain_address`, as bound.
    pub addresses: Vec<SocketAddr>,
    pub internal: SocketAddr,
    pub token: String,
    pub certificate: ThrowAway,
    /// What devices trust; without resumption.
    pub tls: Arc<ClientConfig>,
    running: Option<Running>,
    _directory: TempDir,
}

impl Gateway {
    /// Where devices connect.
    pub fn address(&self) -> SocketAddr {
        self.addresses[0]
    }

    /// A connection with its handshake done.
    pub async fn line(&self) -> Line {
        Line::tls(self.address(), self.tls.clone()).await.unwrap()
    }

    /// Tells of changes; gives what the gateway made of it. `woken` is always known, and leaves out Status 7.
    pub async fn notify(&self, notification: Notification) -> Taken {
        let before = self.status().await.wakes_total;
        let answer = self.call("POST", "/v1/notifications", notification.0.to_string()).await;
        assert_eq!(answer.status, 202, "{}", String::from_utf8_lossy(&answer.body));
        let mut taken: Taken = serde_json::from_slice(&answer.body).unwrap();
        if taken.woken.is_none() {
            // The machine is busy, and the webhook did not wait. A list comes after the changes in every inbox.
            self.pings("").await;
            taken.woken = Some((self.status().await.wakes_total - before) as usize);
        }
        taken
    }

    /// What Dovecot's ox driver sends.
    pub async fn dovecot(&self, body: &str) {
        let answer = self.call("PUT", "/v1/dovecot", body.to_owned()).await;
        assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    }

    /// A request to the internal address, with the token.
    pub async fn call(&self, method: &str, path: &str, body: String) -> HttpAnswer {
        Webhook::new(self.internal, self.token.clone()).call(method, path, body).await.unwrap()
    }

    pub async fn status(&self) -> Status {
        serde_json::from_slice(&self.call("GET", "/v1/status", String::new()).await.body).unwrap()
    }

    /// Held Pings; `query` is empty or begins with `?`.
    pub async fn pings(&self, query: &str) -> HeldPings {
        let answer = self.call("GET", &format!("/v1/pings{query}"), String::new()).await;
        assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
        serde_json::from_slice(&answer.body).unwrap()
    }

    /// Ids of the devices whose Pings are held, sorted, in lower case.
    pub async fn held(&self) -> Vec<String> {
        let mut held: Vec<String> = self.pings("").await.pings.into_iter().map(|ping| ping.device_id.to_lowercase()).collect();
        held.sort();
        held
    }

    /// Waits until exactly these devices' Pings are held.
    pub async fn holds(&self, devices: &[&str]) {
        let mut wanted: Vec<String> = devices.iter().map(|id| id.to_lowercase()).collect();
        wanted.sort();
        until(&format!("{wanted:?} held"), async || self.held().await == wanted).await;
    }

    /// The sum of a metric's samples whose labels contain this text. Metrics belong to the process: other tests count too.
    pub async fn metric(&self, name: &str, labels: &str) -> f64 {
        let answer = self.call("GET", "/metrics", String::new()).await;
        let text = String::from_utf8(answer.body).unwrap();
        let samples = text.lines().filter(|line| line.split(['{', ' ']).next() == Some(name) && line.contains(labels));
        samples.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }

    /// Partnerships and policies.
    pub fn store(&self) -> &pushgate::store::Store {
        &self.running.as_ref().unwrap().store
    }

    pub fn inner(&self) -> &pushgate::gateway::Gateway {
        &self.running.as_ref().unwrap().gateway
    }

    /// What a signal would do.
    pub async fn drain(mut self) {
        self.running.take().unwrap().drain().await;
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let Some(running) = self.running.take() else { return };
        // The test's own runtime is about to end, and lot threads end only when told.
        std::thread::spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(running.drain());
        });
    }
}
