//! Why a reading did not count.

use std::fmt;

use ldap3::{LdapError, LdapResult};

use crate::config::limits::{DIRECTORY_GROUPS_MAX, DIRECTORY_MEMBERS_MAX, DIRECTORY_READING};

/// Result codes of RFC 4511.
const SIZE_LIMIT_EXCEEDED: u32 = 4;
const NO_SUCH_OBJECT: u32 = 32;
const INVALID_CREDENTIALS: u32 = 49;
const INSUFFICIENT_ACCESS: u32 = 50;
/// Of what a server says for people, this much is passed on.
const WORDS_MAX: usize = 200;

/// See the module.
#[derive(Debug)]
pub(super) enum Failure {
    /// No connection, or it broke.
    Unreachable(String),
    /// No TLS, or not with whom it should be.
    Tls(String),
    /// Name or password are wrong.
    Refused,
    /// It answered with an error: its number and its words.
    Answer(u32, String),
    /// It gives fewer entries than there are.
    Short,
    /// It sends what is no LDAP, or more than a reading may take.
    Unsound,
    /// It took too long.
    Late,
    /// It gives a long attribute in pieces.
    Pieces(String),
    /// More groups or members than there may be.
    TooMany,
    /// No group was found.
    NoGroup,
    /// Nobody was found in any group, and there was before.
    NoMember,
    /// The groups could not be stored.
    Store(String),
}

impl Failure {
    /// What the library says.
    pub(super) fn of(error: LdapError) -> Self {
        match error {
            LdapError::Timeout { .. } => Failure::Late,
            LdapError::LdapResult { result } => Failure::of_answer(&result),
            other => Failure::Unreachable(words(&other.to_string())),
        }
    }

    /// What the server says.
    pub(super) fn of_answer(result: &LdapResult) -> Self {
        match result.rc {
            INVALID_CREDENTIALS => Failure::Refused,
            SIZE_LIMIT_EXCEEDED => Failure::Short,
            code => Failure::Answer(code, words(&result.text)),
        }
    }

    /// For the metric.
    pub(super) fn label(&self) -> &'static str {
        match self {
            Failure::Unreachable(_) => "unreachable",
            Failure::Tls(_) => "tls",
            Failure::Refused => "refused",
            Failure::Answer(..) | Failure::Short | Failure::Pieces(_) => "answer",
            Failure::Unsound => "unsound",
            Failure::Late => "late",
            Failure::TooMany => "too_many",
            Failure::NoGroup | Failure::NoMember => "empty",
            Failure::Store(_) => "store",
        }
    }
}

/// A server's words, fit for a log.
fn words(text: &str) -> String {
    text.chars().take(WORDS_MAX).map(|character| if character.is_control() { char::REPLACEMENT_CHARACTER } else { character }).collect()
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Unreachable(what) => write!(f, "no connection: {what}"),
            Failure::Tls(what) => write!(f, "no TLS with it: {what}"),
            Failure::Refused => f.write_str("it does not take directory.bind_dn with this password"),
            Failure::Answer(code, text) => {
                let hint = match *code {
                    NO_SUCH_OBJECT => "; directory.base or people_base is not there, or bind_dn may not see it",
                    INSUFFICIENT_ACCESS => "; bind_dn may not read there",
                    _ => "",
                };
                write!(f, "it answers with LDAP result {code}: {text}{hint}")
            }
            Failure::Short => f.write_str("it gives only some of the entries (LDAP result 4): raise its size limit for directory.bind_dn"),
            Failure::Unsound => f.write_str("it sends what is no LDAP, or too much of it (a very large group: set directory.members_filter)"),
            Failure::Late => write!(f, "it takes too long: more than {} s in all, or half a minute for one answer", DIRECTORY_READING.as_secs()),
            Failure::Pieces(name) => write!(f, "it gives {name} in pieces, as Active Directory does with large groups: set directory.members_filter"),
            Failure::TooMany => write!(
                f,
                "more than {DIRECTORY_GROUPS_MAX} groups, or {DIRECTORY_MEMBERS_MAX} members in all: let directory.filter name those that matter"
            ),
            Failure::NoGroup => f.write_str("there is no group at directory.base that directory.filter matches"),
            Failure::NoMember => f.write_str(
                "no group has any member with a mailbox, and they had before: look at directory.member, people_base, people_filter and mailbox, \
                 and at what bind_dn may read",
            ),
            Failure::Store(what) => write!(f, "its groups were read, but not stored: {what}"),
        }
    }
}
