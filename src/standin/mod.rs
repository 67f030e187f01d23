//! A stand-in CAS and simulated devices, with real sockets: for the demo, the tests, the benches and the load tool.
//!
//! * [`cas`]: an HTTP server that behaves like an ActiveSync server of a given kind, with state, counters and faults.
//! * [`device`]: a device that logs in, synchronises and Pings, and a loop that does so for ever.
//! * [`tls`]: throw-away certificates and what a device trusts.
//! * [`webhook`]: what a mail server sends when something has changed. * [`tally`]: what many devices did.
//! * [`open_files`]: whether this process may open as many sockets as it is about to.
//!
//! Both sides read and write bodies through `logic::wbxml` and share nothing with the gateway, so that one can prove the other.

pub mod cas;
pub mod device;
pub mod tally;
#[cfg(test)]
mod tests;
pub mod tls;
mod tree;
pub mod webhook;
