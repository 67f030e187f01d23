//! The holder: as a peer of its own, with TLS, and as the origin of proxies, without.

use std::net::SocketAddr;
use std::ops::Range;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::ensure;

use super::{Server, Setting, count};
use crate::crew::Language;
use crate::program::{Program, free_address};
use crate::publisher::{Publisher, post};

/// Debian's package libjemalloc2.
const JEMALLOC: &str = "/usr/lib/x86_64-linux-gnu/libjemalloc.so.2";

/// Which `malloc`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Allocator {
    Glibc,
    Jemalloc,
}

/// A holder.
pub struct Hyper {
    program: Program,
    pub target: SocketAddr,
    pub control: SocketAddr,
    publisher: Publisher,
    allocator: Allocator,
}

impl Hyper {
    /// With TLS.
    pub fn start(setting: &Setting, directory: &Path, allocator: Allocator) -> anyhow::Result<Hyper> {
        Hyper::run(Some(&setting.directory), directory, allocator)
    }

    /// Without TLS, for proxies.
    pub fn origin(directory: &Path) -> anyhow::Result<Hyper> {
        Hyper::run(None, directory, Allocator::Glibc)
    }

    fn run(tls: Option<&Path>, directory: &Path, allocator: Allocator) -> anyhow::Result<Hyper> {
        let (target, control) = (free_address()?, free_address()?);
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["holder", "--listen", &target.to_string(), "--control", &control.to_string()]);
        if let Some(tls) = tls {
            command.arg("--tls").arg(tls);
        }
        if allocator == Allocator::Jemalloc {
            ensure!(Path::new(JEMALLOC).exists(), "{JEMALLOC} is missing: install libjemalloc2");
            // As in pushgate: what is free goes back without waiting for the next call.
            command.env("LD_PRELOAD", JEMALLOC).env("MALLOC_CONF", "background_thread:true");
        }
        let program = Program::start(&mut command, directory, "holder", control)?;
        Ok(Hyper { program, target, control, publisher: Publisher::connect(control)?, allocator })
    }

    /// Requests that it holds, or has asked others to hold.
    pub fn held(&mut self) -> anyhow::Result<usize> {
        count(&mut self.publisher, "/held")
    }
}

/// One call for all.
pub fn wakes(devices: Range<usize>) -> Vec<Vec<u8>> {
    let numbers: Vec<String> = devices.map(|number| number.to_string()).collect();
    vec![post("/wake", "", &numbers.join(" "))]
}

/// What devices ask for.
pub fn language() -> Language {
    Language::Get { path: "/hold/{}".into() }
}

impl Server for Hyper {
    fn target(&self) -> SocketAddr {
        self.target
    }

    fn language(&self) -> Language {
        language()
    }

    fn pids(&self) -> Vec<u32> {
        self.program.pids()
    }

    fn held(&mut self) -> anyhow::Result<usize> {
        Hyper::held(self)
    }

    fn publishes_at(&self) -> SocketAddr {
        self.control
    }

    fn wakes(&self, devices: Range<usize>) -> Vec<Vec<u8>> {
        wakes(devices)
    }

    /// jemalloc keeps what is free for up to twenty seconds; glibc keeps it anyway.
    fn settles(&self) -> Duration {
        Duration::from_secs(if self.allocator == Allocator::Jemalloc { 30 } else { 1 })
    }
}
