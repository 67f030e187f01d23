//! What the gateway does, one sentence a test: a whole gateway in this process, a stand-in CAS behind it, simulated devices and
//! bare sockets in front of it.
//!
//! `scene` sets the stage; the other modules are the acts. Nothing sleeps to be right: what is about to happen is waited for
//! with a deadline, and what must not happen is looked for after something that comes later.

#![expect(clippy::unwrap_used, reason = "in a test, a panic is the report")]

mod bad_input;
mod connection;
mod delivery;
mod forwarding;
mod hanging_sync;
mod outside;
mod ping;
mod policy;
#[path = "../store_contract/postgres.rs"]
#[expect(dead_code, reason = "the contract of the store has more use for it")]
mod postgres;
mod scene;
mod trouble;
