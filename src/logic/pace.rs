//! Who asks the backend next: a line with a rate, fair between mailboxes, and appointments for those who find it full.
//!
//! Two ranks wait side by side: those whom the backend knows, and newcomers. While both wait, the known go three times as
//! often, so that a storm of newcomers slows nobody down who is at home, and nobody at home keeps the newcomers out. Within a
//! rank the mailboxes take turns, each with one request.
//!
//! Whoever finds the line full is told when to come back. Each of them is told another time, at the rate at which the line
//! moves: a crowd that is sent away together must not come back together.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use super::hold::Moment;
use super::spacing::Spacing;
use crate::config::limits::{BACKEND_LINE_MAILBOX_MAX, BACKEND_LINE_MAX};

/// Who asks, as far as it matters for the order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rank {
    /// The backend accepted them lately.
    Known,
    /// Anybody else.
    Newcomer,
}

/// Times that the known go before a newcomer does.
const KNOWN_IN_A_ROW_MAX: u8 = 3;
/// Longest wait in line: devices give up after 20 to 60 s, and the answer takes its time as well.
const WAIT_MAX: Duration = Duration::from_secs(10);
/// The furthest appointment. Those who find even that taken are spread over its second half.
const APPOINTMENT_MAX: Duration = Duration::from_secs(300);

/// The line. `T` is whoever waits; they are handed back in their turn.
#[derive(Debug)]
pub struct Line<T> {
    gap: Duration,
    places_max: usize,
    /// When the next may go.
    spacing: Spacing,
    ranks: [Mailboxes<T>; 2],
    known_in_a_row: u8,
    /// The last appointment given, for each rank: strangers must not take those of others.
    appointments: [Moment; 2],
}

/// The line is full for this one: what to tell them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ComeBack {
    /// After this time.
    pub after: Duration,
}

impl<T> Line<T> {
    /// A line that lets `per_s` go a second, at least one.
    pub fn new(per_s: u32) -> Self {
        let per_s = u64::from(per_s.max(1));
        let places = usize::try_from(per_s * WAIT_MAX.as_secs()).unwrap_or(BACKEND_LINE_MAX);
        Line {
            gap: Duration::from_micros(1_000_000u64.div_ceil(per_s)),
            places_max: places.min(BACKEND_LINE_MAX),
            spacing: Spacing::default(),
            ranks: [Mailboxes::default(), Mailboxes::default()],
            known_in_a_row: 0,
            appointments: [Moment::default(); 2],
        }
    }

    /// Whether somebody may go now without having waited: nobody else waits, and the rate allows it.
    pub fn passes_at_once(&mut self, now: Moment) -> bool {
        let is_free = self.is_empty() && self.spacing.is_free(now);
        if is_free {
            self.spacing.spend(now, self.gap);
        }
        is_free
    }

    /// Gets in line. `key`: a hash of the mailbox. `jitter`: any byte.
    ///
    /// # Errors
    /// The line is full, for everybody, for newcomers, or for this mailbox.
    pub fn enter(&mut self, rank: Rank, key: u64, waiting: T, now: Moment, jitter: u8) -> Result<(), ComeBack> {
        // Half of the places are out of reach of newcomers: they may be anybody, and as many as they like.
        let is_crowded = rank == Rank::Newcomer && self.ranks[Rank::Newcomer as usize].len >= self.places_max.div_ceil(2);
        if is_crowded || self.len() >= self.places_max {
            return Err(self.appointment(rank, now, jitter));
        }
        if self.ranks[rank as usize].len_of(key) >= BACKEND_LINE_MAILBOX_MAX {
            // Their own doing: no appointment is taken from others for it.
            return Err(ComeBack { after: WAIT_MAX.mul_f64(1.0 + f64::from(jitter) / 256.0) });
        }
        self.ranks[rank as usize].push(key, waiting);
        Ok(())
    }

    /// Gets in line however long it is: for callers of whom there are few.
    pub fn enter_always(&mut self, rank: Rank, key: u64, waiting: T) {
        self.ranks[rank as usize].push(key, waiting);
    }

