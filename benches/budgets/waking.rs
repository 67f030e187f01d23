//! How fast a change reaches a device: one alone, and everybody at once.

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::ensure;
use pushgate::standin::webhook::Webhook;
use serde_json::json;

use super::bare::{Bare, Pass};
use super::crew::{Question, user};
use super::figures::{Budget, Figures};
use super::process::{now_us, ran_ns};
use super::scene::Scene;

/// Pause after each single wake: the device has Synced and Pings again by then.
const BETWEEN: Duration = Duration::from_millis(15);
/// Notifications in one request when all are woken.
const BATCH: usize = 1_000;
/// A wake that takes longer is lost.
const LOST_AFTER: Duration = Duration::from_secs(20);

/// Both, with as many devices as there are.
pub fn measure(scene: &mut Scene, figures: &mut Figures, is_short: bool) -> anyhow::Result<()> {
    figures.show("devices held for the following", "", vec![scene.devices as f64]);
    one_by_one(scene, figures, if is_short { 300 } else { 1_000 })?;
    all_at_once(scene, figures, if is_short { 3 } else { 7 })
}

fn one_by_one(scene: &mut Scene, figures: &mut Figures, times: usize) -> anyhow::Result<()> {
    let step = (scene.devices / times).max(1);
    let mut notified_us = Vec::new();
    for turn in 0..times {
        let device = turn * step % scene.devices;
        scene.deliver(device..device + 1)?;
        notified_us.push((device, now_us()));
        scene.runtime.block_on(scene.webhook.notify(&[&user(device)]))?;
        sleep(BETWEEN);
    }
    // The gateway's own view, of nothing but these: notification in → answer written.
    let written_ms = [scene.status("wake_p50_ms")?, scene.status("wake_p99_ms")?];
    sleep(Duration::from_millis(500));
    let woken_us = woken_us(scene)?;
    let late = |&(device, at): &(usize, u64)| woken_us[device].checked_sub(at).map(|us| us as f64 / 1_000.0);
    let mut read_ms: Vec<f64> = notified_us.iter().filter_map(late).collect();
    ensure!(read_ms.len() == times, "{} of {times} single wakes were lost", times - read_ms.len());
    read_ms.sort_by(f64::total_cmp);
    let quantile = |q: f64| read_ms[((read_ms.len() - 1) as f64 * q).round() as usize];
    figures.show("wake one: notification in → bytes written, p50", "ms", vec![written_ms[0]]);
    figures.add("wake one: notification in → bytes written, p99", "ms", Budget::Most(2.0), 0.5, vec![written_ms[1]]);
    figures.show("wake one: notification sent → answer read, p50", "ms", vec![quantile(0.5)]);
    figures.show("wake one: notification sent → answer read, p99", "ms", vec![quantile(0.99)]);
    scene.until_held()
}

/// The gateway and bare writes in turns, so that both meet the same machine.
fn all_at_once(scene: &mut Scene, figures: &mut Figures, times: usize) -> anyhow::Result<()> {
    let lots = std::thread::available_parallelism().map_or(1, usize::from);
    let mut bare = Bare::connect(scene.devices)?;
    let (mut ours, mut writes) = (Vec::new(), Vec::new());
    for _ in 0..times {
        writes.push(bare.write_all(lots)?);
        ours.push(wake_all(scene)?);
    }
    let of = |passes: &[Pass], what: fn(&Pass) -> f64| -> Vec<f64> { passes.iter().map(what).collect() };
    let ratio = |what: fn(&Pass) -> f64| -> Vec<f64> { ours.iter().zip(&writes).map(|(ours, bare)| what(ours) / what(bare)).collect() };
    let each_us = |passes: &[Pass]| -> Vec<f64> { passes.iter().map(|pass| pass.ran_s * 1e6 / scene.devices as f64).collect() };
    figures.show("wake all: first notification → last answer written", "s", of(&ours, |pass| pass.written_s));
    figures.show("wake all: first notification → last answer read", "s", of(&ours, |pass| pass.read_s));
    figures.show("as many bare writes of 200 bytes: last written", "s", of(&writes, |pass| pass.written_s));
    figures.show("as many bare writes of 200 bytes: last read", "s", of(&writes, |pass| pass.read_s));
    figures.add("wake all ÷ bare writes, until written", "×", Budget::Most(2.0), 1.0, ratio(|pass| pass.written_s));
    figures.show("wake all ÷ bare writes, until read", "×", ratio(|pass| pass.read_s));
    figures.show("the gateway's processor time a wake, all at once", "µs", each_us(&ours));
    figures.show("processor time of a bare write", "µs", each_us(&writes));
    Ok(())
}

/// Bodies of requests that notify all mailboxes, once each.
fn notifications(devices: usize) -> Vec<String> {
    let entry = |device: usize| json!({ "mailbox": user(device), "folder": "INBOX" });
    let starts = (0..devices).step_by(BATCH);
    starts.map(|start| json!((start..devices.min(start + BATCH)).map(entry).collect::<Vec<_>>()).to_string()).collect()
}

/// Sends them one after the other. Each is answered when its Pings have been answered, or a little before.
async fn notify(webhook: &mut Webhook, bodies: Vec<String>) -> anyhow::Result<()> {
    for body in bodies {
        let answer = webhook.call("POST", "/v1/notifications", body).await?;
        ensure!(answer.status == 202, "notifications were answered {}", answer.status);
    }
    Ok(())
}

/// Notifies every mailbox while the devices only read. Two senders: while one's answer is on its way, the other's work is there.
fn wake_all(scene: &mut Scene) -> anyhow::Result<Pass> {
    let mut bodies = notifications(scene.devices);
    let rest = bodies.split_off(bodies.len() / 2);
    scene.deliver(0..scene.devices)?;
    let before = scene.status("wakes_total")?;
    for crew in &mut scene.crews {
        crew.tell(&Question::HoldBack(true))?;
    }
    let mut second = scene.another_webhook()?;
    sleep(Duration::from_millis(200));
    let (began, began_us, ran) = (Instant::now(), now_us(), ran_ns(scene.gateway_pid())?);
    let sending = async { tokio::try_join!(notify(&mut scene.webhook, bodies), notify(&mut second, rest)) };
    scene.runtime.block_on(sending)?;
    // Seldom more than one look.
    while scene.status("wakes_total")? - before < scene.devices as f64 {
        ensure!(began.elapsed() < LOST_AFTER, "wakes were lost");
        sleep(Duration::from_millis(1));
    }
    let written_s = began.elapsed().as_secs_f64();
    // What a process has run shows when its threads have been off the processor.
    sleep(Duration::from_millis(500));
    let ran_s = (ran_ns(scene.gateway_pid())? - ran) as f64 / 1e9;
    let woken_us = woken_us(scene)?;
    let missing = woken_us.iter().filter(|at| **at < began_us).count();
    ensure!(missing == 0, "{missing} answers were written and not read");
    let last_us = woken_us.iter().max().copied().unwrap_or_default();
    for crew in &mut scene.crews {
        crew.tell(&Question::HoldBack(false))?;
    }
    // All Sync and Ping again.
    sleep(Duration::from_secs(1));
    scene.until_held()?;
    Ok(Pass { written_s, read_s: (last_us - began_us) as f64 / 1e6, ran_s })
}

/// When each device was last woken, by number.
fn woken_us(scene: &mut Scene) -> anyhow::Result<Vec<u64>> {
    Ok(scene.reports()?.into_iter().flat_map(|report| report.woken_us).collect())
}
