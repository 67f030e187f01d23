//! The servers, each as its operator would run it for this purpose, with the same certificate.

mod bare;
mod haproxy;
mod hyper;
mod nchan;
mod nginx;
mod pushgate;
mod pushpin;
mod sogo;

use std::net::SocketAddr;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use clap::ValueEnum;

use crate::crew::Language;
use crate::publisher::{Publisher, get};

/// What is started for a run of everything.
pub struct Setting {
    /// The certificate (`cert.pem`, `key.pem`, `both.pem`), and directories of the servers.
    pub directory: PathBuf,
    /// The gateway to measure.
    pub pushgate: PathBuf,
    /// Devices there will be.
    pub devices: usize,
}

/// A server that runs. It ends when this is dropped.
pub trait Server {
    /// Where devices connect.
    fn target(&self) -> SocketAddr;
    /// What they say.
    fn language(&self) -> Language;
    /// The server's own processes; nothing that stands behind it.
    fn pids(&self) -> Vec<u32>;
    /// Requests that it holds.
    fn held(&mut self) -> anyhow::Result<usize>;
    /// Where it is told whom to wake.
    fn publishes_at(&self) -> SocketAddr;
    /// The fewest requests that wake these, one notification each.
    fn wakes(&self, devices: Range<usize>) -> Vec<Vec<u8>>;

    /// How many of those may be sent before their answers have come.
    fn ahead(&self) -> usize {
        1
    }

    /// There is a reason to wake these soon.
    fn before_wakes(&mut self, _devices: Range<usize>) -> anyhow::Result<()> {
        Ok(())
    }

    /// All devices have gone.
    fn all_gone(&mut self) -> anyhow::Result<()> {
        Ok(())
    }

    /// What devices say to be on one channel together, and the request that wakes it.
    fn in_common(&self) -> Option<(Language, Vec<u8>)> {
        None
    }

    /// Pause after each single wake: the device's next request is held by then.
    fn between_wakes(&self) -> Duration {
        Duration::from_millis(12)
    }

    /// How long it takes until what connections needed to get there has been given back.
    fn settles(&self) -> Duration {
        Duration::from_secs(1)
    }

    /// Ends of connections on this machine, beside the server's own, that a held request has: the device's, and an origin's.
    fn other_ends(&self) -> f64 {
        1.0
    }
}

/// Who takes part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Peer {
    Pushgate,
    HyperJemalloc,
    HyperGlibc,
    Nchan,
    Pushpin,
    Haproxy,
    Nginx,
    Sogo,
}

impl Peer {
    /// As people call it.
    pub fn name(self) -> &'static str {
        match self {
            Peer::Pushgate => "pushgate",
            Peer::HyperJemalloc => "hyper (jemalloc)",
            Peer::HyperGlibc => "hyper (glibc)",
            Peer::Nchan => "nginx + nchan",
            Peer::Pushpin => "pushpin",
            Peer::Haproxy => "haproxy (proxy)",
            Peer::Nginx => "nginx (proxy)",
            Peer::Sogo => "SOGo",
        }
    }

    /// A new one, without a device.
    pub fn start(self, setting: &Setting) -> anyhow::Result<Box<dyn Server>> {
        let directory = tempfile::Builder::new().prefix("peer").tempdir_in(&setting.directory)?.keep();
        Ok(match self {
            Peer::Pushgate => Box::new(pushgate::Pushgate::start(setting, &directory)?),
            Peer::HyperJemalloc => Box::new(hyper::Hyper::start(setting, &directory, hyper::Allocator::Jemalloc)?),
            Peer::HyperGlibc => Box::new(hyper::Hyper::start(setting, &directory, hyper::Allocator::Glibc)?),
            Peer::Nchan => Box::new(nchan::Nchan::start(setting, &directory)?),
            Peer::Pushpin => Box::new(pushpin::Pushpin::start(setting, &directory)?),
            Peer::Haproxy => Box::new(haproxy::Haproxy::start(setting, &directory)?),
            Peer::Nginx => Box::new(nginx::Nginx::start(setting, &directory)?),
            Peer::Sogo => anyhow::bail!("SOGo is measured apart"),
        })
    }
}

pub use bare::half_a_pair;
pub use sogo::Sogo;

/// A number that a server says.
fn count(publisher: &mut Publisher, path: &str) -> anyhow::Result<usize> {
    let answer = publisher.ask(&get(path, ""))?;
    String::from_utf8_lossy(&answer.body).trim().parse().context("not a number")
}

/// Writes a configuration.
fn write(directory: &Path, name: &str, text: &str) -> anyhow::Result<()> {
    std::fs::write(directory.join(name), text).with_context(|| name.to_owned())
}
