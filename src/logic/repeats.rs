//! Devices that ask the same over and over: Pings one after the other, FolderSyncs or Syncs that begin anew for ever. Each costs the
//! backend as much as a first synchronisation, and none gets anywhere; so they are slowed, and named.
//!
//! Counted is only what good credentials ask, or anybody could have somebody else's device slowed. (Provisioning has its own loops:
//! [`super::policy::loops`].)

use super::policy::Timestamp;

/// Pings with nothing else in between and so few seconds apart belong to one row.
const PING_GAP_S: u64 = 5;
/// Pings in a row after which a device loops. A radio that comes and goes makes some; two and a half minutes of it is no radio.
const PINGS_MAX: u32 = 30;
/// The same, for a device that looped just before.
pub const PINGS_AGAIN_MAX: u32 = 5;
/// Times a device may begin anew (key 0) with its folder list, or with the same folder, within [`WINDOW_S`]: an account that is removed
/// and added again makes one of each, a server that lost its state another.
const BEGINNINGS_MAX: u32 = 10;
/// A row of beginnings is as long as this; a device that was slowed and kept away for so long begins from the beginning too.
const WINDOW_S: u64 = 600;
/// The first wait of a slowed device.
const WAIT_MIN_S: u32 = 60;
/// The longest: somebody who fixed the device should not wait for long.
const WAIT_MAX_S: u32 = 900;

/// What is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Pings, with nothing in between.
    Pings,
    /// FolderSyncs with key 0.
    FolderSyncs,
    /// Syncs of the same folder with key 0.
    Syncs,
    /// Provisions, or requests that are told to provision.
    Provisioning,
}

impl Kind {
    /// The word in metrics and views.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Pings => "pings",
            Kind::FolderSyncs => "folder_syncs",
            Kind::Syncs => "syncs",
            Kind::Provisioning => "provisioning",
        }
    }

    /// What it is, and what to do about it: two sentences.
    pub fn advice(self) -> &'static str {
        match self {
            Kind::Pings => {
                "The device sends Ping after Ping without syncing. Look for what cuts its connection (network, proxy), update its mail app, or remove and add the account on it."
            }
            Kind::FolderSyncs => {
                "The device fetches its folder list from the beginning over and over. Look at the mail server's log for this mailbox, then remove and add the account on the device."
            }
            Kind::Syncs => {
                "The device syncs the same folder from the beginning over and over. An item in it that the server or the device cannot read is the usual cause: look at the mail server's log for this mailbox."
            }
            Kind::Provisioning => {
                "The device is told to provision over and over and gets nowhere. It cannot apply its policy (AllowNonProvisionableDevices=true in that policy lets it in), or the backend has policies of its own (switch them off there), or it is a program that never will (pushgate device block). Once that is mended it gets through at its next try, within an hour; pushgate device remove lets it begin anew."
            }
        }
    }
}

/// How to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// As usual.
    Go,
    /// Not at all: it may come back after so many seconds.
    Slow {
        /// Why.
        kind: Kind,
        /// At least 1.
        retry_after_s: u32,
        /// This is where the loop was noticed: worth a line in the log.
        is_news: bool,
    },
}

/// What a device is slowed for; kept for devices that are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Repeats {
    /// The last time it did what it is slowed for.
    last_at: Timestamp,
    slowed: Option<Slowed>,
}

/// An episode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slowed {
    /// What is repeated.
    pub kind: Kind,
    /// Since when.
    pub since: Timestamp,
    /// How often, refusals included.
    pub count: u32,
    /// When the device may try again.
    pub next_at: Timestamp,
    wait_s: u32,
    /// The last Ping that passed: if the next one takes its time, the device waits as it should.
    passed_at: Option<Timestamp>,
}

/// Whether that many in a row are a loop.
pub fn is_loop(kind: Kind, in_row: u32) -> bool {
    in_row > if kind == Kind::Pings { PINGS_MAX } else { BEGINNINGS_MAX }
}

