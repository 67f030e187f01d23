//! The processes of a run, seen from the first.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use super::line::{Answer, Order, Task};
use crate::engine::counts::Tick;
use crate::scenario::Plan;

/// A crew answers within this, however busy the machine is.
const PATIENCE: Duration = Duration::from_secs(60);

/// All of them. They end when this is dropped.
pub struct Crews(Vec<Crew>);

struct Crew {
    /// Killed when dropped.
    _child: Child,
    stdin: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Crews {
    /// Starts the processes and shares the devices out to them.
    ///
    /// # Errors
    /// A process does not start, or cannot do its part.
    pub async fn start(plan: &Plan) -> anyhow::Result<Crews> {
        let (devices, processes) = (plan.devices.count, plan.processes());
        let mut crews = Vec::new();
        let mut first = 0;
        for process in 0..processes {
            let own = devices / processes + usize::from(process < devices % processes);
            let sources = plan.run.sources.map(|sources| sources.share(process, processes)).unwrap_or_default();
            let order = Order { plan: plan.clone(), first, devices: own, sources, process, processes };
            first += own;
            let mut crew = Crew::start()?;
            crew.write(&serde_json::to_string(&order)?).await?;
            crews.push(crew);
        }
        let mut crews = Crews(crews);
        for (process, crew) in crews.0.iter_mut().enumerate() {
            crew.answer().await.with_context(|| format!("process {} of {processes} cannot begin", process + 1))?;
        }
        Ok(crews)
    }

    /// How many.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Tells all to do something; what they have to tell, if that was asked.
    ///
    /// # Errors
    /// A process ended, or does not answer.
    pub async fn tell(&mut self, task: Task) -> anyhow::Result<Vec<Tick>> {
        let line = serde_json::to_string(&task)?;
        let count = if matches!(task, Task::WakeOne(_)) { 1 } else { self.0.len() };
        for crew in &mut self.0[..count] {
            crew.write(&line).await?;
        }
        let mut ticks = Vec::new();
        for crew in &mut self.0[..count] {
            if let Answer::Tick(tick) = crew.answer().await? {
                ticks.push(*tick);
            }
        }
        Ok(ticks)
    }
}

impl Crew {
    fn start() -> anyhow::Result<Crew> {
        let program = std::env::current_exe().context("cannot find this program")?;
        let mut command = Command::new(program);
        command.arg("run-crew").stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().context("cannot start a process")?;
        let stdin = child.stdin.take().context("no way to the process")?;
        let stdout = child.stdout.take().context("no way from the process")?;
        Ok(Crew { _child: child, stdin, answers: BufReader::new(stdout).lines() })
    }

    async fn write(&mut self, line: &str) -> anyhow::Result<()> {
        let line = format!("{line}\n");
        let written = self.stdin.write_all(line.as_bytes()).await;
        written.context("a process has ended")
    }

    async fn answer(&mut self) -> anyhow::Result<Answer> {
        let line = tokio::time::timeout(PATIENCE, self.answers.next_line()).await.context("a process does not answer")??;
        let Some(line) = line else { bail!("a process has ended") };
        Ok(serde_json::from_str(&line)?)
    }
}
