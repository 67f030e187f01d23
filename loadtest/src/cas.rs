//! A stand-in mail server as a program: what a backend does without pushgate, and with it.
//!
//! In: devices, or pushgate, on `--listen`; lines on standard input and on `--control` that deliver mails. Out: what it was asked,
//! how many workers that kept busy and how long others waited for one.

mod control;
mod status;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use clap::ValueEnum;
use pushgate::gateway::open_files;
use pushgate::standin::cas::{Cas, CasOptions, Kind};
use pushgate::standin::tls::server_config;
use pushgate::standin::webhook::Webhook;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use self::control::Delivery;
use self::status::Status;
use crate::input;

/// Connections it expects at most.
const CONNECTIONS_MAX: usize = 16_000;

/// `cas`
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// What it behaves like.
    #[arg(long, visible_alias = "kind", value_enum, default_value_t = Like::Other)]
    like: Like,
    /// Where it listens: plain HTTP, or HTTPS with --cert.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8081")]
    listen: SocketAddr,
    /// Certificate chain (PEM) for HTTPS.
    #[arg(long, value_name = "FILE", requires = "key")]
    cert: Option<PathBuf>,
    /// Its key (PEM).
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
    /// Requests served at once, held ones included; 0: no bound. Without it as the original comes: SOGo 1, PHP 5, grommunio 150.
    #[arg(long, value_name = "N")]
    workers: Option<usize>,
    /// Requests that wait for a worker; more get 503; 0: no bound.
    #[arg(long, value_name = "N", default_value_t = 0)]
    queue: usize,
    /// How often a held Ping looks for changes, instead of the original's own: SOGo 10, Horde 15, the Z-Push family 30.
    #[arg(long, value_name = "SECONDS")]
    poll: Option<u32>,
    /// Shortest heartbeat, instead of the original's own.
    #[arg(long, value_name = "SECONDS")]
    heartbeat_min: Option<u32>,
    /// Longest heartbeat, instead of the original's own; SOGo's is 10 unless its administrator raised it.
    #[arg(long, value_name = "SECONDS")]
    heartbeat_max: Option<u32>,
    /// Everybody's password; any user name is taken.
    #[arg(long, default_value = "test")]
    password: String,
    /// Devices must take a policy (Provision) before they are answered anything else.
    #[arg(long)]
    policy: bool,
    /// The domain of user names without one.
    #[arg(long, default_value = "example.org")]
    domain: String,
    /// A TCP port that takes the same lines as standard input and answers each with "ok" or an error.
    #[arg(long, value_name = "ADDRESS:PORT")]
    control: Option<SocketAddr>,
    /// pushgate's internal address: it is notified of every mail that is delivered.
    #[arg(long, value_name = "ADDRESS:PORT", requires = "notify_token")]
    notify: Option<SocketAddr>,
    /// A file with pushgate's notification token.
    #[arg(long, value_name = "FILE", requires = "notify")]
    notify_token: Option<PathBuf>,
    /// Status lines as JSON.
    #[arg(long)]
    json: bool,
    /// How often a status line is written.
    #[arg(long, value_name = "SECONDS", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    every: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Like {
    Sogo,
    ZPush,
    Horde,
    Grommunio,
    Exchange,
    Other,
}

impl Like {
    fn kind(self) -> Kind {
        match self {
            Like::Sogo => Kind::Sogo,
            Like::ZPush => Kind::ZPush,
            Like::Horde => Kind::Horde,
            Like::Grommunio => Kind::Grommunio,
            Like::Exchange => Kind::Exchange,
            Like::Other => Kind::Other,
        }
    }

    /// As they come; 0: no bound.
    fn workers(self) -> usize {
        match self {
            // WOWorkersCount.
            Like::Sogo => 1,
            // pm.max_children of PHP-FPM's own example pool.
            Like::ZPush | Like::Horde => 5,
            // The same of grommunio-sync's pool.
            Like::Grommunio => 150,
            Like::Exchange | Like::Other => 0,
        }
    }

    fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }
}

/// Runs until interrupted.
pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    open_files::ensure_sockets(CONNECTIONS_MAX)?;
    let options = options(arguments)?;
    let webhook = webhook(arguments)?;
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(serve(arguments, options, webhook))
}

fn options(arguments: &Arguments) -> anyhow::Result<CasOptions> {
    let bound = |count| if count == 0 { usize::MAX } else { count };
    let files = arguments.cert.as_ref().zip(arguments.key.as_ref());
    Ok(CasOptions {
        bind: arguments.listen,
        tls: files.map(|(certificate, key)| server_config(certificate, key)).transpose()?,
        kind: arguments.like.kind(),
        domain: arguments.domain.clone(),
        workers: bound(arguments.workers.unwrap_or(arguments.like.workers())),
        queue_max: bound(arguments.queue),
        poll_s: arguments.poll,
        heartbeat_min_s: arguments.heartbeat_min,
        heartbeat_max_s: arguments.heartbeat_max,
        password: arguments.password.clone(),
        wants_policy: arguments.policy,
        ..CasOptions::default()
    })
}

fn webhook(arguments: &Arguments) -> anyhow::Result<Option<Webhook>> {
    let Some((address, file)) = arguments.notify.zip(arguments.notify_token.as_ref()) else { return Ok(None) };
    let token = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    Ok(Some(Webhook::new(address, token.trim())))
}

async fn serve(arguments: &Arguments, options: CasOptions, webhook: Option<Webhook>) -> anyhow::Result<()> {
    let workers = options.workers;
    let address = options.bind;
    let cas = Cas::start(options).await.with_context(|| format!("cannot listen on {address}"))?;
    let (orders, mut asked) = control::channel();
    if let Some(address) = arguments.control {
        let listener = TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))?;
        tokio::spawn(control::listen(listener, orders.clone()));
    }
    let mut status = Status::new(workers, arguments.json);
    status.start(&arguments.like.name(), &cas, arguments.control);
    let mut delivery = Delivery::new(webhook, arguments.domain.clone());
    let mut lines = input::lines();
    let mut has_input = true;
    let mut saying = tokio::time::interval(Duration::from_secs(arguments.every));
    let mut interrupts = signal(SignalKind::interrupt())?;
    loop {
        tokio::select! {
            _ = interrupts.recv() => return Ok(()),
            _ = saying.tick() => status.say(&cas),
            line = lines.recv(), if has_input => match line {
                Some(line) => if let Err(error) = delivery.obey(&cas, &line).await {
                    eprintln!("pushgate-loadtest: {error:#}");
                },
                None => has_input = false,
            },
            // The listener's end may be gone, ours never is.
            Some(order) = asked.recv() => {
                let done = delivery.obey(&cas, &order.line).await;
                // Who asked may have hung up.
                let _ = order.answer.send(done.map_or_else(|error| format!("error: {error:#}"), |()| "ok".into()));
            }
        }
    }
}
