//! ActiveSync vocabulary (MS-ASCMD, MS-ASHTTP, MS-ASPROV): what devices and servers say to each other, as types.
//!
//! Bytes in, values out, and back. A request line becomes a [`Request`]; bodies become the values of the module of their
//! command. Nothing here decides anything.

mod body;
mod class;
mod command;
mod device_information;
pub mod folder_change;
pub mod folder_sync;
pub mod fuzz;
mod ids;
mod mailbox;
pub mod ping;
pub mod provision;
pub mod provision_doc;
mod query;
mod request;
pub mod settings;
pub mod status;
pub mod sync;
mod sync_answer;
pub mod sync_repeat;
mod version;

pub use body::{BodyError, InflateError, Root, inflate, root_command};
pub use class::{Class, ClassSet};
pub use command::Command;
pub use device_information::DeviceInformation;
pub use ids::{DeviceId, DeviceType, FolderId, IdError, PolicyKey};
pub use mailbox::{Mailbox, Naming};
pub use ping::{PingAnswer, PingError, PingFolder, PingRequest};
pub use request::{Form, Parameters, QueryError, Request};
pub use version::Version;