impl Repeats {
    /// A request comes, one of so many in a row ([`Row`]) since then. One passes while the device is slowed for the same: a try.
    pub fn step(&mut self, kind: Kind, in_row: u32, since: Timestamp, now: Timestamp) -> Pace {
        let has_waited = |slowed: Slowed| slowed.passed_at.is_some_and(|at| now.since(at) > PING_GAP_S);
        if self.is_over(now) || kind == Kind::Pings && self.slowed.is_some_and(has_waited) {
            *self = Repeats::default();
        }
        match &mut self.slowed {
            Some(slowed) if slowed.kind == kind => {
                self.last_at = now;
                slowed.count = slowed.count.saturating_add(1);
                if now < slowed.next_at {
                    let retry_after_s = u32::try_from(slowed.next_at.since(now)).unwrap_or(WAIT_MAX_S);
                    return Pace::Slow { kind, retry_after_s, is_news: false };
                }
                if kind == Kind::Pings && in_row <= PINGS_AGAIN_MAX {
                    slowed.passed_at = Some(now);
                    return Pace::Go;
                }
                slowed.passed_at = None;
                slowed.wait_s = (slowed.wait_s * 2).min(WAIT_MAX_S);
                slowed.next_at = now.plus(u64::from(slowed.wait_s));
                // A beginning is its own try; of Pings, those up to the bound were.
                if kind == Kind::Pings { Pace::Slow { kind, retry_after_s: slowed.wait_s, is_news: false } } else { Pace::Go }
            }
            _ if is_loop(kind, in_row) => {
                let (count, next_at) = (in_row, now.plus(u64::from(WAIT_MIN_S)));
                self.last_at = now;
                self.slowed = Some(Slowed { kind, since, count, next_at, wait_s: WAIT_MIN_S, passed_at: None });
                Pace::Slow { kind, retry_after_s: WAIT_MIN_S, is_news: true }
            }
            _ => Pace::Go,
        }
    }

    /// The loop the device is in, if it is in one.
    pub fn slowed(&self, now: Timestamp) -> Option<Slowed> {
        self.slowed.filter(|_| !self.is_over(now))
    }

    /// It is not slowed, or did not do it for twice its wait, whatever else it did: the next step would be the first.
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.slowed.is_none_or(|slowed| now.since(self.last_at) >= WINDOW_S.max(2 * u64::from(slowed.wait_s)))
    }
}

/// How many in a row, packed: of whom and what (32 bits), when (24 bits of seconds), how many (8 bits). All devices share tables of these,
/// one for Pings and one for beginnings. A Ping at the place of another begins a row there, and the row it broke is noticed a little later. A
/// beginning at the place of one that came twice is not counted until that one's row is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row(pub u64);

const SECONDS_BITS: u64 = (1 << 24) - 1;

impl Row {
    /// The row with one more Ping of this device (a hash), now in seconds; and how many it has.
    pub fn ping(self, device: u32, now_s: u64) -> (Row, u32) {
        let (who, then, count) = ((self.0 >> 32) as u32, (self.0 >> 8) & SECONDS_BITS, self.0 as u8);
        let gap = now_s.wrapping_sub(then) & SECONDS_BITS;
        let count = if who == device && gap <= PING_GAP_S { count.saturating_add(1) } else { 1 };
        (Row(u64::from(device) << 32 | (now_s & SECONDS_BITS) << 8 | u64::from(count)), u32::from(count))
    }

    /// The row with one more beginning of this (a hash of the device and of what it begins), now in seconds; how many it has, and for how
    /// many seconds it goes on. Whoever began twice keeps the place until his row is over.
    pub fn begin(self, what: u32, now_s: u64) -> (Row, u32, u64) {
        let (whose, since, count) = ((self.0 >> 32) as u32, (self.0 >> 8) & SECONDS_BITS, self.0 as u8);
        let lasts_s = now_s.wrapping_sub(since) & SECONDS_BITS;
        let goes_on = lasts_s < WINDOW_S;
        match count {
            1.. if whose == what && goes_on => {
                let count = count.saturating_add(1);
                (Row(self.0 & !0xff | u64::from(count)), u32::from(count), lasts_s)
            }
            2.. if goes_on => (self, 1, 0),
            _ => (Row(u64::from(what) << 32 | (now_s & SECONDS_BITS) << 8 | 1), 1, 0),
        }
    }

