//! What the definition says of each key.

/// What a key holds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// `true` or `false`.
    Bool,
    /// A whole number in an inclusive range.
    Int(i64, i64),
    /// A string.
    Text,
    /// A string out of a fixed set.
    Choice(&'static [&'static str]),
    /// A list of strings.
    TextList,
    /// A list of `address:port`.
    AddressList,
    /// A list of address ranges (CIDR).
    NetworkList,
}

/// One key of the configuration.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// Table, as written in brackets.
    pub section: &'static str,
    /// Name inside the table.
    pub name: &'static str,
    /// Type and range.
    pub kind: Kind,
    /// Default, as TOML.
    pub default: &'static str,
    /// One line: what it does, with its unit.
    pub doc: &'static str,
}

pub(super) const fn key(section: &'static str, name: &'static str, kind: Kind, default: &'static str, doc: &'static str) -> Key {
    Key { section, name, kind, default, doc }
}
