//! HAProxy as a plain proxy before the holder.

use std::net::SocketAddr;
use std::ops::Range;
use std::path::Path;
use std::process::Command;

use super::hyper::{self, Hyper};
use super::{Server, Setting, write};
use crate::crew::Language;
use crate::program::{Program, free_address};

/// Connections of one process: each takes two files, of 20,000 that it may open.
const CONNECTIONS_MAX: usize = 9_900;

/// HAProxy, in as many processes as it takes, and its origin.
pub struct Haproxy {
    programs: Vec<Program>,
    origin: Hyper,
    target: SocketAddr,
}

impl Haproxy {
    /// One process with two threads as long as that will do, or else two with one each on the same port.
    pub fn start(setting: &Setting, directory: &Path) -> anyhow::Result<Haproxy> {
        let (origin, target) = (Hyper::origin(directory)?, free_address()?);
        let (processes, threads) = if setting.devices < CONNECTIONS_MAX { (1, 2) } else { (2, 1) };
        let config = format!(
            "global
  maxconn {CONNECTIONS_MAX}
  nbthread {threads}
defaults
  mode http
  timeout connect 5s
  timeout client 3600s
  timeout server 3600s
  timeout http-request 30s
  option abortonclose
frontend devices
  bind {target} ssl crt {}/both.pem backlog 4096
  default_backend origin
backend origin
  server origin {}
",
            setting.directory.display(),
            origin.target
        );
        write(directory, "haproxy.cfg", &config)?;
        let start = |number: usize| {
            Program::start(Command::new("haproxy").args(["-db", "-f", "haproxy.cfg"]), directory, &format!("haproxy{number}"), target)
        };
        let programs = (0..processes).map(start).collect::<anyhow::Result<_>>()?;
        Ok(Haproxy { programs, origin, target })
    }
}

impl Server for Haproxy {
    fn target(&self) -> SocketAddr {
        self.target
    }

    fn language(&self) -> Language {
        hyper::language()
    }

    fn pids(&self) -> Vec<u32> {
        self.programs.iter().flat_map(Program::pids).collect()
    }

    fn held(&mut self) -> anyhow::Result<usize> {
        self.origin.held()
    }

    fn publishes_at(&self) -> SocketAddr {
        self.origin.control
    }

    fn wakes(&self, devices: Range<usize>) -> Vec<Vec<u8>> {
        hyper::wakes(devices)
    }

    fn other_ends(&self) -> f64 {
        2.0
    }
}
