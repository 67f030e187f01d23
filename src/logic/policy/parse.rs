//! What people and programs write → values; and why not.

use serde_json::Value as Json;

use super::setting::{Kind, Unit};
use super::{Problem, Setting, Value};
use crate::config::limits::{APPLICATION_BYTES_MAX, APPLICATIONS_MAX};

impl Setting {
    /// Reads a value as a person types it; `default` (no value: `Ok(None)`) takes the setting back.
    ///
    /// # Errors
    /// [`Problem::BadValue`] with the setting's name and range.
    pub fn parse(self, text: &str) -> Result<Option<Value>, Problem> {
        let text = text.trim();
        if text.eq_ignore_ascii_case("default") {
            return Ok(None);
        }
        self.read(text).filter(|value| self.check(value)).map(Some).ok_or_else(|| Problem::bad_value(self, text))
    }

    /// Reads a JSON value: the setting's own type, or text as a person types it; `null` takes the setting back.
    ///
    /// # Errors
    /// As [`Setting::parse`].
    pub fn parse_json(self, json: &Json) -> Result<Option<Value>, Problem> {
        let bad = || Problem::bad_value(self, &json.to_string());
        let value = match json {
            Json::Null => return Ok(None),
            Json::String(text) => return self.parse(text),
            Json::Bool(value) => Value::Bool(*value),
            Json::Number(number) => {
                // 1 and 0 are numbers wherever they are written, and not yes and no.
                Value::Number(number.as_u64().and_then(|number| u32::try_from(number).ok()).ok_or_else(bad)?)
            }
            Json::Array(entries) => {
                let texts: Option<Vec<String>> = entries.iter().map(|entry| entry.as_str().map(|text| text.trim().to_owned())).collect();
                Value::List(texts.ok_or_else(bad)?)
            }
            Json::Object(_) => return Err(bad()),
        };
        if self.check(&value) { Ok(Some(value)) } else { Err(bad()) }
    }

    /// Whether the value is of the setting's type and in its range.
    pub fn check(self, value: &Value) -> bool {
        match (self.definition().kind, value) {
            (Kind::Bool, Value::Bool(_)) => true,
            (Kind::Number { min, max, .. }, Value::Number(number)) => (min..=max).contains(number),
            (Kind::Number { no_limit, .. }, Value::NoLimit) => no_limit.is_some(),
            (Kind::Choice(words), Value::Choice(word)) => words.iter().any(|(known, _)| known == word),
            (Kind::Names, Value::List(entries)) => entries.len() <= APPLICATIONS_MAX && entries.iter().all(|entry| is_name(entry)),
            (Kind::Hashes, Value::List(entries)) => entries.len() <= APPLICATIONS_MAX && entries.iter().all(|entry| is_hash(entry)),
            _ => false,
        }
    }

    /// A value of the setting's type, whatever its range.
    fn read(self, text: &str) -> Option<Value> {
        match self.definition().kind {
            Kind::Bool => yes_no(text).map(Value::Bool),
            Kind::Number { no_limit: Some(_), .. } if is_no_limit(text) => Some(Value::NoLimit),
            Kind::Number { unit, .. } => number(text, unit).map(Value::Number),
            Kind::Choice(words) => words.iter().find(|(word, _)| word.eq_ignore_ascii_case(text)).map(|(word, _)| Value::Choice(word)),
            Kind::Names | Kind::Hashes if is_no_limit(text) || text.is_empty() => Some(Value::List(Vec::new())),
            Kind::Names | Kind::Hashes => Some(Value::List(text.split(',').map(|entry| entry.trim().to_owned()).collect())),
        }
    }
}

fn yes_no(text: &str) -> Option<bool> {
    let is = |words: &[&str]| words.iter().any(|word| word.eq_ignore_ascii_case(text));
    if is(&["true", "$true", "yes", "on", "1"]) {
        Some(true)
    } else if is(&["false", "$false", "no", "off", "0"]) {
        Some(false)
    } else {
        None
    }
}

fn is_no_limit(text: &str) -> bool {
    ["unlimited", "none", "$null", "null"].iter().any(|word| word.eq_ignore_ascii_case(text))
}

/// A number in the setting's unit, which may be written out; what is not a whole number of units is none.
fn number(text: &str, unit: Unit) -> Option<u32> {
    if let Ok(number) = digits(text).parse::<u32>() {
        return Some(number);
    }
    let (amount, size) = match unit {
        Unit::Count => return None,
        Unit::Seconds => (span_s(text)?, 1),
        Unit::Days => (span_s(text)?, 86_400),
        Unit::Bytes => (bytes(text)?, 1),
        Unit::Kilobytes => (bytes(text)?, 1_024),
    };
    (amount % size == 0).then_some(amount / size).and_then(|number| u32::try_from(number).ok())
}

/// Digits only: `parse` would take a plus sign as well.
fn digits(text: &str) -> &str {
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text } else { "" }
}

/// A time span in seconds: `90s`, `15m`, `1h`, `90d`, `hh:mm:ss`, `dd.hh:mm:ss`.
fn span_s(text: &str) -> Option<u64> {
    if let Some((_, unit_s)) = [('s', 1), ('m', 60), ('h', 3_600), ('d', 86_400)].into_iter().find(|(unit, _)| text.ends_with(*unit)) {
        return digits(&text[..text.len() - 1]).parse::<u64>().ok()?.checked_mul(unit_s);
    }
    let (days, clock) = text.split_once('.').unwrap_or(("0", text));
    let parts: Vec<u64> = clock.split(':').map(|part| digits(part).parse().ok()).collect::<Option<_>>()?;
    let [hours, minutes, seconds] = parts[..] else { return None };
    let is_clock = hours < 24 && minutes < 60 && seconds < 60;
    let days: u64 = digits(days).parse().ok()?;
    is_clock.then_some(days)?.checked_mul(86_400)?.checked_add(hours * 3_600 + minutes * 60 + seconds)
}

/// A size in bytes: `512KB`, `10MB`, `1GB`, `100B`; a kilobyte has 1,024.
fn bytes(text: &str) -> Option<u64> {
    let units = [("kb", 1 << 10), ("mb", 1 << 20), ("gb", 1 << 30), ("b", 1)];
    let lower = text.to_ascii_lowercase();
    let (unit, factor) = units.into_iter().find(|(unit, _)| lower.ends_with(unit))?;
    digits(lower[..lower.len() - unit.len()].trim_end()).parse::<u64>().ok()?.checked_mul(factor)
}

fn is_name(entry: &str) -> bool {
    (1..=APPLICATION_BYTES_MAX).contains(&entry.len()) && !entry.contains(|character: char| character == ',' || character.is_control())
}

/// SHA-1 has 20 bytes: 40 hex digits, or 27 base64 digits and a `=`.
fn is_hash(entry: &str) -> bool {
    let is_hex = entry.len() == 40 && entry.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_base64 = || {
        let body = entry.strip_suffix('=').unwrap_or("");
        body.len() == 27 && body.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'))
    };
    is_hex || is_base64()
}
