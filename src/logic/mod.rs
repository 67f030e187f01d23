//! DECIDES. Bytes and values in, values out; time is an argument. No socket, clock, thread, file,
//! randomness, log or shell may be named here (`tests/tidy.rs` checks it).
//!
//! * [`wbxml`]: the codec. * [`eas`]: ActiveSync vocabulary. * [`hold`]: held requests.

pub mod eas;
pub mod hold;
pub mod wbxml;
