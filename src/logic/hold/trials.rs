//! How a backend that does not answer checks is spared: one at a time, with growing pauses, until one is answered.

use std::time::Duration;

use super::Moment;

/// So many checks without an answer in a row are the backend's fault and no longer one mailbox's.
const FAILURES_MAX: u32 = 3;
/// The first pause, which doubles with each trial that is not answered.
const PAUSE_MIN: Duration = Duration::from_secs(2);
/// The longest. One check a minute harms no backend, and what waits for one is looked at a minute after the backend is back:
/// a fifth of what `backend.poll_interval_s` promises. Longer pauses would spare nobody anything.
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// What became of the checks of late.
#[derive(Debug, Default)]
pub struct Trials {
    /// Checks without an answer since the last one that had one.
    in_a_row: u32,
    pause: Duration,
    next: Moment,
    is_under_way: bool,
}

/// What a check said of the backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// It answered, whatever it answered.
    Answer,
    /// No answer, or one that says that it cannot answer.
    Silence,
    /// The check was given up before it could tell.
    Nothing,
}

/// A check that may start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt {
    is_trial: bool,
}

impl Trials {
    /// Whether the backend does not answer.
    pub fn is_failing(&self) -> bool {
        self.in_a_row >= FAILURES_MAX
    }

    /// The present pause; zero while the backend answers.
    pub fn pause(&self) -> Duration {
        if self.is_failing() { self.pause } else { Duration::ZERO }
    }

    /// When a check may start at the earliest; `None`: when the trial under way has ended.
    pub fn next(&self) -> Option<Moment> {
        match self.is_failing() {
            false => Some(Moment::default()),
            true => Some(self.next).filter(|_| !self.is_under_way),
        }
    }

    /// Whether a check may start now.
    pub fn may_start(&self, now: Moment) -> bool {
        self.next().is_some_and(|next| next <= now)
    }

    /// A check starts, if one may. Whoever gets an attempt must end it.
    pub fn start(&mut self, now: Moment) -> Option<Attempt> {
        self.may_start(now).then(|| {
            self.is_under_way |= self.is_failing();
            Attempt { is_trial: self.is_under_way }
        })
    }

    /// It ended. `jitter` is random: processes whose backend failed at the same time do not ask at the same time.
    pub fn end(&mut self, attempt: Attempt, heard: Heard, now: Moment, jitter: u8) {
        if attempt.is_trial {
            self.is_under_way = false;
        }
        match heard {
            Heard::Answer => *self = Trials { is_under_way: self.is_under_way, ..Trials::default() },
            Heard::Silence => {
                self.in_a_row = self.in_a_row.saturating_add(1);
                // Those that started before it was known to fail say nothing new.
                if attempt.is_trial || self.in_a_row == FAILURES_MAX {
                    self.pause = (self.pause * 2).clamp(PAUSE_MIN, PAUSE_MAX);
                    // From three quarters of it on.
                    self.next = now + self.pause * (768 + u32::from(jitter)) / 1_024;
                }
            }
            Heard::Nothing => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(s: u64) -> Moment {
        Moment(s * 1_000_000)
    }

    fn failing() -> Trials {
        let mut trials = Trials::default();
        let attempts = [(); 3].map(|()| trials.start(second(1)).expect("nothing failed yet"));
        attempts.into_iter().for_each(|attempt| trials.end(attempt, Heard::Silence, second(1), 255));
        trials
    }

    #[test]
    fn failures_with_answers_in_between_are_single_mailboxes() {
        let mut trials = Trials::default();
        for heard in [Heard::Silence, Heard::Silence, Heard::Answer, Heard::Silence, Heard::Nothing, Heard::Silence] {
            let attempt = trials.start(second(1)).expect("it answers");
            trials.end(attempt, heard, second(1), 0);
        }
        assert!(!trials.is_failing() && trials.pause().is_zero());
    }

    #[test]
    fn of_a_backend_that_fails_one_at_a_time_is_asked_with_growing_pauses() {
        let mut trials = failing();
        let (mut now, mut pauses) = (second(1), Vec::new());
        for _ in 0..8 {
            assert_eq!(trials.start(now), None, "not before the pause is over");
            let next = trials.next().expect("no trial is under way");
            pauses.push(next.since(now).as_secs_f64().ceil() as u64);
            now = next;
            let trial = trials.start(now).expect("its time has come");
            assert_eq!((trials.start(now + Duration::from_secs(3_600)), trials.next()), (None, None), "one at a time");
            trials.end(trial, Heard::Silence, now, 255);
        }
        assert_eq!(pauses, [2, 4, 8, 16, 32, 60, 60, 60]);
    }

    #[test]
    fn the_first_answer_ends_all_of_it() {
        let mut trials = failing();
        let trial = trials.start(second(9)).expect("its time has come");
        trials.end(trial, Heard::Answer, second(10), 0);
        assert!((0..100).all(|_| trials.start(second(10)).is_some()));
        assert_eq!(trials.pause(), Duration::ZERO);
    }

    #[test]
    fn stragglers_neither_lengthen_a_pause_nor_end_a_trial() {
        let mut trials = Trials::default();
        let attempts = [(); 5].map(|()| trials.start(second(1)).expect("nothing failed yet"));
        attempts[..4].iter().for_each(|attempt| trials.end(*attempt, Heard::Silence, second(1), 0));
        assert_eq!(trials.pause(), PAUSE_MIN);
        let trial = trials.start(second(4)).expect("its time has come");
        trials.end(attempts[4], Heard::Silence, second(4), 0);
        assert_eq!(trials.start(second(9)), None, "the trial is under way");
        trials.end(trial, Heard::Nothing, second(9), 0);
        assert!(trials.start(second(9)).is_some(), "given up: the next may go at once");
    }
}
