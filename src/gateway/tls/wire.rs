//! A connection's transport state without its socket: what a lot thread needs to answer and to listen.

use std::fmt;

use super::error::RecordError;
use super::received::{RECEIVED_BYTES_MAX, Received};
use super::record::{CLOSE_NOTIFY, FRAGMENT_BYTES_MAX, Keys};

/// Transport state of one connection; plain data, about a hundred bytes, wiped when dropped. Not `Clone`: a
/// second copy would seal two records with one nonce.
///
/// ```compile_fail
/// fn twice(wire: pushgate::gateway::tls::Wire) -> (pushgate::gateway::tls::Wire, pushgate::gateway::tls::Wire) {
///     (wire.clone(), wire)
/// }
/// ```
pub enum Wire {
    /// A balancer ended TLS: bytes go as they are.
    Plain,
    /// Sealed and opened with these keys.
    Tls(Keys),
}

/// What arrived bytes amount to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Incoming {
    /// A part of a record, or records without content.
    Nothing,
    /// There is unread plaintext.
    Data,
    /// The device sent close_notify; unread plaintext from before it may be there.
    Closed,
}

impl Wire {
    /// Appends `plaintext` to `out` as it goes over the network: as many records as it takes. Everything
    /// appended must be sent, in order, once: a record is never sealed again.
    ///
    /// # Errors
    /// [`RecordError::Exhausted`] or [`RecordError::Ended`]; `out` is then as it was before.
    pub fn seal(&mut self, plaintext: &[u8], out: &mut Vec<u8>) -> Result<(), RecordError> {
        let Wire::Tls(keys) = self else {
            out.extend_from_slice(plaintext);
            return Ok(());
        };
        let records = plaintext.len().div_ceil(FRAGMENT_BYTES_MAX);
        // Looked at first: a record that is sealed and not sent would leave a gap that the device cannot pass.
        keys.can_seal_data(records)?;
        let cipher = keys.send_cipher();
        out.reserve(plaintext.len() + records * RECORD_OVERHEAD_BYTES);
        for fragment in plaintext.chunks(FRAGMENT_BYTES_MAX) {
            keys.seal_data(&cipher, out, |out| out.extend_from_slice(fragment))?;
        }
        Ok(())
    }

    /// Appends our close_notify, once; nothing can be sealed after it.
    pub fn seal_close_notify(&mut self, out: &mut Vec<u8>) {
        self.seal_alert_bytes(WARNING, CLOSE_NOTIFY, out);
    }

    /// Appends the alert that tells the device of an error that [`Wire::receive`] gave, if there is one to be told.
    pub fn seal_alert(&mut self, error: RecordError, out: &mut Vec<u8>) {
        if let Some((level, description)) = error.alert() {
            self.seal_alert_bytes(level, description, out);
        }
    }

    /// Takes bytes as they came from the socket and opens the records they complete. `bytes` may be empty: to
    /// look at what waited in `received`.
    ///
    /// # Errors
    /// Whatever is wrong with the records is final: seal the alert, send it, close. [`RecordError::TooMuch`] when
    /// more than [`RECEIVED_BYTES_MAX`] would wait: read the plaintext, or stop reading the socket.
    pub fn receive(&mut self, received: &mut Received, bytes: &[u8]) -> Result<Incoming, RecordError> {
        if received.bytes() + bytes.len() > RECEIVED_BYTES_MAX {
            if let Wire::Tls(keys) = self {
                keys.fail();
            }
            return Err(RecordError::TooMuch);
        }
        match self {
            Wire::Plain if bytes.is_empty() => {}
            Wire::Plain => received.push_plaintext(bytes),
            Wire::Tls(keys) if keys.has_failed() => return Err(RecordError::Ended),
            Wire::Tls(keys) => {
                if !keys.peer_closed && !bytes.is_empty() {
                    received.room(0, bytes.len()).extend_from_slice(bytes);
                }
                if !received.ciphertext().is_empty() {
                    let cipher = keys.receive_cipher();
                    // A device that waits takes no tickets: there is nothing left that could.
                    received.open(keys, &cipher, |_| {})?;
                }
            }
        }
        if received.is_empty() {
            received.shed();
        }
        Ok(match self {
            Wire::Tls(keys) if keys.peer_closed => Incoming::Closed,
            _ if received.plaintext().is_empty() => Incoming::Nothing,
            _ => Incoming::Data,
        })
    }

    fn seal_alert_bytes(&mut self, level: u8, description: u8, out: &mut Vec<u8>) {
        if let Wire::Tls(keys) = self {
            let cipher = keys.send_cipher();
            // It fails when it was said before, or the keys are exhausted; closing the socket says the rest.
            let _ = keys.seal_alert(&cipher, level, description, out);
        }
    }
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Wire::Plain => f.write_str("Plain"),
            Wire::Tls(keys) => write!(f, "Tls({:?})", keys.suite),
        }
    }
}

const WARNING: u8 = 1;
/// Header, explicit nonce, content type, tag: the most that a record adds.
pub(super) const RECORD_OVERHEAD_BYTES: usize = 5 + 8 + 1 + 16;
