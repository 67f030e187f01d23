//! ActiveSync vocabulary (MS-ASCMD, MS-ASHTTP, MS-ASPROV): what devices and servers say to each other, as types.
//!
//! Bytes in, values out, and back. A request line becomes a [`Request`]; bodies become the values of the module of their
//! command. Nothing here decides anything.

mod class;
mod command;
mod ids;
mod mailbox;
pub mod ping;
mod query;
mod request;
mod version;

pub use class::{Class, ClassSet};
pub use command::Command;
pub use ids::{DeviceId, DeviceType, FolderId, IdError, PolicyKey};
pub use mailbox::Mailbox;
pub use ping::{PingAnswer, PingError, PingFolder, PingRequest};
pub use request::{Form, Parameters, QueryError, Request};
pub use version::Version;
