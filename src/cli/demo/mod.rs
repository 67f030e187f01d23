//! `pushgate demo`: a gateway, a stand-in mail server and simulated devices in one process; nothing to install, nothing left behind.
//!
//! Everything is real but the people: TLS over sockets, bodies in WBXML, a backend with state, and a notification by HTTP for
//! each delivery, as an operator's mail server would send it. A message is delivered to a random mailbox every second, and
//! the device must have fetched it at the end.
//!
//! * `scene`: starts the parts. * `control`: mail on demand. * `view`: what is shown meanwhile. This file: the run, and whether it went well.

mod control;
mod scene;
#[cfg(test)]
mod tests;
mod view;

use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::time::Duration;

use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, sleep_until, timeout};

use self::scene::{Gateway, Scene};
use self::view::View;
use super::{Failure, Outcome, arguments, say, serve};
use crate::config::Config;
use crate::gateway::tls::Acceptor;
use crate::telemetry;

/// How often something is delivered.
const DELIVERY_EVERY: Duration = Duration::from_secs(1);
/// How often the view is drawn anew on a terminal, and how often a line is written elsewhere.
const DRAW_EVERY: Duration = Duration::from_millis(250);
const LINE_EVERY: Duration = Duration::from_secs(2);
/// The last deliveries get this long to arrive; a demo shorter than twice this delivers for half its time.
const GRACE: Duration = Duration::from_secs(2);
/// Something still missing after that gets this long, so that a busy machine is not taken for a loss.
const PATIENCE: Duration = Duration::from_secs(5);
/// Stopping takes no longer.
const DRAIN_MAX: Duration = Duration::from_secs(5);

/// How it went; the line of `--json`.
#[derive(Debug, Serialize)]
struct Summary {
    devices: usize,
    held_max: usize,
    wakes: u64,
    lost: usize,
    wake_p50_ms: Option<f64>,
    wake_p99_ms: Option<f64>,
    backend_requests: u64,
}

/// `pushgate demo`
pub fn run(arguments: &arguments::Demo) -> Outcome {
    run_with(arguments, start_gateway)
}

/// The gateway as `serve` starts it.
async fn start_gateway(config: Config, acceptor: Acceptor) -> anyhow::Result<Gateway> {
    telemetry::log::start(&config.log)?;
    let running = serve::start(config, acceptor).await?;
    let https = *running.https.first().ok_or_else(|| anyhow::anyhow!("it listens nowhere"))?;
    Ok(Gateway { https, internal: running.internal, token: running.token.clone(), drain: Box::pin(running.drain()) })
}

/// Runs the demo with a gateway that `start` starts.
fn run_with<S>(arguments: &arguments::Demo, start: S) -> Outcome
where
    S: AsyncFnOnce(Config, Acceptor) -> anyhow::Result<Gateway>,
{
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::Failed(format!("cannot start: {error}")))?;
    let outcome = runtime.block_on(async {
        let scene = Scene::start(arguments, start).await.map_err(|error| Failure::Failed(format!("cannot start the demo: {error:#}")))?;
        let summary = play(arguments, &scene, View::new(arguments.json)).await?;
        // The devices go first: nobody is left to be answered. If draining takes too long, leaving is as good here.
        let _ = timeout(DRAIN_MAX, scene.stop()).await;
        judge(arguments, &summary)
    });
    runtime.shutdown_background();
    outcome
}

/// From the first device to the summary.
async fn play(arguments: &arguments::Demo, scene: &Scene, mut view: View) -> Result<Summary, Failure> {
    view.introduce(scene)?;
    let playing = async {
        ramp(scene, &mut view).await?;
        deliver(arguments.duration, scene, &mut view).await
    };
    tokio::select! {
        left = told_to_leave() => left.map_err(|error| Failure::Failed(format!("cannot wait for signals: {error}")))?,
        played = playing => played?,
    }
    settle(scene).await;
    view.finish(scene)?;
    let latencies = scene.tally.latencies();
    let ms = |quantile| (!latencies.is_empty()).then(|| latencies.value_at_quantile(quantile) as f64 / 1_000.0);
    Ok(Summary {
        devices: scene.devices,
        held_max: scene.tally.held_max(),
        wakes: scene.tally.wakes(),
        lost: scene.tally.missing(),
        wake_p50_ms: ms(0.5),
        wake_p99_ms: ms(0.99),
        backend_requests: scene.cas.requests(),
    })
}

/// Ctrl-C, a service manager, or the terminal is closed: in each case the token's directory goes with us.
async fn told_to_leave() -> io::Result<()> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let mut hangup = signal(SignalKind::hangup())?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hangup.recv() => {}
    }
    Ok(())
}

/// Waits until all devices are held, or for the time that should have been enough.
async fn ramp(scene: &Scene, view: &mut View) -> Outcome {
    let patience = Duration::from_secs(20) + Duration::from_millis(20) * scene.devices as u32;
    let deadline = Instant::now() + patience;
    let mut drawing = every(view.pace());
    while scene.tally.held() < scene.devices && Instant::now() < deadline {
        tokio::select! {
            _ = drawing.tick() => view.draw(scene)?,
            () = sleep(Duration::from_millis(50)) => {}
        }
    }
    view.draw(scene)
}

/// Delivers every second, until the end if there is one.
async fn deliver(duration: Option<Duration>, scene: &Scene, view: &mut View) -> Outcome {
    // A century stands for ever.
    let duration = duration.unwrap_or(Duration::from_secs(100 * 365 * 86_400));
    let end = Instant::now() + duration;
    let last_delivery = end - GRACE.min(duration / 2);
    let (mut drawing, mut delivering) = (every(view.pace()), every(DELIVERY_EVERY));
    let mut webhook = scene.webhook();
    loop {
        tokio::select! {
            () = sleep_until(end) => return Ok(()),
            _ = drawing.tick() => view.draw(scene)?,
            now = delivering.tick() => if now <= last_delivery {
                let device = random(scene.devices);
                scene.tally.delivered(scene.cas.deliver(&scene.user(device), "Inbox"), device);
                scene.tally.notifying(device);
                let told = webhook.notify(&[&scene.mailbox(device)]).await;
                told.map_err(|error| Failure::Failed(format!("{error:#}")))?;
            },
        }
    }
}

/// Gives what is still under way its time.
async fn settle(scene: &Scene) {
    let deadline = Instant::now() + PATIENCE;
    while scene.tally.missing() > 0 && Instant::now() < deadline {
        sleep(Duration::from_millis(20)).await;
    }
}

/// Writes the result; nobody held, or anything lost, is a failure.
fn judge(arguments: &arguments::Demo, summary: &Summary) -> Outcome {
    if arguments.json {
        let line = serde_json::to_string(summary).map_err(|error| Failure::Failed(error.to_string()))?;
        say(&format!("{line}\n"))?;
    }
    if summary.held_max == 0 {
        return Err(Failure::Failed("no device was held".into()));
    }
    if summary.lost > 0 {
        return Err(Failure::Failed(format!("{} messages were not fetched by their device", summary.lost)));
    }
    Ok(())
}

fn every(period: Duration) -> tokio::time::Interval {
    let mut interval = interval(period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

/// Below `end`. Each `RandomState` has fresh keys; that is randomness enough for a demo.
fn random(end: usize) -> usize {
    (RandomState::new().hash_one(end) % end.max(1) as u64) as usize
}
