//! When proofs are taken back because reports were lost on their way into a lot.

use std::time::Duration;

use super::Moment;

/// What was lost lately.
///
/// Proofs go at once, and once more when the backend must show whatever was lost: one that was asked for in between may come
/// from a view that did not show it yet. However much is lost meanwhile, every held Ping is looked at once in that time.
#[derive(Debug, Default)]
pub struct Losses {
    again: Option<Moment>,
    is_more_lost: bool,
}

impl Losses {
    /// Something was lost just now. Returns whether that begins a time of losses.
    pub fn lost(&mut self, now: Moment) -> bool {
        self.is_more_lost = true;
        self.again.replace(self.again.unwrap_or(now)).is_none()
    }

    /// Whether proofs are to be taken back now; `settle` is how long the backend may take to show what was reported.
    pub fn are_due(&mut self, now: Moment, settle: Duration) -> bool {
        if self.again.is_none_or(|again| now < again) {
            return false;
        }
        // A second more, since the times of proofs are whole seconds.
        let settled = now + settle + Duration::from_secs(1);
        self.again = std::mem::take(&mut self.is_more_lost).then_some(settled);
        true
    }

    /// When to ask next.
    pub fn next(&self) -> Option<Moment> {
        self.again
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTLE: Duration = Duration::from_secs(5);

    fn second(s: u64) -> Moment {
        Moment(s * 1_000_000)
    }

    #[test]
    fn proofs_go_at_once_and_again_when_what_was_lost_shows() {
        let mut losses = Losses::default();
        assert!(!losses.are_due(second(1), SETTLE), "nothing was lost");
        assert!(losses.lost(second(1)));
        assert!(losses.are_due(second(1), SETTLE));
        assert_eq!(losses.next(), Some(second(7)));
        assert!(!losses.are_due(second(6), SETTLE) && losses.are_due(second(7), SETTLE));
        assert_eq!(losses.next(), None);
    }

    #[test]
    fn losses_without_an_end_are_one_time_of_losses_and_cost_no_more_than_one_look_in_it() {
        let mut losses = Losses::default();
        let begun = (0..60).filter(|s| losses.lost(second(*s))).count();
        assert_eq!(begun, 1);
        let mut losses = Losses::default();
        let looks = (0..60).filter(|s| {
            losses.lost(second(*s));
            losses.are_due(second(*s), SETTLE)
        });
        assert_eq!(looks.count(), 10);
        assert!(losses.next().is_some_and(|next| next >= second(59)), "what was lost last is not forgotten");
    }
}
