//! Held requests: what a change is.

mod change;

pub use change::{MailboxChange, Scope};
