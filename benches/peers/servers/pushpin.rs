//! Pushpin before the holder, which asks it (GRIP) to hold each request on a channel of its own.

use std::net::SocketAddr;
use std::ops::Range;
use std::path::Path;
use std::process::Command;

use serde_json::json;

use super::hyper::Hyper;
use super::{Server, Setting, write};
use crate::crew::Language;
use crate::program::{Program, free_address};
use crate::publisher::post;

/// Messages in one request: it takes bodies up to a megabyte.
const BATCH: usize = 1_000;

/// Pushpin and its origin.
pub struct Pushpin {
    program: Program,
    origin: Hyper,
    target: SocketAddr,
    control: SocketAddr,
    /// What the origin had handed over when all had gone.
    gone: usize,
}

impl Pushpin {
    /// Both.
    pub fn start(setting: &Setting, directory: &Path) -> anyhow::Result<Pushpin> {
        let (origin, target, control) = (Hyper::origin(directory)?, free_address()?, free_address()?);
        let certificates = directory.join("runner/certs");
        std::fs::create_dir_all(&certificates)?;
        let port = target.port();
        for (from, to) in [("cert.pem", format!("default_{port}.crt")), ("key.pem", format!("default_{port}.key"))] {
            std::fs::copy(setting.directory.join(from), certificates.join(to))?;
        }
        // Debian's settings but for addresses, directories, and `message_rate`, which is 2,500 a second there.
        let (push, push_sub, command) = (free_address()?, free_address()?, free_address()?);
        let config = format!(
            "[global]
include={{libdir}}/internal.conf
rundir={directory}
ipc_prefix=pushpin-
port_offset=0
[runner]
services=condure,pushpin-proxy,pushpin-handler
https_ports={target}
logdir={directory}
log_level=2
client_buffer_size=8192
client_maxconn=16000
[proxy]
routesfile=routes
sig_key=changeme
[handler]
push_in_spec=tcp://{push}
push_in_sub_specs=tcp://{push_sub}
push_in_sub_connect=false
push_in_http_addr=127.0.0.1
push_in_http_port={control_port}
push_in_http_max_headers_size=10000
push_in_http_max_body_size=1000000
stats_spec=ipc://{directory}/stats
command_spec=tcp://{command}
message_rate={rate}
message_hwm=25000
message_wait=5000
id_cache_ttl=60
subscription_linger=60
",
            directory = directory.display(),
            control_port = control.port(),
            rate = 1_000_000,
        );
        write(directory, "pushpin.conf", &config)?;
        write(directory, "routes", &format!("* {}\n", origin.target))?;
        let mut start = Command::new("pushpin");
        start.arg("--config").arg(directory.join("pushpin.conf"));
        let program = Program::start(&mut start, directory, "pushpin", target)?;
        Ok(Pushpin { program, origin, target, control, gone: 0 })
    }
}

impl Server for Pushpin {
    fn target(&self) -> SocketAddr {
        self.target
    }

    fn language(&self) -> Language {
        Language::Get { path: "/grip/{}".into() }
    }

    fn pids(&self) -> Vec<u32> {
        self.program.pids()
    }

    fn held(&mut self) -> anyhow::Result<usize> {
        Ok(self.origin.held()? - self.gone)
    }

    fn publishes_at(&self) -> SocketAddr {
        self.control
    }

    fn wakes(&self, devices: Range<usize>) -> Vec<Vec<u8>> {
        let item = |number: usize| {
            json!({ "channel": number.to_string(), "formats": { "http-response": { "body": "something has changed in the Inbox" } } })
        };
        let body = |start: usize| json!({ "items": (start..devices.end.min(start + BATCH)).map(item).collect::<Vec<_>>() }).to_string();
        devices.clone().step_by(BATCH).map(|start| post("/publish/", "", &body(start))).collect()
    }

    fn all_gone(&mut self) -> anyhow::Result<()> {
        self.gone = self.origin.held()?;
        Ok(())
    }
}
