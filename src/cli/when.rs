//! Times as people say them: a moment, a day, or how long ago.

use crate::logic::policy::Timestamp;
use crate::store;

/// As the gateway takes it: `30d` is thirty days before now (also `s`, `m`, `h`); everything else is the gateway's to read.
pub(super) fn when(given: Option<&String>) -> Option<String> {
    given.map(|text| ago(text, store::now()).map_or_else(|| text.clone(), |time| time.to_string()))
}

fn ago(text: &str, now: Timestamp) -> Option<Timestamp> {
    let units = [('s', 1), ('m', 60), ('h', 3_600), ('d', 86_400)];
    let (unit, unit_s) = units.into_iter().find(|(unit, _)| text.ends_with(*unit))?;
    let count = text.strip_suffix(unit).filter(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))?;
    let seconds = count.parse::<u64>().ok()?.saturating_mul(unit_s);
    Some(Timestamp(now.0.saturating_sub(seconds)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_long_ago_is_a_time() {
        let now = Timestamp(10 * 86_400);
        for (text, wanted) in
            [("3d", Some(7 * 86_400)), ("1h", Some(10 * 86_400 - 3_600)), ("99d", Some(0)), ("d", None), ("2026-11-22", None)]
        {
            assert_eq!(ago(text, now), wanted.map(Timestamp), "{text}");
        }
    }
}
