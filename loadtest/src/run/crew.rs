//! One process of a run: its devices, their changes, and what became of both.

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use pushgate::gateway::open_files;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::line::{Answer, Order, Task, now_us};
use crate::engine::fleet::Fleet;
use crate::engine::sender::{Sender, Wish};
use crate::input;

/// Connections of the sender and of silently cut networks, beside those of the devices.
const OTHER_SOCKETS: usize = 1_200;

/// Takes an order from standard input and works until told to end, or until whoever gave it is gone.
pub fn run() -> anyhow::Result<()> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        // Ctrl-C in a terminal goes to all processes; ours end when the first one says so.
        tokio::spawn(async { while tokio::signal::ctrl_c().await.is_ok() {} });
        let mut lines = input::lines();
        let order = lines.recv().await.context("no order came")?;
        work(serde_json::from_str(&order).context("the order makes no sense")?, lines).await
    })
}

async fn work(order: Order, mut lines: mpsc::Receiver<String>) -> anyhow::Result<()> {
    open_files::ensure_sockets(order.devices + OTHER_SOCKETS)?;
    let order_devices = order.devices;
    let fleet = Fleet::start(order.plan, order.first, order.devices, (order.process, order.processes), order.sources)?;
    let sender = Sender::new(Arc::clone(&fleet), order.process as u64)?;
    let (wishes, wished) = mpsc::channel(1);
    // Dropped with everything in it when this function ends.
    let mut running = JoinSet::new();
    if let Some(sender) = sender {
        running.spawn(sender.run(wished));
    }
    say(&Answer::Done)?;
    while let Some(line) = lines.recv().await {
        match serde_json::from_str(&line)? {
            Task::Begin => drop(running.spawn(Arc::clone(&fleet).ramp(Instant::now()))),
            Task::MailAll => ask(&fleet, &wishes, Wish::MailAll, order_devices).await?,
            Task::WakeAll { due_us, has_mail, fetch_within_s } => {
                fleet.fetch_within(Duration::from_secs_f64(fetch_within_s));
                let late = Duration::from_micros(now_us().saturating_sub(due_us));
                let due = Instant::now().checked_sub(late).unwrap_or_else(Instant::now);
                ask(&fleet, &wishes, Wish::WakeAll { due, has_mail }, order_devices).await?;
            }
            Task::WakeOne(count) => ask(&fleet, &wishes, Wish::OneByOne(count), count).await?,
            Task::Quiet => fleet.quiet(),
            Task::Storm(within_s) => fleet.storm(Duration::from_secs_f64(within_s)),
            Task::Tell => {
                say(&Answer::Tick(Box::new(fleet.counts.take())))?;
                continue;
            }
            Task::End => {
                fleet.end();
                return say(&Answer::Tick(Box::new(fleet.counts.take())));
            }
        }
        say(&Answer::Done)?;
    }
    Ok(())
}

/// Hands a wish to who sends changes; until they are all sent it shows in the ticks.
async fn ask(fleet: &Fleet, wishes: &mpsc::Sender<Wish>, wish: Wish, count: usize) -> anyhow::Result<()> {
    fleet.counts.to_send.fetch_add(count as u64, Relaxed);
    wishes.send(wish).await.context("there is nobody to send changes")
}

fn say(answer: &Answer) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", serde_json::to_string(answer)?)?;
    Ok(out.flush()?)
}
