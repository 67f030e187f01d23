//! Pushpin before the holder, which asks it (GRIP) to hold each request on a channel of its own. It reaches its origin through
//! zurl, which Debian packages apart and which belongs to it: its memory and time count.

use std::net::SocketAddr;
use std::ops::Range;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::json;

use super::hyper::Hyper;
use super::{Server, Setting, write};
use crate::crew::Language;
use crate::program::{Program, free_address};
use crate::publisher::post;

/// Messages in one request: it takes bodies up to a megabyte.
const BATCH: usize = 1_000;
/// No limit in effect: Debian's would alone take six seconds for 15,000.
const MESSAGE_RATE: usize = 1_000_000;

/// Pushpin and its origin.
pub struct Pushpin {
    program: Program,
    zurl: Program,
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
        let zurl = start_zurl(directory, origin.target)?;
        configure(directory, target, control)?;
        write(directory, "routes", &format!("* {}\n", origin.target))?;
        let mut start = Command::new("pushpin");
        start.arg("--config").arg(directory.join("pushpin.conf"));
        let program = Program::start(&mut start, directory, "pushpin", target)?;
        Ok(Pushpin { program, zurl, origin, target, control, gone: 0 })
    }
}

/// Debian's settings but for the places of its sockets, and that it may ask this machine.
fn start_zurl(directory: &Path, origin: SocketAddr) -> anyhow::Result<Program> {
    let place = directory.display();
    let config = format!(
        "[General]
instance_id=
in_spec=ipc://{place}/zurl-in
in_stream_spec=ipc://{place}/zurl-in-stream
out_spec=ipc://{place}/zurl-out
in_req_spec=ipc://{place}/zurl-req
defpolicy=allow
max_open_requests=2000
buffer_size=200000
timeout=600
in_hwm=1000
out_hwm=1000
"
    );
    write(directory, "zurl.conf", &config)?;
    // It listens nowhere: that the origin accepts is all there is to wait for.
    let mut command = Command::new("zurl");
    Program::start(command.arg(format!("--config={place}/zurl.conf")).arg("--loglevel=1"), directory, "zurl", origin)
}

/// Debian's settings but for addresses, directories, logs, and `message_rate` (2,500 a second there).
fn configure(directory: &Path, target: SocketAddr, control: SocketAddr) -> anyhow::Result<()> {
    let (push, push_sub, command) = (free_address()?, free_address()?, free_address()?);
    let place = directory.display();
    let config = format!(
        "[global]
include={{libdir}}/internal.conf
rundir={place}
ipc_prefix=pushpin-
port_offset=0
[runner]
services=condure,pushpin-proxy,pushpin-handler
https_ports={target}
logdir={place}
log_level=1
client_buffer_size=8192
client_maxconn=16000
[proxy]
zurl_out_specs=ipc://{place}/zurl-in
zurl_out_stream_specs=ipc://{place}/zurl-in-stream
zurl_in_specs=ipc://{place}/zurl-out
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
stats_spec=ipc://{place}/stats
command_spec=tcp://{command}
message_rate={MESSAGE_RATE}
message_hwm=25000
message_wait=5000
id_cache_ttl=60
subscription_linger=60
",
        control_port = control.port(),
    );
    write(directory, "pushpin.conf", &config)
}

impl Server for Pushpin {
    fn target(&self) -> SocketAddr {
        self.target
    }

    fn language(&self) -> Language {
        Language::Get { path: "/grip/{}".into() }
    }

    fn pids(&self) -> Vec<u32> {
        [self.program.pids(), self.zurl.pids()].concat()
    }

    fn held(&mut self) -> anyhow::Result<usize> {
        Ok(self.origin.held()? - self.gone)
    }

    fn publishes_at(&self) -> SocketAddr {
        self.control
    }

    fn wakes(&self, devices: Range<usize>) -> Vec<Vec<u8>> {
        let item = |number: usize| json!({ "channel": number.to_string(), "formats": { "http-response": { "body": "something has changed in the Inbox" } } });
        let body = |start: usize| json!({ "items": (start..devices.end.min(start + BATCH)).map(item).collect::<Vec<_>>() }).to_string();
        devices.clone().step_by(BATCH).map(|start| post("/publish/", "", &body(start))).collect()
    }

    /// A second after the first request on a channel, it asks the origin for it again. That it cancels requests ("out of sequence")
    /// has another cause: waiting for this did not change it.
    fn settles(&self) -> Duration {
        Duration::from_secs(4)
    }

    /// It does not answer while messages come every 12 ms: all hundred were answered after the last.
    fn between_wakes(&self) -> Duration {
        Duration::from_millis(60)
    }

    fn all_gone(&mut self) -> anyhow::Result<()> {
        self.gone = self.origin.held()?;
        Ok(())
    }
}