    /// The device did something else.
    pub fn other(self, device: u32) -> Row {
        if (self.0 >> 32) as u32 == device { Row(0) } else { self }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    const START: Timestamp = Timestamp(1_800_000_000);

    fn is_slow(pace: Pace) -> bool {
        matches!(pace, Pace::Slow { .. })
    }

    /// Pings every `gap` seconds; after how many a device is slowed.
    fn slowed_after(gap: u64) -> Option<u32> {
        let (mut row, mut repeats) = (Row(0), Repeats::default());
        (1..2_000).find(|number| {
            let now = START.plus(u64::from(*number) * gap);
            let (next, in_row) = row.ping(7, now.0);
            row = next;
            is_slow(repeats.step(Kind::Pings, in_row, now, now))
        })
    }

    /// A device's beginnings, each in a row of its own.
    #[derive(Default)]
    struct Beginnings {
        rows: HashMap<u32, Row>,
        repeats: Repeats,
    }

    impl Beginnings {
        /// FolderSync.
        fn list(&mut self, now: Timestamp) -> Pace {
            self.step(Kind::FolderSyncs, &[0], now)
        }

        /// Sync of these folders.
        fn folders(&mut self, folders: &[u32], now: Timestamp) -> Pace {
            self.step(Kind::Syncs, folders, now)
        }

        fn step(&mut self, kind: Kind, whats: &[u32], now: Timestamp) -> Pace {
            let counts = whats.iter().map(|what| {
                let row = self.rows.entry(*what).or_insert(Row(0));
                let (next, count, lasts_s) = row.begin(*what, now.0);
                *row = next;
                (count, lasts_s)
            });
            let (count, lasts_s) = counts.max().expect("something begins");
            self.repeats.step(kind, count, Timestamp(now.0 - lasts_s), now)
        }
    }

    #[test]
    fn one_second_pings_are_slowed_and_pings_at_an_ordinary_pace_are_not() {
        assert_eq!((slowed_after(1), slowed_after(5)), (Some(31), Some(31)));
        assert_eq!((slowed_after(6), slowed_after(60)), (None, None));
    }

    #[test]
    fn a_sync_between_two_pings_breaks_the_row() {
        let mut row = Row(0);
        for second in 0..500 {
            let (next, in_row) = row.ping(7, second);
            assert_eq!(in_row, 1);
            row = next.other(7);
        }
        let (row, _) = Row(0).ping(7, 1);
        assert_eq!((row.other(8).ping(7, 2).1, row.ping(8, 2).1), (2, 1), "others have rows of their own");
    }

    #[test]
    fn a_row_survives_the_turn_of_its_clock_and_its_count_has_an_end() {
        let mut row = Row(0);
        let counts: Vec<u32> = (SECONDS_BITS - 200..SECONDS_BITS + 200)
            .map(|second| {
                let (next, count) = row.ping(7, second);
                row = next;
                count
            })
            .collect();
        assert_eq!((counts[199], counts[202], counts[399]), (200, 203, 255));
    }

    #[test]
    fn folder_lists_from_the_beginning_are_slowed_and_tried_at_longer_and_longer_intervals() {
        let mut device = Beginnings::default();
        let passed: Vec<u64> = (0..7_200).filter(|second| !is_slow(device.list(START.plus(*second)))).collect();
        assert_eq!(passed[..14], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 70, 190, 430, 910]);
        assert!(passed[14..].windows(2).all(|pair| pair[1] - pair[0] == 900), "{passed:?}");
        let slowed = device.repeats.slowed(START.plus(7_200)).expect("slowed");
        assert_eq!((slowed.kind, slowed.since, slowed.count), (Kind::FolderSyncs, START, 7_200));
    }

    #[test]
    fn it_is_news_once_an_episode() {
        let mut device = Beginnings::default();
        let mut news = |from: u64| {
            (from..from + 500).filter(|second| matches!(device.list(START.plus(*second)), Pace::Slow { is_news: true, .. })).count()
        };
        assert_eq!((news(0), news(500), news(10_000)), (1, 0, 1));
    }

    #[test]
    fn a_first_sync_of_many_folders_and_an_account_added_again_are_no_loops() {
        let mut device = Beginnings::default();
        for round in 0..3 {
            assert_eq!(device.list(START.plus(round * 60)), Pace::Go);
            for folder in 1..200 {
                assert_eq!(device.folders(&[folder], START.plus(round * 60 + 1)), Pace::Go, "{folder}");
            }
            let all: Vec<u32> = (1..40).collect();
            assert_eq!(device.folders(&all, START.plus(round * 60 + 2)), Pace::Go);
        }
    }

