//! What can be wrong with records, and how the device is told.

use std::fmt;

use super::record::CLOSE_NOTIFY;

/// Why a connection cannot go on. Nothing of the peer's bytes is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordError {
    /// The record does not authenticate: damaged, replayed, or sealed with other keys.
    BadRecord,
    /// Longer than the protocol allows.
    TooLong,
    /// A record or handshake message that has no place after the handshake.
    UnexpectedMessage,
    /// Too many records in a row without content.
    EmptyRecords,
    /// The peer changes its keys (TLS 1.3 KeyUpdate). Legal, but we keep no key schedule; worth a counter.
    KeyUpdate,
    /// The peer wants another handshake (TLS 1.2 renegotiation).
    Renegotiation,
    /// The peer gave up, with this alert number.
    Alert(u8),
    /// An alert that is not two bytes.
    MalformedAlert,
    /// These keys have sealed or opened all the records they may.
    Exhausted,
    /// More was received than may wait unread.
    TooMuch,
    /// The connection had ended before: by an alert of ours, or by an earlier error.
    Ended,
}

impl RecordError {
    /// Level and number of the alert that tells the peer; `None` when nothing is to be said (any more).
    pub(super) fn alert(self) -> Option<(u8, u8)> {
        const WARNING: u8 = 1;
        const FATAL: u8 = 2;
        match self {
            RecordError::UnexpectedMessage | RecordError::EmptyRecords => Some((FATAL, 10)),
            RecordError::BadRecord => Some((FATAL, 20)),
            RecordError::TooLong => Some((FATAL, 22)),
            RecordError::MalformedAlert => Some((FATAL, 50)),
            // internal_error: "unrelated to the peer or the correctness of the protocol" (RFC 8446 section 6.2).
            RecordError::KeyUpdate | RecordError::TooMuch => Some((FATAL, 80)),
            RecordError::Renegotiation => Some((WARNING, 100)),
            RecordError::Exhausted => Some((WARNING, CLOSE_NOTIFY)),
            RecordError::Alert(_) | RecordError::Ended => None,
        }
    }

    /// Metric label.
    pub fn label(self) -> &'static str {
        match self {
            RecordError::BadRecord => "bad_record",
            RecordError::TooLong => "too_long",
            RecordError::UnexpectedMessage => "unexpected_message",
            RecordError::EmptyRecords => "empty_records",
            RecordError::KeyUpdate => "key_update",
            RecordError::Renegotiation => "renegotiation",
            RecordError::Alert(_) => "alert",
            RecordError::MalformedAlert => "malformed_alert",
            RecordError::Exhausted => "exhausted",
            RecordError::TooMuch => "too_much",
            RecordError::Ended => "ended",
        }
    }

    /// Finds the record error inside what hyper or tokio made of it.
    pub fn find(error: &(dyn std::error::Error + 'static)) -> Option<RecordError> {
        let mut cause = Some(error);
        while let Some(error) = cause {
            if let Some(found) = error.downcast_ref::<RecordError>() {
                return Some(*found);
            }
            // io::Error's source() skips the error it wraps and goes on to that one's source.
            let wrapped = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
            cause = wrapped.map(|inner| inner as &(dyn std::error::Error + 'static)).or_else(|| error.source());
        }
        None
    }
}

impl fmt::Display for RecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RecordError::BadRecord => f.write_str("a TLS record does not authenticate"),
            RecordError::TooLong => f.write_str("a TLS record is too long"),
            RecordError::UnexpectedMessage => f.write_str("a TLS message came that has no place after the handshake"),
            RecordError::EmptyRecords => f.write_str("too many TLS records without content"),
            RecordError::KeyUpdate => f.write_str("the device changes its TLS keys, which is not supported"),
            RecordError::Renegotiation => f.write_str("the device asked for TLS renegotiation, which is refused"),
            RecordError::Alert(number) => write!(f, "the device sent TLS alert {number}"),
            RecordError::MalformedAlert => f.write_str("a TLS alert is malformed"),
            RecordError::Exhausted => f.write_str("the TLS keys have been used for as many records as they may"),
            RecordError::TooMuch => f.write_str("the device sent more than may wait unread"),
            RecordError::Ended => f.write_str("the TLS connection has ended"),
        }
    }
}

impl std::error::Error for RecordError {}

impl From<RecordError> for std::io::Error {
    fn from(error: RecordError) -> Self {
        let kind = match error {
            RecordError::Ended => std::io::ErrorKind::BrokenPipe,
            RecordError::Alert(_) => std::io::ErrorKind::ConnectionAborted,
            _ => std::io::ErrorKind::InvalidData,
        };
        std::io::Error::new(kind, error)
    }
}
