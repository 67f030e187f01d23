//! Protocol versions.

use std::fmt;
use std::str::FromStr;

/// A protocol version; later is greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Version {
    /// 2.5: Exchange 2003 SP2.
    V2_5,
    /// 12.0: Exchange 2007.
    V12_0,
    /// 12.1: Exchange 2007 SP1. The first with the base64 query and with hanging Sync.
    V12_1,
    /// 14.0: Exchange 2010. The first that answers with statuses above 100 instead of HTTP codes.
    V14_0,
    /// 14.1: Exchange 2010 SP1.
    V14_1,
    /// 16.0: Exchange 2016.
    V16_0,
    /// 16.1: Exchange 2016 and later.
    V16_1,
}

impl Version {
    /// All versions, oldest first.
    pub const ALL: [Version; 7] =
        [Version::V2_5, Version::V12_0, Version::V12_1, Version::V14_0, Version::V14_1, Version::V16_0, Version::V16_1];

    /// As in `MS-ASProtocolVersion`.
    pub fn name(self) -> &'static str {
        match self {
            Version::V2_5 => "2.5",
            Version::V12_0 => "12.0",
            Version::V12_1 => "12.1",
            Version::V14_0 => "14.0",
            Version::V14_1 => "14.1",
            Version::V16_0 => "16.0",
            Version::V16_1 => "16.1",
        }
    }

    /// The version of a base64 query's first byte (version × 10); versions before 12.1 have no base64 query.
    pub fn from_byte(byte: u8) -> Option<Version> {
        match byte {
            121 => Some(Version::V12_1),
            140 => Some(Version::V14_0),
            141 => Some(Version::V14_1),
            160 => Some(Version::V16_0),
            161 => Some(Version::V16_1),
            _ => None,
        }
    }

    /// Whether refusals are WBXML statuses above 100 (true) or HTTP codes.
    pub fn has_common_statuses(self) -> bool {
        self >= Version::V14_0
    }
}

impl FromStr for Version {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Version::ALL.into_iter().find(|version| version.name() == text).ok_or(())
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
