//! What can be wrong with a WBXML document, and where.

use std::fmt;

/// A document that is not acceptable WBXML. The whole document is refused: parsers that "repair" such bytes disagree with
/// each other, and the backend's would read something else than ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WbxmlError {
    /// Where the offending token begins, counted from the first byte of the document.
    pub offset: u64,
    /// What is wrong there.
    pub fault: Fault,
}

/// The kinds of wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The document ended in the middle; the word says of what.
    Truncated(&'static str),
    /// Version byte other than 01–03.
    Version(u8),
    /// Public id 0 points into a string table, which ActiveSync has not.
    PublicId,
    /// A charset other than UTF-8 (MIBenum 106).
    Charset(u32),
    /// A string table that is not empty.
    StringTable(u32),
    /// A number longer than five bytes or than 32 bits.
    NumberTooLong,
    /// Something else where the root element should begin.
    RootMissing(u8),
    /// A second element after the root.
    SecondRoot,
    /// Bytes after the root.
    TrailingBytes,
    /// END with nothing open.
    EndUnderflow,
    /// More levels than the reader's limit.
    TooDeep(usize),
    /// A tag with attributes.
    Attributes(u8),
    /// ENTITY, LITERAL, STR_T, EXT or PI.
    GlobalToken(u8),
    /// SWITCH_PAGE that is not followed by a tag.
    SwitchWithoutTag,
    /// A code page that does not exist.
    UnknownPage(u8),
    /// A tag that does not exist on its page.
    UnknownTag {
        /// The page in force.
        page: u8,
        /// The token, without the content bit.
        token: u8,
    },
    /// Text that is not UTF-8.
    InvalidUtf8,
}

impl fmt::Display for WbxmlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "byte {}: {}", self.offset, self.fault)
    }
}

impl std::error::Error for WbxmlError {}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Truncated(what) => write!(f, "the document ends inside {what}"),
            Fault::Version(byte) => write!(f, "WBXML version byte {byte:#04x}; 01 to 03 are known"),
            Fault::PublicId => f.write_str("the public id refers to a string table; ActiveSync has none"),
            Fault::Charset(charset) => write!(f, "charset {charset}; ActiveSync is UTF-8 (106)"),
            Fault::StringTable(bytes) => write!(f, "a string table of {bytes} bytes; ActiveSync has none"),
            Fault::NumberTooLong => f.write_str("a number of more than five bytes or 32 bits"),
            Fault::RootMissing(byte) => write!(f, "{byte:#04x} where the root element should begin"),
            Fault::SecondRoot => f.write_str("a second root element"),
            Fault::TrailingBytes => f.write_str("bytes after the end of the root element"),
            Fault::EndUnderflow => f.write_str("END although no element is open"),
            Fault::TooDeep(max) => write!(f, "elements nested deeper than {max}"),
            Fault::Attributes(byte) => write!(f, "tag {byte:#04x} announces attributes; ActiveSync has none"),
            Fault::GlobalToken(byte) => {
                write!(f, "token {byte:#04x} (entity, literal, extension, string table or PI) is not used in ActiveSync")
            }
            Fault::SwitchWithoutTag => f.write_str("something other than a tag after SWITCH_PAGE"),
            Fault::UnknownPage(page) => write!(f, "code page {page} does not exist"),
            Fault::UnknownTag { page, token } => write!(f, "tag {token:#04x} does not exist on code page {page}"),
            Fault::InvalidUtf8 => f.write_str("text that is not UTF-8"),
        }
    }
}
