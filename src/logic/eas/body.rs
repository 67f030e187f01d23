//! What bodies of all commands have in common: how they are walked, what can be wrong with them, which command they are.

use std::fmt;
use std::io::Read as _;

use flate2::bufread::GzDecoder;

use super::{Command, FolderId};
use crate::logic::wbxml::{Content, Elements, Event, Limits, Reader, Step, Tag, WbxmlError};

/// A body that is not what its command wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyError {
    /// Broken WBXML (common status 102).
    Wbxml(WbxmlError),
    /// The root element is another command's.
    WrongRoot,
    /// Well-formed, but not what the schema says (common status 103).
    Syntax(&'static str),
}

/// What a body is, by its root element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Root {
    /// No body.
    Empty,
    /// A command's.
    Command(Command),
    /// An element that is no command's root.
    Other(Tag),
}

/// Reads the root element and nothing behind it. A backend may act on the root whatever the query says (SOGo does), so a body
/// whose root is not the query's command must not be forwarded.
///
/// # Errors
/// The bytes up to the root are not WBXML.
pub fn root_command(body: &[u8]) -> Result<Root, WbxmlError> {
    if body.is_empty() {
        return Ok(Root::Empty);
    }
    let mut reader = Reader::new(Limits::LENIENT);
    let mut rest = body;
    match reader.next(&mut rest)? {
        Some(Event::Start { tag, .. }) => Ok(Command::from_root(tag).map_or(Root::Other(tag), Root::Command)),
        _ => Err(reader.finish().expect_err("a document without a root is not complete")),
    }
}

/// Why a gzip body cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InflateError {
    /// It is not gzip, or damaged, or something follows it.
    Broken,
    /// It would be larger than this many bytes.
    TooLarge(usize),
}

/// Unpacks a body sent with `Content-Encoding: gzip`, to at most `max` bytes: a kilobyte of gzip can hold a megabyte of zeros.
///
/// # Errors
/// See [`InflateError`].
pub fn inflate(body: &[u8], max: usize) -> Result<Vec<u8>, InflateError> {
    let mut decoder = GzDecoder::new(body);
    let mut out = Vec::new();
    let one_too_many = (max as u64).saturating_add(1);
    decoder.by_ref().take(one_too_many).read_to_end(&mut out).map_err(|_| InflateError::Broken)?;
    if out.len() > max {
        return Err(InflateError::TooLarge(max));
    }
    if decoder.into_inner().is_empty() { Ok(out) } else { Err(InflateError::Broken) }
}

/// Walks a complete document with this root.
pub(super) fn walk(
    body: &[u8],
    root: Tag,
    limits: Limits,
    mut take: impl FnMut(Step<'_>) -> Result<(), BodyError>,
) -> Result<(), BodyError> {
    let mut elements = Elements::new(limits);
    let mut rest = body;
    while let Some(step) = elements.next(&mut rest)? {
        check_root(&step, root)?;
        take(step)?;
    }
    Ok(elements.finish()?)
}

/// An error if the step opens another root than this.
pub(super) fn check_root(step: &Step<'_>, root: Tag) -> Result<(), BodyError> {
    match step {
        Step::Open([first]) if *first != root => Err(BodyError::WrongRoot),
        _ => Ok(()),
    }
}

/// Fills a field that may be there once.
pub(super) fn once<T>(slot: &mut Option<T>, value: T, otherwise: &'static str) -> Result<(), BodyError> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(BodyError::Syntax(otherwise)),
    }
}

/// An id that must be there.
pub(super) fn folder_id(content: Content<'_>) -> Result<FolderId, BodyError> {
    let id = content.text().and_then(|text| FolderId::new(text).ok());
    id.ok_or(BodyError::Syntax("a folder id is empty, too long or not text"))
}

/// A status; those beyond 16 bits do not exist.
pub(super) fn status(content: Content<'_>) -> Result<u16, BodyError> {
    let status = content.number().and_then(|number| u16::try_from(number).ok());
    status.ok_or(BodyError::Syntax("a Status is not a number"))
}

/// Keys and names that servers and devices make up.
pub(super) fn text(content: Content<'_>) -> Result<String, BodyError> {
    content.text().map(str::to_owned).ok_or(BodyError::Syntax("a text is too long or not UTF-8"))
}

impl From<WbxmlError> for BodyError {
    fn from(error: WbxmlError) -> Self {
        BodyError::Wbxml(error)
    }
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BodyError::Wbxml(error) => error.fmt(f),
            BodyError::WrongRoot => f.write_str("the body's root element is another command's"),
            BodyError::Syntax(what) => f.write_str(what),
        }
    }
}

impl std::error::Error for BodyError {}

impl fmt::Display for InflateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            InflateError::Broken => f.write_str("the body is not gzip although its header says so"),
            InflateError::TooLarge(max) => write!(f, "the unpacked body has more than {max} bytes"),
        }
    }
}

impl std::error::Error for InflateError {}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compression, bufread::GzEncoder};

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        GzEncoder::new(bytes, Compression::best()).read_to_end(&mut out).expect("memory does not fail");
        out
    }

    #[test]
    fn a_bomb_stops_at_the_maximum() {
        let bomb = gzip(&vec![0; 1 << 20]);
        assert!(bomb.len() < 2_000);
        assert_eq!(inflate(&bomb, 1_000), Err(InflateError::TooLarge(1_000)));
        assert_eq!(inflate(&bomb, 1 << 20).map(|out| out.len()), Ok(1 << 20));
    }

    #[test]
    fn what_is_not_one_whole_gzip_is_broken() {
        let mut good = gzip(b"hello");
        assert_eq!(inflate(&good, 5), Ok(b"hello".to_vec()));
        assert_eq!(inflate(&good[..good.len() - 1], 5), Err(InflateError::Broken));
        assert_eq!(inflate(b"\x03\x01\x6A\x00", 5), Err(InflateError::Broken));
        good.push(0);
        assert_eq!(inflate(&good, 5), Err(InflateError::Broken));
    }
}