    /// Who goes now, if the rate allows it. `may_go`: of which rank anybody may. Those who are no longer `there` are passed over
    /// and cost nothing.
    pub fn poll(&mut self, now: Moment, may_go: [bool; 2], there: impl Fn(&T) -> bool) -> Option<(Rank, T)> {
        while self.spacing.is_free(now) {
            let waits = |rank: Rank| may_go[rank as usize] && self.ranks[rank as usize].len > 0;
            let rank = match (waits(Rank::Known), waits(Rank::Newcomer)) {
                (true, true) if self.known_in_a_row >= KNOWN_IN_A_ROW_MAX => Rank::Newcomer,
                (true, _) => Rank::Known,
                (false, true) => Rank::Newcomer,
                (false, false) => return None,
            };
            let waiting = self.ranks[rank as usize].pop()?;
            if there(&waiting) {
                self.known_in_a_row = if rank == Rank::Known { self.known_in_a_row.saturating_add(1) } else { 0 };
                self.spacing.spend(now, self.gap);
                return Some((rank, waiting));
            }
        }
        None
    }

    /// When [`Line::poll`] may have somebody; `None`: nobody waits.
    pub fn poll_timeout(&self) -> Option<Moment> {
        (!self.is_empty()).then_some(self.spacing.next())
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.ranks.iter().map(|rank| rank.len).sum()
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The next free time, a little after the one before. Four fifths of the rate are given away: others come without one.
    pub fn appointment(&mut self, rank: Rank, now: Moment, jitter: u8) -> ComeBack {
        let line_ends = now + self.gap * u32::try_from(self.len()).unwrap_or(u32::MAX);
        let last = &mut self.appointments[rank as usize];
        *last = (*last).max(line_ends) + self.gap * 5 / 4;
        let after = last.since(now);
        if after > APPOINTMENT_MAX {
            *last = now + APPOINTMENT_MAX;
            return ComeBack { after: APPOINTMENT_MAX.mul_f64(0.5 + f64::from(jitter) / 512.0) };
        }
        ComeBack { after }
    }
}

/// Those of one rank, a queue for each mailbox, and the order in which the mailboxes come.
#[derive(Debug)]
struct Mailboxes<T> {
    queues: HashMap<u64, VecDeque<T>>,
    order: VecDeque<u64>,
    len: usize,
}

impl<T> Default for Mailboxes<T> {
    fn default() -> Self {
        Mailboxes { queues: HashMap::new(), order: VecDeque::new(), len: 0 }
    }
}

impl<T> Mailboxes<T> {
    fn len_of(&self, key: u64) -> usize {
        self.queues.get(&key).map_or(0, VecDeque::len)
    }

    fn push(&mut self, key: u64, waiting: T) {
        let queue = self.queues.entry(key).or_default();
        if queue.is_empty() {
            self.order.push_back(key);
        }
        queue.push_back(waiting);
        self.len += 1;
    }

