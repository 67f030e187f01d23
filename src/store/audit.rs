//! The audit trail: who did what to whom, when, from where, and what came of it. It only grows; both databases refuse anything else.

use std::borrow::Cow;

use super::Store;
use super::error::StoreError;
use super::rows::strange;
use super::sql::{Row, Sql, SqlError, Value, params};
use crate::config::limits::{AUDIT_DETAIL_BYTES_MAX, LISTED_MAX, NOTE_BYTES_MAX};
use crate::logic::eas::{DeviceId, Mailbox};
use crate::logic::policy::Timestamp;

/// The actor of what devices do about an order to erase.
pub(super) const DEVICE: &str = "the device";
/// The actor of groups that are read from a directory.
pub(crate) const DIRECTORY: &str = "the directory";
/// Bytes kept free for the mark of a text that is cut.
const CUT_MARK_BYTES_MAX: usize = 40;

/// Who acts, and from where.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct By {
    /// The name of the token, or what else identifies the person.
    pub actor: String,
    /// The address the request came from.
    pub source: String,
    /// The id of the token; `None`: that of the token file, or nobody's.
    pub token: Option<String>,
}

/// What is being done. Never holds a secret.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Deed {
    /// In a word or two, such as `wipe order`; fixed, so that it can be searched for.
    pub act: &'static str,
    /// To whose mailbox, if to one.
    pub mailbox: Option<Mailbox>,
    /// To which device, if to one.
    pub device_id: Option<DeviceId>,
    /// To what else: a policy's, list's or token's name.
    pub subject: Option<String>,
    /// What exactly, for people.
    pub detail: String,
}

/// An entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its place: rises with every entry.
    pub id: u64,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: String,
    /// With which token, by its id.
    pub token: Option<String>,
    /// From where.
    pub source: String,
    /// What.
    pub act: String,
    /// To whose mailbox.
    pub mailbox: Option<String>,
    /// To which device.
    pub device_id: Option<String>,
    /// To what else.
    pub subject: Option<String>,
    /// `done`, `refused`, `conflict` or `failed`.
    pub outcome: String,
    /// What exactly, or why not.
    pub detail: String,
}

/// Which entries; every field narrows.
#[derive(Debug, Clone, Default)]
pub struct AuditFilter {
    /// Not before.
    pub since: Option<Timestamp>,
    /// Before.
    pub until: Option<Timestamp>,
    /// By whom.
    pub actor: Option<String>,
    /// About which mailbox.
    pub mailbox: Option<Mailbox>,
}

impl Deed {
    /// An act about nothing but what its name says.
    pub fn new(act: &'static str) -> Self {
        Deed { act, ..Deed::default() }
    }

    /// About a mailbox.
    #[must_use]
    pub fn mailbox(mut self, mailbox: &Mailbox) -> Self {
        self.mailbox = Some(mailbox.clone());
        self
    }

    /// About a device.
    #[must_use]
    pub fn device(mut self, device_id: &DeviceId) -> Self {
        self.device_id = Some(device_id.clone());
        self
    }

    /// About something with a name.
    #[must_use]
    pub fn subject(mut self, subject: impl Into<String>) -> Self {
        self.subject = Some(subject.into());
        self
    }

    /// What exactly.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = detail.into();
        self
    }

    pub(super) fn entry(self, by: &By, at: Timestamp, outcome: &str) -> Entry {
        Entry {
            id: 0,
            at,
            actor: by.actor.clone(),
            token: by.token.clone(),
            source: by.source.clone(),
            act: self.act.to_owned(),
            mailbox: self.mailbox.map(|mailbox| mailbox.as_str().to_owned()),
            device_id: self.device_id.map(|device_id| device_id.as_str().to_owned()),
            subject: self.subject,
            outcome: outcome.to_owned(),
            detail: self.detail,
        }
    }
}

impl Store {
    /// Records an act that changed nothing in the store, such as a drain.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn audit(&self, by: &By, deed: Deed) -> Result<(), StoreError> {
        self.act(by, deed, |_| Ok(())).await
    }

    /// Records something that somebody was not allowed to do.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn audit_refused(&self, by: &By, deed: Deed) -> Result<(), StoreError> {
        let by = by.clone();
        self.write(move |writer| writer.transact(|tx| tx.audit(&deed.entry(&by, tx.now, "refused")))).await
    }

    /// Entries, the newest first: at most `count`, those before the entry `before` if that is given.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn audit_trail(&self, filter: AuditFilter, before: Option<u64>, count: usize) -> Result<Vec<Entry>, StoreError> {
        self.read(move |sql| list(sql, &filter, before, count.min(LISTED_MAX))).await
    }
}

