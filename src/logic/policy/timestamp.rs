//! Wall-clock time as an argument: what administrators read and databases keep. (What is held for minutes uses `hold`'s moments.)

use std::fmt;
use std::str::FromStr;

/// Seconds since 1970-01-01 00:00 UTC. Shown, and read, as `2026-11-22T20:23:13Z`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub u64);

const DAY_S: u64 = 86_400;
/// Days from 0000-03-01 to 1970-01-01; years that begin in March have their leap day at the end.
const DAYS_TO_1970: u64 = 719_468;
/// Days in 400 years.
const ERA_DAYS: u64 = 146_097;
/// The last second of the year 9999, the last that has four digits.
const LAST: u64 = 253_402_300_799;

impl Timestamp {
    /// Seconds since an earlier time; 0 if it is later (clocks are set back).
    pub fn since(self, earlier: Timestamp) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// So many seconds later.
    pub fn plus(self, seconds: u64) -> Timestamp {
        Timestamp(self.0.saturating_add(seconds))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.min(LAST);
        let days = seconds / DAY_S + DAYS_TO_1970;
        let (era, day_of_era) = (days / ERA_DAYS, days % ERA_DAYS);
        let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
        let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
        let year = era * 400 + year_of_era + u64::from(month <= 2);
        let (hour, minute, second) = (seconds % DAY_S / 3_600, seconds % 3_600 / 60, seconds % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }
}

impl FromStr for Timestamp {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let bytes = text.as_bytes();
        let shape = b"0000-00-00T00:00:00Z";
        let fits = |(byte, wanted): (&u8, &u8)| if *wanted == b'0' { byte.is_ascii_digit() } else { byte == wanted };
        if bytes.len() != shape.len() || !bytes.iter().zip(shape).all(fits) {
            return Err(());
        }
        let number = |from: usize, to: usize| text[from..to].parse::<u64>().map_err(drop);
        let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
        let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
        if year < 1970 || !(1..=12).contains(&month) || day == 0 || day > 31 || hour > 23 || minute > 59 || second > 59 {
            return Err(());
        }
        let march_year = if month <= 2 { year - 1 } else { year };
        let (era, year_of_era) = (march_year / 400, march_year % 400);
        let month_from_march = (month + 9) % 12;
        let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
        let days = era * ERA_DAYS + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - DAYS_TO_1970;
        let time = Timestamp(days * DAY_S + hour * 3_600 + minute * 60 + second);
        // A day that its month does not have comes back as another.
        if time.to_string() == text { Ok(time) } else { Err(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_shown_as_dates_and_read_back() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_795_379_000, "2026-11-22T20:23:20Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (LAST, "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(Timestamp(seconds).to_string(), text);
            assert_eq!(text.parse(), Ok(Timestamp(seconds)));
        }
        assert_eq!(Timestamp(u64::MAX).to_string(), "9999-12-31T23:59:59Z");
    }

    #[test]
    fn every_day_of_four_centuries_comes_back() {
        for day in 0..ERA_DAYS {
            let time = Timestamp(day * DAY_S + day % DAY_S);
            assert_eq!(time.to_string().parse(), Ok(time));
        }
    }

    #[test]
    fn what_is_no_date_is_refused() {
        for text in [
            "",
            "2026-11-22",
            "2026-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-11-22T24:00:00Z",
            "1969-12-31T23:59:59Z",
            "2026-11-22T20:23:1éZ",
        ] {
            assert_eq!(text.parse::<Timestamp>(), Err(()), "{text}");
        }
    }
}
