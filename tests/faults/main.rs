//! What goes wrong around a gateway that is a process of its own, with real sockets and a stand-in CAS.

#![expect(clippy::unwrap_used, reason = "in a test, a panic is the report")]

mod backend;
mod descriptors;
mod devices;
mod life;
mod process;
mod restart;
mod verdict;
