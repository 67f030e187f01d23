//! ActiveSync vocabulary (MS-ASCMD, MS-ASHTTP): what devices and servers say to each other, as types.

mod class;

pub use class::{Class, ClassSet};
