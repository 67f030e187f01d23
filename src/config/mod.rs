//! What the operator wrote (`definition`, `values`) → what is true (`Config`).
//!
//! In: the text of a TOML file and the environment. Out: a `Config` that cannot hold a bad value, or
//! the list of *all* problems. Nothing here opens a socket; the only files read are `*_file` secrets.

mod backend;
mod canary;
pub mod definition;
mod directory;
mod key;
pub mod limits;
mod live;
mod mail;
mod reference;
mod reload;
mod store;
#[cfg(test)]
mod tests;
mod values;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;

use crate::logic::eas::ClassSet;
/// `[mailbox]`
pub use crate::logic::eas::Naming as Mailbox;
pub use crate::logic::hold::Resolve;
pub use canary::{Canary, CanaryWay, LmtpAddress};
pub use directory::{Directory, GROUP_MARK, Security};
pub use limits::Limits;
pub use live::Live;
pub use mail::{Mail, MailWay, is_plain_address};
pub use reference::reference_toml;
pub use reload::{LIVE, Reload};
pub use store::{Secret, Store, StoreUrl};
pub use values::Problem;
use values::{Settings, Values};

/// A whole, checked configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where devices connect.
    pub listen: Listen,
    /// Certificates of the device side.
    pub tls: Tls,
    /// The EAS servers behind us.
    pub backend: Backend,
    /// How mailbox names are made one.
    pub mailbox: Mailbox,
    /// Bounds of held Pings.
    pub ping: Ping,
    /// How credentials are believed.
    pub auth: Auth,
    /// Who has policies.
    pub provision: Provision,
    /// Where partnerships and policies are kept.
    pub store: Store,
    /// Where groups are read from; `None`: nowhere.
    pub directory: Option<Directory>,
    /// REST, metrics and notifications.
    pub internal: Internal,
    /// Notification sources.
    pub notify: Notify,
    /// Mail about devices; `None`: switched off.
    pub mail: Option<Mail>,
    /// Logging.
    pub log: Log,
    /// How the process leaves.
    pub drain: Drain,
    /// Every bound.
    pub limits: Limits,
    /// Named address ranges of the devices' networks.
    pub networks: Vec<Network>,
    /// As it was read.
    settings: Settings,
}

/// `[listen]`
#[derive(Debug, Clone)]
pub struct Listen {
    /// HTTPS addresses.
    pub address: Vec<SocketAddr>,
    /// Expect a PROXY protocol header from `trusted_proxies`.
    pub proxy_protocol: bool,
    /// Who may speak for a device's address.
    pub trusted_proxies: Vec<IpNet>,
    /// Plain HTTP addresses for balancers that end TLS.
    pub plain_address: Vec<SocketAddr>,
    /// SO_REUSEPORT.
    pub reuse_port: bool,
    /// Accept queue length asked of the kernel.
    pub backlog: i32,
}

/// `[tls]`
#[derive(Debug, Clone)]
pub struct Tls {
    /// Certificate chain file (PEM) and private key file (PEM); the first pair is the default.
    pub certificates: Vec<(PathBuf, PathBuf)>,
    /// CA of device certificates, if devices are asked for one.
    pub client_ca: Option<PathBuf>,
    /// Devices without a certificate are not let in.
    pub client_required: bool,
}

/// What a backend is; each behaves differently on Ping and OPTIONS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "product names")]
pub enum BackendKind {
    Exchange,
    Sogo,
    ZPush,
    Grommunio,
    Horde,
    Other,
}

/// `[backend]`
#[derive(Debug, Clone)]
pub struct Backend {
    /// Base addresses (scheme, host, port), at least one.
    pub url: Vec<http::Uri>,
    /// Preset.
    pub kind: BackendKind,
    /// CA file to verify backends with; `None`: the system's.
    pub ca: Option<PathBuf>,
    /// How doubt is cleared.
    pub resolve: Resolve,
    /// Devices a second told to Sync to clear doubt.
    pub resolve_per_s: u32,
    /// Shortest heartbeat the backend accepts, seconds.
    pub check_heartbeat_s: u32,
    /// Concurrent checks.
    pub checks_max: usize,
    /// How often uncovered classes are checked.
    pub poll_interval: Duration,
    /// Time to connect.
    pub connect_timeout: Duration,
    /// Time to the head of an answer.
    pub answer_timeout: Duration,
    /// Concurrent requests.
    pub connections_max: usize,
    /// Requests a second to all backends; 0: no bound.
    pub requests_per_s: u32,
    /// How long a failing backend is left out.
    pub down: Duration,
}

