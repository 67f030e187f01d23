//! One TLS record, sealed or opened: the only cryptographic code of ours.
//!
//! In: keys as plain bytes and a record. Out: a sealed record, or what an opened one means. No socket and no
//! buffer management. What holds here: a sequence number is used once and goes up before its record is sealed;
//! nothing is sealed after an alert of ours, nothing opened after an error; no length is believed before it is
//! checked. Sources: RFC 8446 section 5, RFC 5246 section 6.2, RFC 5288 (GCM), RFC 7905 (ChaCha20).

use std::ops::Range;

use aws_lc_rs::aead::{Aad, LessSafeKey, Nonce, UnboundKey};
use rustls::{ConnectionTrafficSecrets, ExtractedSecrets, ProtocolVersion};
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::error::RecordError;
use super::suite::Suite;

/// Both directions of one connection. Plain data: it can wait in a slot without a cipher context (those are a
/// kilobyte and more) and can be handed to another process. Never cloned: two copies would use a nonce twice.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct Keys {
    send: Direction,
    receive: Direction,
    #[zeroize(skip)]
    pub(super) suite: Suite,
    /// Records without content in a row.
    empty_records: u8,
    /// An alert of ours was sealed; it is the last record that we send.
    ended: bool,
    /// The peer's close_notify was opened; what follows it is not looked at.
    pub(super) peer_closed: bool,
    /// A record could not be accepted: no further one is opened.
    failed: bool,
    /// We are the device: the server's handshake messages after the handshake are tickets, and not an error.
    is_device: bool,
}

/// 32 bytes of key are room for the longest; AES-128 uses the first 16. The sequence needs no 64 bits,
/// because a connection ends before [`RECORDS_MAX`].
#[derive(Zeroize)]
struct Direction {
    key: [u8; 32],
    iv: [u8; 12],
    sequence: u32,
}

/// What an accepted record means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Opened {
    /// Application data at this place inside the record; may be empty.
    Data(Range<usize>),
    /// close_notify.
    Close,
    /// Only for a device: a handshake message, or a part of one, at this place: session tickets, as a rule.
    Handshake(Range<usize>),
}

impl Keys {
    /// Takes what rustls extracted; `None` when the combination is none of ours.
    pub(super) fn new(version: ProtocolVersion, secrets: &ExtractedSecrets) -> Option<Self> {
        let suite = Suite::of(version, &secrets.tx.1)?;
        let send = Direction::new(secrets.tx.0, &secrets.tx.1)?;
        let receive = Direction::new(secrets.rx.0, &secrets.rx.1)?;
        Some(Keys { send, receive, suite, empty_records: 0, ended: false, peer_closed: false, failed: false, is_device: false })
    }

    /// The same keys in the hands of a device.
    pub(super) fn of_device(mut self) -> Self {
        self.is_device = true;
        self
    }

    /// Keys that everybody knows, for tests and fuzzing: what one side of a pair seals, the other opens.
    pub(super) fn known(suite: Suite, is_device: bool, sequence: u32) -> Self {
        let direction = |byte| Direction { key: [byte; 32], iv: [!byte; 12], sequence };
        let (send, receive) = if is_device { (direction(1), direction(2)) } else { (direction(2), direction(1)) };
        Keys { send, receive, suite, empty_records: 0, ended: false, peer_closed: false, failed: false, is_device: false }
    }

    /// Everything that has to be wiped.
    #[cfg(test)]
    pub(super) fn secret_bytes(&self) -> impl Iterator<Item = u8> {
        [&self.send, &self.receive].into_iter().flat_map(|direction| direction.key.into_iter().chain(direction.iv))
    }

    /// Cipher context of the sending direction; good for as long as the connection lives.
    pub(super) fn send_cipher(&self) -> LessSafeKey {
        self.send.cipher(self.suite)
    }

