//! When what happens: by the clock, or once everybody is held.

use std::collections::VecDeque;
use std::time::Duration;

use super::line::Task;
use crate::scenario::{Event, Happening, Plan, When};

/// What is still to happen.
pub struct Course {
    ramp_over: Option<Duration>,
    /// With its moment; the last first.
    timed: Vec<(Duration, Part)>,
    /// Each when all have been held for so long, in their order.
    awaiting: VecDeque<(Duration, Part)>,
    held_since: Option<Duration>,
    ends_held: Option<Duration>,
}

/// An event, or what comes before it.
#[derive(Debug, Clone, Copy)]
enum Part {
    Mail,
    Event(Event),
    /// Only a part of the run is over.
    Next,
}

/// What happens: what the crews are to do, and what it is called.
type Happens = (Option<Task>, &'static str);

impl Course {
    pub fn new(plan: &Plan) -> Self {
        let after = Duration::from_secs_f64;
        let (mut timed, mut awaiting) = (Vec::new(), VecDeque::new());
        for event in &plan.events {
            match event.when {
                When::At(at_s) => {
                    if event.mail_before_s > 0.0 {
                        timed.push((after(at_s - event.mail_before_s), Part::Mail));
                    }
                    timed.push((after(at_s), Part::Event(*event)));
                }
                When::Held(held_s) => {
                    if event.mail_before_s > 0.0 {
                        awaiting.push_back((after(held_s - event.mail_before_s), Part::Mail));
                    }
                    awaiting.push_back((after(held_s), Part::Event(*event)));
                }
            }
        }
        if let Some(parts_s) = plan.run.parts_s {
            let begins = (1..).map(|part| plan.ramp_time() + after(parts_s) * part);
            timed.extend(begins.take_while(|&at| at < after(plan.run.duration_s)).map(|at| (at, Part::Next)));
        }
        timed.sort_by_key(|&(at, _)| std::cmp::Reverse(at));
        let ends_held = plan.run.ends_held_s.map(after);
        Course { ramp_over: Some(plan.ramp_time()), timed, awaiting, held_since: None, ends_held }
    }

    /// The next moment that the clock decides; what waits for devices is found when they are looked at.
    pub fn next_at(&self) -> Duration {
        let event = self.timed.last().map(|&(at, _)| at);
        // A year from now is never: something else comes first.
        self.ramp_over.into_iter().chain(event).min().unwrap_or(Duration::from_secs(86_400 * 365))
    }

    /// The devices were looked at. Everybody: held, and nothing on its way to them.
    pub fn saw(&mut self, now: Duration, is_everybody_held: bool) {
        self.held_since = is_everybody_held.then(|| self.held_since.unwrap_or(now));
    }

    /// What happens now. To be asked until there is nothing.
    pub fn next(&mut self, now: Duration) -> Option<Happens> {
        if self.ramp_over.is_some_and(|at| at <= now) {
            self.ramp_over = None;
            return Some((None, "steady"));
        }
        if let Some((_, part)) = self.timed.pop_if(|(at, _)| *at <= now) {
            return Some(part.happens());
        }
        let held = now.checked_sub(self.held_since?)?;
        self.awaiting.front().filter(|(held_for, _)| *held_for <= held)?;
        let (_, part) = self.awaiting.pop_front()?;
        if matches!(part, Part::Event(_)) {
            // Whoever is held after this was held anew.
            self.held_since = None;
        }
        Some(part.happens())
    }

    /// Whether the run may end before its time.
    pub fn is_over(&self, now: Duration) -> bool {
        let has_happened = self.ramp_over.is_none() && self.timed.is_empty() && self.awaiting.is_empty();
        let held = self.held_since.and_then(|since| now.checked_sub(since));
        has_happened && self.ends_held.zip(held).is_some_and(|(ends, held)| held >= ends)
    }
}

impl Part {
    fn happens(&self) -> Happens {
        let event = match self {
            Part::Mail => return (Some(Task::MailAll), "mail"),
            Part::Next => return (None, "next part"),
            Part::Event(event) => event,
        };
        match event.what {
            Happening::WakeAll => (Some(Task::wake_all(event.mail_before_s > 0.0, event.fetch_within_s)), "wake all"),
            Happening::Storm => (Some(Task::Storm(event.within_s)), "storm"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn parts_begin_when_the_ramp_is_over_and_end_with_the_run() {
        let text = r#"
            [target]
            url = "http://127.0.0.1:1"
            [devices]
            count = 10
            [ramp]
            per_second = 5
            [run]
            duration_s = 12
            parts_s = 4
        "#;
        let mut course = Course::new(&Plan::parse("test", text, &[]).expect("a scenario"));
        let happened: Vec<_> = (0..20)
            .flat_map(|second| std::iter::from_fn(|| course.next(at(second))).map(move |(_, label)| (second, label)).collect::<Vec<_>>())
            .collect();
        assert_eq!(happened, [(2, "steady"), (6, "next part"), (10, "next part")]);
    }

    #[test]
    fn what_waits_for_devices_happens_when_all_have_been_held_for_so_long_and_the_run_ends_when_they_are_again() {
        let text = r#"
            [target]
            url = "http://127.0.0.1:1"
            [devices]
            count = 10
            [ramp]
            per_second = 10
            [changes.lines]
            to = "127.0.0.1:3"
            [changes.webhook]
            url = "http://127.0.0.1:2"
            token = "hush"
            [[events]]
            held_s = 5
            what = "wake_all"
            mail_before_s = 2
            [[events]]
            held_s = 2
            what = "storm"
            [run]
            duration_s = 1000
            ends_held_s = 3
        "#;
        let mut course = Course::new(&Plan::parse("test", text, &[]).expect("a scenario"));
        let mut happened = Vec::new();
        // Held from 10 on; each event ends that for four seconds.
        let mut away_until = 10;
        let mut over_at = None;
        for second in 0..40 {
            course.saw(at(second), second >= away_until);
            while let Some((_, label)) = course.next(at(second)) {
                happened.push((second, label));
                if ["wake all", "storm"].contains(&label) {
                    away_until = second + 4;
                }
            }
            if over_at.is_none() && course.is_over(at(second)) {
                over_at = Some(second);
            }
        }
        assert_eq!(happened, [(1, "steady"), (13, "mail"), (15, "wake all"), (21, "storm")]);
        assert_eq!(over_at, Some(28));
    }
}
