//! Plays seeded worlds: `cargo sim -- --seeds 10000 [--from K] [--seed K] [--window NAME] [--trace]`.

mod sweep;
mod world;

use std::process::ExitCode;

use sweep::{Window, sweep};

const USAGE: &str = "usage: cargo sim -- [--seeds N] [--from K] [--seed K] [--window NAME] [--trace]";

fn main() -> ExitCode {
    let (mut from, mut count, mut window) = (0, 1_000, None);
    let mut words = std::env::args().skip(1).filter(|word| word != "--");
    let mut is_traced = false;
    while let Some(word) = words.next() {
        if word == "--trace" {
            is_traced = true;
            continue;
        }
        let value = words.next().unwrap_or_default();
        let number = value.parse::<u64>();
        match (word.as_str(), number) {
            ("--seeds", Ok(number)) => count = number,
            ("--from", Ok(number)) => from = number,
            ("--seed", Ok(number)) => (from, count) = (number, 1),
            ("--window", _) if Window::named(&value).is_some() => window = Window::named(&value),
            _ => {
                let names: Vec<&str> = Window::ALL.iter().map(|window| window.name()).collect();
                eprintln!("{USAGE}\nwindows, whose guard is then removed: {}", names.join(", "));
                return ExitCode::from(2);
            }
        }
    }
    let began = std::time::Instant::now();
    match sweep(from, count, window, is_traced) {
        Ok(stats) => {
            println!("{count} seeds from {from}, {:.1} s: nothing lost\n{stats:?}", began.elapsed().as_secs_f64());
            ExitCode::SUCCESS
        }
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::FAILURE
        }
    }
}
