//! Groups read from a real OpenLDAP, Debian's package, that each test starts for itself on loopback.

#![expect(clippy::unwrap_used, reason = "in a test, a panic is the report")]

mod reading;
mod scene;
mod slapd;
mod trouble;
