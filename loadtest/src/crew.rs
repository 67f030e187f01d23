//! One process of `hold`: opens its devices, wakes them when told to, reports.

use std::io::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};
use pushgate::gateway::open_files;
use pushgate::standin::device::{Behaviour, Device, DeviceOptions};
use pushgate::standin::tally::Tally;
use pushgate::standin::tls::{Trust, client_config};
use pushgate::standin::webhook::Webhook;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::input;
use crate::order::{Order, Progress, Report, Task, Woken, pairs};

/// How often progress is reported.
const EVERY: Duration = Duration::from_millis(250);
/// A device that is told must wake within this time.
const WAKE_MAX: Duration = Duration::from_secs(30);
/// How closely it is looked whether a device has woken.
const LOOK: Duration = Duration::from_millis(1);
/// Pause between two single wakes.
const BETWEEN_WAKES: Duration = Duration::from_millis(20);

/// A crew at work.
struct Crew {
    order: Order,
    tally: Arc<Tally>,
    rss_before: u64,
}

/// Takes an order from standard input and works until told to end, or until whoever gave it is gone.
pub fn run() -> anyhow::Result<()> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        let mut lines = input::lines();
        let order = lines.recv().await.context("no order came")?;
        work(serde_json::from_str(&order).context("the order makes no sense")?, lines).await
    })
}

async fn work(order: Order, mut lines: mpsc::Receiver<String>) -> anyhow::Result<()> {
    open_files::ensure_sockets(order.devices)?;
    let options = Arc::new(device_options(&order)?);
    let rss_before = rss();
    let tally = Arc::new(Tally::new(order.devices));
    let mut crew = Crew { order, tally, rss_before };
    let mut devices = JoinSet::new();
    devices.spawn(open(crew.order.clone(), options, crew.tally.clone()));
    let mut reporting = tokio::time::interval(EVERY);
    loop {
        tokio::select! {
            _ = reporting.tick() => say(&Report::Progress(crew.progress()))?,
            line = lines.recv() => match line.as_deref().map(serde_json::from_str).transpose()? {
                Some(Task::WakeOne(count)) => say(&Report::WakeOne(crew.wake_one(count).await?))?,
                Some(Task::WakeAll) => say(&Report::WakeAll(crew.wake_all().await?))?,
                Some(Task::End) => return say(&Report::End(crew.progress())),
                None => return Ok(()),
            },
        }
    }
}

fn device_options(order: &Order) -> anyhow::Result<DeviceOptions> {
    let trust = match &order.ca {
        _ if order.plain => None,
        Some(file) => Some(Trust::from_pem_file(file)?),
        None if order.insecure => Some(Trust::Anybody),
        None => return Err(anyhow!("say --ca FILE or --insecure")),
    };
    let tls = trust.map(|trust| client_config(trust, false)).transpose()?;
    Ok(DeviceOptions {
        server_name: order.server_name.clone(),
        version: order.version.parse().map_err(|()| anyhow!("\"{}\" is no protocol version", order.version))?,
        packs_query: order.packs_query,
        password: order.password.clone(),
        user_agent: "pushgate-loadtest/1".into(),
        ..DeviceOptions::new(order.target, tls)
    })
}

/// Opens the devices at their rate and keeps them going.
async fn open(order: Order, options: Arc<DeviceOptions>, tally: Arc<Tally>) {
    let behaviour = Arc::new(Behaviour { heartbeat_s: order.heartbeat_s, folders_max: order.folders_max, ..Behaviour::default() });
    let began = tokio::time::Instant::now();
    let mut running = JoinSet::new();
    for index in 0..order.devices {
        // By the clock, not by pauses: those add up.
        tokio::time::sleep_until(began + Duration::from_secs_f64(index as f64 / order.connect_rate)).await;
        let number = order.first + index;
        let mut device = Device::new(options.clone(), &order.users.replace("{}", &number.to_string()), &format!("LOAD{number:08}"));
        if !order.sources.is_empty() {
            device = device.from_source(order.sources[index % order.sources.len()]);
        }
        let (behaviour, tally) = (behaviour.clone(), tally.clone());
        running.spawn(async move { behaviour.run(device, index, tally).await });
    }
    while running.join_next().await.is_some() {}
}

impl Crew {
    fn progress(&self) -> Progress {
        let grown = rss().saturating_sub(self.rss_before);
        Progress {
            held: self.tally.held(),
            held_max: self.tally.held_max(),
            connections: self.tally.connections(),
            connecting_s: self.tally.connecting_time().as_secs_f64(),
            all_held_s: self.tally.all_held_after().map(|after| after.as_secs_f64()),
            wakes: self.tally.wakes(),
            needless: self.tally.needless(),
            expired: self.tally.expired(),
            errors: self.tally.errors(),
            first_error: self.tally.first_error(),
            bytes_per_device: grown / self.order.devices.max(1) as u64,
        }
    }

    /// One device after the other, each held again before the next.
    async fn wake_one(&mut self, count: usize) -> anyhow::Result<Woken> {
        let mut webhook = self.webhook()?;
        let mut woken = Woken::default();
        let began = Instant::now();
        self.tally.reset_latencies();
        for turn in 0..count {
            // Spread over all devices, whatever their number.
            let device = turn * self.order.devices.div_euclid(count.max(1)).max(1) % self.order.devices;
            if !self.tally.notifying(device) {
                woken.skipped += 1;
                continue;
            }
            webhook.notify(&[&self.mailbox(device)]).await?;
            woken.lost = self.wait_for_wakes().await;
            sleep(BETWEEN_WAKES).await;
        }
        woken.latencies_us = pairs(&self.tally.latencies());
        woken.seconds = began.elapsed().as_secs_f64();
        Ok(woken)
    }

    /// All held devices, with one notification each, as fast as they can be sent.
    async fn wake_all(&mut self) -> anyhow::Result<Woken> {
        let mut webhook = self.webhook()?;
        let mut woken = Woken::default();
        self.tally.reset_latencies();
        let mailboxes: Vec<String> = (0..self.order.devices).map(|device| self.mailbox(device)).collect();
        let began = Instant::now();
        for (batch, mailboxes) in mailboxes.chunks(self.order.wake_batch).enumerate() {
            let first = batch * self.order.wake_batch;
            woken.skipped += (first..first + mailboxes.len()).filter(|&device| !self.tally.notifying(device)).count();
            let mailboxes: Vec<&str> = mailboxes.iter().map(String::as_str).collect();
            webhook.notify(&mailboxes).await?;
        }
        woken.lost = self.wait_for_wakes().await;
        woken.seconds = began.elapsed().as_secs_f64();
        woken.latencies_us = pairs(&self.tally.latencies());
        Ok(woken)
    }

    /// Until everybody who was told is awake; how many are not after the longest time.
    async fn wait_for_wakes(&self) -> usize {
        let deadline = Instant::now() + WAKE_MAX;
        loop {
            let waiting = self.tally.waiting_for_wake();
            if waiting == 0 || Instant::now() > deadline {
                return waiting;
            }
            sleep(LOOK).await;
        }
    }

    fn webhook(&self) -> anyhow::Result<Webhook> {
        let (address, token) = self.order.webhook.clone().context("nobody to notify: say --wake")?;
        Ok(Webhook::new(address, token))
    }

    fn mailbox(&self, device: usize) -> String {
        self.order.mailboxes.replace("{}", &(self.order.first + device).to_string())
    }
}

fn say(report: &Report) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", serde_json::to_string(report)?)?;
    Ok(out.flush()?)
}

/// Memory of this process that is in RAM, in bytes; 0 where the system does not say.
fn rss() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) * 1_024
}