    #[test]
    fn one_folder_that_begins_anew_for_ever_is_noticed_among_many() {
        let mut device = Beginnings::default();
        let all: Vec<u32> = (1..40).collect();
        device.folders(&all, START);
        let slowed = (1..100).find(|second| is_slow(device.folders(&[17], START.plus(*second))));
        assert_eq!(slowed, Some(10));
    }

    #[test]
    fn once_an_hour_is_no_loop() {
        let mut device = Beginnings::default();
        assert!((0..500).all(|hour| device.list(START.plus(hour * 3_600)) == Pace::Go));
        let mut device = Beginnings::default();
        assert!((0..500).all(|time| device.list(START.plus(time * 70)) == Pace::Go), "ten in ten minutes are not too many");
    }

    #[test]
    fn who_began_twice_keeps_the_place_until_the_row_is_over_and_who_began_once_does_not() {
        let (once, ..) = Row(0).begin(7, 100);
        assert_eq!((once.begin(8, 101).0.begin(8, 102).1, once.begin(7, 105).1), (2, 2));
        let (twice, count, lasts_s) = once.begin(7, 105);
        assert_eq!((count, lasts_s), (2, 5));
        assert_eq!(twice.begin(8, 106), (twice, 1, 0), "it goes uncounted");
        assert_eq!(twice.begin(8, 100 + WINDOW_S).0.begin(8, 101 + WINDOW_S).1, 2);
        let full = (0..300).fold(once, |row, _| row.begin(7, 110).0);
        assert_eq!(full.begin(7, 111).1, 255, "its count has an end");
    }

    #[test]
    fn a_device_that_left_its_loop_is_let_go_whatever_else_it_does() {
        let mut device = Beginnings::default();
        for second in 0..2_000 {
            device.list(START.plus(second));
        }
        assert!(device.repeats.slowed(START.plus(2_000)).is_some());
        let mut row = Row(0);
        let let_go = (0..100).map(|number| 2_000 + number * 480).find(|second| {
            let now = START.plus(*second);
            let (next, in_row) = row.ping(7, now.0);
            row = next;
            assert_eq!(device.repeats.step(Kind::Pings, in_row, now, now), Pace::Go, "Pings are not what it is slowed for");
            device.repeats.is_over(now)
        });
        assert!(let_go.is_some_and(|second| second <= 2_000 + 2 * u64::from(WAIT_MAX_S) + 480), "{let_go:?}");
    }

    #[test]
    fn pings_that_go_on_after_the_wait_are_slowed_again_for_longer() {
        let (mut row, mut repeats) = (Row(0), Repeats::default());
        let passed: Vec<u64> = (0..1_000)
            .filter(|second| {
                let (next, in_row) = row.ping(7, START.plus(*second).0);
                row = next;
                !is_slow(repeats.step(Kind::Pings, in_row, START.plus(*second), START.plus(*second)))
            })
            .collect();
        // The refused ones belong to the row too: at the end of a wait it is long enough for the next.
        assert_eq!(passed.len(), 30, "{passed:?}");
    }

    #[test]
    fn pings_of_a_fixed_device_pass_after_its_wait() {
        let (mut row, mut repeats) = (Row(0), Repeats::default());
        let mut ping = |second: u64| {
            let (next, in_row) = row.ping(7, START.plus(second).0);
            row = next;
            repeats.step(Kind::Pings, in_row, START.plus(second), START.plus(second))
        };
        assert!((0..30).all(|second| ping(second) == Pace::Go));
        assert!(is_slow(ping(30)) && is_slow(ping(31)));
        assert_eq!(ping(31 + 60), Pace::Go);
        assert!((1..20).all(|number| ping(91 + number * 480) == Pace::Go));
        // It is as good as any other from then on.
        let begin = 91 + 19 * 480 + 100;
        let again = (begin..begin + 100).find(|second| is_slow(ping(*second)));
        assert_eq!(again, Some(begin + 30));
    }
}
