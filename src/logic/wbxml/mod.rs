//! WBXML as ActiveSync uses it (MS-ASWBXML): bytes → events → bytes. Nothing here knows what a command means.
//!
//! * [`Reader`]: bytes in any pieces → [`Event`]s; strict, bounded, without recursion.
//! * [`Elements`]: events → paths and short texts, which is what `eas` parses with.
//! * [`Writer`]: calls → the shortest bytes. * [`copy`], [`copy_into`]: a document anew, edited. * [`to_xml`]: for people.
//! * `tags`: a module of tag constants for each page (`ping::STATUS`); the names come from one table (`pages`).

mod copy;
mod elements;
mod error;
mod number;
mod pages;
mod reader;
mod tags;
mod writer;
mod xml;

pub use copy::{Edit, copy, copy_into};
pub use elements::{Content, Elements, Step};
pub use error::{Fault, WbxmlError};
pub use pages::{PAGES, Page};
pub use reader::{Event, Limits, Reader, Unknown};
pub use tags::*;
pub use writer::Writer;
pub use xml::{escape, to_xml};

/// Every document starts with these: version 1.3, unknown public id, UTF-8, no string table.
pub const HEADER: [u8; 4] = [0x03, 0x01, 0x6A, 0x00];

/// An element's name: a code page and a token (05–3F) on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag {
    /// Code page; 0–25 are known.
    pub page: u8,
    /// Token without the content bit.
    pub token: u8,
}

impl Tag {
    /// The element's name, if the page and the token are known.
    pub fn name(self) -> Option<&'static str> {
        PAGES.get(usize::from(self.page))?.name(self.token)
    }

    /// The page's name, which serves as XML namespace; `None` for an unknown page.
    pub fn namespace(self) -> Option<&'static str> {
        Some(PAGES.get(usize::from(self.page))?.namespace)
    }
}

mod global {
    //! Global tokens: the bytes that mean the same on every page.

    pub(super) const SWITCH_PAGE: u8 = 0x00;
    pub(super) const END: u8 = 0x01;
    pub(super) const STR_I: u8 = 0x03;
    pub(super) const OPAQUE: u8 = 0xC3;
    /// The bit of a tag that says "content and END follow".
    pub(super) const CONTENT: u8 = 0x40;
    /// The bit of a tag that says "attributes follow"; ActiveSync has none.
    pub(super) const ATTRIBUTES: u8 = 0x80;
    /// The first token that is a tag.
    pub(super) const TAG_FIRST: u8 = 0x05;
}