/// `[ping]`
#[derive(Debug, Clone)]
pub struct Ping {
    /// Shortest heartbeat, seconds.
    pub heartbeat_min_s: u32,
    /// Longest heartbeat, seconds.
    pub heartbeat_max_s: u32,
    /// Pings answered a second because of changes; 0: no bound.
    pub wakes_per_s: u32,
    /// Most folders in a Ping.
    pub folders_max: usize,
    /// Heartbeats averaged by the alert.
    pub hbi_sample_size: usize,
    /// Average at or under which the alert fires, seconds.
    pub hbi_alert_threshold_s: u32,
}

/// `[auth]`
#[derive(Debug, Clone)]
pub struct Auth {
    /// How long an accepted credential is believed.
    pub verdict_ttl: Duration,
    /// JWT claims that name the mailbox, in order.
    pub bearer_claim: Vec<String>,
    /// How long a first rejection of credentials is repeated to the same device; zero: never.
    pub shield_min: Duration,
    /// The longest, after it doubled each time.
    pub shield_max: Duration,
}

/// `[provision]`
#[derive(Debug, Clone)]
pub struct Provision {
    /// The gateway has policies, wipes and access rules; else all of that is the backend's and passes through.
    pub is_here: bool,
    /// Most devices of a mailbox of which nothing else is said.
    pub devices_max: u32,
}

/// `[internal]`
#[derive(Debug, Clone)]
pub struct Internal {
    /// Address of REST, metrics, notifications.
    pub address: SocketAddr,
    /// Token file, created when missing.
    pub token_file: PathBuf,
}

/// `[notify]`
#[derive(Debug, Clone)]
pub struct Notify {
    /// Trust in a source that only calls in.
    pub trust: Duration,
    /// Second look after a Sync that brought nothing.
    pub settle: Duration,
    /// Classes the webhook covers; `None`: switched off.
    pub webhook: Option<ClassSet>,
    /// Classes Dovecot covers; `None`: switched off.
    pub dovecot: Option<ClassSet>,
    /// Dovecot reports folders that come, go or change their name.
    pub dovecot_folders: bool,
    /// The message that proves a source; `None`: switched off.
    pub canary: Option<Canary>,
}

/// `[drain]`
#[derive(Debug, Clone)]
pub struct Drain {
    /// Not ready, and still accepting.
    pub unready: Duration,
    /// Time over which held Pings are answered.
    pub spread: Duration,
}

impl Drain {
    /// Both together.
    pub fn total(&self) -> Duration {
        self.unready + self.spread
    }
}

/// `[log]`
#[derive(Debug, Clone)]
pub struct Log {
    /// Least severe level logged.
    pub level: tracing::Level,
    /// One JSON object a line instead of text.
    pub json: bool,
    /// Pseudonyms stand for names and addresses.
    pub redacts: bool,
    /// What they are made with; empty: a key of the process.
    pub redact_key: Secret,
}

/// Shortest key of pseudonyms: long enough not to be guessed.
const REDACT_KEY_CHARACTERS_MIN: usize = 20;

impl Log {
    fn build(v: &mut Values) -> Self {
        let redact_key = Secret::new(v.text("log", "redact_key"));
        if (1..REDACT_KEY_CHARACTERS_MIN).contains(&redact_key.reveal().chars().count()) {
            v.problem("log.redact_key", format!("has at least {REDACT_KEY_CHARACTERS_MIN} characters: openssl rand -base64 32 makes one"));
        }
        Log {
            level: v.text("log", "level").parse().unwrap_or(tracing::Level::INFO),
            json: v.text("log", "format") == "json",
            redacts: v.text("log", "redact") == "hash",
            redact_key,
        }
    }
}

