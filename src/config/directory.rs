//! `[directory]`: the LDAP server that groups are read from.

use std::path::PathBuf;
use std::time::Duration;

use super::store::Secret;
use super::values::Values;
use super::{seconds, some_text};

const SECTION: &str = "directory";

/// Stands for the group's name in `members_filter`.
pub const GROUP_MARK: &str = "{dn}";

/// `[directory]`, when it is on.
#[derive(Debug, Clone)]
pub struct Directory {
    /// Host name or address, as certificates have it.
    pub host: String,
    /// Port.
    pub port: u16,
    /// How it is kept from being overheard.
    pub security: Security,
    /// CA file to verify it with; `None`: the system's.
    pub ca: Option<PathBuf>,
    /// Who reads; empty: anybody.
    pub bind_dn: String,
    /// Their password.
    pub password: Secret,
    /// Where groups are.
    pub base: String,
    /// Which entries there are groups.
    pub filter: String,
    /// The attribute that names a group.
    pub name: String,
    /// The attribute that lists a group's members.
    pub member: String,
    /// Where people are.
    pub people_base: String,
    /// Which entries there are people.
    pub people_filter: String,
    /// The attribute that names a person's mailbox.
    pub mailbox: String,
    /// Instead of `member`: people are searched for each group, with [`GROUP_MARK`] for its name.
    pub members_filter: Option<String>,
    /// Entries asked for at once.
    pub page_size: i32,
    /// Between two readings.
    pub refresh: Duration,
}

/// How what is said to the directory is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    /// `ldaps://`
    Tls,
    /// `ldap://`, and StartTLS before anything is said.
    StartTls,
    /// Not at all.
    Plain,
}

/// Reads the section; `None` when it is off or cannot work (then the problem says so).
pub(super) fn build(v: &mut Values) -> Option<Directory> {
    let url = some_text(v, SECTION, "url")?;
    let server = server(&url);
    if server.is_none() {
        // Not repeated in the message: somebody may have put a password into it.
        v.problem("directory.url", "is ldaps://HOST or ldap://HOST, with :PORT if it has an unusual one");
    }
    let (is_tls, host, port) = server?;
    let security = match (is_tls, v.bool(SECTION, "starttls")) {
        (true, _) => Security::Tls,
        (false, true) => Security::StartTls,
        (false, false) => Security::Plain,
    };
    let base = v.text(SECTION, "base");
    if base.is_empty() {
        v.problem("directory.base", "is empty: say where groups are, such as ou=Groups,dc=example,dc=org");
    }
    let filter = |v: &mut Values, name: &str| {
        let text = v.text(SECTION, name);
        if !is_filter(&text) {
            v.problem(format!("directory.{name}"), format!("\"{text}\" is no LDAP filter, such as (objectClass=group)"));
        }
        text
    };
    let (group_filter, people_filter) = (filter(v, "filter"), filter(v, "people_filter"));
    let members_filter = some_text(v, SECTION, "members_filter");
    if let Some(text) = &members_filter
        && (!text.contains(GROUP_MARK) || !is_filter(&text.replace(GROUP_MARK, "cn=a")))
    {
        v.problem("directory.members_filter", format!("is an LDAP filter with {GROUP_MARK} in it, such as (memberOf={{dn}})"));
    }
    let attribute = |v: &mut Values, name: &str| {
        let text = v.text(SECTION, name);
        let is_one = text.starts_with(|c: char| c.is_ascii_alphanumeric())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.;".contains(&byte));
        if !is_one {
            v.problem(format!("directory.{name}"), format!("\"{text}\" is no name of an attribute"));
        }
        text
    };
    let bind_dn = v.text(SECTION, "bind_dn");
    let password = Secret::new(v.text(SECTION, "password"));
    if bind_dn.is_empty() != password.reveal().is_empty() {
        // A name without a password would be taken for nobody, and told so by no server.
        v.problem("directory.bind_dn", "and directory.password_file go together: give both, or neither for anonymous reading");
    }
    Some(Directory {
        host,
        port,
        security,
        ca: some_text(v, SECTION, "ca").map(PathBuf::from),
        bind_dn,
        password,
        people_base: some_text(v, SECTION, "people_base").unwrap_or_else(|| base.clone()),
        base,
        filter: group_filter,
        name: attribute(v, "name"),
        member: attribute(v, "member"),
        people_filter,
        mailbox: attribute(v, "mailbox"),
        members_filter,
        page_size: v.int(SECTION, "page_size"),
        refresh: seconds(v, SECTION, "refresh_s"),
    })
}

