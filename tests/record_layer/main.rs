//! The record layer against rustls and OpenSSL as devices, and against devices that misbehave.

#![expect(clippy::disallowed_methods, reason = "a queue between two parts of a test needs no bound: it ends with the test")]

mod certificates;
mod handshakes;
mod hostile;
mod http;
mod large;
mod parked;
mod peer;
mod scene;
mod suites;
