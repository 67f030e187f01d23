//! How a device finds the longest heartbeat that its network lets live. No clock: it is told how a wait ended.

/// The rule by which a device changes its heartbeat; the values it starts from are [`super::Behaviour`]'s.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Adaptation {
    /// It goes no lower, in seconds.
    pub min_s: u32,
    /// It goes no higher.
    pub max_s: u32,
    /// It goes up by so much after a heartbeat that ended well, and down by as much after a cut unless the rule says otherwise.
    pub step_s: u32,
    /// Heartbeats in a row that must end well before it goes up.
    pub successes: u8,
    /// What a lost connection, or no answer, does.
    pub after_cut: AfterCut,
}

/// What a device makes of a connection that was lost while it waited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AfterCut {
    /// A step down, and up again later: Android since 2014.
    StepDown,
    /// A step down if the heartbeat has never gone well, and never up again: Android until 2014.
    StepDownForGood,
    /// Back to the value before if the last step was up, to the minimum otherwise: Windows Mobile.
    BackOrMinimum,
}

/// Where one device stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Heartbeat {
    pub(super) now_s: u32,
    pub(super) min_s: u32,
    pub(super) max_s: u32,
    /// The longest that has ended well.
    pub(super) best_s: u32,
    /// Went well in a row at this value.
    pub(super) successes: u8,
    /// The last step was up.
    pub(super) rose: bool,
    /// Goes up no more.
    pub(super) settled: bool,
}

impl Heartbeat {
    pub(super) fn new(start_s: u32, rule: Option<Adaptation>) -> Self {
        let (min_s, max_s) = rule.map_or((start_s, start_s), |rule| (rule.min_s, rule.max_s));
        Heartbeat { now_s: start_s, min_s, max_s, best_s: 0, successes: 0, rose: false, settled: false }
    }

    /// Status 1 at the end of the heartbeat.
    pub(super) fn expired(&mut self, rule: Option<Adaptation>) {
        let Some(rule) = rule else { return };
        self.best_s = self.best_s.max(self.now_s);
        self.successes = self.successes.saturating_add(1);
        if !self.settled && self.successes >= rule.successes && self.now_s < self.max_s {
            self.now_s = (self.now_s + rule.step_s).min(self.max_s);
            self.successes = 0;
            self.rose = true;
        }
    }

    /// The connection was lost, or nothing came.
    pub(super) fn cut(&mut self, rule: Option<Adaptation>) {
        let Some(rule) = rule else { return };
        let lower_s = self.now_s.saturating_sub(rule.step_s).max(self.min_s);
        self.successes = 0;
        match rule.after_cut {
            AfterCut::StepDown => self.now_s = lower_s,
            AfterCut::StepDownForGood if self.now_s > self.best_s && self.now_s > self.min_s => {
                self.now_s = lower_s;
                self.settled = true;
            }
            AfterCut::StepDownForGood => {}
            AfterCut::BackOrMinimum => self.now_s = if self.rose { lower_s } else { self.min_s },
        }
        self.rose = false;
    }

    /// Status 5, or 14 of a Sync: the server's bound.
    pub(super) fn bounded(&mut self, rule: Option<Adaptation>, to_s: u32) {
        if rule.is_some_and(|rule| rule.after_cut == AfterCut::StepDownForGood) {
            if to_s > self.now_s {
                self.min_s = to_s;
            } else {
                self.max_s = to_s;
            }
        }
        self.now_s = to_s;
    }
}

#[cfg(test)]
mod tests {
    use super::super::Behaviour;
    use super::*;

    fn after(behaviour: &Behaviour, ends: &str) -> u32 {
        let rule = behaviour.adapts;
        let mut heartbeat = Heartbeat::new(behaviour.heartbeat_s, rule);
        for end in ends.chars() {
            match end {
                '1' => heartbeat.expired(rule),
                'x' => heartbeat.cut(rule),
                _ => heartbeat.bounded(rule, 600),
            }
        }
        heartbeat.now_s
    }

    #[test]
    fn old_android_goes_down_once_and_stays() {
        let old = Behaviour::android_old();
        assert_eq!([after(&old, ""), after(&old, "1"), after(&old, "11111")], [470, 650, 1_010]);
        assert_eq!(after(&old, "11x11"), 650, "what has gone well is kept, and there are no more attempts");
        assert_eq!(after(&old, "1xx"), 470, "a cut below the best that went well is the network's mood");
        assert_eq!([after(&old, "xxx"), after(&old, "51111")], [290, 1_010]);
        assert_eq!(after(&old, "1151111"), 600, "Status 5 lowered its maximum");
    }

    #[test]
    fn new_android_goes_up_again_after_it_went_down() {
        let new = Behaviour::android_new();
        assert_eq!([after(&new, ""), after(&new, "1"), after(&new, "1111111")], [480, 780, 1_680]);
        assert_eq!([after(&new, "1x"), after(&new, "1x1"), after(&new, "xx"), after(&new, "5")], [480, 780, 480, 600]);
    }

    #[test]
    fn windows_mobile_waits_for_several_successes_and_falls_back() {
        let mobile = Behaviour::windows_mobile();
        assert_eq!([after(&mobile, "11"), after(&mobile, "111"), after(&mobile, "111x")], [480, 780, 480]);
        assert_eq!(after(&mobile, "111111xx"), 480, "back, and then to the minimum");
    }

    #[test]
    fn a_fixed_heartbeat_changes_only_when_the_server_says_so() {
        let fixed = Behaviour::default();
        assert_eq!([after(&fixed, "111"), after(&fixed, "xx"), after(&fixed, "5")], [900, 900, 600]);
    }
}
