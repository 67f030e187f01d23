//! Whom the devices speak to, and what is known of that server from inside.

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::PathBuf;

use anyhow::{Context as _, ensure};
use pushgate::standin::tls::Trust;
use serde::{Deserialize, Serialize};

use super::keys::Keys;

/// `[target]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// As it was written.
    pub url: String,
    pub address: SocketAddr,
    /// For `Host` and the certificate.
    pub server_name: String,
    /// Without TLS.
    pub plain: bool,
    /// What its certificate must chain to.
    pub ca: Option<PathBuf>,
    /// Any certificate will do.
    pub insecure: bool,
    /// Whether devices resume TLS sessions when they connect again.
    pub resume: bool,
}

/// `[server]`
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Server {
    /// Where its metrics are, in Prometheus's form; of several processes, all are added up.
    pub metrics: Vec<String>,
    pub token: Option<String>,
    /// Its process, if it runs on this machine: for memory and CPU.
    pub pid: Option<u32>,
}

impl Target {
    pub(super) fn of(mut keys: Keys) -> Option<Target> {
        let url = keys.take::<String>("url");
        let url = keys.must("url", url);
        let server_name = keys.take("server_name");
        let ca: Option<PathBuf> = keys.take("ca");
        let insecure = keys.take("insecure").unwrap_or(false);
        let resume = keys.take("resume").unwrap_or(false);
        let url = url?;
        let Some((plain, host, port)) = read(&url) else {
            keys.problem("url", "begins with https:// or http://");
            return None;
        };
        if !plain && ca.is_none() && !insecure {
            keys.problem("ca", "or insecure = true: one of them must say whom to believe");
        }
        if let Some(error) = ca.as_ref().and_then(|ca| Trust::from_pem_file(ca).err()) {
            keys.problem("ca", &format!("{error:#}"));
        }
        let address = resolve(host, port).map_err(|error| keys.problem("url", &error)).ok()?;
        let server_name = server_name.unwrap_or_else(|| host.to_owned());
        Some(Target { address, server_name, plain, ca, insecure, resume, url })
    }

    /// A server, without a scenario. TLS believes in `ca`, or in anybody.
    ///
    /// # Errors
    /// The URL is none of https:// or http://, has no address, or says nothing of whom to believe.
    pub fn new(url: &str, ca: Option<PathBuf>, insecure: bool) -> anyhow::Result<Target> {
        let (plain, host, port) = read(url).context("a URL begins with https:// or http://")?;
        ensure!(plain || ca.is_some() || insecure, "say --ca FILE or --insecure");
        let address = resolve(host, port).map_err(anyhow::Error::msg)?;
        Ok(Target { address, server_name: host.to_owned(), plain, ca, insecure, resume: false, url: url.to_owned() })
    }

    /// What a device believes; `None`: it speaks without TLS.
    ///
    /// # Errors
    /// The CA's file cannot be read.
    pub fn trust(&self) -> anyhow::Result<Option<Trust>> {
        match &self.ca {
            _ if self.plain => Ok(None),
            Some(file) => Trust::from_pem_file(file).map(Some),
            None => Ok(Some(Trust::Anybody)),
        }
    }
}

impl Server {
    pub(super) fn of(mut keys: Keys) -> Option<Server> {
        let metrics = keys.take_list("metrics", |url| match url.starts_with("http://") {
            true => Ok(url.to_owned()),
            false => Err("begins with http://".into()),
        });
        let token = token(&mut keys);
        Some(Server { metrics: metrics.unwrap_or_default(), token, pid: keys.take("pid") })
    }
}

/// `token`, or the content of `token_file`.
pub(super) fn token(keys: &mut Keys) -> Option<String> {
    let token: Option<String> = keys.take("token");
    let from_file = keys.take_parsed("token_file", |file| {
        let text = std::fs::read_to_string(file).map_err(|error| format!("{file}: {error}"))?;
        Ok(text.trim().to_owned())
    });
    token.or(from_file)
}

/// Whether it is without TLS, the host and the port.
fn read(url: &str) -> Option<(bool, &str, u16)> {
    let (plain, rest) = match (url.strip_prefix("https://"), url.strip_prefix("http://")) {
        (Some(rest), _) => (false, rest),
        (_, Some(rest)) => (true, rest),
        _ => return None,
    };
    let (host, port) = split(rest.split('/').next().unwrap_or_default(), if plain { 80 } else { 443 });
    Some((plain, host, port))
}

fn resolve(host: &str, port: u16) -> Result<SocketAddr, String> {
    let found = (host, port).to_socket_addrs().map_err(|error| format!("{host}: {error}"))?.next();
    found.ok_or_else(|| format!("{host}: has no address"))
}

/// Host and port of an authority; an IPv6 address is in brackets.
fn split(authority: &str, port: u16) -> (&str, u16) {
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, digits)) if !digits.contains(']') => (host, digits.parse().unwrap_or(port)),
        _ => (authority, port),
    };
    (host.trim_start_matches('[').trim_end_matches(']'), port)
}
