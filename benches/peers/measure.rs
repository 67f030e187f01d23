//! One server from its start to its end: every row once.

use std::ops::Range;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

use crate::child::Child;
use crate::crew::{Order, Question, Report};
use crate::kernel;
use crate::process::now_us;
use crate::program::{ran_s, user_bytes};
use crate::publisher::Publisher;
use crate::rows::Row;
use crate::servers::Server;

/// Part of the devices that are held when the slope of memory begins. As many have come and gone before: what they left behind
/// is used again by then.
const SMALL_PART: usize = 5;
/// Time for any number of devices to be held.
const HELD_WITHIN: Duration = Duration::from_secs(90);
/// Time for all to be woken.
const WOKEN_WITHIN: Duration = Duration::from_secs(30);
/// What servers do a while after requests have come has begun by then.
const CALMS_AFTER: Duration = Duration::from_secs(4);
/// A server that runs less than this share of the time is calm.
const CALM_SHARE: f64 = 0.05;
/// What a process has run shows when its threads have been off the processor for a moment.
const CALM: Duration = Duration::from_millis(300);
/// Memory is read when it has stopped falling: two readings this far apart differ by less than a hundredth.
const SETTLES_EVERY: Duration = Duration::from_secs(1);
const SETTLES_WITHIN: Duration = Duration::from_secs(9);

/// How much of everything.
#[derive(Debug, Clone, Copy)]
pub struct Extent {
    pub devices: usize,
    /// Devices that connect, log in or synchronise at the same time.
    pub busy_max: usize,
    pub single_wakes: usize,
    pub idle: Duration,
    /// What the kernel keeps for the device's end.
    pub device_end_bytes: f64,
}

/// A server with its devices.
struct Pass<'a> {
    server: &'a mut dyn Server,
    crew: Child,
    extent: Extent,
    figures: Vec<(Row, f64)>,
    /// Wakes that did not arrive.
    lost: usize,
}

/// Everything, of a server that has had no device yet.
pub fn measure(server: &mut dyn Server, extent: Extent) -> anyhow::Result<Vec<(Row, f64)>> {
    let (target, language) = (server.target(), server.language());
    let order = Order { target, is_tls: true, language, first: 0, devices: extent.devices, busy_max: extent.busy_max };
    let crew = Child::start("crew", &order)?;
    let mut pass = Pass { server, crew, extent, figures: Vec::new(), lost: 0 };
    pass.open(0..extent.devices / SMALL_PART).context("warming up")?;
    pass.calmed()?;
    pass.close()?;
    pass.memory().context("memory")?;
    pass.idle()?;
    pass.close()?;
    let accept_s = pass.accept().context("accepting")?;
    pass.wake_one().context("waking one")?;
    let wake_s = pass.wake_all().context("waking all")?;
    pass.figures.push((Row::CycleCpuMs, (accept_s + wake_s) * 1e6));
    pass.wake_common().context("waking a channel")?;
    let failures = pass.report()?.failures;
    if failures > 0 {
        pass.figures.push((Row::Failures, failures as f64));
    }
    if pass.lost > 0 {
        pass.figures.push((Row::Lost, pass.lost as f64));
    }
    Ok(pass.figures)
}

