//! ActiveSync vocabulary (MS-ASCMD, MS-ASHTTP): what devices and servers say to each other, as types.

mod class;
mod folder_id;
mod mailbox;

pub use class::{Class, ClassSet};
pub use folder_id::FolderId;
pub use mailbox::Mailbox;
