//! Arguments → command → exit code.

use std::process::ExitCode;

use clap::Parser;
use pushgate::cli;
use pushgate::cli::arguments::{Arguments, Command};

/// Active connections come and go between parked ones that stay: an allocator that keeps sizes apart gives the pages of what
/// went back to the system. Measured in docs/decisions/jemalloc.md.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Check(arguments) => cli::check::run(&arguments),
        Command::Status(arguments) => cli::status::run(&arguments),
        Command::Reload(arguments) => cli::reload::run(&arguments),
        Command::Drain(arguments) => cli::drain::run(&arguments),
        Command::Notify(arguments) => cli::notify::run(&arguments),
        Command::Device(command) => cli::device::run(&command),
        Command::Mailbox(command) => cli::mailbox::run(&command),
        Command::Group(command) => cli::group::run(&command),
        Command::Domain(command) => cli::domain::run(&command),
        Command::Rule(command) => cli::rule::run(&command),
        Command::Token(command) => cli::token::run(&command),
        Command::Audit(arguments) => cli::audit::run(&arguments),
        Command::Policy(command) => cli::policy::run(&command),
        Command::Serve(arguments) => cli::serve::run(&arguments),
        Command::Decode(arguments) => {
            cli::decode::run(&arguments.file.to_string_lossy(), arguments.query).map_err(|error| cli::Failure::Failed(format!("{error:#}")))
        }
        Command::Demo(arguments) => cli::demo::run(&arguments),
    };
    cli::exit_code(outcome)
}
