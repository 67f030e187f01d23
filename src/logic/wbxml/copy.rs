//! A document written anew, with some of its elements left out or changed. What comes out is in the shortest form whatever came
//! in, so a reader behind us (which may be laxer than ours) sees exactly what we saw.

use super::{Event, Limits, Reader, Tag, WbxmlError, Writer};

/// What becomes of an element, by its path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Edit {
    /// It is written; its children are asked about one by one.
    Keep,
    /// It is left out with all that is in it.
    Drop,
    /// It is left out, but its children are asked about one by one.
    Unwrap,
    /// It is written with this text in place of all that is in it.
    Text(String),
}

/// Copies a whole document; elements whose path `keeps` denies are left out with all that is in them. The root stays.
///
/// # Errors
/// The document is not WBXML.
pub fn copy(body: &[u8], limits: Limits, keeps: impl Fn(&[Tag]) -> bool) -> Result<Vec<u8>, WbxmlError> {
    let mut writer = Writer::after(Vec::with_capacity(body.len()));
    copy_into(&mut writer, body, limits, |path| if path.len() == 1 || keeps(path) { Edit::Keep } else { Edit::Drop })?;
    Ok(writer.finish())
}

/// Copies what is left of a document after `edit` into one that is being written. `edit` is asked once for every element that
/// is not inside one left out, in the order of the document, the root first.
///
/// # Errors
/// The document is not WBXML; what was written by then stays.
pub fn copy_into(writer: &mut Writer, body: &[u8], limits: Limits, mut edit: impl FnMut(&[Tag]) -> Edit) -> Result<(), WbxmlError> {
    let (mut reader, mut rest) = (Reader::new(limits), body);
    let mut copy = Copy { writer, path: Vec::new(), written: Vec::new(), dropped: 0, pending: Pending::None };
    while let Some(event) = reader.next(&mut rest)? {
        copy.take(event, &mut edit);
    }
    reader.finish()
}

struct Copy<'a> {
    writer: &'a mut Writer,
    path: Vec<Tag>,
    /// Whether each element of the path was written, down to the one whose inside is left out.
    written: Vec<bool>,
    /// Levels that we are inside of an element whose inside is left out.
    dropped: usize,
    pending: Pending,
}

/// Pieces that belong together; the writer wants them whole.
enum Pending {
    None,
    Text(String),
    Opaque(Vec<u8>),
}

impl Copy<'_> {
    fn take(&mut self, event: Event<'_>, edit: &mut impl FnMut(&[Tag]) -> Edit) {
        match event {
            Event::Start { tag, .. } => {
                self.flush();
                self.path.push(tag);
                self.begin(tag, edit);
            }
            Event::End => {
                self.flush();
                self.path.pop();
                match self.dropped {
                    0 if self.written.pop() == Some(true) => drop(self.writer.end()),
                    0 => {}
                    _ => self.dropped -= 1,
                }
            }
            _ if self.dropped > 0 => {}
            // Between the children of an element that is unwrapped; no document has any.
            _ if self.written.last() != Some(&true) => {}
            Event::Text(text) => match &mut self.pending {
                Pending::Text(pending) => pending.push_str(text),
                _ => {
                    self.flush();
                    self.pending = Pending::Text(text.to_owned());
                }
            },
            Event::Opaque(bytes) => match &mut self.pending {
                Pending::Opaque(pending) => pending.extend_from_slice(bytes),
                _ => {
                    self.flush();
                    self.pending = Pending::Opaque(bytes.to_owned());
                }
            },
        }
    }

    fn begin(&mut self, tag: Tag, edit: &mut impl FnMut(&[Tag]) -> Edit) {
        if self.dropped > 0 {
            self.dropped += 1;
            return;
        }
        match edit(&self.path) {
            Edit::Keep => {
                self.writer.start(tag);
                self.written.push(true);
            }
            Edit::Unwrap => self.written.push(false),
            Edit::Drop => self.dropped = 1,
            Edit::Text(text) => {
                self.writer.text(tag, &text);
                self.dropped = 1;
            }
        }
    }

    fn flush(&mut self) {
        match std::mem::replace(&mut self.pending, Pending::None) {
            Pending::None => {}
            Pending::Text(text) => drop(self.writer.characters(&text)),
            Pending::Opaque(bytes) => drop(self.writer.data(&bytes)),
        }
    }
}