/// One `[[network]]`.
#[derive(Debug, Clone)]
pub struct Network {
    /// Shown in reports and metrics.
    pub name: String,
    /// Its address ranges.
    pub cidr: Vec<IpNet>,
}

impl Config {
    /// Reads a file; a missing file is a problem like any other.
    pub fn load(path: &Path) -> Result<Self, Vec<Problem>> {
        Self::parse(&read(path)?, environment())
    }

    /// Reads text and environment; reports every problem at once.
    pub fn parse(text: &str, environment: impl Iterator<Item = (String, String)>) -> Result<Self, Vec<Problem>> {
        let mut values = Values::read(text, environment);
        let config = Self::build(&mut values);
        if values.problems.is_empty() { Ok(config) } else { Err(values.problems) }
    }

    fn build(v: &mut Values) -> Self {
        let settings = v.settings();
        let mailbox = Mailbox {
            default_domain: some_text(v, "mailbox", "default_domain"),
            domains: domains(v),
            lowercase: v.bool("mailbox", "lowercase"),
        };
        let config = Config {
            listen: Listen {
                address: v.addresses("listen", "address"),
                proxy_protocol: v.bool("listen", "proxy_protocol"),
                trusted_proxies: v.nets("listen", "trusted_proxies"),
                plain_address: v.addresses("listen", "plain_address"),
                reuse_port: v.bool("listen", "reuse_port"),
                backlog: v.int("listen", "backlog"),
            },
            tls: tls(v),
            backend: backend::build(v),
            mailbox: mailbox.clone(),
            ping: Ping {
                heartbeat_min_s: v.int("ping", "heartbeat_min_s"),
                heartbeat_max_s: v.int("ping", "heartbeat_max_s"),
                wakes_per_s: v.int("ping", "wakes_per_s"),
                folders_max: v.int("ping", "folders_max"),
                hbi_sample_size: v.int("ping", "hbi_sample_size"),
                hbi_alert_threshold_s: v.int("ping", "hbi_alert_threshold_s"),
            },
            auth: Auth {
                verdict_ttl: seconds(v, "auth", "verdict_ttl_s"),
                bearer_claim: v.texts("auth", "bearer_claim"),
                shield_min: seconds(v, "auth", "shield_min_s"),
                shield_max: seconds(v, "auth", "shield_max_s"),
            },
            provision: Provision { is_here: v.text("provision", "mode") == "gateway", devices_max: v.int("provision", "devices_max") },
            store: store::build(v),
            directory: directory::build(v),
            internal: internal(v),
            notify: Notify {
                trust: seconds(v, "notify", "trust_s"),
                settle: seconds(v, "notify", "settle_s"),
                webhook: covers(v, "notify.webhook"),
                dovecot: covers(v, "notify.dovecot"),
                dovecot_folders: v.bool("notify.dovecot", "folders"),
                canary: canary::build(v, &mailbox),
            },
            mail: mail::build(v, &mailbox),
            log: Log::build(v),
            drain: Drain { unready: seconds(v, "drain", "unready_s"), spread: seconds(v, "drain", "drain_s") },
            limits: Limits::build(v),
            networks: networks(v),
            settings,
        };
        config.relate(v);
        canary::relate(&config.notify, v);
        config
    }

    /// Rules that span several keys.
    fn relate(&self, v: &mut Values) {
        if self.ping.heartbeat_min_s > self.ping.heartbeat_max_s {
            v.problem("ping.heartbeat_min_s", "is above ping.heartbeat_max_s: no heartbeat would be accepted");
        }
        if self.auth.shield_min > self.auth.shield_max {
            v.problem("auth.shield_min_s", "is above auth.shield_max_s");
        }
        if self.listen.address.is_empty() && self.listen.plain_address.is_empty() {
            v.problem("listen.address", "is empty, and so is plain_address: devices could not connect");
        }
        if self.tls.client_required && self.tls.client_ca.is_none() {
            v.problem("tls.client_certificate", "is \"required\", but there is no tls.client_ca to verify one with");
        }
        let proxied = self.listen.proxy_protocol || !self.listen.plain_address.is_empty();
        if proxied && self.listen.trusted_proxies.is_empty() {
            v.problem("listen.trusted_proxies", "is empty: name the balancers that proxy_protocol and plain_address are for");
        }
    }
}

