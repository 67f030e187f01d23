//! Commands: one file each. In: parsed arguments. Out: lines on standard output, and how it went.
//!
//! * [`arguments`]: every command and its flags, once. * [`check`], [`notify`], [`status`], [`reload`], [`drain`]: the commands that work on a
//!   running gateway or its configuration. * [`device`], [`mailbox`], [`domain`], [`policy`], [`group`], [`rule`], [`token`], [`audit`]: what
//!   administrators do. * `client`: their way to the internal address. * `table`, `listing`, `confirm`: what they have in common.

pub mod arguments;
pub mod audit;
mod chain;
pub mod check;
mod client;
mod confirm;
mod debug_log;
pub mod decode;
pub mod demo;
pub mod device;
pub mod domain;
pub mod drain;
pub mod group;
mod limits;
mod listing;
pub mod mailbox;
pub mod notify;
pub mod policy;
pub mod reload;
pub mod rule;
pub mod serve;
pub mod status;
mod table;
pub mod token;
mod when;

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use crate::config::{Config, Problem};

/// Why a command ended early; decides the exit code.
#[derive(Debug, PartialEq)]
pub enum Failure {
    /// The operator's to correct: arguments or configuration. Exit code 2.
    Usage(String),
    /// It could not be done. Exit code 1.
    Failed(String),
    /// Whoever read our output left: nothing to say and nobody to say it to. Exit code 0.
    NobodyReads,
}

/// How a command went.
pub type Outcome = Result<(), Failure>;

/// Says on standard error why a command ended early, and makes the exit code: 0 done, 1 failed, 2 bad usage or configuration.
pub fn exit_code(outcome: Outcome) -> ExitCode {
    let (code, message) = match outcome {
        Ok(()) | Err(Failure::NobodyReads) => return ExitCode::SUCCESS,
        Err(Failure::Failed(message)) => (1, message),
        Err(Failure::Usage(message)) => (2, message),
    };
    // If standard error is gone too, the exit code still tells.
    let _ = writeln!(io::stderr(), "pushgate: {message}");
    ExitCode::from(code)
}

/// Reads the configuration; all its problems are one failure.
pub fn load(path: &Path) -> Result<Config, Failure> {
    Config::load(path).map_err(|problems| wrong(path, &problems))
}

/// One line a problem.
fn wrong(path: &Path, problems: &[Problem]) -> Failure {
    let count = if problems.len() == 1 { "1 problem".to_owned() } else { format!("{} problems", problems.len()) };
    let lines: String = problems.iter().map(|problem| format!("\n  {problem}")).collect();
    Failure::Usage(format!("{} has {count}:{lines}", path.display()))
}

/// Writes to standard output. Not `println!`: that panics when the reader (`head`, a pager) has left.
fn say(text: &str) -> Outcome {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(Failure::NobodyReads),
        Err(error) => Err(Failure::Failed(format!("cannot write the output: {error}"))),
        Ok(()) => Ok(()),
    }
}

/// Runs one asynchronous command on this thread.
fn block_on(command: impl Future<Output = Outcome>) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| Failure::Failed(format!("cannot start: {error}")))?.block_on(command)
}