    /// Cipher context of the receiving direction.
    pub(super) fn receive_cipher(&self) -> LessSafeKey {
        self.receive.cipher(self.suite)
    }

    /// Appends one record of application data to `out`; `fill` appends its content, at most [`FRAGMENT_BYTES_MAX`].
    pub(super) fn seal_data(
        &mut self,
        cipher: &LessSafeKey,
        out: &mut Vec<u8>,
        fill: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), RecordError> {
        self.can_seal_data(1)?;
        self.seal(cipher, APPLICATION_DATA, out, fill)
    }

    /// Whether that many records of data can still be sealed.
    pub(super) fn can_seal_data(&self, records: usize) -> Result<(), RecordError> {
        if self.failed || self.ended {
            return Err(RecordError::Ended);
        }
        let left = (RECORDS_MAX - RECORDS_KEPT_FOR_ALERTS).saturating_sub(self.send.sequence);
        if records > left as usize { Err(RecordError::Exhausted) } else { Ok(()) }
    }

    /// Appends the one alert that ends our side; nothing can be sealed after it.
    pub(super) fn seal_alert(&mut self, cipher: &LessSafeKey, level: u8, description: u8, out: &mut Vec<u8>) -> Result<(), RecordError> {
        self.seal(cipher, ALERT, out, |out| out.extend_from_slice(&[level, description]))?;
        self.ended = true;
        Ok(())
    }

