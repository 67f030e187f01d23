//! The stale-password shield: a device that repeats credentials which the backend has just rejected is answered by the gateway, so that
//! a forgotten phone does not lock its owner's account.
//!
//! Remembered is a device together with what it sent, both as keyed hashes the caller makes: another password, or the same one from
//! another device, is another matter and passes. A rejection shields for a while, twice as long each time the backend rejects the same
//! again; success of the same credentials, from whichever device, ends all of it.

use std::collections::HashMap;
use std::time::Duration;

use super::hold::Moment;

/// A keyed hash, shortened.
pub type Digest = [u8; 16];

/// Devices remembered for one pair of user and password: an account on more devices than that is not one person's.
const DEVICES_OF_ONE_MAX: usize = 32;

/// The times of the shield.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// How long the first rejection shields; zero: never.
    pub first: Duration,
    /// The longest. A rejection older than that is forgotten.
    pub longest: Duration,
}

/// Who was rejected, for people to look at; `T` names the device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shielded<T> {
    /// Whom.
    pub who: T,
    /// When the backend rejected it first.
    pub since: Moment,
    /// When it will be asked again.
    pub until: Moment,
    /// How often the backend rejected it.
    pub rejected: u32,
    /// How often the gateway answered instead.
    pub spared: u64,
}

/// What to do with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passage {
    /// Ask the backend.
    Pass,
    /// Answer 401.
    Spare,
}

/// All that is remembered. Bounded: beyond it the newest is not remembered, and passes.
#[derive(Debug)]
pub struct Shield<T> {
    terms: Terms,
    of: HashMap<Digest, Vec<(Digest, Entry<T>)>>,
    count: usize,
    count_max: usize,
    swept_at: Moment,
}

#[derive(Debug, Clone)]
struct Entry<T> {
    shown: Shielded<T>,
    wait: Duration,
    /// A failure of credentials that were good a moment ago may be the backend's: it shields from the second on.
    is_on_trial: bool,
    /// When the last rejection came that counted.
    rejected_at: Moment,
}

impl<T: Clone> Shield<T> {
    /// Nothing is remembered yet; at most `count_max` devices will be.
    pub fn new(terms: Terms, count_max: usize) -> Self {
        Shield { terms, of: HashMap::new(), count: 0, count_max, swept_at: Moment::default() }
    }

    /// Devices remembered.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Nobody is remembered.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Other times, from the next rejection on.
    pub fn set_terms(&mut self, terms: Terms) {
        self.terms = terms;
    }

    /// A request comes with these credentials from this device. When a time is over one request is let through to try; the next may
    /// only after the shortest time, or when that one succeeded.
    pub fn ask(&mut self, credentials: &Digest, device: &Digest, now: Moment) -> Passage {
        if self.terms.first.is_zero() {
            return Passage::Pass;
        }
        let Some(entry) = self.entry(credentials, device) else { return Passage::Pass };
        if now < entry.shown.until {
            entry.shown.spared += 1;
            return Passage::Spare;
        }
        if entry.is_on_trial {
            return Passage::Pass;
        }
        // Those who come at the same moment wait for what becomes of this one.
        entry.shown.until = now + entry.wait.min(TRIAL);
        Passage::Pass
    }

    /// The backend rejected them, in a request that came at `asked_at`. `were_good`: it accepted them within the time a verdict lasts.
    /// `who` names the device to people.
    pub fn rejected(
        &mut self,
        (credentials, were_good): (Digest, bool),
        device: Digest,
        who: impl FnOnce() -> T,
        (asked_at, now): (Moment, Moment),
    ) {
        let Terms { first, longest } = self.terms;
        if first.is_zero() {
            return;
        }
        if let Some(entry) = self.entry(&credentials, &device) {
            // One of several that were under way when the first of them was rejected.
            if asked_at < entry.rejected_at {
                return;
            }
            entry.shown.rejected = entry.shown.rejected.saturating_add(1);
            entry.wait = if entry.is_on_trial { first } else { (entry.wait * 2).clamp(first, longest.max(first)) };
            (entry.is_on_trial, entry.rejected_at) = (false, now);
            entry.shown.until = now + entry.wait;
            return;
        }
        self.make_room(now);
        let of_one = self.of.get(&credentials).map_or(0, Vec::len);
        if self.count >= self.count_max || of_one >= DEVICES_OF_ONE_MAX {
            return;
        }
        let wait = if were_good { Duration::ZERO } else { first };
        let shown = Shielded { who: who(), since: now, until: now + wait, rejected: 1, spared: 0 };
        self.of.entry(credentials).or_default().push((device, Entry { shown, wait, is_on_trial: were_good, rejected_at: now }));
        self.count += 1;
    }

