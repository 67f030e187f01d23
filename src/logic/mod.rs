//! DECIDES. Bytes and values in, values out; time is an argument. No socket, clock, thread, file,
//! randomness, log or shell may be named here (`tests/tidy.rs` checks it).
//!
//! * [`wbxml`]: the codec. * [`eas`]: ActiveSync vocabulary. * [`decide`]: hold or answer. * [`hold`]: held requests.
//! * [`http`]: where HTTP messages end.
//! * [`policy`]: policies, partnerships, provisioning, wipe. * [`directory`]: groups of an LDAP directory.
//! * [`source`]: which notification sources are believed. [`pace`]: who asks the backend next.
//! * [`shield`]: stale passwords. [`repeats`]: devices that ask the same over and over. [`heartbeats`]: Exchange's alert.

pub mod answer;
pub mod decide;
pub mod directory;
pub mod eas;
pub mod heartbeats;
pub mod hold;
pub mod http;
pub mod pace;
pub mod policy;
pub mod repeats;
pub mod shield;
pub mod source;
pub mod spacing;
pub mod wbxml;
