//! Arguments → command → exit code.

use std::process::ExitCode;

use clap::Parser;
use pushgate::cli::arguments::{Arguments, Command};
use pushgate::cli::{self, Failure};

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Check(arguments) => cli::check::run(&arguments),
        Command::Status(arguments) => cli::status::run(&arguments),
        Command::Notify(arguments) => cli::notify::run(&arguments),
        Command::Serve(_) | Command::Demo(_) | Command::Decode(_) => {
            Err(Failure::Failed("this command is not connected in this build".into()))
        }
    };
    cli::exit_code(outcome)
}
