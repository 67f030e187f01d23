//! Why a device did not get what it asked for.

use std::fmt;
use std::io;

use crate::logic::eas::Command;

/// Why something did not work.
#[derive(Debug)]
pub enum DeviceError {
    /// No connection.
    Connect(io::Error),
    /// The TLS handshake failed.
    Tls(rustls::Error),
    /// The connection broke.
    Broken(io::Error),
    /// No answer in time.
    Timeout,
    /// An HTTP status other than 200.
    Http(u16),
    /// An answer that makes no sense.
    Malformed(&'static str),
    /// A Status other than 1.
    Status(Command, u32),
}

impl DeviceError {
    /// The kind, for counting.
    pub fn label(&self) -> &'static str {
        match self {
            DeviceError::Connect(_) => "connect",
            DeviceError::Tls(_) => "tls",
            DeviceError::Broken(_) => "broken",
            DeviceError::Timeout => "timeout",
            DeviceError::Http(_) => "http",
            DeviceError::Malformed(_) => "malformed",
            DeviceError::Status(..) => "status",
        }
    }
}

impl fmt::Display for DeviceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DeviceError::Connect(error) => write!(f, "cannot connect: {error}"),
            DeviceError::Tls(error) => write!(f, "TLS handshake: {error}"),
            DeviceError::Broken(error) => write!(f, "the connection broke: {error}"),
            DeviceError::Timeout => f.write_str("no answer in time"),
            DeviceError::Http(status) => write!(f, "HTTP status {status}"),
            DeviceError::Malformed(what) => f.write_str(what),
            DeviceError::Status(command, status) => write!(f, "{command} Status {status}"),
        }
    }
}

impl std::error::Error for DeviceError {}
