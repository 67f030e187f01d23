//! The timer wheel, with as many timers as a lot may hold.

use std::hint::black_box;

use pushgate::logic::hold::wheel::{Link, Links, Wheel};

use super::{Part, Work};

const TIMERS: u32 = 100_000;
const STEPS: u32 = 256;
/// Ticks in a heartbeat of 60 s, and in one of 59 minutes.
const SHORTEST: u32 = 3_662;
const LONGEST: u32 = 216_064;
/// Odd, so that counting in it comes to every timer before it comes to one twice; large, so that neighbours in time are not
/// neighbours in memory.
const STRIDE: u32 = 61_803;

pub fn parts() -> Vec<Part> {
    let steps = u64::from(STEPS);
    vec![
        Part { name: "timer_set", what: "set a timer beside 99,999", steps, prepare: || Box::new(Set(Timers::new())) },
        Part { name: "timer_clear", what: "clear it", steps, prepare: || Box::new(Clear(Timers::new())) },
        Part { name: "timer_expire", what: "let one of 100,000 expire", steps, prepare: || Box::new(Expire(Timers::new())) },
    ]
}

struct Place(Vec<Link>);

impl Links for Place {
    fn link(&mut self, index: u32) -> &mut Link {
        &mut self.0[index as usize]
    }
}

/// All set, spread over the heartbeats that devices choose.
struct Timers {
    wheel: Wheel,
    place: Place,
    now: u32,
    fired: Vec<u32>,
    /// Where the next run begins.
    next: u32,
    sets: u32,
}

impl Timers {
    fn new() -> Self {
        let place = Place(vec![Link::default(); TIMERS as usize]);
        let mut timers = Timers { wheel: Wheel::default(), place, now: 0, fired: Vec::new(), next: 0, sets: 0 };
        for index in 0..TIMERS {
            timers.set(index);
        }
        timers
    }

    fn set(&mut self, index: u32) {
        self.sets = self.sets.wrapping_add(1);
        let heartbeat = SHORTEST + self.sets.wrapping_mul(STRIDE) % (LONGEST - SHORTEST);
        self.wheel.set(&mut self.place, black_box(index), self.now + heartbeat);
    }

    fn clear(&mut self, index: u32) {
        self.wheel.clear(&mut self.place, black_box(index));
    }

    /// The timers of this run: the same until [`Timers::go_on`].
    fn turn(&self) -> impl Iterator<Item = u32> + use<> {
        let first = self.next;
        (0..STEPS).map(move |step| (u64::from(first + step) * u64::from(STRIDE) % u64::from(TIMERS)) as u32)
    }

    fn go_on(&mut self) {
        self.next = (self.next + STEPS) % TIMERS;
    }
}

struct Set(Timers);

impl Work for Set {
    fn ready(&mut self) {
        self.0.go_on();
        self.0.turn().for_each(|index| self.0.clear(index));
    }

    fn run(&mut self) {
        self.0.turn().for_each(|index| self.0.set(index));
    }
}

struct Clear(Timers);

impl Work for Clear {
    fn ready(&mut self) {
        self.0.turn().for_each(|index| self.0.set(index));
        self.0.go_on();
    }

    fn run(&mut self) {
        self.0.turn().for_each(|index| self.0.clear(index));
    }
}

/// Time goes on to whenever something is to be done, until as many have fired: moving down the levels is part of the price.
struct Expire(Timers);

impl Work for Expire {
    fn ready(&mut self) {
        for index in std::mem::take(&mut self.0.fired) {
            self.0.set(index);
        }
    }

    fn run(&mut self) {
        let timers = &mut self.0;
        while timers.fired.len() < STEPS as usize {
            timers.now = timers.wheel.next_tick().expect("timers are set").max(timers.now);
            let left = STEPS as usize - timers.fired.len();
            timers.wheel.advance(&mut timers.place, timers.now, left, &mut timers.fired);
        }
    }
}