impl Pass<'_> {
    /// The slope between a fifth and all.
    fn memory(&mut self) -> anyhow::Result<()> {
        let (all, part) = (self.extent.devices, self.extent.devices / SMALL_PART);
        self.open(0..part)?;
        let (user, kernel) = (self.settled()?, kernel::socket_bytes()?);
        self.open(part..all)?;
        let user = self.settled()? - user;
        let kernel = kernel::socket_bytes()? - kernel;
        let each = (all - part) as f64;
        self.figures.push((Row::UserBytes, user / each));
        self.figures.push((Row::KernelBytes, kernel / each - self.server.other_ends() * self.extent.device_end_bytes));
        Ok(())
    }

    fn settled(&self) -> anyhow::Result<f64> {
        let began = Instant::now();
        sleep(self.server.settles());
        let mut last = user_bytes(&self.server.pids())?;
        loop {
            sleep(SETTLES_EVERY);
            let now = user_bytes(&self.server.pids())?;
            if now >= last * 0.99 || began.elapsed() > SETTLES_WITHIN {
                return Ok(now);
            }
            last = now;
        }
    }

    /// Waits until the server has done what it does after requests have come.
    fn calmed(&mut self) -> anyhow::Result<()> {
        let pids = self.server.pids();
        let deadline = Instant::now() + HELD_WITHIN;
        sleep(self.server.settles().min(CALMS_AFTER));
        let mut last = ran_s(&pids)?;
        loop {
            sleep(CALM);
            let now = ran_s(&pids)?;
            if now - last < CALM.as_secs_f64() * CALM_SHARE || Instant::now() > deadline {
                return Ok(());
            }
            last = now;
        }
    }

    /// All are held and nothing happens.
    fn idle(&mut self) -> anyhow::Result<()> {
        self.calmed()?;
        let pids = self.server.pids();
        let (began, before) = (Instant::now(), ran_s(&pids)?);
        sleep(self.extent.idle);
        let share = (ran_s(&pids)? - before) / began.elapsed().as_secs_f64();
        self.figures.push((Row::IdleCpuMs, share * 60_000.0));
        Ok(())
    }

    /// All connect anew; the devices are known by now. Processor time of each, in seconds.
    fn accept(&mut self) -> anyhow::Result<f64> {
        let devices = self.extent.devices;
        let pids = self.server.pids();
        sleep(CALM);
        let (began, before) = (Instant::now(), ran_s(&pids)?);
        self.open(0..devices)?;
        self.figures.push((Row::AcceptsPerSecond, devices as f64 / began.elapsed().as_secs_f64()));
        sleep(CALM);
        let each = (ran_s(&pids)? - before) / devices as f64;
        self.figures.push((Row::AcceptCpuUs, each * 1e6));
        self.calmed()?;
        Ok(each)
    }

    fn wake_one(&mut self) -> anyhow::Result<()> {
        let (devices, times) = (self.extent.devices, self.extent.single_wakes);
        let mut publisher = Publisher::connect(self.server.publishes_at())?;
        let step = (devices / times).max(1);
        let mut published_us = Vec::new();
        for turn in 0..times {
            let device = turn * step % devices;
            self.server.before_wakes(device..device + 1)?;
            let request = self.server.wakes(device..device + 1);
            published_us.push((device, now_us()));
            publisher.send_all(&request, 1)?;
            sleep(self.server.between_wakes());
        }
        let late = self.woken(&published_us)?;
        let [p50, p99, _] = quantiles(late);
        self.figures.extend([(Row::WakeOneP50Ms, p50), (Row::WakeOneP99Ms, p99)]);
        self.until("all are held again", HELD_WITHIN, |_, report| Ok(report.held == devices))
    }

    /// One notification each. Processor time of each, in seconds.
    fn wake_all(&mut self) -> anyhow::Result<f64> {
        let devices = self.extent.devices;
        let mut requests = self.server.wakes(0..devices);
        let rest = requests.split_off(requests.len() / 2);
        let (at, ahead) = (self.server.publishes_at(), self.server.ahead());
        self.server.before_wakes(0..devices)?;
        self.crew.tell(&Question::HoldBack(true))?;
        let mut publishers = (Publisher::connect(at)?, Publisher::connect(at)?);
        sleep(CALM);
        let pids = self.server.pids();
        let (began_us, before) = (now_us(), ran_s(&pids)?);
        // Two senders: while one's answer is on its way, the other's work is there.
        std::thread::scope(|scope| {
            let second = scope.spawn(|| publishers.1.send_all(&rest, ahead));
            publishers.0.send_all(&requests, ahead)?;
            second.join().expect("publishing does not panic")
        })?;
        let late = self.woken(&all_at(began_us, devices))?;
        let each = (ran_s(&pids)? - before) / devices as f64;
        let [p50, p99, last] = quantiles(late);
        self.figures.extend([(Row::WakeAllP50Ms, p50), (Row::WakeAllP99Ms, p99), (Row::WakeAllLastMs, last)]);
        Ok(each)
    }

    /// One notification for all, if the server knows such a thing.
    fn wake_common(&mut self) -> anyhow::Result<()> {
        let Some((language, request)) = self.server.in_common() else { return Ok(()) };
        self.crew.tell(&Question::Language(language))?;
        self.crew.tell(&Question::HoldBack(false))?;
        let devices = self.extent.devices;
        self.until("all are on one channel", HELD_WITHIN, |pass, _| Ok(pass.server.held()? == devices))?;
        self.crew.tell(&Question::HoldBack(true))?;
        let mut publisher = Publisher::connect(self.server.publishes_at())?;
        sleep(CALM);
        let began_us = now_us();
        publisher.send_all(&[request], 1)?;
        let [.., last] = quantiles(self.woken(&all_at(began_us, devices))?);
        self.figures.push((Row::WakeCommonLastMs, last));
        Ok(())
    }

    /// When each of these devices read its answer, in milliseconds from its moment on. Those that do not are counted as lost.
    fn woken(&mut self, published_us: &[(usize, u64)]) -> anyhow::Result<Vec<f64>> {
        let deadline = Instant::now() + WOKEN_WITHIN;
        loop {
            // Seldom, and not at once: to look costs the devices' time.
            sleep(CALM);
            let report = self.report()?;
            let late = |&(device, at): &(usize, u64)| report.woken_us[device].checked_sub(at).map(|us| us as f64 / 1e3);
            let late: Vec<f64> = published_us.iter().filter_map(late).collect();
            if late.len() == published_us.len() {
                return Ok(late);
            }
            if Instant::now() > deadline {
                ensure!(!late.is_empty(), "nobody was woken");
                self.lost += published_us.len() - late.len();
                return Ok(late);
            }
        }
    }

    /// These connect; returns when the server holds them all.
    fn open(&mut self, range: Range<usize>) -> anyhow::Result<()> {
        let held = range.end;
        self.crew.tell(&Question::Open(range))?;
        self.until("all are held", HELD_WITHIN, |pass, report| Ok(report.held == held && pass.server.held()? >= held))
    }

    fn close(&mut self) -> anyhow::Result<()> {
        self.crew.ask::<()>(&Question::Close)?;
        self.server.all_gone()?;
        self.until("all have gone", HELD_WITHIN, |pass, _| Ok(pass.server.held()? == 0))
    }

    fn report(&mut self) -> anyhow::Result<Report> {
        self.crew.ask(&Question::Report)
    }

    fn until(&mut self, what: &str, patience: Duration, is_so: impl Fn(&mut Self, &Report) -> anyhow::Result<bool>) -> anyhow::Result<()> {
        let deadline = Instant::now() + patience;
        loop {
            let report = self.report()?;
            if is_so(self, &report)? {
                return Ok(());
            }
            let failure = report.failure.as_deref().unwrap_or_default();
            ensure!(Instant::now() < deadline, "waited {patience:?} in vain until {what}; {} are out; {failure}", report.held);
            sleep(Duration::from_millis(20));
        }
    }
}

/// The same moment for all.
fn all_at(at_us: u64, devices: usize) -> Vec<(usize, u64)> {
    (0..devices).map(|device| (device, at_us)).collect()
}

/// p50, p99, last.
pub fn quantiles(mut values: Vec<f64>) -> [f64; 3] {
    values.sort_by(f64::total_cmp);
    [0.5, 0.99, 1.0].map(|q| values[((values.len() - 1) as f64 * q).round() as usize])
}
