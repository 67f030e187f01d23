//! Times as each program writes them. The same number means a thousand times more in one than in the other.

use std::time::Duration;

/// What a number without a unit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bare {
    Seconds,
    Milliseconds,
}

/// `90`, `60s`, `1m`, `1h 30m`, `2500ms`, in any mixture nginx, HAProxy and systemd know. `None`: no time, or longer than ten thousand
/// years.
pub(super) fn parse(text: &str, bare: Bare) -> Option<Duration> {
    let mut total = Duration::ZERO;
    let mut rest = text.trim();
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let number: u64 = rest[..digits].parse().ok()?;
        rest = rest[digits..].trim_start();
        let letters = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        let part = of_unit(number, &rest[..letters], bare)?;
        total = total.checked_add(part)?;
        rest = rest[letters..].trim_start();
    }
    Some(total)
}

fn of_unit(number: u64, unit: &str, bare: Bare) -> Option<Duration> {
    let seconds = |each: u64| number.checked_mul(each).map(Duration::from_secs);
    match unit {
        "us" | "usec" => Some(Duration::from_micros(number)),
        "ms" | "msec" => Some(Duration::from_millis(number)),
        "" if bare == Bare::Milliseconds => Some(Duration::from_millis(number)),
        "" | "s" | "sec" | "second" | "seconds" => seconds(1),
        "m" | "mi" | "min" | "minute" | "minutes" => seconds(60),
        "h" | "hr" | "hour" | "hours" => seconds(3_600),
        "d" | "day" | "days" => seconds(86_400),
        "w" | "week" | "weeks" => seconds(7 * 86_400),
        "M" | "month" | "months" => seconds(30 * 86_400),
        "y" | "year" | "years" => seconds(365 * 86_400),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_understood_and_bare_numbers_are_what_the_program_says() {
        let s = |text| parse(text, Bare::Seconds).map(|time| time.as_millis());
        assert_eq!(
            (s("60"), s("60s"), s("1m"), s("1h 30m"), s("1h30m")),
            (Some(60_000), Some(60_000), Some(60_000), Some(5_400_000), Some(5_400_000))
        );
        assert_eq!((s("2500ms"), s("1min 30s")), (Some(2_500), Some(90_000)));
        let ms = |text| parse(text, Bare::Milliseconds).map(|time| time.as_millis());
        assert_eq!((ms("50000"), ms("50s"), ms("10us")), (Some(50_000), Some(50_000), Some(0)));
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in ["", "s", "-1", "1.5s", "60 fortnights", "$timeout", "99999999999999999999", "18446744073709551615w"] {
            assert_eq!(parse(text, Bare::Seconds), None, "{text}");
        }
    }
}
