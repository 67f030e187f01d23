//! The devices, in a process of their own: the same for every server. One thread, one poller, no runtime: what the devices
//! cost is taken from the server, since both share the cores.

mod answer;
mod connection;
mod fleet;
mod script;

use std::io::BufRead as _;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;

use anyhow::Context as _;
use pushgate::gateway::open_files;
use pushgate::standin::device::DeviceOptions;
use pushgate::standin::tls::{Trust, client_config};
use serde::{Deserialize, Serialize};

pub use answer::{Answer, complete};
use fleet::Fleet;
pub use script::Language;

/// Which devices.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Order {
    /// The server.
    pub target: SocketAddr,
    /// TLS, or plain.
    pub is_tls: bool,
    /// What they say.
    pub language: Language,
    /// Number of the first.
    pub first: usize,
    /// How many there will be.
    pub devices: usize,
    /// How many connect, log in or synchronise at the same time.
    pub busy_max: usize,
}

/// What a crew is told or asked.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Question {
    /// These connect, say what they have to, and have a request held.
    Open(Range<usize>),
    /// All go away; answered with nothing.
    Close,
    /// From the next request on.
    Language(Language),
    /// Woken devices do nothing (true), or go on.
    HoldBack(bool),
    /// How things are.
    Report,
}

/// How things are.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Report {
    /// When each device last read the end of an answer that had been held; 0: never.
    pub woken_us: Vec<u64>,
    /// Devices whose request has been sent and not answered.
    pub held: usize,
    /// Devices that failed.
    pub failures: u64,
    /// What the first of them met.
    pub failure: Option<String>,
}

/// The user, and the mailbox, of a device.
pub fn user(number: usize) -> String {
    USER.replace("{}", &number.to_string())
}

/// The pattern of [`user`].
pub const USER: &str = "user{}@example.org";

/// Runs until whoever started it is gone.
pub fn run() -> anyhow::Result<()> {
    let mut lines = std::io::stdin().lock().lines();
    let order: Order = serde_json::from_str(&lines.next().context("no order came")??)?;
    drop(lines);
    open_files::ensure_sockets(order.devices)?;
    let tls = if order.is_tls { Some(client_config(Trust::Anybody, false)?) } else { None };
    let options = DeviceOptions { user_agent: "pushgate-peers/1".into(), ..DeviceOptions::new(order.target, None) };
    let mut fleet = Fleet::new(order, &Arc::new(options), tls)?;
    let waker = fleet.waker()?;
    let (sender, orders) = sync_channel(16);
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            // Something else than an order ends it, as does the end of the orders.
            let order: Option<Question> = serde_json::from_str(&line).ok();
            if sender.send(order).is_err() || waker.wake().is_err() {
                return;
            }
        }
        // The fleet is gone already when this fails.
        let _ = sender.send(None);
        let _ = waker.wake();
    });
    fleet.run(&orders)
}
