//! The program's parts, one by one: what each costs by the clock, and in instructions.
//!
//!     cargo bench --bench micro [-- NAME]              by the clock (criterion), then a table with both figures
//!     cargo bench --bench micro -- --count [NAME]      in instructions, under valgrind; ends with 1 when a part grew
//!     PUSHGATE_BLESS=1 cargo bench --bench micro -- --count      what is counted now becomes the baseline
//!
//! The clock says what an operator gets and changes with the weather of the machine; the count is the same to a fraction of a
//! percent wherever the same compiler built it, so that a tenth more is a change of the program. Reading order: `parts` (what is
//! measured), `clock`, `count` (valgrind), `baseline` (comparison; `tests.rs` tests it).

mod baseline;
mod clock;
mod count;
mod parts;

use std::process::ExitCode;

use clap::Parser;

/// As in the program: what it allocates and how is a part of what it costs.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Measures the parts of the program.
#[derive(Debug, Parser)]
struct Arguments {
    /// Count instructions under valgrind and compare them with the baseline, instead of asking the clock.
    #[arg(long)]
    count: bool,
    /// Only parts with this in their name.
    name: Option<String>,
    /// Run one part, for valgrind to count.
    #[arg(long, hide = true, value_name = "PART")]
    counted: Option<String>,
    /// Passed by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let mut parts = parts::all();
    let is_whole = arguments.name.is_none();
    parts.retain(|part| arguments.name.as_ref().is_none_or(|name| part.name.contains(name.as_str())));
    let done = match arguments.counted {
        Some(name) => count::run_counted(&name).map(|()| true),
        None if parts.is_empty() => Err(anyhow::anyhow!("no part has that in its name")),
        None if arguments.count => count::count(&parts, is_whole),
        None => clock::measure(&parts).map(|()| true),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("micro: {error:#}");
            ExitCode::FAILURE
        }
    }
}
