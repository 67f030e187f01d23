//! What a held Ping takes: sizes of types, and the growth of the gateway's process.

use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use pushgate::gateway::Parked;
use pushgate::logic::hold::Lot;

use super::figures::{Budget, Figures};
use super::process::Memory;
use super::scene::Scene;

/// Devices that come and go before anything is measured: backend connections, hash tables and allocator are warm then.
const WARM: usize = 2_000;
/// Where the slope begins, and where it ends.
pub const SMALL: usize = 2_000;
/// See [`SMALL`].
pub const LARGE: usize = 9_000;
/// What wakes are measured with in the long form.
pub const LARGEST: usize = 15_000;

/// Memory is read when it has not fallen for this long: connections to the backend are closed after 4 s, and the allocator gives back
/// what a login needed in two or three steps within some twenty more.
const SETTLED_FOR: Duration = Duration::from_secs(15);
/// It may go on falling for so long.
const SETTLES_WITHIN: Duration = Duration::from_secs(60);
/// Falls of less are none.
const SAME_BYTES: u64 = 64 << 10;

/// Sizes of types, in the layout of this build.
pub fn sizes(figures: &mut Figures) {
    figures.add("a slot with its TLS keys", "B", Budget::Most(192.0), 0.0, vec![Lot::<Parked>::SLOT_BYTES as f64]);
    figures.show("of it the connection", "B", vec![size_of::<Parked>() as f64]);
}

/// Bytes, one a time measured.
#[derive(Debug, Default)]
pub struct Samples {
    slope: Vec<f64>,
    from_zero: Vec<f64>,
    rss: Vec<f64>,
    id_chars: Vec<f64>,
}

impl Samples {
    /// Into the table.
    pub fn enter(self, figures: &mut Figures) {
        figures.add("user space per held TLS Ping (PSS slope 2,000 → 9,000)", "B", Budget::Most(1_024.0), 0.4, self.slope);
        figures.show("the same from an empty process to 9,000", "B", self.from_zero);
        figures.show("the gateway's RSS at 9,000", "MB", self.rss);
        figures.show("characters of a folder id (5 folders a device)", "", self.id_chars);
    }
}

/// A new gateway, from nothing to 9,000 held.
pub fn grow(program: &Path, samples: &mut Samples) -> anyhow::Result<Scene> {
    let mut scene = Scene::start(program)?;
    let empty = scene.memory()?;
    scene.add(WARM)?;
    scene.remove_all()?;
    scene.add(SMALL)?;
    let small = settled(&scene)?;
    scene.add(LARGE - SMALL)?;
    let large = settled(&scene)?;
    let per = |from: Memory, to: Memory, devices: usize| (to.pss as f64 - from.pss as f64) / devices as f64;
    samples.slope.push(per(small, large, LARGE - SMALL));
    samples.from_zero.push(per(empty, large, LARGE));
    samples.rss.push(large.rss as f64 / 1e6);
    samples.id_chars.extend(scene.reports()?.last().map(|report| report.id_chars as f64 / 5.0));
    Ok(scene)
}

/// Memory once it has stopped falling.
fn settled(scene: &Scene) -> anyhow::Result<Memory> {
    let began = Instant::now();
    let (mut least, mut fell) = (scene.memory()?, began);
    loop {
        sleep(Duration::from_secs(1));
        let now = scene.memory()?;
        if now.pss + SAME_BYTES < least.pss {
            (least, fell) = (now, Instant::now());
        }
        if fell.elapsed() > SETTLED_FOR || began.elapsed() > SETTLES_WITHIN {
            return Ok(now);
        }
    }
}