fn read(path: &Path) -> Result<String, Vec<Problem>> {
    std::fs::read_to_string(path).map_err(|error| {
        let message = format!("cannot be read: {error}; start from deploy/reference.toml");
        vec![Problem { place: path.display().to_string(), message }]
    })
}

fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)))
}

fn tls(v: &mut Values) -> Tls {
    let mut certificates = vec![(PathBuf::from(v.text("tls", "certificate")), PathBuf::from(v.text("tls", "private_key")))];
    for pair in v.texts("tls", "more_certificates") {
        match pair.split_once(':') {
            Some((chain, key)) => certificates.push((chain.into(), key.into())),
            None => v.problem("tls.more_certificates", format!("\"{pair}\" is not \"chain.pem:key.pem\"")),
        }
    }
    let client_required = v.text("tls", "client_certificate") == "required";
    Tls { certificates, client_ca: some_text(v, "tls", "client_ca").map(PathBuf::from), client_required }
}

fn internal(v: &mut Values) -> Internal {
    let text = v.text("internal", "address");
    let address = text.parse().unwrap_or_else(|_| {
        v.problem("internal.address", format!("\"{text}\" is not address:port, such as 127.0.0.1:9080"));
        SocketAddr::from(([127, 0, 0, 1], 9080))
    });
    Internal { address, token_file: v.text("internal", "token_file").into() }
}

fn covers(v: &mut Values, section: &'static str) -> Option<ClassSet> {
    let mut classes = ClassSet::default();
    for name in v.texts(section, "covers") {
        match name.parse() {
            Ok(class) => classes.insert(class),
            Err(_) => v.problem(format!("{section}.covers"), format!("\"{name}\" is none of Email, Calendar, Contacts, Tasks, Notes")),
        }
    }
    v.bool(section, "enabled").then_some(classes)
}

/// Windows domains and their mail domains, from `NAME=mail.domain`.
fn domains(v: &mut Values) -> Vec<(String, String)> {
    let mut domains = Vec::new();
    for pair in v.texts("mailbox", "domains") {
        match pair.split_once('=').map(|(windows, mail)| (windows.trim(), mail.trim())) {
            Some((windows, mail))
                if !windows.is_empty() && !mail.is_empty() && !windows.contains(['\\', '@']) && !mail.contains(['\\', '@']) =>
            {
                domains.push((windows.to_lowercase(), mail.to_owned()));
            }
            _ => v.problem("mailbox.domains", format!("\"{pair}\" is not of the form NAME=mail.domain")),
        }
    }
    domains
}

fn networks(v: &mut Values) -> Vec<Network> {
    let mut networks = Vec::new();
    for (index, table) in std::mem::take(&mut v.networks).into_iter().enumerate() {
        let name = table.get("name").and_then(|n| n.as_str()).unwrap_or_default().to_owned();
        let mut cidr = Vec::new();
        for value in table.get("cidr").and_then(|c| c.as_array()).into_iter().flatten() {
            match value.as_str().and_then(values::parse_net) {
                Some(net) => cidr.push(net),
                None => v.problem(format!("network[{index}].cidr"), format!("{value} is not an address range")),
            }
        }
        for unknown in table.keys().filter(|k| !matches!(k.as_str(), "name" | "cidr")) {
            v.problem(format!("network[{index}].{unknown}"), "is not a setting of pushgate");
        }
        if name.is_empty() || cidr.is_empty() {
            v.problem(format!("network[{index}]"), "needs a name and a cidr list");
        }
        networks.push(Network { name, cidr });
    }
    networks
}

fn seconds(v: &Values, section: &str, name: &str) -> Duration {
    Duration::from_secs(v.int(section, name))
}

fn some_text(v: &Values, section: &str, name: &str) -> Option<String> {
    Some(v.text(section, name)).filter(|text| !text.is_empty())
}
