//! SOGo with the mail system that the tests of `tests/servers` start, and nginx for TLS before it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};

use super::{Setting, nginx};
use crate::program::{Program, family, free_address};

/// The mail system. It ends when this is dropped.
pub struct Sogo {
    directory: PathBuf,
    _tls: Program,
    /// Where devices connect.
    pub target: SocketAddr,
    lmtp: (String, String),
}

impl Sogo {
    /// With so many workers: a held Ping takes one.
    pub fn start(setting: &Setting, workers: usize) -> anyhow::Result<Sogo> {
        let directory = setting.directory.join("sogo");
        servers("start", &directory, workers)?;
        let settings = std::fs::read_to_string(directory.join("settings"))?;
        let setting_of = |name: &str| -> anyhow::Result<String> {
            let line = settings.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
            Ok(line.with_context(|| format!("the mail system has no {name}"))?.to_owned())
        };
        let target = free_address()?;
        let server = format!(
            "server {{
               listen {target} ssl;
               location / {{
                 proxy_pass {};
                 proxy_http_version 1.1;
                 proxy_set_header Connection \"\";
                 proxy_set_header Host $host;
                 proxy_read_timeout 3600s;
                 proxy_buffering off;
               }}
             }}",
            setting_of("BACKEND_URL")?
        );
        let before = directory.join("tls");
        std::fs::create_dir(&before)?;
        let tls = nginx::start(setting, &before, "", &server, target)?;
        Ok(Sogo { directory, _tls: tls, target, lmtp: (setting_of("ADDRESS")?, setting_of("LMTP_PORT")?) })
    }

    /// `sogod` and its workers, the parent first.
    pub fn pids(&self) -> anyhow::Result<Vec<u32>> {
        let file = std::fs::read_to_string(self.directory.join("run/sogo.pid"))?;
        Ok(family(file.split_whitespace().next().context("no pid of sogod")?.parse()?))
    }

    /// A message for each of these users, by LMTP.
    pub fn deliver(&self, users: &[String]) -> anyhow::Result<()> {
        let mut command = Command::new("python3");
        command.arg(scripts().join("deliver.py")).arg(&self.lmtp.0).arg(&self.lmtp.1).arg("side by side").args(users);
        ensure!(command.status()?.success(), "a message could not be delivered");
        Ok(())
    }
}

impl Drop for Sogo {
    fn drop(&mut self) {
        if let Err(error) = servers("stop", &self.directory, 0) {
            eprintln!("peers: {error:#}");
        }
    }
}

fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/servers")
}

fn servers(what: &str, directory: &Path, workers: usize) -> anyhow::Result<()> {
    let mut command = Command::new("bash");
    command.arg(scripts().join("servers.sh")).arg(what).arg(directory).env("WORKERS", workers.to_string());
    ensure!(command.stdout(Stdio::null()).status()?.success(), "tests/servers/servers.sh {what} failed");
    Ok(())
}
