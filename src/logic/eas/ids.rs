//! Names that devices and servers give to things: opaque, compared byte for byte, bounded.

use std::borrow::Borrow;
use std::fmt;

use crate::config::limits::{DEVICE_ID_BYTES_MAX, FOLDER_ID_BYTES_MAX};

/// Why a name is not one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdError {
    /// No bytes.
    Empty,
    /// More bytes than this.
    TooLong(usize),
}

impl fmt::Display for IdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            IdError::Empty => f.write_str("is empty"),
            IdError::TooLong(max) => write!(f, "has more than {max} bytes"),
        }
    }
}

impl std::error::Error for IdError {}

fn check_length(length: usize, max: usize) -> Result<(), IdError> {
    match length {
        0 => Err(IdError::Empty),
        _ if length > max => Err(IdError::TooLong(max)),
        _ => Ok(()),
    }
}

/// The gateway's key of a device: one value whichever query form the device uses and whichever case.
///
/// Printable ASCII is lower-cased; anything else (a GUID as 16 bytes) becomes lower-case hex, which is also what the plain
/// query of such a device carries.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeviceId(Box<str>);

impl DeviceId {
    /// From the bytes of either query form, percent-decoded.
    ///
    /// # Errors
    /// Empty, or longer than a base64 query could carry; as hex too, or what is stored could not be read again.
    pub fn new(bytes: &[u8]) -> Result<Self, IdError> {
        let is_printable = bytes.iter().all(|byte| matches!(byte, 0x20..=0x7E));
        let length = if is_printable { bytes.len() } else { 2 * bytes.len() };
        check_length(length, DEVICE_ID_BYTES_MAX)?;
        let key = if is_printable {
            bytes.iter().map(|byte| char::from(byte.to_ascii_lowercase())).collect()
        } else {
            bytes.iter().flat_map(|byte| [hex_digit(byte >> 4), hex_digit(byte & 0xF)]).collect()
        };
        Ok(DeviceId(key))
    }

    /// The key: printable ASCII.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn hex_digit(nibble: u8) -> char {
    char::from_digit(u32::from(nibble), 16).expect("a nibble is a hex digit")
}

/// What kind of device it says it is. Any text; control characters are replaced, so that it may be shown and logged.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeviceType(Box<str>);

impl DeviceType {
    /// From the bytes of either query form, percent-decoded.
    ///
    /// # Errors
    /// Empty, or longer than a base64 query could carry; with what is replaced too, or what is stored could not be read again.
    pub fn new(bytes: &[u8]) -> Result<Self, IdError> {
        check_length(bytes.len(), DEVICE_ID_BYTES_MAX)?;
        let text = String::from_utf8_lossy(bytes);
        let printable = text.chars().map(|character| if character.is_control() { char::REPLACEMENT_CHARACTER } else { character });
        let printable: String = printable.collect();
        check_length(printable.len(), DEVICE_ID_BYTES_MAX)?;
        Ok(DeviceType(printable.into()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A folder's server id, as the backend gave it to this device: opaque, case matters.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FolderId(Box<str>);

impl FolderId {
    /// From an element's text.
    ///
    /// # Errors
    /// Empty or too long.
    pub fn new(text: &str) -> Result<Self, IdError> {
        check_length(text.len(), FOLDER_ID_BYTES_MAX)?;
        Ok(FolderId(text.into()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for FolderId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

macro_rules! shows_as_text {
    ($($name:ident),+) => {$(
        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }
    )+};
}

shows_as_text!(DeviceId, DeviceType, FolderId);

/// The number that proves a device acknowledged its policy. 0 means "none yet".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PolicyKey(pub u32);

impl PolicyKey {
    /// From a header or an element: decimal, 32 bits. A text that is not such a number is no key that we ever gave: `None`.
    pub fn from_text(text: &str) -> Option<Self> {
        let digits = text.trim_ascii();
        let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| digits.parse().ok()).flatten().map(PolicyKey)
    }
}

impl fmt::Display for PolicyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_has_one_key_in_both_query_forms() {
        assert_eq!(DeviceId::new(b"v140Device"), DeviceId::new(b"V140DEVICE"));
        let guid = [0xB7, 0xA2, 0x4C, 0x1E, 0x5F, 0x0D, 0x4E, 0x8F, 0x9A, 0x66, 0xC0, 0xFF, 0xEE, 0x00, 0x11, 0x22];
        assert_eq!(DeviceId::new(&guid), DeviceId::new(b"B7A24C1E5F0D4E8F9A66C0FFEE001122"));
    }

    #[test]
    fn names_are_neither_empty_nor_endless() {
        assert_eq!(DeviceId::new(b""), Err(IdError::Empty));
        assert_eq!(DeviceId::new(&[b'a'; 256]), Err(IdError::TooLong(255)));
        assert_eq!(FolderId::new(""), Err(IdError::Empty));
        assert_eq!(FolderId::new(&"5".repeat(256)), Err(IdError::TooLong(255)));
        assert_eq!(FolderId::new(&"5".repeat(255)).map(|id| id.as_str().len()), Ok(255));
    }

    /// The store reads them again, and does not open if it cannot.
    #[test]
    fn whatever_a_device_calls_itself_is_read_again_as_it_is_written() {
        for bytes in [vec![0xFF; 127], vec![0x01; 85], vec![b'A'; 255], "\u{85}a\u{FFFD}".repeat(30).into_bytes()] {
            if let Ok(id) = DeviceId::new(&bytes) {
                assert_eq!(DeviceId::new(id.as_str().as_bytes()), Ok(id), "{bytes:02x?}");
            }
            if let Ok(kind) = DeviceType::new(&bytes) {
                assert_eq!(DeviceType::new(kind.as_str().as_bytes()), Ok(kind), "{bytes:02x?}");
            }
        }
        assert_eq!(DeviceId::new(&[0xFF; 128]), Err(IdError::TooLong(255)), "256 digits");
        assert_eq!(DeviceType::new(&[0xFF; 86]), Err(IdError::TooLong(255)), "258 bytes of replacements");
    }

    #[test]
    fn a_device_type_cannot_break_a_log_line() {
        assert_eq!(DeviceType::new(b"Smart\nPhone\xFF").map(|kind| kind.to_string()), Ok("Smart\u{FFFD}Phone\u{FFFD}".into()));
    }

    #[test]
    fn a_policy_key_is_a_32_bit_number() {
        assert_eq!(PolicyKey::from_text(" 3942919513 "), Some(PolicyKey(3_942_919_513)));
        assert_eq!(PolicyKey::from_text("0"), Some(PolicyKey(0)));
        for text in ["", "+1", "-1", "4294967296", "abc", "1 2"] {
            assert_eq!(PolicyKey::from_text(text), None, "{text:?}");
        }
    }
}