    /// The backend accepts them: nobody who sends them is shielded any more.
    pub fn accepted(&mut self, credentials: &Digest) {
        if let Some(devices) = self.of.remove(credentials) {
            self.count -= devices.len();
        }
    }

    /// Everybody who is shielded now.
    pub fn list(&self, now: Moment) -> impl Iterator<Item = &Shielded<T>> {
        self.of.values().flatten().map(|(_, entry)| &entry.shown).filter(move |shown| now < shown.until)
    }

    fn entry(&mut self, credentials: &Digest, device: &Digest) -> Option<&mut Entry<T>> {
        self.of.get_mut(credentials)?.iter_mut().find(|(found, _)| found == device).map(|(_, entry)| entry)
    }

    /// When all places are taken, those go whose time was over for the longest time the shield knows; at most once a second. If there
    /// are none, those that were rejected only once: whoever guesses passwords never repeats one.
    fn make_room(&mut self, now: Moment) {
        if self.count < self.count_max || now.since(self.swept_at) < Duration::from_secs(1) {
            return;
        }
        self.swept_at = now;
        let longest = self.terms.longest;
        self.keep(|entry| now.since(entry.shown.until) < longest);
        if self.count >= self.count_max {
            self.keep(|entry| entry.shown.rejected > 1 || entry.shown.spared > 0);
        }
    }

    fn keep(&mut self, is_kept: impl Fn(&Entry<T>) -> bool) {
        self.of.retain(|_, devices| {
            devices.retain(|(_, entry)| is_kept(entry));
            !devices.is_empty()
        });
        self.count = self.of.values().map(Vec::len).sum();
    }
}