/// Whether TLS comes first, the host and the port.
fn server(url: &str) -> Option<(bool, String, u16)> {
    let (is_tls, rest, usual) = match url.split_once("://")? {
        ("ldaps", rest) => (true, rest, 636),
        ("ldap", rest) => (false, rest, 389),
        _ => return None,
    };
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    let bracketed = rest.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    let (host, port) = match bracketed {
        Some((host, port)) => (host.parse::<std::net::Ipv6Addr>().ok()?.to_string(), port),
        None => {
            let (host, port) = rest.split_at(rest.find(':').unwrap_or(rest.len()));
            let is_host = !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
            (is_host.then(|| host.to_owned())?, port)
        }
    };
    let port = match port.strip_prefix(':') {
        Some(port) => port.parse().ok().filter(|port| *port != 0)?,
        None if port.is_empty() => usual,
        None => return None,
    };
    Some((is_tls, host, port))
}

fn is_filter(text: &str) -> bool {
    text.starts_with('(') && ldap3::parse_filter(text).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Problem};

    fn read(text: &str) -> Result<Option<Directory>, Vec<Problem>> {
        Config::parse(&format!("[directory]\n{text}"), std::iter::empty()).map(|config| config.directory)
    }

    #[test]
    fn it_is_off_without_an_address() {
        assert!(read("base = \"nonsense\"").expect("in order").is_none());
    }

    #[test]
    fn an_address_says_how_it_is_protected() {
        let of = |url: &str| read(&format!("url = \"{url}\"\nbase = \"dc=x\"")).expect(url).expect("on");
        for (url, host, port, security) in [
            ("ldaps://dc1.example.org", "dc1.example.org", 636, Security::Tls),
            ("ldap://192.0.2.1:3890/", "192.0.2.1", 3890, Security::StartTls),
            ("ldaps://[2001:db8::1]:6360", "2001:db8::1", 6360, Security::Tls),
            ("ldap://[::1]", "::1", 389, Security::StartTls),
        ] {
            let directory = of(url);
            assert_eq!((directory.host.as_str(), directory.port, directory.security), (host, port, security), "{url}");
        }
        assert_eq!(read("url = \"ldap://h\"\nbase = \"dc=x\"\nstarttls = false").unwrap().unwrap().security, Security::Plain);
        assert_eq!(of("ldap://h").people_base, "dc=x");
    }

    #[test]
    fn what_cannot_work_is_said_by_its_key() {
        for (text, place) in [
            ("url = \"http://h\"", "directory.url"),
            ("url = \"ldap://u:hush@h\"", "directory.url"),
            ("url = \"ldap://h:0\"", "directory.url"),
            ("url = \"ldap://h\"\nbase = \"\"", "directory.base"),
            ("url = \"ldap://h\"\nbase = \"dc=x\"\nfilter = \"objectClass=group\"", "directory.filter"),
            ("url = \"ldap://h\"\nbase = \"dc=x\"\npeople_filter = \"(a=b\"", "directory.people_filter"),
            ("url = \"ldap://h\"\nbase = \"dc=x\"\nmembers_filter = \"(memberOf=dc)\"", "directory.members_filter"),
            ("url = \"ldap://h\"\nbase = \"dc=x\"\nmember = \"\"", "directory.member"),
            ("url = \"ldap://h\"\nbase = \"dc=x\"\nmailbox = \"a b\"", "directory.mailbox"),
            ("url = \"ldap://h\"\nbase = \"dc=x\"\nbind_dn = \"cn=a\"", "directory.bind_dn"),
            ("url = \"ldap://h\"\nbase = \"dc=x\"\npassword = \"hush\"", "directory.bind_dn"),
        ] {
            let problems = read(text).expect_err(text);
            assert_eq!(problems.iter().map(|problem| problem.place.as_str()).collect::<Vec<_>>(), [place], "{text}");
            assert!(!problems[0].message.contains("hush"), "{}", problems[0].message);
        }
    }
}