    /// Appends one record of any kind; an error comes before anything is appended.
    pub(super) fn seal(
        &mut self,
        cipher: &LessSafeKey,
        kind: u8,
        out: &mut Vec<u8>,
        fill: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), RecordError> {
        if self.ended {
            return Err(RecordError::Ended);
        }
        let sequence = self.send.take_sequence()?;
        let nonce = self.send.nonce(sequence);
        let start = out.len();
        out.extend_from_slice(&[0; HEADER_BYTES]);
        out.extend_from_slice(&nonce[NONCE_BYTES - self.suite.explicit_nonce_bytes()..]);
        let body = out.len();
        fill(out);
        let content = out.len() - body;
        debug_assert!(content <= FRAGMENT_BYTES_MAX, "callers cut their data into fragments");
        let outer_kind = if self.suite.is_tls13() { APPLICATION_DATA } else { kind };
        if self.suite.is_tls13() {
            out.push(kind);
        }
        let [.., high, low] = (out.len() - start - HEADER_BYTES + TAG_BYTES).to_be_bytes();
        let header = [outer_kind, 3, 3, high, low];
        out[start..start + HEADER_BYTES].copy_from_slice(&header);
        let (aad, aad_bytes) = self.aad(sequence, header, content);
        let tag = cipher
            .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::from(&aad[..aad_bytes]), &mut out[body..])
            .expect("a record is far below the length at which sealing fails");
        out.extend_from_slice(tag.as_ref());
        Ok(())
    }

    /// Looks at the head of `bytes`: the length of the record that starts there, header included, or `None`
    /// while the header is not whole.
    pub(super) fn record_bytes(&self, bytes: &[u8]) -> Result<Option<usize>, RecordError> {
        let &[kind, major, minor, high, low, ..] = bytes else { return Ok(None) };
        let length = usize::from(u16::from_be_bytes([high, low]));
        if self.suite.is_tls13() {
            // The version field is to be ignored here (RFC 8446 section 5.1); it is authenticated all the same.
            match kind {
                APPLICATION_DATA if length <= FRAGMENT_BYTES_MAX + 256 => {}
                APPLICATION_DATA => return Err(RecordError::TooLong),
                _ => return Err(RecordError::UnexpectedMessage),
            }
        } else {
            match kind {
                ALERT | HANDSHAKE | APPLICATION_DATA if (major, minor) != (3, 3) => return Err(RecordError::UnexpectedMessage),
                ALERT | HANDSHAKE | APPLICATION_DATA if length <= FRAGMENT_BYTES_MAX + 2_048 => {}
                ALERT | HANDSHAKE | APPLICATION_DATA => return Err(RecordError::TooLong),
                _ => return Err(RecordError::UnexpectedMessage),
            }
        }
        Ok(Some(HEADER_BYTES + length))
    }

    /// Opens one whole record in place. An error is final: every later call gives [`RecordError::Ended`].
    pub(super) fn open(&mut self, cipher: &LessSafeKey, record: &mut [u8]) -> Result<Opened, RecordError> {
        if self.failed {
            return Err(RecordError::Ended);
        }
        let opened = self.authenticate(cipher, record).and_then(|(kind, content)| self.judge(kind, record, content));
        self.failed = opened.is_err();
        self.peer_closed |= opened == Ok(Opened::Close);
        opened
    }

    /// Remembers an error that was found before a record was whole.
    pub(super) fn fail(&mut self) {
        self.failed = true;
    }

    /// Whether an error was found in what the peer sent.
    pub(super) fn has_failed(&self) -> bool {
        self.failed
    }

    /// Gives the true content type and the place of the content.
    fn authenticate(&mut self, cipher: &LessSafeKey, record: &mut [u8]) -> Result<(u8, Range<usize>), RecordError> {
        let explicit = self.suite.explicit_nonce_bytes();
        let body = HEADER_BYTES + explicit;
        let Some(content) = record.len().checked_sub(body + TAG_BYTES) else { return Err(RecordError::BadRecord) };
        let header = [record[0], record[1], record[2], record[3], record[4]];
        let sequence = self.receive.take_sequence()?;
        let mut nonce = self.receive.nonce(sequence);
        nonce[NONCE_BYTES - explicit..].copy_from_slice(&record[HEADER_BYTES..body]);
        let (aad, aad_bytes) = self.aad(sequence, header, content);
        cipher
            .open_in_place(Nonce::assume_unique_for_key(nonce), Aad::from(&aad[..aad_bytes]), &mut record[body..])
            .map_err(|_| RecordError::BadRecord)?;
        if !self.suite.is_tls13() {
            return if content > FRAGMENT_BYTES_MAX { Err(RecordError::TooLong) } else { Ok((header[0], body..body + content)) };
        }
        if content > FRAGMENT_BYTES_MAX + 1 {
            return Err(RecordError::TooLong);
        }
        // TLS 1.3: content, content type, any number of zeros. All zeros is not a record at all.
        let inner = &record[body..body + content];
        match inner.iter().rposition(|&byte| byte != 0) {
            Some(end) => Ok((inner[end], body..body + end)),
            None => Err(RecordError::UnexpectedMessage),
        }
    }

    /// What may still come after a handshake, and how each other thing ends the connection.
    fn judge(&mut self, kind: u8, record: &[u8], content: Range<usize>) -> Result<Opened, RecordError> {
        match (kind, &record[content.clone()]) {
            (APPLICATION_DATA, []) => {
                self.empty_records += 1;
                if self.empty_records > EMPTY_RECORDS_MAX { Err(RecordError::EmptyRecords) } else { Ok(Opened::Data(content)) }
            }
            (APPLICATION_DATA, _) => {
                self.empty_records = 0;
                Ok(Opened::Data(content))
            }
            (ALERT, [_, CLOSE_NOTIFY]) => Ok(Opened::Close),
            (ALERT, [_, description]) => Err(RecordError::Alert(*description)),
            (ALERT, _) => Err(RecordError::MalformedAlert),
            // Each handshake message ends the connection and its first byte says how, so a message that is
            // split over records need not be put together.
            (HANDSHAKE, [KEY_UPDATE, ..]) if self.suite.is_tls13() => Err(RecordError::KeyUpdate),
            // TLS 1.2 has one message for a device there, the wish for another handshake, and it may be ignored.
            (HANDSHAKE, _) if self.is_device => Ok(Opened::Handshake(content)),
            (HANDSHAKE, [CLIENT_HELLO, ..]) if !self.suite.is_tls13() => Err(RecordError::Renegotiation),
            _ => Err(RecordError::UnexpectedMessage),
        }
    }

    /// What is authenticated beside the content: the header in TLS 1.3; sequence, type, version and length of the
    /// content in TLS 1.2.
    fn aad(&self, sequence: u32, header: [u8; HEADER_BYTES], content: usize) -> ([u8; 13], usize) {
        let mut aad = [0; 13];
        if self.suite.is_tls13() {
            aad[..HEADER_BYTES].copy_from_slice(&header);
            return (aad, HEADER_BYTES);
        }
        let [.., high, low] = content.to_be_bytes();
        aad[..8].copy_from_slice(&u64::from(sequence).to_be_bytes());
        aad[8..].copy_from_slice(&[header[0], header[1], header[2], high, low]);
        (aad, 13)
    }
}

