//! Progress of a run, for a person who watches: in place on a terminal, a line every few seconds elsewhere (a log).
//!
//! In: samples, marks, remarks. Out: standard output. Plain escape sequences and no crate: what is drawn is a block of lines
//! that replaces itself, and it is told once a second.

mod lines;

use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;

use self::lines::Standing;
use crate::results::Sample;

/// How often something is said where nothing can be replaced.
const EVERY_S: f64 = 5.0;
/// The narrowest terminal that is drawn for, and the width where it is not known.
const WIDTH_MIN: usize = 40;
const WIDTH: usize = 80;

/// Shows a run as it goes.
#[derive(Debug)]
pub struct Live {
    standing: Standing,
    output: Output,
}

/// Where it is shown.
#[derive(Debug)]
enum Output {
    /// The block that is there has so many lines.
    Terminal { lines: usize },
    /// When the last line was written.
    Log { last_s: f64 },
}

impl Live {
    /// For a run of so many devices. `total`: how long it will take, if that is known.
    pub fn new(name: &str, target: &str, devices: u64, total: Option<Duration>) -> Self {
        let is_terminal = io::stdout().is_terminal() && std::env::var_os("TERM").is_some_and(|term| term != "dumb");
        Live {
            standing: Standing::new(name, target, devices, total.map(|total| total.as_secs_f64())),
            output: if is_terminal { Output::Terminal { lines: 0 } } else { Output::Log { last_s: f64::NEG_INFINITY } },
        }
    }

    /// The next second.
    pub fn feed(&mut self, sample: &Sample) {
        self.standing.feed(sample);
        match self.output {
            Output::Terminal { .. } => self.draw(),
            // Samples come a little early or late.
            Output::Log { last_s } if sample.t_s >= last_s + EVERY_S - 0.5 => {
                self.output = Output::Log { last_s: sample.t_s };
                write(&(self.standing.line() + "\n"));
            }
            Output::Log { .. } => {}
        }
    }

    /// Something began: "storm".
    pub fn mark(&mut self, t_s: f64, label: &str) {
        self.standing.mark(t_s, label);
        self.say(&format!("{}  {label}", crate::report::clock(t_s)));
    }

    /// A remark, which stays.
    pub fn say(&mut self, text: &str) {
        self.wipe();
        write(&format!("{text}\n"));
        if matches!(self.output, Output::Terminal { .. }) {
            self.draw();
        }
    }

    /// What is shown stays; what comes next is written below.
    pub fn end(mut self) {
        if let Output::Terminal { lines } = &mut self.output {
            *lines = 0;
            write("\n");
        }
    }

    fn wipe(&mut self) {
        if let Output::Terminal { lines } = &mut self.output
            && *lines > 0
        {
            // Up to its first line, then away with everything below.
            write(&format!("\x1b[{lines}A\x1b[J"));
            *lines = 0;
        }
    }

    fn draw(&mut self) {
        let width = width();
        let block = self.standing.block(width);
        let Output::Terminal { lines } = &mut self.output else { return };
        let up = if *lines > 0 { format!("\x1b[{lines}A") } else { String::new() };
        // Line by line and not as a whole: nothing flickers. A line that is too long must not become two.
        let drawn = block.iter().map(|line| format!("\x1b[2K{}\n", cut(line, width))).collect::<String>();
        *lines = block.len();
        write(&format!("{up}{drawn}\x1b[J"));
    }
}

/// Nobody is there to be told if it fails.
fn write(text: &str) {
    let mut output = io::stdout().lock();
    let _ = output.write_all(text.as_bytes()).and_then(|()| output.flush());
}

/// The terminal's width now: it may change.
fn width() -> usize {
    let width = console_width().unwrap_or(WIDTH);
    width.max(WIDTH_MIN)
}

fn console_width() -> Option<usize> {
    let (_, columns) = console::Term::stdout().size_checked()?;
    Some(usize::from(columns))
}

fn cut(line: &str, width: usize) -> String {
    line.chars().take(width.saturating_sub(1)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_never_becomes_two() {
        assert_eq!(cut("µ-seconds", 4), "µ-s");
        assert_eq!(cut("short", 80), "short");
    }
}
