//! Mailbox names: the many ways people write their own, made one.

use std::fmt;

use crate::config::limits::MAILBOX_BYTES_MAX;

/// The name of a mailbox: not empty, at most `MAILBOX_BYTES_MAX` bytes, no spaces around it, no control characters.
/// Made only by [`Naming::mailbox`] and [`Mailbox::normalise`], so that names are equal exactly when the mailboxes are.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Mailbox(Box<str>);

/// How names become mailboxes.
#[derive(Debug, Clone, Default)]
pub struct Naming {
    /// Added to names without a domain.
    pub default_domain: Option<String>,
    /// Windows domains, in lower case, and the mail domain of each. Empty: `DOMAIN\` says nothing.
    pub domains: Vec<(String, String)>,
    /// Names are compared in lower case.
    pub lowercase: bool,
}

impl Naming {
    /// Makes `EXAMPLE\hew`, `hew` and `Hew@example.org` one name, given the default domain `example.org`. `None` when nothing
    /// usable is left.
    ///
    /// Where Windows domains are listed, one that is not among them stands for itself (`hew@other`): never for the default domain,
    /// in which somebody else may have that name.
    pub fn mailbox(&self, user: &str) -> Option<Mailbox> {
        let user = user.trim().trim_end_matches('.');
        let (windows, user) = user.split_once('\\').map_or((None, user), |(windows, account)| (Some(windows), account));
        let windows = windows.filter(|_| !self.domains.is_empty()).map(|windows| windows.trim().to_lowercase());
        let domain = match &windows {
            Some(windows) => {
                let listed = self.domains.iter().find(|(name, _)| name == windows);
                Some(listed.map_or(windows.as_str(), |(_, domain)| domain))
            }
            None => self.default_domain.as_deref(),
        };
        Mailbox::normalise(user, domain, self.lowercase)
    }
}

impl Mailbox {
    /// From a name without a Windows domain; see [`Naming::mailbox`].
    pub fn normalise(user: &str, default_domain: Option<&str>, lowercase: bool) -> Option<Self> {
        // Dots and spaces in any order, so that what is left is the same when it is read again.
        let user = without_end(user.trim_start());
        let (local, domain) = match user.rsplit_once('@') {
            Some((local, domain)) => (local, Some(domain)),
            // A Windows domain is what a device writes in front: `.` is its own computer.
            None => (user, default_domain.map(without_end)),
        };
        if local.is_empty()
            || has_control(user)
            || domain.is_some_and(|domain| domain.is_empty() || domain.contains('@') || has_control(domain))
        {
            return None;
        }
        // Once for every notification: one allocation, of the right size.
        let mut name = String::with_capacity(local.len() + domain.map_or(0, |domain| 1 + domain.len()));
        name.push_str(local);
        if let Some(domain) = domain {
            name.push('@');
            name.push_str(domain);
        }
        match lowercase {
            true if name.is_ascii() => name.make_ascii_lowercase(),
            true => name = name.to_lowercase(),
            false => {}
        }
        (name.len() <= MAILBOX_BYTES_MAX && !name.contains('\\')).then(|| Mailbox(name.into()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn without_end(name: &str) -> &str {
    name.trim_end_matches(|c: char| c == '.' || c.is_whitespace())
}

fn has_control(user: &str) -> bool {
    if user.is_ascii() { user.bytes().any(|byte| byte.is_ascii_control()) } else { user.chars().any(char::is_control) }
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
        naming(domain, &[]).mailbox(user).map(|mailbox| mailbox.to_string())
    }

    fn naming(domain: Option<&str>, domains: &[(&str, &str)]) -> Naming {
        let domains = domains.iter().map(|(windows, mail)| ((*windows).to_owned(), (*mail).to_owned())).collect();
        Naming { default_domain: domain.map(str::to_owned), domains, lowercase: true }
    }

    #[test]
    fn windows_domains_that_are_listed_are_mail_domains_and_others_are_nobody_else() {
        let naming = naming(Some("example.org"), &[("example", "example.org"), ("sales", "sales.example.com")]);
        let name = |user| naming.mailbox(user).map(|mailbox| mailbox.to_string());
        for (user, mailbox) in [
            ("EXAMPLE\\Hew", "hew@example.org"),
            ("SALES\\hew", "hew@sales.example.com"),
            ("OTHER\\hew", "hew@other"),
            ("OTHER\\hew@sales.example.com", "hew@sales.example.com"),
            ("hew", "hew@example.org"),
        ] {
            assert_eq!(name(user).as_deref(), Some(mailbox), "{user}");
        }
        assert_eq!(name("\\hew"), None, "an empty domain names nobody");
    }

    /// The store reads names without a rule, and takes one that comes out otherwise for damage.
    #[test]
    fn a_name_made_of_any_windows_domain_is_the_same_when_it_is_read_again() {
        let naming = naming(Some("example.org"), &[("example", "example.org")]);
        for user in ["other.\\hew", "other . \\hew", ".\\hew", "o\u{1}\\hew", "a@b.\\hew", "EXAMPLE.\\hew", "\u{a0}.\\hew"] {
            let Some(mailbox) = naming.mailbox(user) else { continue };
            assert_eq!(Mailbox::normalise(mailbox.as_str(), None, false), Some(mailbox), "{user:?}");
        }
        assert_eq!(naming.mailbox("other.\\hew").map(|mailbox| mailbox.to_string()).as_deref(), Some("hew@other"));
        assert_eq!((naming.mailbox(".\\hew"), naming.mailbox("o\u{1}\\hew")), (None, None));
    }

    #[test]
    fn every_way_to_write_a_user_is_one_mailbox() {
        for user in [
            "EXAMPLE\\hew",
            "EXAMPLE\\ hew",
            "EXAMPLE \\hew ",
            "hew@example.org . .",
            "hew",
            "Hew@example.org",
            " hew@EXAMPLE.org ",
            "EXAMPLE\\hew@example.org",
            "hew@example.org.",
        ] {
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
