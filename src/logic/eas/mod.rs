//! ActiveSync vocabulary (MS-ASCMD, MS-ASHTTP): what devices and servers say to each other, as types.

mod class;
mod ids;
mod mailbox;

pub use class::{Class, ClassSet};
pub use ids::{DeviceId, DeviceType, FolderId, IdError, PolicyKey};
pub use mailbox::Mailbox;
