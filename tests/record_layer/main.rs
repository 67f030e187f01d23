//! The record layer against rustls and OpenSSL as devices, and against devices that misbehave.

mod scene;
mod suites;
