//! `run`: a scenario from its first device to its report.
//!
//! This process conducts: it starts the others (`crews`; each is a `crew`, `line` is what they say), asks them every second what
//! happened, keeps the `record`, asks the `server`, and makes the events happen.

mod crew;
mod crews;
mod line;
mod record;
mod server;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tokio::time::{MissedTickBehavior, interval};

pub use self::crew::run as run_crew;
pub use self::crews::Crews;
pub use self::line::Task;
use self::record::Record;
use self::server::Probe;
use crate::live::Live;
use crate::report;
use crate::results::{Ended, Results};
use crate::scenario::{Event, Happening, Plan};

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
    loop {
        tokio::select! {
            interrupted = tokio::signal::ctrl_c() => {
                interrupted?;
                ended = Ended::Interrupted;
            }
            () = tokio::time::sleep_until((began + course.next_at()).into()) => {
                if let Some((task, label)) = course.next(began.elapsed()) {
                    take_sample(&mut crews, &mut probe, &mut record, &mut live, began).await?;
                    record.mark(began.elapsed(), label);
                    live.mark(began.elapsed().as_secs_f64(), label);
                    if let Some(task) = task {
                        crews.tell(task).await?;
                    }
                }
            }
            _ = ticking.tick() => {}
        }
        let outstanding = take_sample(&mut crews, &mut probe, &mut record, &mut live, began).await?;
        if ended == Ended::Interrupted || is_quiet && (outstanding == 0 || began.elapsed() >= latest_end(plan)) {
            break;
        }
        if !is_quiet && began.elapsed() >= duration(plan) {
            crews.tell(Task::Quiet).await?;
            is_quiet = true;
        }
    }
    let ticks = crews.tell(Task::End).await?;
    live.feed(record.add(began.elapsed(), &ticks, None));
    live.end();
    Ok(record.finish(plan, crews.count(), began.elapsed(), ended))
}

/// Asks everybody; how many changes could have been answered and are not.
async fn take_sample(
    crews: &mut Crews,
    probe: &mut Option<Probe>,
    record: &mut Record,
    live: &mut Live,
    began: Instant,
) -> anyhow::Result<usize> {
    let ticks = crews.tell(Task::Tell).await?;
    let server = match probe {
        Some(probe) => Some(probe.ask().await),
        None => None,
    };
    live.feed(record.add(began.elapsed(), &ticks, server));
    Ok(ticks.iter().map(|tick| tick.outstanding).sum())
}

fn duration(plan: &Plan) -> Duration {
    Duration::from_secs_f64(plan.run.duration_s)
}

/// The moment at which every change that was sent is answered or lost.
fn latest_end(plan: &Plan) -> Duration {
    duration(plan) + Duration::from_secs_f64(plan.run.lost_after_s) + SETTLE
}

/// What is still to happen, in the order of time.
struct Course {
    ramp_over: Option<Duration>,
    /// With its moment; the last first.
    events: Vec<(Duration, Part)>,
}

/// An event, or what comes before it.
#[derive(Debug, Clone, Copy)]
enum Part {
    Mail,
    Event(Event),
}

impl Course {
    fn new(plan: &Plan) -> Self {
        let at = |seconds| Duration::from_secs_f64(seconds);
        let mails = plan.events.iter().filter(|event| event.mail_before_s > 0.0);
        let mut events: Vec<(Duration, Part)> = mails.map(|event| (at(event.at_s - event.mail_before_s), Part::Mail)).collect();
        events.extend(plan.events.iter().map(|event| (at(event.at_s), Part::Event(*event))));
        events.sort_by_key(|&(at, _)| std::cmp::Reverse(at));
        Course { ramp_over: Some(plan.ramp_time()), events }
    }

    fn next_at(&self) -> Duration {
        let event = self.events.last().map(|&(at, _)| at);
        // A day from now is never: something else comes first.
        self.ramp_over.into_iter().chain(event).min().unwrap_or(Duration::from_secs(86_400 * 365))
    }

    /// What happens now: what the crews are to do, and what it is called.
    fn next(&mut self, now: Duration) -> Option<(Option<Task>, &'static str)> {
        if self.ramp_over.is_some_and(|at| at <= now) {
            self.ramp_over = None;
            return Some((None, "steady"));
        }
        let (_, part) = self.events.pop_if(|(at, _)| *at <= now)?;
        Some(match part {
            Part::Mail => (Some(Task::MailAll), "mail"),
            Part::Event(event) => match event.what {
                Happening::WakeAll => (Some(Task::wake_all(event.mail_before_s > 0.0, event.fetch_within_s)), "wake all"),
                Happening::Storm => (Some(Task::Storm(event.within_s)), "storm"),
            },
        })
    }
}
