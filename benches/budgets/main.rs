//! The program's budgets, measured: memory of a held Ping, time of a wake, rate of handshakes, cost of doing nothing.
//!
//!     cargo bench --bench budgets -- [--short] [--json] [--only memory,waking,…]
//!
//! Real processes on loopback: `pushgate serve`, a stand-in CAS, simulated devices in processes of their own (this program,
//! in another role) that connect from 127.0.1.0/24. Everything shares the machine's cores; nothing is taken off for
//! that. Ends with 1 when a budget that is asserted is broken by more than its tolerance.
//!
//! Reading order: `figures` (budgets and the table), `scene` (what runs), `crew` (devices), then one file a measurement.

mod accept;
mod bare;
mod cas;
mod child;
mod crew;
mod figures;
mod memory;
mod process;
mod scene;
mod still;
mod waking;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Context as _;
use clap::{Parser, Subcommand, ValueEnum};

use figures::Figures;
use scene::Scene;

/// Measures the program against its budgets.
#[derive(Debug, Parser)]
struct Arguments {
    /// Two minutes: each memory figure once, 9,000 devices.
    #[arg(long)]
    short: bool,
    /// One JSON value instead of the table.
    #[arg(long)]
    json: bool,
    /// Only these.
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<What>,
    /// How often memory is measured, each time in a new process.
    #[arg(long, value_name = "N")]
    repeat: Option<usize>,
    /// Measure this pushgate instead of the one built with the bench: to compare two.
    #[arg(long, value_name = "FILE", default_value = env!("CARGO_BIN_EXE_pushgate"))]
    program: PathBuf,
    /// Passed by cargo.
    #[arg(long, hide = true)]
    bench: bool,
    #[command(subcommand)]
    role: Option<Role>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum What {
    Sizes,
    Memory,
    Waking,
    Accept,
    Idle,
    Repings,
}

/// What this program is when it has started itself.
#[derive(Debug, Clone, Copy, Subcommand)]
#[command(hide = true)]
enum Role {
    Crew,
    Cas,
    Sink,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match arguments.role {
        Some(Role::Crew) => crew::run().map(|()| true),
        Some(Role::Cas) => cas::run().map(|()| true),
        Some(Role::Sink) => bare::run_sink().map(|()| true),
        None => measure(&arguments),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("budgets: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Everything that was asked for. False: a budget is broken.
fn measure(arguments: &Arguments) -> anyhow::Result<bool> {
    let wants = |what| arguments.only.is_empty() || arguments.only.contains(&what);
    let began = Instant::now();
    let mut figures = Figures::default();
    if wants(What::Sizes) {
        memory::sizes(&mut figures);
    }
    if wants(What::Accept) {
        accept::measure(&mut figures, arguments.short).context("handshakes")?;
    }
    let runs_devices = [What::Memory, What::Waking, What::Idle, What::Repings].into_iter().any(wants);
    if runs_devices {
        let mut scene = with_devices(&mut figures, arguments, wants(What::Memory))?;
        if !arguments.short && (wants(What::Waking) || wants(What::Idle)) {
            scene.add(memory::LARGEST - memory::LARGE).context("more devices")?;
        }
        if wants(What::Waking) {
            waking::measure(&mut scene, &mut figures, arguments.short).context("waking")?;
        }
        if wants(What::Idle) {
            still::idle(&scene, &mut figures, if arguments.short { 30 } else { 60 })?;
        }
        if wants(What::Repings) {
            still::repings(&mut scene, &mut figures).context("re-Pings")?;
        }
    }
    figures.print(arguments.json, began.elapsed());
    Ok(figures.are_met())
}

/// The gateway with 9,000 devices; memory is measured on the way there, the last time in the process that is used on.
fn with_devices(figures: &mut Figures, arguments: &Arguments, measures_memory: bool) -> anyhow::Result<Scene> {
    let program: &Path = &arguments.program;
    if !measures_memory {
        let mut scene = Scene::start(program)?;
        scene.add(memory::LARGE)?;
        return Ok(scene);
    }
    let times = arguments.repeat.unwrap_or(if arguments.short { 1 } else { 5 }).max(1);
    let mut samples = memory::Samples::default();
    let mut scene = memory::grow(program, &mut samples)?;
    for _ in 1..times {
        drop(scene);
        scene = memory::grow(program, &mut samples)?;
    }
    samples.enter(figures);
    Ok(scene)
}
