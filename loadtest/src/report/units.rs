//! Figures as people read them: three digits that matter, and a unit that fits.

/// A count with its thousands apart.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Any figure: three digits that matter, more only before the point.
pub fn figure(number: f64) -> String {
    let size = number.abs();
    match size {
        _ if size == 0.0 => "0".into(),
        _ if size >= 99.95 => format!("{}{}", if number < 0.0 { "-" } else { "" }, count(size.round() as u64)),
        _ if size >= 9.995 => trimmed(number, 1),
        _ if size >= 0.9995 => trimmed(number, 2),
        _ => trimmed(number, 3),
    }
}

/// A latency given in milliseconds.
pub fn milliseconds(ms: f64) -> String {
    if ms >= 999.5 { format!("{} s", figure(ms / 1e3)) } else { format!("{} ms", figure(ms)) }
}

/// Memory.
pub fn bytes(bytes: f64) -> String {
    const UNITS: [&str; 4] = ["B", "KiB", "MiB", "GiB"];
    let steps = (0..3).filter(|&step| bytes.abs() >= 1_023.5 * 1_024_f64.powi(step)).count();
    format!("{} {}", figure(bytes / 1_024_f64.powi(steps as i32)), UNITS[steps])
}

/// A length of time given in seconds: `42.0 s`, `3 min 20 s`, `2 h 05 min`.
pub fn duration(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match whole {
        0..120 => format!("{} s", figure(seconds)),
        120..7_200 => format!("{} min {:02} s", whole / 60, whole % 60),
        _ => format!("{} h {:02} min", whole / 3_600, whole / 60 % 60),
    }
}

/// A moment on an axis or a clock: `1:05`, `2:01:05`.
pub fn clock(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    let (hours, minutes, seconds) = (whole / 3_600, whole / 60 % 60, whole % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

/// A share of a whole; "–" of nothing.
pub fn share(part: u64, whole: u64) -> String {
    match (part, whole) {
        (_, 0) => "–".into(),
        (0, _) => "0 %".into(),
        _ => format!("{} %", figure(part as f64 / whole as f64 * 100.0)),
    }
}

/// Without zeros at its end that say nothing.
fn trimmed(number: f64, places: usize) -> String {
    let text = format!("{number:.places$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_three_digits() {
        let read = [(0.0, "0"), (0.0421, "0.042"), (0.25, "0.25"), (1.0, "1"), (9.996, "10"), (41.26, "41.3"), (99.96, "100")];
        for (number, text) in read {
            assert_eq!(figure(number), text);
        }
        assert_eq!((figure(1_234.5).as_str(), figure(-250.0).as_str()), ("1,235", "-250"));
        assert_eq!((count(0).as_str(), count(999).as_str(), count(1_000_000).as_str()), ("0", "999", "1,000,000"));
    }

    #[test]
    fn units_fit() {
        assert_eq!((milliseconds(41.26).as_str(), milliseconds(3_991.6).as_str()), ("41.3 ms", "3.99 s"));
        assert_eq!((bytes(512.0).as_str(), bytes(1_024.0).as_str(), bytes(3.5 * 1_073_741_824.0).as_str()), ("512 B", "1 KiB", "3.5 GiB"));
        assert_eq!(
            [duration(42.0), duration(200.0), duration(7_500.0)],
            ["42 s".to_owned(), "3 min 20 s".to_owned(), "2 h 05 min".to_owned()]
        );
        assert_eq!((clock(65.2).as_str(), clock(7_265.0).as_str()), ("1:05", "2:01:05"));
        assert_eq!((share(1, 1_000).as_str(), share(0, 5).as_str(), share(0, 0).as_str()), ("0.1 %", "0 %", "–"));
    }
}
