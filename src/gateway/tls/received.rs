//! What a connection received and nobody has read yet: opened plaintext in front, ciphertext behind it.
//!
//! One buffer for both, opened in place. Nothing is allocated while nothing waits, so a parked connection pays
//! one pointer.

use std::fmt;
use std::ops::Range;

use aws_lc_rs::aead::LessSafeKey;

use super::error::RecordError;
use super::record::{FRAGMENT_BYTES_MAX, HEADER_BYTES, Keys, Opened};

/// Plaintext and ciphertext that wait. Bounded: opening pauses while a record's worth of plaintext is unread.
#[derive(Default)]
pub struct Received(Option<Box<Buffer>>);

#[derive(Default)]
struct Buffer {
    bytes: Vec<u8>,
    /// Opened and unread. Ends at or before `ciphertext`.
    plaintext: Range<usize>,
    /// Where the first unopened record starts.
    ciphertext: usize,
}

impl Received {
    /// Ciphertext that came before anybody looked at it, as after a handshake.
    pub(super) fn from_ciphertext(bytes: Vec<u8>) -> Self {
        if bytes.is_empty() { Received(None) } else { Received(Some(Box::new(Buffer { bytes, plaintext: 0..0, ciphertext: 0 }))) }
    }

    /// Plaintext of a connection without TLS.
    pub(super) fn from_plaintext(bytes: Vec<u8>) -> Self {
        let end = bytes.len();
        if end == 0 { Received(None) } else { Received(Some(Box::new(Buffer { bytes, plaintext: 0..end, ciphertext: end }))) }
    }

    /// Opened and unread bytes.
    pub fn plaintext(&self) -> &[u8] {
        self.0.as_ref().map_or(&[], |buffer| &buffer.bytes[buffer.plaintext.clone()])
    }

    /// Marks the first `count` bytes of the plaintext as read.
    pub fn consume(&mut self, count: usize) {
        if let Some(buffer) = &mut self.0 {
            buffer.plaintext.start = buffer.plaintext.end.min(buffer.plaintext.start.saturating_add(count));
        }
    }

    /// Puts plaintext back in front of what is unread: what an HTTP parser had taken and did not use.
    ///
    /// # Errors
    /// [`RecordError::TooMuch`], and nothing changes, when more than [`RECEIVED_BYTES_MAX`] would wait.
    pub fn put_back(&mut self, bytes: &[u8]) -> Result<(), RecordError> {
        if bytes.is_empty() {
            return Ok(());
        }
        if self.bytes() + bytes.len() > RECEIVED_BYTES_MAX {
            return Err(RecordError::TooMuch);
        }
        let buffer = self.0.get_or_insert_default();
        buffer.compact();
        buffer.bytes.splice(0..0, bytes.iter().copied());
        buffer.plaintext.end += bytes.len();
        buffer.ciphertext += bytes.len();
        Ok(())
    }

    /// Nothing waits, opened or not.
    pub fn is_empty(&self) -> bool {
        self.0.as_ref().is_none_or(|buffer| buffer.plaintext.is_empty() && buffer.ciphertext == buffer.bytes.len())
    }

    /// Bytes that wait, opened or not.
    pub fn bytes(&self) -> usize {
        self.plaintext().len() + self.ciphertext().len()
    }

    /// Unopened bytes: none, a part of a record, or more.
    pub(super) fn ciphertext(&self) -> &[u8] {
        self.0.as_ref().map_or(&[], |buffer| &buffer.bytes[buffer.ciphertext..])
    }

    /// Gives memory back: all of it when nothing waits.
    pub(super) fn shed(&mut self) {
        if self.is_empty() {
            self.0 = None;
        } else if let Some(buffer) = &mut self.0 {
            buffer.compact();
            buffer.bytes.shrink_to_fit();
        }
    }

    /// Room for ciphertext from a socket: append to it. It holds the rest of the record that has begun, and
    /// `least` bytes in any case.
    pub(super) fn room(&mut self, record_bytes: usize, least: usize) -> &mut Vec<u8> {
        let buffer = self.0.get_or_insert_default();
        buffer.compact();
        let missing = record_bytes.saturating_sub(buffer.bytes.len() - buffer.ciphertext);
        buffer.bytes.reserve_exact(missing.max(least));
        &mut buffer.bytes
    }

    /// Appends plaintext of a connection without TLS.
    pub(super) fn push_plaintext(&mut self, bytes: &[u8]) {
        let buffer = self.0.get_or_insert_default();
        buffer.compact();
        buffer.bytes.extend_from_slice(bytes);
        buffer.plaintext.end = buffer.bytes.len();
        buffer.ciphertext = buffer.bytes.len();
    }

    /// Opens the whole records that wait, until a record's worth of plaintext is unread or the peer has closed.
    /// `take_message` gets what a server sends to a device beside data.
    pub(super) fn open(&mut self, keys: &mut Keys, cipher: &LessSafeKey, mut take_message: impl FnMut(&[u8])) -> Result<(), RecordError> {
        let Some(buffer) = &mut self.0 else { return Ok(()) };
        while !keys.peer_closed && buffer.plaintext.len() < FRAGMENT_BYTES_MAX {
            let waiting = &mut buffer.bytes[buffer.ciphertext..];
            let length = keys.record_bytes(waiting).inspect_err(|_| keys.fail())?;
            let Some(record) = length.and_then(|length| waiting.get_mut(..length)) else { return Ok(()) };
            let start = buffer.ciphertext;
            let record_bytes = record.len();
            match keys.open(cipher, record)? {
                Opened::Data(content) => buffer.append_plaintext(start + content.start..start + content.end),
                Opened::Handshake(content) => take_message(&record[content]),
                Opened::Close => {}
            }
            buffer.ciphertext += record_bytes;
        }
        if keys.peer_closed {
            // What follows a close_notify is to be ignored (RFC 8446 section 6.1).
            buffer.bytes.truncate(buffer.ciphertext);
        }
        Ok(())
    }

    /// Length of the record that has begun, header included; a header's worth while that is not known.
    pub(super) fn begun_record_bytes(&self, keys: &Keys) -> usize {
        keys.record_bytes(self.ciphertext()).ok().flatten().unwrap_or(HEADER_BYTES)
    }
}

impl Buffer {
    fn append_plaintext(&mut self, content: Range<usize>) {
        if self.plaintext.is_empty() {
            self.plaintext = content;
        } else {
            let end = self.plaintext.end + content.len();
            self.bytes.copy_within(content, self.plaintext.end);
            self.plaintext.end = end;
        }
    }

    /// Moves what waits to the front.
    fn compact(&mut self) {
        let plaintext = self.plaintext.len();
        self.bytes.copy_within(self.plaintext.clone(), 0);
        self.bytes.drain(plaintext..self.ciphertext);
        self.plaintext = 0..plaintext;
        self.ciphertext = plaintext;
    }
}

impl fmt::Debug for Received {
    /// Lengths only: the content is somebody's mail.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Received").field("plaintext", &self.plaintext().len()).field("ciphertext", &self.ciphertext().len()).finish()
    }
}

/// What may wait unread on one connection, opened or not: three records.
pub const RECEIVED_BYTES_MAX: usize = 3 * (FRAGMENT_BYTES_MAX + 256);
