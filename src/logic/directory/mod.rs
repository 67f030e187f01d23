//! Groups of an LDAP directory: entries in, groups of mailboxes out; and what a directory's messages must look like before anything
//! reads them.
//!
//! * [`Dn`]: names of entries, made comparable. * [`members::resolve`]: groups, groups inside groups and people → mailboxes.
//! * [`message`]: one LDAP message out of a stream of bytes, by its outermost shape.

mod dn;
pub mod members;
pub mod message;

pub use dn::Dn;
