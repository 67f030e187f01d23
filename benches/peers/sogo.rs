//! SOGo itself, with a few devices: each held Ping takes one of its processes.

use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::ensure;

use crate::child::Child;
use crate::crew::{Language, Order, Question, Report};
use crate::measure::quantiles;
use crate::process::now_us;
use crate::program::{ran_s, user_bytes};
use crate::rows::Row;
use crate::servers::{Setting, Sogo};

/// Devices; there are some more workers, for what comes beside Pings.
pub const DEVICES: usize = 8;
const WORKERS: usize = DEVICES + 3;
/// The first of the test users.
const FIRST: usize = 1;
/// SOGo looks every ten seconds.
const WOKEN_WITHIN: Duration = Duration::from_secs(40);
/// Between two messages: spread over the time between two looks.
const BETWEEN: Duration = Duration::from_millis(1_300);
const IDLE: Duration = Duration::from_secs(12);
/// A Ping that has been sent is held after that.
const CALM: Duration = Duration::from_secs(2);

/// The rows that SOGo has, so many times.
pub fn measure(directory: &Path, times: usize) -> anyhow::Result<Vec<Vec<(Row, f64)>>> {
    let setting = Setting { directory: directory.into(), pushgate: Default::default(), devices: DEVICES };
    let sogo = Sogo::start(&setting, WORKERS)?;
    let language = Language::Eas { user: "u{}@example.test".into(), folders: 1 };
    let order = Order { target: sogo.target, is_tls: true, language, first: FIRST, devices: DEVICES, busy_max: 2 };
    let mut crew = Child::start("crew", &order)?;
    // The first time, SOGo makes what every user has.
    open(&mut crew)?;
    (0..times).map(|_| one_pass(&sogo, &mut crew)).collect()
}

fn one_pass(sogo: &Sogo, crew: &mut Child) -> anyhow::Result<Vec<(Row, f64)>> {
    let pids = sogo.pids()?;
    let workers = pids.len() - 1;
    let mut figures = vec![(Row::UserBytes, user_bytes(&pids[1..])? / workers as f64)];
    let (began, before) = (Instant::now(), ran_s(&pids)?);
    sleep(IDLE);
    figures.push((Row::IdleCpuMs, (ran_s(&pids)? - before) / began.elapsed().as_secs_f64() * 60_000.0));
    crew.ask::<()>(&Question::Close)?;
    // A worker does not notice that its device has gone before it looks again.
    sleep(Duration::from_secs(11));
    let before = ran_s(&pids)?;
    open(crew)?;
    let accept_s = (ran_s(&pids)? - before) / DEVICES as f64;
    figures.push((Row::AcceptCpuUs, accept_s * 1e6));
    let users: Vec<String> = (FIRST..FIRST + DEVICES).map(|number| format!("u{number}@example.test")).collect();
    let mut sent_us = Vec::new();
    for user in &users {
        sent_us.push(now_us());
        sogo.deliver(std::slice::from_ref(user))?;
        sleep(BETWEEN);
    }
    let [p50, p99, _] = quantiles(woken(crew, &sent_us)?);
    figures.extend([(Row::WakeOneP50Ms, p50), (Row::WakeOneP99Ms, p99)]);
    until_held(crew)?;
    let (before, sent_us) = (ran_s(&pids)?, vec![now_us(); DEVICES]);
    crew.tell(&Question::HoldBack(true))?;
    sogo.deliver(&users)?;
    let [p50, p99, last] = quantiles(woken(crew, &sent_us)?);
    figures.extend([(Row::WakeAllP50Ms, p50), (Row::WakeAllP99Ms, p99), (Row::WakeAllLastMs, last)]);
    let wake_s = (ran_s(&pids)? - before) / DEVICES as f64;
    figures.push((Row::CycleCpuMs, (accept_s + wake_s) * 1e6));
    crew.tell(&Question::HoldBack(false))?;
    until_held(crew)?;
    Ok(figures)
}

/// All connect.
fn open(crew: &mut Child) -> anyhow::Result<()> {
    crew.tell(&Question::Open(0..DEVICES))?;
    until_held(crew)
}

fn until_held(crew: &mut Child) -> anyhow::Result<()> {
    let deadline = Instant::now() + WOKEN_WITHIN;
    while report(crew)?.held < DEVICES {
        ensure!(Instant::now() < deadline, "SOGo does not hold all");
        sleep(Duration::from_millis(50));
    }
    sleep(CALM);
    Ok(())
}

/// When each was woken after its message, in milliseconds.
fn woken(crew: &mut Child, sent_us: &[u64]) -> anyhow::Result<Vec<f64>> {
    let deadline = Instant::now() + WOKEN_WITHIN;
    loop {
        sleep(Duration::from_millis(200));
        let woken_us = report(crew)?.woken_us;
        let late = woken_us.iter().zip(sent_us).filter_map(|(woken, sent)| woken.checked_sub(*sent));
        let late: Vec<f64> = late.map(|us| us as f64 / 1e3).collect();
        if late.len() == DEVICES {
            return Ok(late);
        }
        ensure!(Instant::now() < deadline, "SOGo woke {} of {DEVICES}", late.len());
    }
}

fn report(crew: &mut Child) -> anyhow::Result<Report> {
    let report: Report = crew.ask(&Question::Report)?;
    ensure!(report.failures == 0, "{} devices failed at SOGo; {}", report.failures, report.failure.unwrap_or_default());
    Ok(report)
}
