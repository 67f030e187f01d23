//! The record layer against rustls and OpenSSL as devices, and against devices that misbehave.

mod certificates;
mod handshakes;
mod hostile;
mod http;
mod large;
mod parked;
mod peer;
mod scene;
mod suites;
