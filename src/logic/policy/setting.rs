//! What is said of a setting: its type, range, default, and how devices get it.

use std::fmt;

use super::settings::TABLE;
use super::{Setting, Value};
use crate::logic::eas::Version;
use crate::logic::wbxml::{PAGES, Tag};

/// What a setting holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `true` or `false`; written as `1` or `0`.
    Bool,
    /// A whole number in an inclusive range.
    Number {
        /// The least.
        min: u32,
        /// The greatest.
        max: u32,
        /// What is counted.
        unit: Unit,
        /// The word for "no limit", if there may be none.
        no_limit: Option<&'static str>,
    },
    /// One of these words, each with the number that is written.
    Choice(&'static [(&'static str, u32)]),
    /// Names of programs, each at most `APPLICATION_BYTES_MAX` long; at most `APPLICATIONS_MAX`.
    Names,
    /// SHA-1 hashes of programs, 40 hex digits or base64; at most `APPLICATIONS_MAX`.
    Hashes,
}

/// What a number counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Things: characters, attempts, passwords.
    Count,
    /// Seconds; a time span may be given.
    Seconds,
    /// Days; a time span of whole days may be given.
    Days,
    /// Bytes; `KB`, `MB`, `GB` may be given.
    Bytes,
    /// Kilobytes; `MB`, `GB` may be given.
    Kilobytes,
}

/// How a device gets a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Element {
    /// The element of `EASProvisionDoc`.
    pub tag: Tag,
    /// The first version that knows it.
    pub since: Version,
    /// What stands for "no limit"; nothing makes an empty element.
    pub no_limit: &'static str,
    /// Whether it says something only while a password is required.
    pub needs_password: bool,
}

/// One setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    /// Which.
    pub setting: Setting,
    /// The parameter of Exchange's cmdlets: `MinDevicePasswordLength`.
    pub name: &'static str,
    /// Ours, for configuration and scripts: `min_device_password_length`. The unit is its last word.
    pub key: &'static str,
    /// Type and range.
    pub kind: Kind,
    /// When it is not set.
    pub default: Value,
    /// How devices get it; `None`: they do not, the gateway sees to it.
    pub element: Option<Element>,
    /// One line: what it does.
    pub doc: &'static str,
}

impl Setting {
    /// Its line of the table.
    pub fn definition(self) -> &'static Definition {
        &TABLE[self as usize]
    }

    /// The parameter of Exchange's cmdlets.
    pub fn name(self) -> &'static str {
        self.definition().name
    }

    /// The setting with this cmdlet name or key, in any case; underscores and hyphens are one.
    pub fn find(name: &str) -> Option<Setting> {
        let same = |known: &str| {
            let fold = |character: char| if character == '-' { '_' } else { character.to_ascii_lowercase() };
            known.chars().map(fold).eq(name.trim().chars().map(fold))
        };
        Setting::ALL.into_iter().find(|setting| same(setting.name()) || same(setting.definition().key))
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// What may be written, for messages: "a whole number from 1 to 16, or none".
impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use crate::config::limits::{APPLICATION_BYTES_MAX, APPLICATIONS_MAX};
        match self {
            Kind::Bool => f.write_str("true or false"),
            Kind::Number { min, max, unit, no_limit } => {
                let (what, unit) = unit.words();
                write!(f, "{what} from {min} to {max}{unit}")?;
                no_limit.map_or(Ok(()), |word| write!(f, ", or {word}"))
            }
            Kind::Choice(words) => {
                let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
                write!(f, "one of {}", words.join(", "))
            }
            Kind::Names => write!(f, "at most {APPLICATIONS_MAX} names of 1 to {APPLICATION_BYTES_MAX} bytes, without commas"),
            Kind::Hashes => write!(f, "at most {APPLICATIONS_MAX} SHA-1 hashes (40 hex digits, or base64)"),
        }
    }
}

impl Unit {
    /// What may stand behind a number of it.
    pub fn suffix(self) -> &'static str {
        match self {
            Unit::Count => "",
            Unit::Seconds => "s",
            Unit::Days => "d",
            Unit::Bytes => "B",
            Unit::Kilobytes => "KB",
        }
    }

    /// What it counts, and the unit with the other ways to write it.
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Unit::Count => ("a whole number", ""),
            Unit::Seconds => ("a time", " seconds (also 15m, 24h, 00:15:00, 1.00:00:00)"),
            Unit::Days => ("a time", " days (also 90d, 90.00:00:00)"),
            Unit::Bytes => ("a size", " bytes (also 512KB, 10MB)"),
            Unit::Kilobytes => ("a size", " kilobytes (also 10MB)"),
        }
    }
}

/// The tag of an element of `EASProvisionDoc`.
pub(super) const fn element(name: &str) -> Tag {
    match PAGES[14].token(name) {
        Some(token) => Tag { page: 14, token },
        None => panic!("no such element of EASProvisionDoc"),
    }
}
