//! How fast a change reaches a device: one alone, and everybody at once.

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::ensure;

use super::bare::Bare;
use super::crew::{Question, user};
use super::figures::{Budget, Figures};
use super::process::now_us;
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
    one_by_one(scene, figures, if is_short { 200 } else { 1_000 })?;
    all_at_once(scene, figures, if is_short { 3 } else { 7 })
}

fn one_by_one(scene: &mut Scene, figures: &mut Figures, times: usize) -> anyhow::Result<()> {
    let step = (scene.devices / times).max(1);
    let mut notified_us = Vec::new();
    for turn in 0..times {
        let device = turn * step % scene.devices;
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
    figures.add("wake one: notification in → bytes written, p99", "ms", Budget::Most(2.0), 0.0, vec![written_ms[1]]);
    figures.show("wake one: notification sent → answer read, p50", "ms", vec![quantile(0.5)]);
    figures.show("wake one: notification sent → answer read, p99", "ms", vec![quantile(0.99)]);
    scene.until_held()
}

/// The gateway and bare writes in turns, so that both meet the same machine.
fn all_at_once(scene: &mut Scene, figures: &mut Figures, times: usize) -> anyhow::Result<()> {
    let lots = std::thread::available_parallelism().map_or(1, usize::from);
    let mut bare = Bare::connect(scene.devices)?;
    let (mut written_s, mut read_s, mut bare_written_s, mut bare_read_s) = (vec![], vec![], vec![], vec![]);
    for _ in 0..times {
        let (written, read) = bare.write_all(lots)?;
        (bare_written_s.push(written), bare_read_s.push(read));
        let (written, read) = wake_all(scene)?;
        (written_s.push(written), read_s.push(read));
    }
    let ratio = |ours: &[f64], bare: &[f64]| -> Vec<f64> { ours.iter().zip(bare).map(|(ours, bare)| ours / bare).collect() };
    let ratios = [ratio(&written_s, &bare_written_s), ratio(&read_s, &bare_read_s)];
    figures.show("wake all: first notification → last answer written", "s", written_s);
    figures.show("wake all: first notification → last answer read", "s", read_s);
    figures.show("as many bare writes of 200 bytes: last written", "s", bare_written_s);
    figures.show("as many bare writes of 200 bytes: last read", "s", bare_read_s);
    let [written, read] = ratios;
    figures.add("wake all ÷ bare writes, written", "×", Budget::Most(2.0), 1.0, written);
    figures.show("wake all ÷ bare writes, read", "×", read);
    Ok(())
}

/// Seconds until the gateway has written the last answer, and until a device has read the last one.
fn wake_all(scene: &mut Scene) -> anyhow::Result<(f64, f64)> {
    let mailboxes: Vec<String> = (0..scene.devices).map(user).collect();
    let before = scene.status("wakes_total")?;
    for crew in &mut scene.crews {
        crew.tell(&Question::HoldBack(true))?;
    }
    sleep(Duration::from_millis(200));
    let (began, began_us) = (Instant::now(), now_us());
    for batch in mailboxes.chunks(BATCH) {
        let batch: Vec<&str> = batch.iter().map(String::as_str).collect();
        scene.runtime.block_on(scene.webhook.notify(&batch))?;
    }
    // Each request is answered when its Pings have been answered, or a little before: seldom more than one look.
    while scene.status("wakes_total")? - before < scene.devices as f64 {
        ensure!(began.elapsed() < LOST_AFTER, "wakes were lost");
        sleep(Duration::from_millis(1));
    }
    let written_s = began.elapsed().as_secs_f64();
    sleep(Duration::from_millis(500));
    let woken_us = woken_us(scene)?;
    ensure!(woken_us.iter().all(|at| *at >= began_us), "an answer was written and not read");
    let last_us = woken_us.iter().max().copied().unwrap_or_default();
    for crew in &mut scene.crews {
        crew.tell(&Question::HoldBack(false))?;
    }
    // All Sync and Ping again.
    sleep(Duration::from_secs(1));
    scene.until_held()?;
    Ok((written_s, (last_us - began_us) as f64 / 1e6))
}

/// When each device was last woken, by number.
fn woken_us(scene: &mut Scene) -> anyhow::Result<Vec<u64>> {
    Ok(scene.reports()?.into_iter().flat_map(|report| report.woken_us).collect())
}
