//! What changes in the mailboxes, and how the server is told.

use std::net::{SocketAddr, ToSocketAddrs as _};

use pushgate::config::LmtpAddress;
use serde::{Deserialize, Serialize};

use super::keys::Keys;
use super::target::token;

/// `[changes]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Changes {
    /// In all; 0: only at events.
    pub per_second: f64,
    /// Each device's, beside that.
    pub per_device_hour: f64,
    /// Each change goes all these ways, in this order.
    pub ways: Vec<Notify>,
}

/// A way to make a change, or to tell of one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Notify {
    /// pushgate's `POST /v1/notifications`, with at most so many in one request; each change to all of these addresses.
    Webhook { addresses: Vec<SocketAddr>, token: String, batch_max: usize },
    /// A program, once for each change.
    Command { words: Vec<String> },
    /// A mail, by LMTP.
    Lmtp { address: String },
    /// A line to HOST:PORT, where each is answered "ok", as by `pushgate-loadtest cas --control`; or into a file or FIFO.
    Lines { to: String, line: String },
}

impl Changes {
    /// Whether there are mails, and apart from them word of them: a webhook.
    pub fn has_mail_and_word(&self) -> bool {
        let is_word = |way: &Notify| matches!(way, Notify::Webhook { .. });
        self.ways.iter().any(is_word) && !self.ways.iter().all(is_word)
    }

    pub(super) fn of(mut keys: Keys) -> Option<Changes> {
        let per_second = keys.take_positive("per_second").unwrap_or(0.0);
        let per_device_hour = keys.take_positive("per_device_hour").unwrap_or(0.0);
        let mut ways = Vec::new();
        // Mail first, then word of it: who is told looks at once.
        ways.extend(keys.table("lines").map(lines));
        ways.extend(keys.table("command").map(command));
        ways.extend(keys.table("lmtp").map(lmtp));
        ways.extend(keys.table("webhook").map(webhook));
        if ways.is_empty() {
            keys.problem("webhook", "or lmtp, command, lines: one of them at least");
        }
        Some(Changes { per_second, per_device_hour, ways: ways.into_iter().collect::<Option<Vec<_>>>()? })
    }
}

fn webhook(mut keys: Keys) -> Option<Notify> {
    let urls = keys.take_list("url", |url| {
        let authority = url.strip_prefix("http://").ok_or("begins with http://")?;
        let authority = authority.split('/').next().unwrap_or_default();
        let found = authority.to_socket_addrs().map_err(|error| error.to_string())?.next();
        found.ok_or_else(|| "has no address".to_owned())
    });
    let addresses = keys.must("url", urls);
    let token = token(&mut keys);
    let token = keys.must("token", token);
    let batch_max = keys.take::<usize>("batch_max").unwrap_or(1_000).clamp(1, 20_000);
    Some(Notify::Webhook { addresses: addresses?, token: token?, batch_max })
}

fn command(mut keys: Keys) -> Option<Notify> {
    let words = keys.take::<Vec<String>>("words");
    let words = keys.must("words", words.filter(|words| !words.is_empty()));
    Some(Notify::Command { words: words? })
}

fn lmtp(mut keys: Keys) -> Option<Notify> {
    let known = |text: &str| LmtpAddress::parse(text).map(|_| text.to_owned()).ok_or_else(|| "is HOST:PORT or unix:/path".to_owned());
    let address = keys.take_parsed("address", known);
    Some(Notify::Lmtp { address: keys.must("address", address)? })
}

fn lines(mut keys: Keys) -> Option<Notify> {
    let to = keys.take("to");
    let to = keys.must("to", to);
    let line = keys.take("line").unwrap_or_else(|| "deliver {user} Inbox".to_owned());
    Some(Notify::Lines { to: to?, line })
}
