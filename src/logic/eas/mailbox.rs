//! Mailbox names: the many ways people write their own, made one.

use std::fmt;

use crate::config::limits::MAILBOX_BYTES_MAX;

/// The name of a mailbox: not empty, at most `MAILBOX_BYTES_MAX` bytes, no spaces around it, no control characters.
/// Made only by [`Mailbox::normalise`], so that names are equal exactly when the mailboxes are.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Mailbox(Box<str>);

impl Mailbox {
    /// Makes `EXAMPLE\hew`, `hew` and `Hew@example.org` one name, given the default domain `example.org`.
    ///
    /// `DOMAIN\` is dropped: with several such domains behind one gateway, users must write addresses.
    /// `None` when nothing usable is left.
    pub fn normalise(user: &str, default_domain: Option<&str>, lowercase: bool) -> Option<Self> {
        let user = user.trim().trim_end_matches('.');
        let user = user.split_once('\\').map_or(user, |(_, account)| account);
        let (local, domain) = match user.rsplit_once('@') {
            Some((local, domain)) => (local, Some(domain)),
            None => (user, default_domain),
        };
        if local.is_empty() || domain == Some("") || user.chars().any(char::is_control) {
            return None;
        }
        let mut name = local.to_owned();
        if let Some(domain) = domain {
            name.push('@');
            name.push_str(domain);
        }
        let name = if lowercase { name.to_lowercase() } else { name };
        (name.len() <= MAILBOX_BYTES_MAX && !name.contains('\\')).then(|| Mailbox(name.into()))
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

impl fmt::Debug for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mailbox({})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(user: &str, domain: Option<&str>) -> Option<String> {
        Mailbox::normalise(user, domain, true).map(|mailbox| mailbox.to_string())
    }

    #[test]
    fn every_way_to_write_a_user_is_one_mailbox() {
        for user in ["EXAMPLE\\hew", "hew", "Hew@example.org", " hew@EXAMPLE.org ", "EXAMPLE\\hew@example.org", "hew@example.org."] {
            assert_eq!(name(user, Some("Example.org")).as_deref(), Some("hew@example.org"), "{user}");
        }
    }

    #[test]
    fn without_a_default_domain_a_bare_name_stays_bare() {
        assert_eq!(name("EXAMPLE\\Hew", None).as_deref(), Some("hew"));
        assert_eq!(name("hew@example.org", None).as_deref(), Some("hew@example.org"));
    }

    #[test]
    fn case_is_kept_where_it_counts() {
        assert_eq!(Mailbox::normalise("Hew", None, false).map(|m| m.to_string()).as_deref(), Some("Hew"));
        assert_eq!(name("JÜRGEN", None).as_deref(), Some("jürgen"));
    }

    #[test]
    fn what_names_nobody_is_nobody() {
        let long = "a".repeat(MAILBOX_BYTES_MAX + 1);
        // A capital that grows when folded must not slip past the bound.
        let grows = "\u{130}".repeat(MAILBOX_BYTES_MAX / 2);
        for user in ["", " ", "EXAMPLE\\", "@example.org", "hew@", "hew@.", "a\\b\\c", "he\nw", "he\0w", &long, &grows] {
            assert_eq!(name(user, None), None, "{user:?}");
        }
        assert!(name(&"a".repeat(MAILBOX_BYTES_MAX), None).is_some());
    }
}