    /// The first of the mailbox whose turn it is, which then comes last.
    fn pop(&mut self) -> Option<T> {
        let key = self.order.pop_front()?;
        let queue = self.queues.get_mut(&key)?;
        let waiting = queue.pop_front()?;
        self.len -= 1;
        if queue.is_empty() {
            self.queues.remove(&key);
        } else {
            self.order.push_back(key);
        }
        if self.len == 0 {
            // A storm leaves tables of its size behind.
            (self.queues, self.order) = (HashMap::new(), VecDeque::new());
        }
        Some(waiting)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: [bool; 2] = [true, true];

    fn at_ms(ms: u64) -> Moment {
        Moment(ms * 1_000)
    }

    /// Everybody who goes until then, in steps of a millisecond.
    fn goes<T>(line: &mut Line<T>, from_ms: u64, to_ms: u64) -> Vec<T> {
        let mut gone = Vec::new();
        for ms in from_ms..to_ms {
            while let Some((_, waiting)) = line.poll(at_ms(ms), BOTH, |_| true) {
                gone.push(waiting);
            }
        }
        gone
    }

    #[test]
    fn no_second_has_more_than_the_rate_and_a_tenth() {
        let mut line = Line::new(100);
        for key in 0..1_000 {
            line.enter(Rank::Known, key, key, at_ms(5_000), 0).expect("1,000 places");
        }
        assert_eq!(goes(&mut line, 5_000, 6_000).len(), 110);
        assert_eq!(goes(&mut line, 6_000, 7_000).len(), 100);
        assert_eq!(line.len(), 790);
    }

    #[test]
    fn one_mailbox_with_much_to_ask_does_not_keep_the_others_waiting() {
        let mut line = Line::new(10);
        for number in 0..20 {
            line.enter(Rank::Known, 1, (1, number), at_ms(0), 0).expect("room");
        }
        line.enter(Rank::Known, 2, (2, 0), at_ms(0), 0).expect("room");
        let first: Vec<_> = goes(&mut line, 1_000, 1_200).into_iter().take(3).collect();
        assert_eq!(first, [(1, 0), (2, 0), (1, 1)]);
        let mut line = Line::new(100);
        let entered = (0..100).filter(|&number| line.enter(Rank::Known, 1, number, at_ms(0), 0).is_ok()).count();
        assert_eq!(entered, BACKEND_LINE_MAILBOX_MAX);
        assert!(line.enter(Rank::Known, 2, 0, at_ms(0), 0).is_ok(), "the line is not full for others");
    }

    #[test]
    fn newcomers_neither_hold_up_the_known_nor_are_shut_out() {
        let mut line = Line::new(100);
        for key in 0..400 {
            line.enter(Rank::Newcomer, key, "newcomer", at_ms(0), 0).expect("room");
            line.enter(Rank::Known, key, "known", at_ms(0), 0).expect("room");
        }
        let gone = goes(&mut line, 1_000, 2_000);
        let known = gone.iter().filter(|who| **who == "known").count();
        assert!((80..=85).contains(&known), "{known} of {}", gone.len());
        while line.enter(Rank::Newcomer, 1_000 + line.len() as u64, "newcomer", at_ms(2_000), 0).is_ok() {}
        assert!(line.enter(Rank::Known, 7, "known", at_ms(2_000), 0).is_ok(), "half of the places are not for newcomers");
    }

    #[test]
    fn those_who_are_sent_away_come_back_at_the_rate() {
        let mut line = Line::new(100);
        let mut told: Vec<u64> = Vec::new();
        for key in 0..15_000 {
            if let Err(come_back) = line.enter(Rank::Newcomer, key, (), at_ms(0), key as u8) {
                told.push(come_back.after.as_secs());
            }
        }
        assert_eq!(line.len(), 500);
        assert_eq!(told.len(), 14_500);
        for second in 0..300 {
            let count = told.iter().filter(|after| **after == second).count();
            assert!(count <= 100, "{count} are told {second} s");
        }
        assert!(told.iter().all(|after| (5..300).contains(after)));
    }

    #[test]
    fn more_than_there_are_appointments_for_are_spread_all_the_same() {
        let mut line = Line::new(1);
        let told: Vec<u64> =
            (0..2_560).filter_map(|key| line.enter(Rank::Known, key, (), at_ms(0), key as u8).err()).map(|c| c.after.as_secs()).collect();
        assert!(told.iter().all(|after| *after <= APPOINTMENT_MAX.as_secs()));
        let late: Vec<_> = told.iter().filter(|after| **after >= 150).collect();
        assert!((200..250).all(|second| late.iter().filter(|after| ***after == second).count() < 40));
        // Appointments are not missed for ever: those of the past count no more.
        let mut line = Line::new(1);
        while line.enter(Rank::Known, line.len() as u64, (), at_ms(0), 0).is_ok() {}
        goes(&mut line, 1_000_000, 1_020_000);
        assert!(line.enter(Rank::Known, 1, (), at_ms(1_020_000), 0).is_ok());
    }

    #[test]
    fn whoever_has_left_costs_nothing_and_a_rank_that_may_not_go_does_not_block_the_other() {
        let mut line = Line::new(10);
        for key in 0..50 {
            line.enter(Rank::Known, key, "gone", at_ms(0), 0).expect("room");
        }
        line.enter(Rank::Known, 50, "there", at_ms(0), 0).expect("room");
        assert_eq!(line.poll(at_ms(0), BOTH, |who| *who == "there"), Some((Rank::Known, "there")));
        line.enter(Rank::Known, 1, "known", at_ms(0), 0).expect("room");
        line.enter(Rank::Newcomer, 2, "newcomer", at_ms(0), 0).expect("room");
        assert_eq!(line.poll(at_ms(500), [false, true], |_| true), Some((Rank::Newcomer, "newcomer")));
        assert_eq!(line.poll(at_ms(1_000), [false, true], |_| true), None);
        assert_eq!(line.poll(at_ms(1_000), BOTH, |_| true), Some((Rank::Known, "known")));
        assert_eq!(line.poll_timeout(), None);
    }

    #[test]
    fn nobody_waits_while_there_is_room() {
        let mut line: Line<()> = Line::new(10);
        assert!(line.passes_at_once(at_ms(1_000)));
        assert!(line.passes_at_once(at_ms(1_000)), "a tenth of a second's worth at once");
        assert!(!line.passes_at_once(at_ms(1_000)));
        assert!(line.passes_at_once(at_ms(1_100)));
        line.enter(Rank::Known, 1, (), at_ms(1_100), 0).expect("room");
        assert!(!line.passes_at_once(at_ms(5_000)), "not past those who wait");
    }
}
