//! The devices' TLS: rustls shakes hands, then the keys come to us and rustls is dropped.
//!
//! In: an accepted socket. Out: a [`WireStream`] for hyper, which can be taken apart into a socket, a [`Wire`]
//! (about a hundred bytes, plain data) and what was [`Received`] but not read yet; a lot thread seals an answer
//! with the `Wire` alone. Reading order: `acceptor` (an accepted socket → a stream), `connector`
//! (the other end, for simulated devices), `handshake` (driving
//! rustls), `hello` (one look at it before), `certificates` (files → configuration), `wire` (keys without a socket), `record` (one record,
//! sealed or opened), `received`, `stream`. No HTTP here, and no clock: time-outs are the caller's.

mod acceptor;
mod certificates;
mod connector;
mod error;
#[doc(hidden)]
pub mod fuzzing;
mod handshake;
mod hello;
mod received;
mod record;
mod stream;
mod suite;
mod wire;

#[doc(hidden)]
pub use acceptor::InMemory;
pub(crate) use acceptor::Prepared;
pub use acceptor::{AcceptError, Accepted, Acceptor};
pub use certificates::CertificateError;
pub use connector::{ConnectError, connect};
pub use error::RecordError;
pub use received::{RECEIVED_BYTES_MAX, Received};
pub use record::Keys;
pub use stream::WireStream;
pub use suite::Suite;
pub use wire::{Incoming, Wire};

#[cfg(test)]
mod tests;
