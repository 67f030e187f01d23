//! What an administrator wants changed, and everything that is wrong with it, at once. Nothing is half-saved.

use std::fmt;

use serde_json::{Map, Value as Json};

use super::{Setting, Value};

/// Characters of a bad value that are repeated in the message about it.
const SHOWN_CHARS_MAX: usize = 60;

/// Settings to set, or (`None`) to take back to their default; each at most once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes(Vec<(Setting, Option<Value>)>);

/// Something wrong with changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// There is no such setting.
    Unknown {
        /// What was written.
        name: String,
        /// What may have been meant.
        nearest: Option<Setting>,
    },
    /// A setting given twice.
    Twice(Setting),
    /// Not of the setting's type, or out of its range.
    BadValue {
        /// Which.
        setting: Setting,
        /// What was written, cut to a line.
        given: String,
    },
    /// Two settings that cannot both be meant.
    Contradiction {
        /// The one that would have no effect.
        setting: Setting,
        /// Its value, as text.
        value: String,
        /// The one it depends on.
        other: Setting,
        /// What the other would have to be.
        wanted: &'static str,
    },
}

/// All that is wrong; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl Changes {
    /// No changes yet.
    pub fn new() -> Self {
        Changes::default()
    }

    /// From `name=value` pairs, as a command line has them.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn parse<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, Problems> {
        Changes::collect(pairs.into_iter().map(|(name, text)| (name, move |setting: Setting| setting.parse(text))))
    }

    /// From a JSON object, `null` taking a setting back to its default.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse_json(object: &Map<String, Json>) -> Result<Self, Problems> {
        Changes::collect(object.iter().map(|(name, json)| (name.as_str(), move |setting: Setting| setting.parse_json(json))))
    }

    /// One change more; a later one of the same setting counts.
    #[must_use]
    pub fn with(mut self, setting: Setting, value: Option<Value>) -> Self {
        self.0.retain(|(known, _)| *known != setting);
        self.0.push((setting, value));
        self
    }

    /// The changes, in the order given.
    pub fn iter(&self) -> impl Iterator<Item = (Setting, Option<&Value>)> {
        self.0.iter().map(|(setting, value)| (*setting, value.as_ref()))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn collect<'a, F>(given: impl Iterator<Item = (&'a str, F)>) -> Result<Self, Problems>
    where
        F: FnOnce(Setting) -> Result<Option<Value>, Problem>,
    {
        let (mut changes, mut problems) = (Changes::default(), Vec::new());
        for (name, read) in given {
            let Some(setting) = Setting::find(name) else {
                problems.push(Problem::Unknown { name: shown(name), nearest: nearest(name) });
                continue;
            };
            if changes.0.iter().any(|(known, _)| *known == setting) {
                problems.push(Problem::Twice(setting));
                continue;
            }
            match read(setting) {
                Ok(value) => changes.0.push((setting, value)),
                Err(problem) => problems.push(problem),
            }
        }
        if problems.is_empty() { Ok(changes) } else { Err(Problems(problems)) }
    }
}

impl Problem {
    pub(super) fn bad_value(setting: Setting, given: &str) -> Self {
        Problem::BadValue { setting, given: shown(given) }
    }

    /// The setting it is about, if there is such a setting.
    pub fn setting(&self) -> Option<Setting> {
        match self {
            Problem::Unknown { .. } => None,
            Problem::Twice(setting) | Problem::BadValue { setting, .. } | Problem::Contradiction { setting, .. } => Some(*setting),
        }
    }
}

/// A text that fits into a message.
fn shown(text: &str) -> String {
    let clean = text.chars().map(|character| if character.is_control() { ' ' } else { character });
    clean.take(SHOWN_CHARS_MAX).collect()
}

/// The setting whose name shares the longest beginning with this one, if it is long enough to mean something.
fn nearest(name: &str) -> Option<Setting> {
    let fold = |text: &str| -> Vec<char> { text.chars().filter(|c| c.is_alphanumeric()).map(|c| c.to_ascii_lowercase()).collect() };
    let wanted = fold(name);
    let common = |setting: &Setting| fold(setting.name()).iter().zip(&wanted).take_while(|(a, b)| a == b).count();
    // The first of equals: the table begins a family of names with its best-known member.
    let best = Setting::ALL.into_iter().rev().max_by_key(common)?;
    (common(&best) >= 8).then_some(best)
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::Unknown { name, nearest: None } => write!(f, "there is no setting {name:?}"),
            Problem::Unknown { name, nearest: Some(nearest) } => write!(f, "there is no setting {name:?}; did you mean {nearest}?"),
            Problem::Twice(setting) => write!(f, "{setting} is given twice"),
            Problem::BadValue { setting, given } => write!(f, "{setting} is {}; {given:?} is not", setting.definition().kind),
            Problem::Contradiction { setting, value, other, wanted } => {
                write!(f, "{setting} is {value}, which means nothing unless {other} is {wanted}: set both, or set {setting} to default")
            }
        }
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            let before = if index == 0 { "" } else { "\n" };
            write!(f, "{before}{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problem {}
impl std::error::Error for Problems {}