/// Time for the one that tries: the backend answers a rejection within it, as a rule.
const TRIAL: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    const TERMS: Terms = Terms { first: Duration::from_secs(60), longest: Duration::from_secs(3_600) };
    const PASSWORD: Digest = [1; 16];
    const PHONE: Digest = [2; 16];
    const TABLET: Digest = [3; 16];

    fn shield() -> Shield<&'static str> {
        Shield::new(TERMS, 4)
    }

    fn at(seconds: u64) -> Moment {
        Moment::default() + Duration::from_secs(seconds)
    }

    /// A phone that asks every second of a day; when the backend, which always rejects, was asked.
    fn asked(shield: &mut Shield<&'static str>, were_good: bool) -> Vec<u64> {
        let mut times = Vec::new();
        for second in 0..86_400 {
            if shield.ask(&PASSWORD, &PHONE, at(second)) == Passage::Pass {
                times.push(second);
                shield.rejected((PASSWORD, were_good && times.len() == 1), PHONE, || "phone", (at(second), at(second)));
            }
        }
        times
    }

    #[test]
    fn a_stale_password_reaches_the_backend_at_doubling_intervals_up_to_an_hour() {
        let times = asked(&mut shield(), false);
        assert_eq!(times[..8], [0, 60, 180, 420, 900, 1_860, 3_780, 7_380]);
        assert!(times.windows(2).skip(6).all(|pair| pair[1] - pair[0] == 3_600), "{times:?}");
        assert!(times.len() < 31, "{} in a day", times.len());
    }

    #[test]
    fn credentials_that_were_good_shield_from_their_second_rejection_on() {
        let times = asked(&mut shield(), true);
        assert_eq!(times[..5], [0, 1, 61, 181, 421]);
    }

    #[test]
    fn another_password_and_another_device_pass_at_once() {
        let mut shield = shield();
        shield.rejected((PASSWORD, false), PHONE, || "phone", (at(0), at(0)));
        assert_eq!(shield.ask(&PASSWORD, &PHONE, at(1)), Passage::Spare);
        assert_eq!(shield.ask(&[9; 16], &PHONE, at(1)), Passage::Pass);
        assert_eq!(shield.ask(&PASSWORD, &TABLET, at(1)), Passage::Pass);
    }

    #[test]
    fn success_from_anywhere_clears_all_devices_of_these_credentials() {
        let mut shield = shield();
        shield.rejected((PASSWORD, false), PHONE, || "phone", (at(0), at(0)));
        shield.rejected((PASSWORD, false), TABLET, || "tablet", (at(0), at(0)));
        assert_eq!(shield.list(at(1)).count(), 2);
        shield.accepted(&PASSWORD);
        assert_eq!(shield.ask(&PASSWORD, &PHONE, at(1)), Passage::Pass);
        assert!(shield.is_empty());
    }

    #[test]
    fn requests_under_way_together_count_once() {
        let mut shield = shield();
        for _ in 0..5 {
            assert_eq!(shield.ask(&PASSWORD, &PHONE, at(0)), Passage::Pass);
        }
        for _ in 0..5 {
            shield.rejected((PASSWORD, false), PHONE, || "phone", (at(0), at(1)));
        }
        let shown = shield.list(at(2)).next().expect("shielded");
        assert_eq!((shown.rejected, shown.until), (1, at(61)));
        // At its end one of them tries, and the others wait for what becomes of it.
        assert_eq!([61, 61].map(|second| shield.ask(&PASSWORD, &PHONE, at(second))), [Passage::Pass, Passage::Spare]);
        shield.rejected((PASSWORD, false), PHONE, || "phone", (at(61), at(62)));
        assert_eq!(shield.list(at(62)).next().map(|shown| (shown.rejected, shown.until)), Some((2, at(182))));
    }

    #[test]
    fn one_stumble_that_hits_several_requests_of_a_good_password_is_one() {
        let mut shield = shield();
        for second in 1..4 {
            shield.rejected((PASSWORD, second == 1), PHONE, || "phone", (at(0), at(second)));
        }
        assert_eq!(shield.ask(&PASSWORD, &PHONE, at(4)), Passage::Pass);
        shield.rejected((PASSWORD, false), PHONE, || "phone", (at(4), at(5)));
        assert_eq!(shield.ask(&PASSWORD, &PHONE, at(6)), Passage::Spare);
    }

    #[test]
    fn a_trial_that_gets_no_answer_is_followed_by_another() {
        let mut shield = shield();
        shield.rejected((PASSWORD, false), PHONE, || "phone", (at(0), at(0)));
        assert_eq!(shield.ask(&PASSWORD, &PHONE, at(60)), Passage::Pass);
        assert_eq!(shield.ask(&PASSWORD, &PHONE, at(65)), Passage::Spare);
        assert_eq!(shield.ask(&PASSWORD, &PHONE, at(70)), Passage::Pass);
    }

    #[test]
    fn whoever_guesses_makes_no_room_for_himself_at_the_cost_of_those_who_repeat() {
        let mut shield = shield();
        shield.rejected((PASSWORD, false), PHONE, || "phone", (at(0), at(0)));
        assert_eq!(shield.ask(&PASSWORD, &PHONE, at(1)), Passage::Spare);
        for guess in 10..200 {
            shield.rejected(([guess; 16], false), TABLET, || "guess", (at(2 + u64::from(guess)), at(2 + u64::from(guess))));
        }
        assert!(shield.len() <= 4);
        assert!(shield.list(at(59)).any(|shown| shown.who == "phone"));
    }

    #[test]
    fn without_a_first_time_there_is_no_shield() {
        let mut shield = Shield::new(Terms { first: Duration::ZERO, ..TERMS }, 4);
        shield.rejected((PASSWORD, false), PHONE, || "phone", (at(0), at(0)));
        assert_eq!(shield.ask(&PASSWORD, &PHONE, at(0)), Passage::Pass);
        assert!(shield.is_empty());
    }
}
