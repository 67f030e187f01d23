//! What is said to whom. Everything a device says of itself is taken for what it is: a text by a stranger.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::config::{Mail, is_plain_address};
use crate::logic::policy::Partnership;
use crate::logic::policy::wipe::{Wipe, WipeKind};
use crate::store::{Happened, News};

/// Characters of anything a device says; the longest model name fits.
const SHOWN_MAX: usize = 80;
/// A line of base64 (RFC 2045).
const BASE64_LINE: usize = 76;

/// A message to one recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Letter {
    /// A plain address.
    pub(super) to: String,
    pub(super) subject: String,
    /// Head and body; lines end with CR LF, and none begins with a dot.
    pub(super) message: String,
}

/// Beside the matter itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Remark {
    None,
    /// So many more in the hour before, which nobody was written about.
    Untold(u32),
    /// There will be no more within the hour.
    LastForNow,
}

/// Who reads it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reader {
    User,
    Administrator,
}

/// One for each who is to be told, once even if there are two reasons.
pub(super) fn letters(news: &News, settings: &Mail, remark: Remark) -> Vec<Letter> {
    let user = match news.happened {
        Happened::WipeAcknowledged => settings.wipe_to_user,
        Happened::WipeFailed => false,
        Happened::Quarantined => settings.quarantine_to_user,
    };
    let mut administrators: BTreeSet<&str> = settings.administrators.iter().map(String::as_str).collect();
    // Whoever ordered it has asked for the answer, if the token is named by an address.
    let orders = news.device.wipe.as_ref().filter(|_| news.happened != Happened::Quarantined);
    administrators.extend(orders.map(|wipe| wipe.requested_by.as_str()).filter(|name| is_plain_address(name)));
    let mailbox = Some(news.device.mailbox.as_str()).filter(|name| user && is_plain_address(name) && !administrators.contains(name));
    let to = administrators.iter().map(|&to| (to, Reader::Administrator)).chain(mailbox.map(|to| (to, Reader::User)));
    to.map(|(to, reader)| letter(news, settings, to, reader, remark)).collect()
}

fn letter(news: &News, settings: &Mail, to: &str, reader: Reader, remark: Remark) -> Letter {
    let device = &news.device;
    let what = match (news.happened, reader) {
        (Happened::WipeAcknowledged, _) => "was erased",
        (Happened::WipeFailed, _) => "could not be erased",
        (Happened::Quarantined, Reader::User) => "has to wait",
        (Happened::Quarantined, Reader::Administrator) => "is in quarantine",
    };
    let subject = match reader {
        Reader::User => format!("Your device {what}"),
        Reader::Administrator => format!("A device of {} {what}", ascii(device.mailbox.as_str())),
    };
    let mut body = opening(news, reader);
    body.push_str("\r\n\r\n");
    describe(&mut body, device);
    if let Some(wipe) = device.wipe.as_ref().filter(|_| news.happened != Happened::Quarantined) {
        describe_wipe(&mut body, wipe);
    }
    if reader == Reader::Administrator {
        advise(&mut body, news, remark);
    }
    let date = httpdate::fmt_http_date(SystemTime::now()).replace("GMT", "+0000");
    let (encoding, body) = if body.is_ascii() { ("7bit", body) } else { ("base64", in_base64(&body)) };
    let from = &settings.from;
    let message = format!(
        "From: pushgate <{from}>\r\nTo: <{to}>\r\nSubject: {subject}\r\nDate: {date}\r\nMessage-ID: <{}@pushgate.invalid>\r\n\
         Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\
         Content-Transfer-Encoding: {encoding}\r\n\r\n{body}",
        unique()
    );
    Letter { to: to.to_owned(), subject, message }
}

/// The first paragraph.
fn opening(news: &News, reader: Reader) -> String {
    let wipe = news.device.wipe.as_ref();
    let what = if wipe.is_some_and(|wipe| wipe.kind == WipeKind::AccountOnly) { "the account on it" } else { "itself" };
    match (news.happened, reader) {
        (Happened::WipeAcknowledged, _) => format!("This device says that it erases {what}, as it was told to."),
        (Happened::WipeFailed, _) => format!("This device says that it could not erase {what}. It is told again whenever it comes."),
        (Happened::Quarantined, Reader::User) => {
            "This device may not synchronise until an administrator has looked at it. There is nothing that you have to do on it.".into()
        }
        (Happened::Quarantined, Reader::Administrator) => {
            format!("This device may not synchronise until somebody decides ({}).", shown(&news.device.access_why.to_string()))
        }
    }
}

