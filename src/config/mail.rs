//! `[mail]`: who is told of devices that were erased or are held back, and how the mail leaves.

use super::values::Values;
use super::{LmtpAddress, Mailbox, some_text};

const SECTION: &str = "mail";

/// `[mail]`, when it is on.
#[derive(Debug, Clone)]
pub struct Mail {
    /// How it leaves.
    pub way: MailWay,
    /// Whom it is from.
    pub from: String,
    /// Who is told of everything.
    pub administrators: Vec<String>,
    /// The user is told that the device was erased.
    pub wipe_to_user: bool,
    /// The user is told that the device has to wait.
    pub quarantine_to_user: bool,
}

/// How a mail leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MailWay {
    /// To a server that delivers to mailboxes.
    Lmtp(LmtpAddress),
    /// To a server that sends mail on, and asks for no password.
    Smtp(LmtpAddress),
    /// By a program with its arguments, which gets the message on its standard input and finds the recipient in it.
    Command(Vec<String>),
}

impl std::fmt::Display for MailWay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            MailWay::Lmtp(address) => write!(f, "LMTP server {address}"),
            MailWay::Smtp(address) => write!(f, "SMTP server {address}"),
            MailWay::Command(words) => f.write_str(words.first().map_or("", String::as_str)),
        }
    }
}

/// Whether a text is an address that can stand in a mail's head and in a server's command as it is.
pub fn is_plain_address(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"<>()[]\\,;:\"".contains(&byte);
    let parts = text.split_once('@').filter(|(local, domain)| !local.is_empty() && !domain.is_empty() && !domain.contains('@'));
    text.len() <= super::limits::MAILBOX_BYTES_MAX && parts.is_some() && text.bytes().all(is_plain)
}

/// Reads the section; `None` when it is off or cannot work (then the problem says so).
pub(super) fn build(v: &mut Values, mailboxes: &Mailbox) -> Option<Mail> {
    let (server, command) = (some_text(v, SECTION, "server"), v.texts(SECTION, "command"));
    let way = match (server, command.is_empty()) {
        (None, true) => {
            // Written and empty is as in the reference: no mail.
            let unused = [("from", v.text(SECTION, "from").is_empty()), ("administrators", v.texts(SECTION, "administrators").is_empty())];
            let unused = unused.into_iter().find_map(|(name, is_empty)| (!is_empty).then_some(name));
            if let Some(name) = unused {
                v.problem(format!("mail.{name}"), "stands without mail.server or mail.command: no mail would leave");
            }
            return None;
        }
        (Some(_), false) => {
            v.problem("mail.command", "stands beside mail.server: mail leaves one way, leave one out");
            return None;
        }
        (None, false) => Some(MailWay::Command(command)),
        (Some(server), true) => {
            let way = server_way(&server);
            if way.is_none() {
                v.problem("mail.server", format!("\"{server}\" is none of lmtp:host:port, lmtp:unix:/path and smtp:host:port"));
            }
            way
        }
    };
    let domain = mailboxes.default_domain.as_deref().unwrap_or("localhost");
    let from = some_text(v, SECTION, "from").unwrap_or_else(|| format!("pushgate@{domain}"));
    let administrators = v.texts(SECTION, "administrators");
    if !is_plain_address(&from) {
        v.problem("mail.from", format!("\"{from}\" is not a plain address, such as pushgate@example.org"));
    }
    for address in administrators.iter().filter(|address| !is_plain_address(address)) {
        v.problem("mail.administrators", format!("\"{address}\" is not a plain address, such as admin@example.org"));
    }
    let (wipe_to_user, quarantine_to_user) = (v.bool(SECTION, "wipe_to_user"), v.bool(SECTION, "quarantine_to_user"));
    if administrators.is_empty() && !wipe_to_user && !quarantine_to_user {
        v.problem("mail.administrators", "is empty, and users are told nothing: there is nobody to write to");
    }
    Some(Mail { way: way?, from, administrators, wipe_to_user, quarantine_to_user })
}

fn server_way(text: &str) -> Option<MailWay> {
    match text.split_once(':')? {
        ("lmtp", address) => LmtpAddress::parse(address).map(MailWay::Lmtp),
        ("smtp", address) => LmtpAddress::parse(address).map(MailWay::Smtp),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Config, Problem};
    use super::*;

    fn mail(text: &str) -> Result<Option<Mail>, Vec<Problem>> {
        let text = format!("mailbox.default_domain = \"example.org\"\n[mail]\n{text}\n");
        Config::parse(&text, std::iter::empty()).map(|config| config.mail)
    }

    #[test]
    fn it_is_off_unless_mail_can_leave() {
        assert!(mail("").unwrap().is_none());
        let on = mail("server = \"lmtp:127.0.0.1:24\"").unwrap().expect("on");
        assert_eq!((on.from.as_str(), on.wipe_to_user, on.quarantine_to_user), ("pushgate@example.org", true, false));
        assert_eq!(on.way, MailWay::Lmtp(LmtpAddress::Tcp("127.0.0.1".into(), 24)));
        let way = |text| mail(text).unwrap().expect("on").way;
        assert_eq!(way("server = \"smtp:[::1]:25\"").to_string(), "SMTP server [::1]:25");
        assert_eq!(way("server = \"lmtp:unix:/run/lmtp\"").to_string(), "LMTP server unix:/run/lmtp");
        assert_eq!(way("command = [\"/usr/sbin/sendmail\", \"-t\"]"), MailWay::Command(vec!["/usr/sbin/sendmail".into(), "-t".into()]));
    }

    #[test]
    fn what_cannot_work_is_said() {
        let cases = [
            ("server = \"127.0.0.1:24\"", "mail.server"),
            ("server = \"smtps:mail:465\"", "mail.server"),
            ("server = \"lmtp:h:24\"\ncommand = [\"/bin/true\"]", "mail.command"),
            ("administrators = [\"a@example.org\"]", "mail.administrators"),
            ("server = \"lmtp:h:24\"\nadministrators = [\"a\"]", "mail.administrators"),
            ("server = \"lmtp:h:24\"\nadministrators = [\"a@b\\r\\nBcc: c@d\"]", "mail.administrators"),
            ("server = \"lmtp:h:24\"\nfrom = \"<a@b>\"", "mail.from"),
            ("server = \"lmtp:h:24\"\nwipe_to_user = false", "mail.administrators"),
        ];
        for (text, place) in cases {
            let problems = mail(text).expect_err(text);
            assert_eq!(problems.iter().map(|problem| problem.place.as_str()).collect::<Vec<_>>(), [place], "{text}");
        }
    }

    #[test]
    fn an_address_cannot_carry_a_command() {
        for good in ["a@b", "hew.o'neil+x@example.org", "a=b@xn--bcher-kva.example"] {
            assert!(is_plain_address(good), "{good}");
        }
        for bad in ["", "a", "@b", "a@", "a@b@c", "a b@c", "a@b\r\nDATA", "<a@b>", "a@b>", "ä@b", "a,b@c", "\"a\"@b"] {
            assert!(!is_plain_address(bad), "{bad}");
        }
    }
}
