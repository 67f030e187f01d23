//! This program in another role: one line of JSON asks, one line answers.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child as Process, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context as _, ensure};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;

/// A process of ours. It ends when this is dropped.
pub struct Child {
    process: Process,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Child {
    /// Starts one and gives it its order.
    pub fn start(role: &str, order: &impl Serialize) -> anyhow::Result<Child> {
        let program = std::env::current_exe().context("cannot find this program")?;
        let mut process = Command::new(program).arg(role).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let stdin = process.stdin.take().context("no way to the process")?;
        let stdout = BufReader::new(process.stdout.take().context("no way from the process")?);
        let mut child = Child { process, stdin, stdout };
        child.tell(order)?;
        Ok(child)
    }

    /// Something that has no answer.
    pub fn tell(&mut self, what: &impl Serialize) -> anyhow::Result<()> {
        writeln!(self.stdin, "{}", serde_json::to_string(what)?).context("a process is gone")
    }

    /// Asks and waits for the answer.
    pub fn ask<T: DeserializeOwned>(&mut self, what: &impl Serialize) -> anyhow::Result<T> {
        self.tell(what)?;
        self.read()
    }

    /// The next line that the process says.
    pub fn read<T: DeserializeOwned>(&mut self) -> anyhow::Result<T> {
        let mut line = String::new();
        ensure!(self.stdout.read_line(&mut line)? > 0, "a process ended early");
        Ok(serde_json::from_str(&line)?)
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // One that has ended already is what we want.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Lines from whoever started this process; the channel ends with it.
pub fn lines() -> mpsc::Receiver<String> {
    let (sender, lines) = mpsc::channel(16);
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    });
    lines
}

/// Answers.
pub fn say(what: &impl Serialize) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", serde_json::to_string(what)?)?;
    Ok(out.flush()?)
}
