//! `[notify.canary]`: the message whose notification proves that a source reports everything.

use std::path::PathBuf;
use std::time::Duration;

use super::values::Values;
use super::{Notify, seconds, some_text};
use crate::logic::eas::Mailbox;

/// Values of `notify.canary.source`.
pub(super) const SOURCES: &[&str] = &["dovecot", "webhook"];

const SECTION: &str = "notify.canary";

/// `[notify.canary]`, when it is on.
#[derive(Debug, Clone)]
pub struct Canary {
    /// Its mailbox as written: the recipient.
    pub recipient: String,
    /// The mailbox as notifications name it.
    pub mailbox: Mailbox,
    /// It proves Dovecot; else the webhook.
    pub proves_dovecot: bool,
    /// How it is delivered.
    pub way: CanaryWay,
    /// Between two.
    pub every: Duration,
    /// Missing when not back by then.
    pub late: Duration,
}

/// How a canary is delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CanaryWay {
    /// By us.
    Lmtp(LmtpAddress),
    /// By a program with its arguments, which gets the message on its standard input.
    Command(Vec<String>),
}

/// Where an LMTP server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LmtpAddress {
    /// Host name or address, and port.
    Tcp(String, u16),
    /// A socket file.
    Unix(PathBuf),
}

impl LmtpAddress {
    /// `HOST:PORT`, an IPv6 address in brackets, or `unix:/path`.
    pub fn parse(text: &str) -> Option<LmtpAddress> {
        if let Some(path) = text.strip_prefix("unix:") {
            return path.starts_with('/').then(|| LmtpAddress::Unix(path.into()));
        }
        let (host, port) = text.rsplit_once(':')?;
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let is_host = !bare.is_empty() && (bare == host) != bare.contains(':') && !bare.contains(char::is_whitespace);
        let port = port.parse::<u16>().ok().filter(|port| *port != 0)?;
        is_host.then(|| LmtpAddress::Tcp(bare.to_owned(), port))
    }
}

impl std::fmt::Display for LmtpAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            LmtpAddress::Tcp(host, port) if host.contains(':') => write!(f, "[{host}]:{port}"),
            LmtpAddress::Tcp(host, port) => write!(f, "{host}:{port}"),
            LmtpAddress::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// Reads the section; `None` when it is off or cannot work (then the problem says so).
pub(super) fn build(v: &mut Values, mailboxes: &super::Mailbox) -> Option<Canary> {
    let recipient = some_text(v, SECTION, "mailbox")?;
    let mailbox = mailboxes.mailbox(&recipient);
    let is_safe = |text: &str| text.is_ascii() && !text.contains(['<', '>', ' ', '\\', '"']);
    let mailbox = mailbox.filter(|_| is_safe(&recipient));
    if mailbox.is_none() {
        v.problem("notify.canary.mailbox", "is not the plain address of a mailbox, such as canary@example.org");
    }
    let command = v.texts(SECTION, "command");
    let address = v.text(SECTION, "lmtp");
    let way = if command.is_empty() {
        let parsed = LmtpAddress::parse(&address);
        if parsed.is_none() {
            v.problem("notify.canary.lmtp", format!("\"{address}\" is neither host:port nor unix:/path"));
        }
        parsed.map(CanaryWay::Lmtp)
    } else {
        if v.is_written(SECTION, "lmtp") {
            v.problem("notify.canary.command", "stands beside notify.canary.lmtp: a canary is delivered one way, leave one out");
        }
        Some(CanaryWay::Command(command))
    };
    Some(Canary {
        recipient,
        mailbox: mailbox?,
        proves_dovecot: v.text(SECTION, "source") == "dovecot",
        way: way?,
        every: seconds(v, SECTION, "every_s"),
        late: seconds(v, SECTION, "late_s"),
    })
}

/// Rules between this section and others.
pub(super) fn relate(notify: &Notify, v: &mut Values) {
    let Some(canary) = &notify.canary else { return };
    if canary.late > canary.every {
        v.problem("notify.canary.late_s", "is above every_s: a canary must be back, or missing, before the next one goes out");
    }
    if notify.trust < canary.every * 2 + canary.late {
        v.problem("notify.canary.every_s", "is too long for notify.trust_s: trust would end between two canaries");
    }
    let (source, covers) = if canary.proves_dovecot { ("notify.dovecot", notify.dovecot) } else { ("notify.webhook", notify.webhook) };
    match covers {
        None => v.problem("notify.canary.source", format!("proves a source that {source}.enabled switches off")),
        Some(classes) if classes == Default::default() => {
            v.problem("notify.canary.source", format!("proves a source whose {source}.covers names no class"));
        }
        Some(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Config, Problem};
    use super::*;

    fn canary(text: &str) -> Result<Option<Canary>, Vec<Problem>> {
        let text = format!("[mailbox]\ndefault_domain = \"example.org\"\n{text}");
        Config::parse(&text, std::iter::empty()).map(|config| config.notify.canary)
    }

    #[test]
    fn it_is_off_unless_it_has_a_mailbox() {
        assert!(canary("[notify.canary]\nlmtp = \"nonsense\"\nevery_s = 60\n").expect("in order").is_none());
        let canary = canary("[notify.canary]\nmailbox = \"Canary\"\n").expect("in order").expect("on");
        assert_eq!((canary.recipient.as_str(), canary.mailbox.as_str()), ("Canary", "canary@example.org"));
        assert_eq!(canary.way, CanaryWay::Lmtp(LmtpAddress::Tcp("127.0.0.1".into(), 24)));
        assert_eq!((canary.every.as_secs(), canary.late.as_secs(), canary.proves_dovecot), (60, 30, true));
    }

    #[test]
    fn lmtp_addresses_are_host_and_port_or_a_socket_file() {
        let written = |text: &str| LmtpAddress::parse(text).map(|address| address.to_string());
        for good in ["127.0.0.1:24", "[::1]:24", "mail.example.org:2400", "unix:/var/run/dovecot/lmtp"] {
            assert_eq!(written(good).as_deref(), Some(good));
        }
        for bad in ["", "24", ":24", "host:", "host:0", "host:99999", "::1:24", "[h]:24", "unix:lmtp", "unix:", "a b:24"] {
            assert_eq!(written(bad), None, "{bad}");
        }
    }

    #[test]
    fn what_cannot_work_is_said() {
        let cases = [
            ("mailbox = \"a b\"", "notify.canary.mailbox"),
            ("mailbox = \"<a>\"", "notify.canary.mailbox"),
            ("mailbox = \"a\"\nlmtp = \"x\"", "notify.canary.lmtp"),
            ("mailbox = \"a\"\nlmtp = \"h:24\"\ncommand = [\"/bin/true\"]", "notify.canary.command"),
            ("mailbox = \"a\"\nevery_s = 10\nlate_s = 11", "notify.canary.late_s"),
            ("mailbox = \"a\"\nevery_s = 3600", "notify.canary.every_s"),
            ("mailbox = \"a\"\n[notify.dovecot]\nenabled = false", "notify.canary.source"),
            ("mailbox = \"a\"\nsource = \"webhook\"\n[notify.webhook]\ncovers = []", "notify.canary.source"),
        ];
        for (text, place) in cases {
            let problems = canary(&format!("[notify.canary]\n{text}\n")).expect_err(text);
            assert_eq!(problems.iter().map(|problem| problem.place.as_str()).collect::<Vec<_>>(), [place], "{text}");
        }
    }
}
