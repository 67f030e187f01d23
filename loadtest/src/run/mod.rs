//! `run`: a scenario from its first device to its report.
//!
//! This process conducts: it starts the others (`crews`; each is a `crew`, `line` is what they say), asks them every second what
//! happened, keeps the `record`, asks the `server`, and makes the events happen (`course`: when which).

mod course;
mod crew;
mod crews;
mod line;
mod record;
mod server;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{MissedTickBehavior, interval};

use self::course::Course;
pub use self::crew::run as run_crew;
pub use self::crews::Crews;
pub use self::line::Task;
use self::record::Record;
use self::server::Probe;
use crate::live::Live;
use crate::report;
use crate::results::{Ended, Results};
use crate::scenario::Plan;

/// `run`
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The scenario.
    #[arg(value_name = "SCENARIO.toml")]
    scenario: PathBuf,
    /// A value to use instead of the scenario's, such as target.url=https://mail.example.org or devices.count=500;
    /// KEY= takes the scenario's away, a whole table too.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    settings: Vec<String>,
    /// Processes to spread the devices over; the same as --set run.processes=N.
    #[arg(long, value_name = "N")]
    processes: Option<usize>,
    /// Where the report goes; without it a folder named after the scenario and the time.
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
}

/// A threshold was not kept.
const NOT_KEPT: u8 = 1;
/// The scenario is wrong.
const WRONG_SCENARIO: u8 = 2;
/// How often processes and server are asked.
const EVERY: Duration = Duration::from_secs(1);
/// Beside the time after which a change is lost: until it is counted so.
const SETTLE: Duration = Duration::from_secs(2);

/// Runs it; 0 when all thresholds are kept.
///
/// # Errors
/// The run cannot be done, which says nothing about the server.
pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let mut settings = arguments.settings.clone();
    settings.extend(arguments.processes.map(|processes| format!("run.processes={processes}")));
    let plan = match Plan::read(&arguments.scenario, &settings) {
        Ok(plan) => plan,
        Err(problems) => {
            problems.iter().for_each(|problem| eprintln!("{}: {problem}", arguments.scenario.display()));
            return Ok(ExitCode::from(WRONG_SCENARIO));
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let results = runtime.block_on(conduct(&plan))?;
    let out = arguments.out.clone().unwrap_or_else(|| PathBuf::from(format!("{}-{}", plan.name, results.started.replace(':', ""))));
    let page = report::write(&results, &out).context("the report")?;
    println!("{}\n{}", report::summary(&results), page.display());
    Ok(if results.is_kept() { ExitCode::SUCCESS } else { ExitCode::from(NOT_KEPT) })
}

/// From the first device to the last sample.
async fn conduct(plan: &Plan) -> anyhow::Result<Results> {
    let mut crews = Crews::start(plan).await?;
    let mut probe = plan.server.as_ref().map(Probe::new).transpose()?;
    let mut live = Live::new(&plan.name, &plan.target.url, plan.devices.count as u64, Some(duration(plan)));
    let mut record = Record::new();
    let mut course = Course::new(plan);
    let mut ticking = interval(EVERY);
    ticking.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticking.tick().await;
    crews.tell(Task::Begin).await?;
    let began = Instant::now();
    let mut ended = Ended::Completed;
    let mut is_quiet = false;
    // One for the whole run: none is missed while a sample is taken.
    let mut interrupts = signal(SignalKind::interrupt())?;
    loop {
        tokio::select! {
            _ = interrupts.recv() => ended = Ended::Interrupted,
            () = tokio::time::sleep_until((began + course.next_at()).into()) => {}
            _ = ticking.tick() => {}
        }
        let stand = take_sample(&mut crews, &mut probe, &mut record, &mut live, began).await?;
        course.saw(began.elapsed(), stand.outstanding == 0 && stand.held >= plan.devices.count as u64);
        while ended == Ended::Completed
            && let Some((task, label)) = course.next(began.elapsed())
        {
            record.mark(began.elapsed(), label);
            live.mark(began.elapsed().as_secs_f64(), label);
            if let Some(task) = task {
                crews.tell(task).await?;
            }
        }
        if ended == Ended::Interrupted || is_quiet && (stand.outstanding == 0 || began.elapsed() >= latest_end(plan)) {
            break;
        }
        if !is_quiet && (began.elapsed() >= duration(plan) || course.is_over(began.elapsed())) {
            crews.tell(Task::Quiet).await?;
            is_quiet = true;
        }
    }
    let ticks = crews.tell(Task::End).await?;
    live.feed(record.add(began.elapsed(), &ticks, None));
    live.end();
    Ok(record.finish(plan, crews.count(), began.elapsed(), ended))
}

/// How things stand.
struct Stand {
    /// Changes that are not sent yet, or could have been answered and are not.
    outstanding: usize,
    held: u64,
}

/// Asks everybody.
async fn take_sample(
    crews: &mut Crews,
    probe: &mut Option<Probe>,
    record: &mut Record,
    live: &mut Live,
    began: Instant,
) -> anyhow::Result<Stand> {
    let ticks = crews.tell(Task::Tell).await?;
    let server = match probe {
        Some(probe) => Some(probe.ask().await),
        None => None,
    };
    let sample = record.add(began.elapsed(), &ticks, server);
    let outstanding = ticks.iter().map(|tick| tick.outstanding + tick.to_send as usize).sum();
    let stand = Stand { outstanding, held: sample.devices.held };
    live.feed(sample);
    Ok(stand)
}

fn duration(plan: &Plan) -> Duration {
    Duration::from_secs_f64(plan.run.duration_s)
}

/// The moment at which every change that was sent is answered or lost.
fn latest_end(plan: &Plan) -> Duration {
    duration(plan) + Duration::from_secs_f64(plan.run.lost_after_s) + SETTLE
}
