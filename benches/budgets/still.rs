//! What it costs when nothing happens: processor time of holding, and backend requests of Pings that come again.

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::ensure;

use super::crew::{Question, Report};
use super::figures::{Budget, Figures};
use super::process;
use super::scene::Scene;

/// Devices that Ping again and again, and their heartbeat.
const REPINGING: usize = 200;
const HEARTBEAT_S: u32 = 2;
/// The last wakes are in the statistics on the disk by then: `store.flush_s` is 5, and 15,000 rows take a part of a second.
const WRITTEN: Duration = Duration::from_secs(10);
/// How long they are watched.
const WATCHED: Duration = Duration::from_secs(5);

/// Processor time of the gateway while nothing happens.
pub fn idle(scene: &Scene, figures: &mut Figures, seconds: u64) -> anyhow::Result<()> {
    sleep(WRITTEN);
    let (began, before) = (Instant::now(), process::ran_ns(scene.gateway_pid())?);
    sleep(Duration::from_secs(seconds));
    let share = (process::ran_ns(scene.gateway_pid())? - before) as f64 / began.elapsed().as_nanos() as f64;
    figures.add("processor while all are held and nothing happens", "% of a core", Budget::Most(0.5), 0.0, vec![share * 100.0]);
    Ok(())
}

/// Requests at the backend for each Ping that a device in step sends again when its heartbeat is over.
pub fn repings(scene: &mut Scene, figures: &mut Figures) -> anyhow::Result<()> {
    let mut crew = scene.crew_apart(REPINGING, HEARTBEAT_S)?;
    // All have logged in when as many Pings have expired; whoever was slow has then had a heartbeat more.
    let expired = |crew: &mut super::child::Child| -> anyhow::Result<u64> { Ok(crew.ask::<Report>(&Question::Report)?.expired) };
    scene.until("Pings expire", Duration::from_secs(20), |_| Ok(expired(&mut crew)? >= 2 * REPINGING as u64))?;
    let (pings, requests) = (expired(&mut crew)?, scene.backend_requests()?);
    sleep(WATCHED);
    let (pings, requests) = (expired(&mut crew)? - pings, scene.backend_requests()? - requests);
    ensure!(pings as usize >= REPINGING, "only {pings} Pings expired");
    figures.add("backend requests per re-Ping of a device in step", "", Budget::Most(0.0), 0.0, vec![requests as f64 / pings as f64]);
    figures.show("re-Pings watched for that", "", vec![pings as f64]);
    Ok(())
}
