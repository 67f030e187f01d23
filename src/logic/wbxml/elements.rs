//! Paths and short texts: the shape `eas` parses with.
//!
//! ActiveSync documents are records: what matters is "this text stood at that path". [`Elements`] turns events into just
//! that, holding one path and at most [`TEXT_BYTES_MAX`] bytes of one text.

use super::{Event, Limits, Reader, Tag, WbxmlError};

/// Bytes kept of one element's text: device information fields are at most 1,024 characters, of up to four bytes.
pub const TEXT_BYTES_MAX: usize = 4_096;

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
    bytes: &'a [u8],
    is_cut: bool,
}

impl<'a> Content<'a> {
    /// The text; `None` if it is too long, not UTF-8, or has a NUL (both possible in OPAQUE).
    pub fn text(self) -> Option<&'a str> {
        let text = std::str::from_utf8(self.bytes).ok()?;
        (!self.is_cut && !text.contains('\0')).then_some(text)
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
        self.bytes.is_empty()
    }
}

/// Reads a document as steps.
#[derive(Debug)]
pub struct Elements {
    reader: Reader,
    path: Vec<Tag>,
    text: Vec<u8>,
    is_cut: bool,
    /// The last step closed an element that is still at the end of the path.
    must_pop: bool,
}

impl Elements {
    /// Before the first byte.
    pub fn new(limits: Limits) -> Self {
        Elements { reader: Reader::new(limits), path: Vec::new(), text: Vec::new(), is_cut: false, must_pop: false }
    }

    /// The next step, consuming `input`; `None` when it is used up.
    pub fn next(&mut self, input: &mut &[u8]) -> Result<Option<Step<'_>>, WbxmlError> {
        if std::mem::take(&mut self.must_pop) {
            self.path.pop();
            self.clear_text();
        }
        loop {
            match self.reader.next(input)? {
                None => return Ok(None),
                Some(Event::Start { tag, .. }) => {
                    self.path.push(tag);
                    self.clear_text();
                    return Ok(Some(Step::Open(&self.path)));
                }
                Some(Event::Text(text)) => keep(&mut self.text, &mut self.is_cut, text.as_bytes()),
                Some(Event::Opaque(bytes)) => keep(&mut self.text, &mut self.is_cut, bytes),
                Some(Event::End) => {
                    self.must_pop = true;
                    return Ok(Some(Step::Close(&self.path, Content { bytes: &self.text, is_cut: self.is_cut })));
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

    fn clear_text(&mut self) {
        self.text.clear();
        self.is_cut = false;
    }
}

/// Appends as much as fits.
fn keep(text: &mut Vec<u8>, is_cut: &mut bool, bytes: &[u8]) {
    let room = TEXT_BYTES_MAX - text.len();
    *is_cut |= bytes.len() > room;
    text.extend_from_slice(&bytes[..bytes.len().min(room)]);
}
