//! Simulated devices in a process of their own: each logs in, synchronises five folders and holds a Ping, for ever.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use anyhow::Context as _;
use pushgate::gateway::open_files;
use pushgate::logic::eas::{Command, FolderId, PingAnswer};
use pushgate::standin::device::{Device, DeviceError, DeviceOptions};
use pushgate::standin::tls::{Trust, client_config};
use serde::{Deserialize, Serialize};
use tokio::sync::{Semaphore, watch};

use super::child::{lines, say};
use super::process::now_us;

/// Folders that each device watches.
const FOLDERS: usize = 5;
/// Devices of a crew that log in at the same time: a busy machine makes the ramp longer, not the storm greater.
const LOGGING_IN_MAX: usize = 64;

/// Which devices.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Order {
    /// The gateway.
    pub target: SocketAddr,
    /// Number of the first.
    pub first: usize,
    /// How many.
    pub devices: usize,
    /// New ones a second.
    pub rate: f64,
    /// Heartbeat that they ask for, in seconds.
    pub heartbeat_s: u32,
}

/// What a crew is asked.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub enum Question {
    /// How things are.
    Report,
    /// Woken devices are to do nothing (true), or to go on: Sync and Ping again.
    HoldBack(bool),
}

/// How things are.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Report {
    /// When each device last read an answer with Status 2; 0: never. See `process::now_us`.
    pub woken_us: Vec<u64>,
    /// Answers with Status 1.
    pub expired: u64,
    /// Failures of any kind.
    pub failures: u64,
    /// Characters of the folder ids of the last device that began to Ping, together.
    pub id_chars: u64,
}

/// What devices note.
struct Notes {
    woken_us: Vec<AtomicU64>,
    expired: AtomicU64,
    failures: AtomicU64,
    id_chars: AtomicU64,
    held_back: watch::Sender<bool>,
    may_log_in: Semaphore,
}

/// Runs until whoever started it is gone.
pub fn run() -> anyhow::Result<()> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        let mut lines = lines();
        let order: Order = serde_json::from_str(&lines.recv().await.context("no order came")?)?;
        open_files::ensure_sockets(order.devices)?;
        let notes = Arc::new(Notes {
            woken_us: (0..order.devices).map(|_| AtomicU64::new(0)).collect(),
            expired: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            id_chars: AtomicU64::new(0),
            held_back: watch::Sender::new(false),
            may_log_in: Semaphore::new(LOGGING_IN_MAX),
        });
        tokio::spawn(open(order, notes.clone()));
        while let Some(line) = lines.recv().await {
            match serde_json::from_str(&line)? {
                Question::Report => say(&notes.report())?,
                Question::HoldBack(held_back) => drop(notes.held_back.send_replace(held_back)),
            }
        }
        Ok(())
    })
}

/// Opens the devices at their rate.
async fn open(order: Order, notes: Arc<Notes>) -> anyhow::Result<()> {
    let options = DeviceOptions::new(order.target, Some(client_config(Trust::Anybody, false)?));
    let options = Arc::new(DeviceOptions { user_agent: "pushgate-budgets/1".into(), ..options });
    let began = tokio::time::Instant::now();
    for index in 0..order.devices {
        // By the clock, not by pauses: those add up.
        tokio::time::sleep_until(began + Duration::from_secs_f64(index as f64 / order.rate)).await;
        let number = order.first + index;
        let device = Device::new(options.clone(), &user(number), &format!("LOAD{number:08}"));
        let source = IpAddr::V4(Ipv4Addr::new(127, 0, 1, 1 + (number % 254) as u8));
        tokio::spawn(live(device.from_source(source), index, order.heartbeat_s, notes.clone()));
    }
    Ok(())
}

/// The user, and the mailbox, of a device.
pub fn user(number: usize) -> String {
    format!("user{number}@example.org")
}

async fn live(mut device: Device, index: usize, heartbeat_s: u32, notes: Arc<Notes>) {
    while let Err(error) = stay(&mut device, index, heartbeat_s, &notes).await {
        if notes.failures.fetch_add(1, Relaxed) == 0 {
            eprintln!("budgets: a device failed: {error}");
        }
        device.disconnect();
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// Logs in and Pings, until something fails.
async fn stay(device: &mut Device, index: usize, heartbeat_s: u32, notes: &Notes) -> Result<(), DeviceError> {
    let permit = notes.may_log_in.acquire().await.expect("never closed");
    let folders = Box::pin(log_in(device)).await?;
    drop(permit);
    notes.id_chars.store(folders.iter().map(|id| id.as_str().len() as u64).sum(), Relaxed);
    let mut held_back = notes.held_back.subscribe();
    loop {
        let answer = device.ping(Some(heartbeat_s), Some(&folders), Duration::from_secs(heartbeat_s.into()), || {}).await?;
        match answer {
            PingAnswer::Changes(changed) => {
                notes.woken_us[index].store(now_us(), Relaxed);
                // An error: the process is leaving.
                let _ = held_back.wait_for(|held_back| !held_back).await;
                for folder in &changed {
                    Box::pin(device.sync_all(folder)).await?;
                }
            }
            PingAnswer::Expired => drop(notes.expired.fetch_add(1, Relaxed)),
            other => return Err(DeviceError::Status(Command::Ping, other.status().into())),
        }
    }
}

async fn log_in(device: &mut Device) -> Result<Vec<FolderId>, DeviceError> {
    device.options().await?;
    device.folder_sync().await?;
    let watched = device.folders.iter().filter(|folder| folder.class().is_some());
    let folders: Vec<FolderId> = watched.take(FOLDERS).map(|folder| folder.id.clone()).collect();
    for folder in &folders {
        device.sync_all(folder).await?;
    }
    Ok(folders)
}

impl Notes {
    fn report(&self) -> Report {
        Report {
            woken_us: self.woken_us.iter().map(|at| at.load(Relaxed)).collect(),
            expired: self.expired.load(Relaxed),
            failures: self.failures.load(Relaxed),
            id_chars: self.id_chars.load(Relaxed),
        }
    }
}
