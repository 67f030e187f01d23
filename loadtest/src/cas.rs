//! A stand-in mail server in a process of its own.

use std::net::SocketAddr;
use std::time::Duration;

use clap::ValueEnum;
use pushgate::gateway::open_files;
use pushgate::logic::eas::Command;
use pushgate::standin::cas::{Cas, CasOptions, Kind};
use serde_json::json;

use crate::input;

/// Connections it expects at most.
const CONNECTIONS_MAX: usize = 16_000;
/// How often it says what it was asked.
const EVERY: Duration = Duration::from_secs(5);

/// `cas`
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Where it listens (plain HTTP).
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8081")]
    listen: SocketAddr,
    /// What it behaves like.
    #[arg(long, value_enum, default_value_t = KindName::Other)]
    kind: KindName,
    /// Requests served at once; held ones count; 0: no bound.
    #[arg(long, value_name = "N", default_value_t = 0)]
    workers: usize,
    /// Requests that wait for a worker; more get 503; 0: no bound.
    #[arg(long, value_name = "N", default_value_t = 0)]
    queue: usize,
    /// Longest heartbeat, in seconds, instead of the kind's own.
    #[arg(long, value_name = "SECONDS")]
    heartbeat_max: Option<u32>,
    /// Everybody's password.
    #[arg(long, default_value = "test")]
    password: String,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum KindName {
    Exchange,
    Sogo,
    ZPush,
    Grommunio,
    Horde,
    Other,
}

/// Runs until interrupted; says every five seconds what it was asked, one JSON object a line.
pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    open_files::ensure_sockets(CONNECTIONS_MAX)?;
    let bound = |count| if count == 0 { usize::MAX } else { count };
    let options = CasOptions {
        bind: arguments.listen,
        kind: match arguments.kind {
            KindName::Exchange => Kind::Exchange,
            KindName::Sogo => Kind::Sogo,
            KindName::ZPush => Kind::ZPush,
            KindName::Grommunio => Kind::Grommunio,
            KindName::Horde => Kind::Horde,
            KindName::Other => Kind::Other,
        },
        workers: bound(arguments.workers),
        queue_max: bound(arguments.queue),
        heartbeat_max_s: arguments.heartbeat_max,
        password: arguments.password.clone(),
        ..CasOptions::default()
    };
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(serve(options))
}

async fn serve(options: CasOptions) -> anyhow::Result<()> {
    let cas = Cas::start(options).await?;
    println!("{}", json!({ "listening": cas.address().to_string() }));
    let mut lines = input::lines();
    let mut has_input = true;
    let mut saying = tokio::time::interval(EVERY);
    loop {
        tokio::select! {
            interrupted = tokio::signal::ctrl_c() => return Ok(interrupted?),
            _ = saying.tick() => say(&cas),
            line = lines.recv(), if has_input => match line {
                Some(line) => obey(&cas, &line),
                None => has_input = false,
            },
        }
    }
}

fn say(cas: &Cas) {
    let commands: serde_json::Map<_, _> = Command::ALL
        .into_iter()
        .filter(|&command| cas.count(command) > 0)
        .map(|command| (command.name().to_owned(), cas.count(command).into()))
        .collect();
    println!(
        "{}",
        json!({
            "requests": cas.requests(),
            "commands": commands,
            "workers_busy": cas.workers_busy(),
            "queued": cas.queued(),
            "unauthorized": cas.unauthorized_count(),
            "turned_away": cas.turned_away_count(),
        })
    );
}

fn obey(cas: &Cas, line: &str) {
    let words: Vec<&str> = line.split_whitespace().collect();
    match words[..] {
        ["deliver", user, folder] if cas.folder_id(user, "", folder).is_some() => {
            cas.deliver(user, folder);
        }
        [] => {}
        _ => eprintln!("pushgate-loadtest: write \"deliver USER FOLDER\" with a folder that is there, such as Inbox"),
    }
}
