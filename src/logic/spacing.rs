//! Turns a set time apart, with a little that may be made up for after a pause (the generic cell rate algorithm).

use std::time::Duration;

use super::hold::Moment;

/// What may be made up for after a pause.
const BURST: Duration = Duration::from_millis(100);

/// When the next turn is.
#[derive(Debug, Clone, Copy, Default)]
pub struct Spacing {
    next: Moment,
}

impl Spacing {
    /// When the next turn may be taken; in the past: at once.
    pub fn next(self) -> Moment {
        self.next
    }

    /// Whether a turn may be taken now.
    pub fn is_free(self, now: Moment) -> bool {
        self.next <= now
    }

    /// A turn was taken that lasts so long.
    pub fn spend(&mut self, now: Moment, lasts: Duration) {
        self.next = self.next.max(now - BURST) + lasts;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_pause_a_tenth_of_a_second_is_made_up_for_and_no_more() {
        let (mut spacing, gap) = (Spacing::default(), Duration::from_millis(10));
        let now = Moment(5_000_000);
        let mut at_once = 0;
        while spacing.is_free(now) {
            spacing.spend(now, gap);
            at_once += 1;
        }
        assert_eq!(at_once, 11);
        assert_eq!(spacing.next(), now + gap);
        assert!(!spacing.is_free(now + gap / 2) && spacing.is_free(now + gap));
    }
}
