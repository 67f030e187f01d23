//! The name of a mailbox, made one: `EXAMPLE\hew`, `hew` and `Hew@example.org` are the same user's store.

use std::fmt;

use crate::config::limits::MAILBOX_BYTES_MAX;

/// A normalised mailbox name: not empty, at most [`MAILBOX_BYTES_MAX`] bytes, no control characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Mailbox(Box<str>);

impl Mailbox {
    /// Makes one name of the ways a user can be written: `DOMAIN\user` loses its domain, a name without `@` gets
    /// `default_domain`, and case is folded if asked. `None` when nothing usable is left.
    pub fn normalise(user: &str, default_domain: Option<&str>, lowercase: bool) -> Option<Mailbox> {
        let name = user.trim();
        let name = name.rsplit_once('\\').map_or(name, |(_, name)| name);
        if name.is_empty() || name.chars().any(char::is_control) {
            return None;
        }
        let mut full = name.to_owned();
        if let (false, Some(domain)) = (name.contains('@'), default_domain) {
            full = format!("{name}@{domain}");
        }
        if lowercase {
            full = full.to_lowercase();
        }
        (full.len() <= MAILBOX_BYTES_MAX).then(|| Mailbox(full.into()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ways_to_write_a_user_become_one_name() {
        for user in ["hew", "EXAMPLE\\hew", "hew@example.org", " Hew@Example.org "] {
            let mailbox = Mailbox::normalise(user, Some("example.org"), true).expect(user);
            assert_eq!(mailbox.as_str(), "hew@example.org");
        }
    }

    #[test]
    fn names_that_cannot_be_a_mailbox_are_none() {
        for user in ["", "  ", "EXAMPLE\\", "a\nb", "a\0"] {
            assert_eq!(Mailbox::normalise(user, None, true), None, "{user:?}");
        }
        assert_eq!(Mailbox::normalise(&"x".repeat(MAILBOX_BYTES_MAX + 1), None, true), None);
    }
}
