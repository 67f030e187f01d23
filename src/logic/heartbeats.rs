//! Exchange's heartbeat alert: when the last heartbeats are short on average, something between devices and gateway cuts connections,
//! and devices Ping ever more often.

use std::collections::VecDeque;

/// The last heartbeats that devices asked for.
#[derive(Debug)]
pub struct Heartbeats {
    last: VecDeque<u16>,
    sum: u64,
    is_short: bool,
}

/// What changed with a heartbeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// Nothing.
    Same,
    /// From now on the average, in seconds, is at or under the threshold.
    Short(u32),
    /// It is above again.
    Long(u32),
}

impl Heartbeats {
    /// None yet.
    pub const fn new() -> Self {
        Heartbeats { last: VecDeque::new(), sum: 0, is_short: false }
    }

    /// One more, in seconds. Nothing is said before there are `sample_size` (`ping.hbi_sample_size`) of them, as in Exchange.
    pub fn push(&mut self, heartbeat_s: u16, sample_size: usize, threshold_s: u32) -> Turn {
        self.last.push_back(heartbeat_s);
        self.sum += u64::from(heartbeat_s);
        while self.last.len() > sample_size {
            self.sum -= self.last.pop_front().map_or(0, u64::from);
        }
        if self.last.len() < sample_size {
            return Turn::Same;
        }
        let average = self.average_s().unwrap_or(0);
        let is_short = average <= threshold_s;
        match (std::mem::replace(&mut self.is_short, is_short), is_short) {
            (false, true) => Turn::Short(average),
            (true, false) => Turn::Long(average),
            _ => Turn::Same,
        }
    }

    /// Average of those remembered, seconds, rounded down; `None` before the first.
    pub fn average_s(&self) -> Option<u32> {
        let count = u64::try_from(self.last.len()).unwrap_or(u64::MAX);
        self.sum.checked_div(count).map(|average| u32::try_from(average).unwrap_or(u32::MAX))
    }

    /// The average, while it is at or under the threshold.
    pub fn short_s(&self) -> Option<u32> {
        self.average_s().filter(|_| self.is_short)
    }
}

impl Default for Heartbeats {
    fn default() -> Self {
        Heartbeats::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_said_before_the_sample_is_full() {
        let mut heartbeats = Heartbeats::new();
        assert!((1..200).all(|_| heartbeats.push(60, 200, 540) == Turn::Same));
        assert_eq!(heartbeats.push(60, 200, 540), Turn::Short(60));
        assert_eq!(heartbeats.push(60, 200, 540), Turn::Same, "once an episode");
    }

    #[test]
    fn the_threshold_itself_is_alarming_and_one_above_is_not() {
        let turn = |heartbeat_s| Heartbeats::new().push(heartbeat_s, 1, 540);
        assert_eq!((turn(540), turn(541)), (Turn::Short(540), Turn::Same));
    }

    #[test]
    fn only_the_last_ones_count_and_the_end_is_said() {
        let mut heartbeats = Heartbeats::new();
        assert_eq!([60, 60].map(|s| heartbeats.push(s, 2, 540)), [Turn::Same, Turn::Short(60)]);
        assert_eq!((heartbeats.push(900, 2, 540), heartbeats.short_s()), (Turn::Same, Some(480)));
        assert_eq!((heartbeats.push(900, 2, 540), heartbeats.short_s()), (Turn::Long(900), None));
        assert_eq!(heartbeats.push(60, 2, 540), Turn::Short(480));
    }

    #[test]
    fn a_smaller_sample_after_a_reload_drops_the_eldest() {
        let mut heartbeats = Heartbeats::new();
        let turns = [60, 60, 900].map(|s| heartbeats.push(s, 3, 100));
        assert_eq!(turns, [Turn::Same; 3], "340 s are above 100");
        assert_eq!(heartbeats.push(900, 2, 100), Turn::Same);
        assert_eq!(heartbeats.average_s(), Some(900));
    }
}
