//! A document written anew, without some of its elements. What comes out is in the shortest form whatever came in, so a reader
//! behind us (which may be laxer than ours) sees exactly what we saw.

use super::{Event, Limits, Reader, Tag, WbxmlError, Writer};

/// Copies a whole document; elements whose path `keeps` denies are left out with all that is in them. The root stays.
///
/// # Errors
/// The document is not WBXML.
pub fn copy(body: &[u8], limits: Limits, keeps: impl Fn(&[Tag]) -> bool) -> Result<Vec<u8>, WbxmlError> {
    let (mut reader, mut rest) = (Reader::new(limits), body);
    let mut copy = Copy { writer: Writer::after(Vec::with_capacity(body.len())), path: Vec::new(), dropped: 0, pending: Pending::None };
    while let Some(event) = reader.next(&mut rest)? {
        copy.take(event, &keeps);
    }
    reader.finish()?;
    Ok(copy.writer.finish())
}

struct Copy {
    writer: Writer,
    path: Vec<Tag>,
    /// Levels that we are inside of an element that is left out.
    dropped: usize,
    pending: Pending,
}

/// Pieces that belong together; the writer wants them whole.
enum Pending {
    None,
    Text(String),
    Opaque(Vec<u8>),
}

impl Copy {
    fn take(&mut self, event: Event<'_>, keeps: &impl Fn(&[Tag]) -> bool) {
        match event {
            Event::Start { tag, .. } => {
                self.flush();
                self.path.push(tag);
                if self.dropped > 0 || (self.path.len() > 1 && !keeps(&self.path)) {
                    self.dropped += 1;
                } else {
                    self.writer.start(tag);
                }
            }
            Event::End => {
                self.flush();
                self.path.pop();
                match self.dropped {
                    0 => drop(self.writer.end()),
                    _ => self.dropped -= 1,
                }
            }
            _ if self.dropped > 0 => {}
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

    fn flush(&mut self) {
        match std::mem::replace(&mut self.pending, Pending::None) {
            Pending::None => {}
            Pending::Text(text) => drop(self.writer.characters(&text)),
            Pending::Opaque(bytes) => drop(self.writer.data(&bytes)),
        }
    }
}
