//! ActiveSync vocabulary (MS-ASCMD, MS-ASHTTP): what devices and servers say to each other, as types.

mod class;
mod mailbox;

pub use class::{Class, ClassSet};
pub use mailbox::Mailbox;