impl Direction {
    fn new(sequence: u64, secrets: &ConnectionTrafficSecrets) -> Option<Self> {
        let (from, iv) = match secrets {
            ConnectionTrafficSecrets::Aes128Gcm { key, iv }
            | ConnectionTrafficSecrets::Aes256Gcm { key, iv }
            | ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv } => (key.as_ref(), iv.as_ref()),
            _ => return None,
        };
        let mut direction = Direction { key: [0; 32], iv: iv.try_into().ok()?, sequence: u32::try_from(sequence).ok()? };
        direction.key.get_mut(..from.len())?.copy_from_slice(from);
        Some(direction)
    }

    fn cipher(&self, suite: Suite) -> LessSafeKey {
        let algorithm = suite.algorithm();
        LessSafeKey::new(UnboundKey::new(algorithm, &self.key[..algorithm.key_len()]).expect("the key has the length the algorithm names"))
    }

    /// The number for the next record. It is gone even when that record then fails.
    fn take_sequence(&mut self) -> Result<u32, RecordError> {
        let sequence = self.sequence;
        if sequence >= RECORDS_MAX {
            return Err(RecordError::Exhausted);
        }
        self.sequence += 1;
        Ok(sequence)
    }

    /// iv xor sequence, in all six suites. In TLS 1.2 GCM its last eight bytes are also sent: any value that
    /// does not repeat will do there, and this is the one rustls uses and extracts for.
    fn nonce(&self, sequence: u32) -> [u8; NONCE_BYTES] {
        let mut nonce = self.iv;
        for (byte, number) in nonce[NONCE_BYTES - 4..].iter_mut().zip(sequence.to_be_bytes()) {
            *byte ^= number;
        }
        nonce
    }
}

/// Most content bytes of one record.
pub(super) const FRAGMENT_BYTES_MAX: usize = 16_384;
/// A record and everything around its content, in any suite: what a buffer needs for one.
pub(super) const RECORD_BYTES_MAX: usize = HEADER_BYTES + FRAGMENT_BYTES_MAX + 2_048;
/// Type, version, length.
pub(super) const HEADER_BYTES: usize = 5;
const NONCE_BYTES: usize = 12;
const TAG_BYTES: usize = 16;
/// GCM may seal 2^24.5 full records with one key (RFC 8446 section 5.5); we stay below in every suite.
pub(super) const RECORDS_MAX: u32 = 1 << 24;
/// So that an exhausted connection can still say so.
const RECORDS_KEPT_FOR_ALERTS: u32 = 1;
/// As OpenSSL allows; nothing legitimate sends even two.
const EMPTY_RECORDS_MAX: u8 = 32;
pub(super) const ALERT: u8 = 21;
pub(super) const HANDSHAKE: u8 = 22;
pub(super) const APPLICATION_DATA: u8 = 23;
pub(super) const CLOSE_NOTIFY: u8 = 0;
const CLIENT_HELLO: u8 = 1;
const KEY_UPDATE: u8 = 24;
