//! Behaviour of the internal address over a real loopback socket, with a sink that records.

mod access;
mod notifications;
pub(crate) mod scene;
mod views;
