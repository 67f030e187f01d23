//! What goes wrong around a gateway that is a process of its own, with real sockets and a stand-in CAS.

#![expect(clippy::unwrap_used, reason = "in a test, a panic is the report")]

mod backend;
mod clock;
#[path = "../common/mod.rs"]
mod common;
mod descriptors;
mod devices;
mod disk;
mod life;
mod process;
mod relay;
mod restart;
mod rounds;
mod verdict;
