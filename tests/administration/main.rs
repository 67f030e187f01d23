//! What administrators do at a shell: the real program against a real `pushgate serve`, on both databases.
//!
//! `scene` starts them. Devices come through a second store on the same database, as they would through another process.

#![expect(clippy::unwrap_used, reason = "in a test, a panic is the report")]

#[path = "../common/mod.rs"]
mod common;
mod lost_phone;
mod mailboxes;
mod manners;
mod policies;
#[path = "../store_contract/postgres.rs"]
mod postgres;
mod privacy;
mod readme;
mod scene;
