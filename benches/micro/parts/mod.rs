//! What is measured: one list for the clock and for the counter, so that both speak of the same work.
//!
//! A part is prepared once and then run again and again; each run takes several steps and leaves things so that the next run
//! finds them alike. Whatever a run needs that is not the part's own work is done in `ready`, which nobody measures.
//! Nothing here depends on the clock, on random seeds or on the order of a hash map: two runs execute the same instructions.

mod crowd;
mod freshness;
mod gate;
mod lot;
mod query;
mod record;
mod timer;
mod wbxml;

/// A part of the program.
pub struct Part {
    /// Its name in tables, in the baseline and for `cargo bench`: it may become a file name.
    pub name: &'static str,
    /// One step, in words.
    pub what: &'static str,
    /// Steps of one run.
    pub steps: u64,
    /// Prepares it.
    pub prepare: fn() -> Box<dyn Work>,
}

/// A part that is prepared.
pub trait Work {
    /// Not measured: brings about what the next run needs.
    fn ready(&mut self) {}
    /// Measured: all steps of one run.
    fn run(&mut self);
}

/// Work that needs nothing before it.
struct Again<F> {
    steps: u64,
    step: F,
}

impl<F: FnMut()> Work for Again<F> {
    fn run(&mut self) {
        for _ in 0..self.steps {
            (self.step)();
        }
    }
}

/// Work that is the same step, several times.
fn again(steps: u64, step: impl FnMut() + 'static) -> Box<dyn Work> {
    Box::new(Again { steps, step })
}

/// Everything that is measured, in the order of a request's way through the program.
pub fn all() -> Vec<Part> {
    [record::parts(), query::parts(), gate::parts(), wbxml::parts(), timer::parts(), lot::parts(), freshness::parts()]
        .into_iter()
        .flatten()
        .collect()
}
