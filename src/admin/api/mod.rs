//! What administrators do, over REST: one file each for what they do it to. `operations` lists every path with its role and its shapes:
//! the router and the OpenAPI document are both made from it.
//!
//! Every handler reads what it was given (`input`), acts on the store, and answers in the types of its file, which
//! the command line reads as well. Nothing is decided here: `logic::policy` and the store do.

pub(crate) mod audit;
mod caller;
mod csv;
pub(crate) mod debug_logs;
mod device_view;
pub(crate) mod devices;
pub(crate) mod domains;
mod etag;
mod input;
pub(crate) mod mailboxes;
pub(crate) mod members;
mod openapi;
mod operation;
mod operations;
pub(crate) mod page;
pub(crate) mod policies;
mod process;
mod refusals;
pub(crate) mod rules;
pub(super) mod shape;
#[cfg(test)]
mod tests;
pub(crate) mod tokens;

pub(super) use caller::authenticate;
pub(super) use etag::etag;
pub(super) use input::whole;
pub(crate) use openapi::document;
pub(super) use operation::Operation;
pub(super) use operations::all;
pub(super) use refusals::{Refusals, enter_refusals};