pub(super) fn append(sql: &mut dyn Sql, entry: &Entry) -> Result<(), SqlError> {
    append_many(sql, std::slice::from_ref(entry))
}

pub(super) fn append_many(sql: &mut dyn Sql, entries: &[Entry]) -> Result<(), SqlError> {
    const APPEND: &str = "INSERT INTO audit (at, actor, source, act, mailbox, device_id, subject, outcome, detail, token) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
    let row = |entry: &Entry| -> Vec<Value> {
        params![
            entry.at,
            &*cut(&entry.actor, NOTE_BYTES_MAX),
            &*cut(&entry.source, NOTE_BYTES_MAX),
            entry.act.as_str(),
            entry.mailbox.as_deref(),
            entry.device_id.as_deref(),
            entry.subject.as_deref().map(|subject| cut(subject, NOTE_BYTES_MAX).into_owned()),
            entry.outcome.as_str(),
            &*cut(&entry.detail, AUDIT_DETAIL_BYTES_MAX),
            entry.token.as_deref(),
        ]
        .to_vec()
    };
    sql.execute_many(APPEND, &entries.iter().map(row).collect::<Vec<_>>())
}

/// A text, or its beginning, whole words where there are any, and how much is missing.
fn cut(text: &str, bytes_max: usize) -> Cow<'_, str> {
    if text.len() <= bytes_max {
        return Cow::Borrowed(text);
    }
    let mut end = bytes_max - CUT_MARK_BYTES_MAX;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    // Not through the middle of a name; what has no spaces is cut where it is.
    let end = text[..end].rfind(' ').filter(|space| end - space < 100).unwrap_or(end);
    Cow::Owned(format!("{} … ({} bytes more)", &text[..end], text.len() - end))
}

fn list(sql: &mut dyn Sql, filter: &AuditFilter, before: Option<u64>, count: usize) -> Result<Vec<Entry>, SqlError> {
    let mut statement =
        "SELECT id, at, actor, source, act, mailbox, device_id, subject, outcome, detail, token FROM audit WHERE id < ?1".to_owned();
    let mut values = vec![Value::from(before.unwrap_or(i64::MAX as u64))];
    let mut narrow = |condition: &str, value: Option<Value>| {
        if let Some(value) = value {
            values.push(value);
            statement += &format!(" AND {condition} ?{}", values.len());
        }
    };
    narrow("at >=", filter.since.map(Value::from));
    narrow("at <", filter.until.map(Value::from));
    narrow("actor =", filter.actor.as_deref().map(Value::from));
    narrow("mailbox =", filter.mailbox.as_ref().map(|mailbox| Value::from(mailbox.as_str())));
    statement += &format!(" ORDER BY id DESC LIMIT {count}");
    sql.query(&statement, &values)?.iter().map(read).collect()
}

fn read(row: &Row) -> Result<Entry, SqlError> {
    let owned = |index: usize| row.text(index).map(str::to_owned);
    let some = |index: usize| row.some_text(index).map(|text| text.map(str::to_owned));
    Ok(Entry {
        id: row.number(0).map_err(|_| strange("an entry's id"))?,
        at: row.time(1)?,
        actor: owned(2)?,
        source: owned(3)?,
        act: owned(4)?,
        mailbox: some(5)?,
        device_id: some(6)?,
        subject: some(7)?,
        outcome: owned(8)?,
        detail: owned(9)?,
        token: some(10)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cut_says_so_and_ends_with_a_word() {
        assert_eq!(cut("short", 512), "short");
        let names: String = (0..100).map(|number| format!("+user{number}@example.org, ")).collect();
        let kept = cut(&names, 512);
        assert!(kept.len() <= 512 && kept.starts_with("+user0@example.org, +user1"), "{kept}");
        let (told, mark) = kept.split_once(" … (").unwrap();
        assert!(told.ends_with("@example.org,"), "{kept}");
        assert_eq!(mark, format!("{} bytes more)", names.len() - told.len()));
        let dense = "ä".repeat(600);
        assert!(cut(&dense, 512).contains("ä … ("), "whole characters");
    }
}
