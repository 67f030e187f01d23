//! Side by side, in one run: pushgate and what people would use instead, with the same devices, certificate and numbers.
//!
//!     bash benches/peers/run.sh [--short] [--only pushgate,nchan,…] [--n 1000,5000,15000] [--json FILE]
//!
//! Each repetition starts every server anew, one after the other, so that all meet the same machine; the figures are the
//! medians. Devices, servers and origins share the machine's cores, and nothing is taken off for that.
//!
//! Reading order: `measure` (what is done to a server), `servers` (what runs), `crew` (the devices), `table` (what comes out).
//! The modules for processes of our own are those of `benches/budgets`.

#[path = "../budgets/cas.rs"]
mod cas;
#[path = "../budgets/child.rs"]
mod child;
mod crew;
mod holder;
mod kernel;
mod measure;
#[path = "../budgets/process.rs"]
#[expect(dead_code, reason = "the budgets ask for more")]
mod process;
mod program;
mod publisher;
mod rows;
mod servers;
mod sogo;
mod table;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use clap::{Parser, Subcommand};
use pushgate::gateway::open_files;
use pushgate::standin::tls::ThrowAway;

use measure::{Extent, measure};
use servers::{Peer, Setting};
use table::Table;

/// Measures pushgate beside its peers.
#[derive(Debug, Parser)]
struct Arguments {
    /// Five minutes: 1,000 and 5,000 devices, shorter looks.
    #[arg(long)]
    short: bool,
    /// Only these.
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Peer>,
    /// Numbers of devices.
    #[arg(long, value_delimiter = ',')]
    n: Vec<usize>,
    /// Repetitions.
    #[arg(long)]
    repeat: Option<usize>,
    /// Devices that connect, log in or synchronise at the same time.
    #[arg(long, value_name = "N", default_value_t = 64)]
    busy: usize,
    /// Where the raw figures go.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Where servers have their files; it exists and is empty.
    #[arg(long, value_name = "DIRECTORY")]
    scratch: Option<PathBuf>,
    /// Measure this pushgate instead of the one built with the bench.
    #[arg(long, value_name = "FILE", default_value = env!("CARGO_BIN_EXE_pushgate"))]
    program: PathBuf,
    /// Passed by cargo.
    #[arg(long, hide = true)]
    bench: bool,
    #[command(subcommand)]
    role: Option<Role>,
}

/// What this program is when it has started itself.
#[derive(Debug, Clone, Subcommand)]
#[command(hide = true)]
enum Role {
    Crew,
    Cas,
    Holder(holder::Arguments),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match &arguments.role {
        Some(Role::Crew) => crew::run(),
        Some(Role::Cas) => cas::run(),
        Some(Role::Holder(order)) => holder::run(order),
        None => compare(&arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("peers: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Everybody, at every number, as often as asked. A server that fails does not stop the
/// others, and is not tried again with as many or more.
fn compare(arguments: &Arguments) -> anyhow::Result<()> {
    let began = Instant::now();
    // The servers inherit it.
    open_files::raise_to_most()?;
    let own = tempfile::tempdir()?;
    let directory = arguments.scratch.as_deref().unwrap_or(own.path()).canonicalize()?;
    certify(&directory)?;
    let is_short = arguments.short;
    let counts = match (&arguments.n[..], is_short) {
        ([], true) => vec![1_000, 5_000],
        ([], false) => vec![1_000, 5_000, 15_000],
        (given, _) => given.to_vec(),
    };
    let all = [Peer::Pushgate, Peer::HyperJemalloc, Peer::HyperGlibc, Peer::Nchan, Peer::Pushpin, Peer::Haproxy, Peer::Nginx];
    let peers: Vec<Peer> = all.into_iter().filter(|peer| arguments.only.is_empty() || arguments.only.contains(peer)).collect();
    let device_end_bytes = servers::half_a_pair().context("an idle connection's kernel memory")?;
    let mut table = Table::new(device_end_bytes);
    for turn in 0..arguments.repeat.unwrap_or(if is_short { 1 } else { 5 }) {
        for &devices in &counts {
            for &peer in peers.iter().filter(|&&peer| table.may_try(peer, devices)).collect::<Vec<_>>() {
                let setting = Setting { directory: directory.clone(), pushgate: arguments.program.clone(), devices };
                // Five long looks at the greatest number make up a minute.
                let idle = Duration::from_secs(if is_short || counts.last() != Some(&devices) { 2 } else { 12 });
                let extent = Extent { devices, busy_max: arguments.busy, single_wakes: 100, idle, device_end_bytes };
                let at = Instant::now();
                let measured = peer.start(&setting).and_then(|mut server| measure(&mut *server, extent));
                eprintln!(
                    "{:>5.0} s: {} with {devices}, turn {turn}: {:.0} s",
                    began.elapsed().as_secs_f64(),
                    peer.name(),
                    at.elapsed().as_secs_f64()
                );
                match measured {
                    Ok(figures) => table.add(peer, devices, figures),
                    Err(error) => table.fail(peer, devices, format!("{error:#}")),
                }
            }
        }
    }
    if arguments.only.is_empty() || arguments.only.contains(&Peer::Sogo) {
        match sogo::measure(&directory, if is_short { 1 } else { 5 }) {
            Ok(passes) => passes.into_iter().for_each(|figures| table.add(Peer::Sogo, sogo::DEVICES, figures)),
            Err(error) => table.fail(Peer::Sogo, sogo::DEVICES, format!("{error:#}")),
        }
    }
    if let Some(file) = &arguments.json {
        std::fs::write(file, table.to_json().to_string()).context("the raw figures")?;
    }
    table.print(began.elapsed());
    ensure!(table.is_complete(), "not all could be measured");
    Ok(())
}

/// The certificate that all servers show: ECDSA P-256, self-signed.
fn certify(directory: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    // Servers that change their user must get at their own files below.
    std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o755))?;
    let pair = ThrowAway::new(&["localhost"])?;
    std::fs::write(directory.join("cert.pem"), &pair.certificate_pem)?;
    std::fs::write(directory.join("key.pem"), &pair.key_pem)?;
    std::fs::write(directory.join("both.pem"), format!("{}{}", pair.certificate_pem, pair.key_pem))?;
    Ok(())
}
