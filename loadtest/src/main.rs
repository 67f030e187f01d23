//! `pushgate-loadtest`: simulated devices, and a stand-in mail server, for sizing push gateways and servers.
//!
//! * `run`: a scenario (`scenario`) from its first device to its report, spread over processes; `engine` is the devices of one.
//! * `hold`: many devices that hold a Ping, woken one by one and all at once; the same engine without a scenario.
//! * `device`: one device, as told.
//! * `report`: what people see of a run; `results` is what was measured.
//! * `cas`: a stand-in mail server in a process of its own.

mod cas;
mod device;
mod engine;
mod hold;
mod input;
mod live;
mod report;
mod results;
mod run;
mod scenario;
mod source;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// As in pushgate: what devices need while they connect goes back to the system once they wait. With glibc's allocator thousands
/// that connect at once leave five times as much behind as they keep.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Simulated Exchange ActiveSync devices for sizing and testing push gateways and servers.
#[derive(Debug, Parser)]
#[command(name = "pushgate-loadtest", version, about, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Open devices that log in, synchronise and hold a Ping; end with a report.
    Hold(Box<hold::Arguments>),
    /// One device that does what it is told, a line of standard input an act, and says what came of it, a line of JSON each.
    Device(Box<device::Arguments>),
    /// Run a stand-in mail server that behaves like SOGo, Z-Push, Horde, grommunio or Exchange.
    Cas(Box<cas::Arguments>),
    /// Make the page of a run again from its report.json, or compare two runs.
    Report(report::Arguments),
    /// Run a scenario against a server; end with a report. Exits with 1 when a threshold is not kept, with 2 when the scenario is wrong.
    Run(run::Arguments),
    /// One process of run or hold; takes its order from standard input.
    #[command(hide = true)]
    RunCrew,
}

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Hold(arguments) => hold::run(&arguments),
        Command::Device(arguments) => device::run(&arguments),
        Command::Cas(arguments) => cas::run(&arguments),
        Command::Report(arguments) => report::run(&arguments),
        Command::RunCrew => run::run_crew(),
        Command::Run(arguments) => return end(run::run(&arguments)),
    };
    end(done.map(|()| ExitCode::SUCCESS))
}

fn end(done: anyhow::Result<ExitCode>) -> ExitCode {
    match done {
        Ok(code) => code,
        Err(error) => {
            eprintln!("pushgate-loadtest: {error:#}");
            ExitCode::FAILURE
        }
    }
}
