//! Paths and short texts: the shape `eas` parses with.
//!
//! ActiveSync documents are records: what matters is "this text stood at that path". [`Elements`] turns events into just
//! that, holding one path and at most [`TEXT_BYTES_MAX`] bytes of one text.

use super::{Event, Limits, Reader, Tag, WbxmlError};

/// Bytes kept of one element's text: device information fields are at most 1,024 characters, of up to four bytes.
pub const TEXT_BYTES_MAX: usize = 4_096;

/// Most documents are no deeper.
const PATH: usize = 8;
/// Most ids and keys are no longer.
const TEXT: usize = 64;

/// What [`Elements::next`] reports.
#[derive(Debug)]
pub enum Step<'a> {
    /// The last element of the path begins.
    Open(&'a [Tag]),
    /// The last element of the path ends; the content is the text since its start or its last child.
    Close(&'a [Tag], Content<'a>),
}

/// Text of an element, from STR_I or OPAQUE alike.
#[derive(Debug, Clone, Copy)]
pub struct Content<'a> {
    bytes: Bytes<'a>,
    is_cut: bool,
}

#[derive(Debug, Clone, Copy)]
enum Bytes<'a> {
    /// From STR_I alone: the reader has seen that it is text.
    Text(&'a str),
    Opaque(&'a [u8]),
}

impl<'a> Content<'a> {
    /// The text; `None` if it is too long, not UTF-8, or has a NUL (both possible in OPAQUE).
    pub fn text(self) -> Option<&'a str> {
        let text = match self.bytes {
            Bytes::Text(text) => text,
            Bytes::Opaque(bytes) => std::str::from_utf8(bytes).ok().filter(|text| !text.contains('\0'))?,
        };
        (!self.is_cut).then_some(text)
    }

    /// The text as a number, white space around it allowed; one too large to hold reads as the largest.
    pub fn number(self) -> Option<u32> {
        let digits = self.text()?.trim_ascii();
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        Some(digits.parse().unwrap_or(u32::MAX))
    }

    /// Whether there is nothing.
    pub fn is_empty(self) -> bool {
        match self.bytes {
            Bytes::Text(text) => text.is_empty(),
            Bytes::Opaque(bytes) => bytes.is_empty(),
        }
    }
}

/// Reads a document as steps.
#[derive(Debug)]
pub struct Elements {
    reader: Reader,
    path: Vec<Tag>,
    kept: Kept,
    /// The last step closed an element that is still at the end of the path.
    must_pop: bool,
}

impl Elements {
    /// Before the first byte.
    pub fn new(limits: Limits) -> Self {
        Elements {
            reader: Reader::new(limits),
            path: Vec::with_capacity(PATH),
            kept: Kept { text: String::with_capacity(TEXT), ..Kept::default() },
            must_pop: false,
        }
    }

    /// The next step, consuming `input`; `None` when it is used up.
    pub fn next<'a, 'i: 'a>(&'a mut self, input: &mut &'i [u8]) -> Result<Option<Step<'a>>, WbxmlError> {
        if std::mem::take(&mut self.must_pop) {
            self.path.pop();
            self.kept.clear();
        }
        loop {
            match self.reader.next(input)? {
                None => return Ok(None),
                Some(Event::Start { tag, .. }) => {
                    self.path.push(tag);
                    self.kept.clear();
                    return Ok(Some(Step::Open(&self.path)));
                }
                Some(Event::Text(text)) => self.kept.text(text),
                Some(Event::Opaque(bytes)) => self.kept.opaque(bytes),
                Some(Event::End) => {
                    self.must_pop = true;
                    return Ok(Some(Step::Close(&self.path, self.kept.content())));
                }
            }
        }
    }

    /// Says that no more input comes.
    ///
    /// # Errors
    /// The document is not complete.
    pub fn finish(&self) -> Result<(), WbxmlError> {
        self.reader.finish()
    }
}

/// The content of the innermost element so far.
#[derive(Debug, Default)]
struct Kept {
    /// As long as there was no OPAQUE.
    text: String,
    /// Everything, from the first OPAQUE on.
    bytes: Vec<u8>,
    is_opaque: bool,
    is_cut: bool,
}

impl Kept {
    fn clear(&mut self) {
        self.text.clear();
        self.bytes.clear();
        (self.is_opaque, self.is_cut) = (false, false);
    }

    /// What is too long is never asked for: nothing more is kept of it.
    fn text(&mut self, text: &str) {
        if self.is_opaque {
            self.opaque(text.as_bytes());
        } else if text.len() > TEXT_BYTES_MAX - self.text.len() {
            self.is_cut = true;
        } else {
            self.text.push_str(text);
        }
    }

    fn opaque(&mut self, bytes: &[u8]) {
        if !self.is_opaque {
            self.bytes.extend_from_slice(self.text.as_bytes());
            self.is_opaque = true;
        }
        let room = TEXT_BYTES_MAX - self.bytes.len();
        self.is_cut |= bytes.len() > room;
        self.bytes.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    fn content(&self) -> Content<'_> {
        let bytes = if self.is_opaque { Bytes::Opaque(&self.bytes) } else { Bytes::Text(&self.text) };
        Content { bytes, is_cut: self.is_cut }
    }
}