fn describe(body: &mut String, device: &Partnership) {
    let information = &device.information;
    let version = device.version.map(|version| version.name().to_owned());
    let lines = [
        ("Mailbox", Some(device.mailbox.as_str().to_owned())),
        ("Device id", Some(device.device_id.as_str().to_owned())),
        ("Type", Some(device.device_type.as_str().to_owned())),
        ("Name", information.friendly_name.clone()),
        ("Model", information.model.clone()),
        ("System", information.os.clone()),
        ("Program", device.user_agent.clone()),
        ("Protocol", version),
        ("First seen", Some(device.first_sync_at.to_string())),
    ];
    lines.into_iter().for_each(|(name, value)| line(body, name, value.as_deref()));
}

fn describe_wipe(body: &mut String, wipe: &Wipe) {
    line(body, "Ordered", Some(&format!("{} by {}", wipe.requested_at, wipe.requested_by)));
    line(body, "Told", wipe.sent_at.map(|at| at.to_string()).as_deref());
    line(body, "Confirmed", wipe.acknowledged_at.map(|at| at.to_string()).as_deref());
    line(body, "Failed", wipe.failed_at.filter(|_| wipe.acknowledged_at.is_none()).map(|at| at.to_string()).as_deref());
    if wipe.acknowledged_at.is_some() && !wipe.acknowledged_with_credentials {
        body.push_str("\r\nIt confirmed without the user's password: whoever knows its device id may have done so.\r\n");
    }
}

/// What there is to do.
fn advise(body: &mut String, news: &News, remark: Remark) {
    let words = format!("{} {}", quoted(news.device.mailbox.as_str()), quoted(news.device.device_id.as_str()));
    let advice = match news.happened {
        Happened::WipeAcknowledged => {
            format!("It is erased again whenever it comes back, until the order is taken back:\r\npushgate device cancel-wipe {words}\r\n")
        }
        Happened::WipeFailed => format!("Its whole story:\r\npushgate device show {words}\r\n"),
        Happened::Quarantined => format!("To let it in, or not:\r\npushgate device allow {words}\r\npushgate device block {words}\r\n"),
    };
    let _ = write!(body, "\r\n{advice}");
    let all = "pushgate device list --access quarantined";
    let _ = match remark {
        Remark::None => Ok(()),
        Remark::Untold(count) => {
            write!(body, "\r\nBefore it {count} more were put in quarantine without a mail; all of them:\r\n{all}\r\n")
        }
        Remark::LastForNow => write!(body, "\r\nThere is no more mail about quarantine for up to an hour; all of them:\r\n{all}\r\n"),
    };
}

fn line(body: &mut String, name: &str, value: Option<&str>) {
    if let Some(value) = value {
        let _ = write!(body, "{:<12}{}\r\n", format!("{name}:"), shown(value));
    }
}

/// What a stranger wrote, on one line and not too long.
fn shown(text: &str) -> String {
    text.chars().take(SHOWN_MAX).map(|character| if character.is_control() { '?' } else { character }).collect()
}

/// The same for a line of the head.
fn ascii(text: &str) -> String {
    text.chars().take(SHOWN_MAX).map(|character| if (' '..='~').contains(&character) { character } else { '?' }).collect()
}

/// As a word of a shell: people copy lines out of mails.
fn quoted(text: &str) -> String {
    // Never shortened: it would be another device's.
    let text: String = text.chars().map(|character| if character.is_control() { '?' } else { character }).collect();
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"@._-+".contains(&byte);
    if !text.is_empty() && !text.starts_with('-') && text.bytes().all(is_plain) {
        text
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

fn in_base64(body: &str) -> String {
    let encoded = BASE64.encode(body);
    let mut lines = String::with_capacity(encoded.len() + encoded.len() / 30);
    for piece in encoded.as_bytes().chunks(BASE64_LINE) {
        lines.push_str(std::str::from_utf8(piece).expect("base64 is ASCII"));
        lines.push_str("\r\n");
    }
    lines
}

/// The same letter that comes twice, after an answer that was lost, can be told by it.
fn unique() -> String {
    let mut bytes = [0; 12];
    aws_lc_rs::rand::fill(&mut bytes).expect("the system has randomness");
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
