//! What administrators do to mailboxes, lists, groups and domains: which policy each has, and their switches.

use std::collections::HashMap;

use super::Store;
use super::audit::{By, Deed};
use super::error::StoreError;
use super::policy_acts::must_find;
use super::rows::{self, to_json};
use super::snapshot::{MailboxRecord, MembersKind, Origin};
use super::sql::{SqlError, Value, params};
use super::told::{self, MembersSaid};
use super::transaction::Tx;
use crate::config::limits::MEMBERS_MAX;
use crate::logic::eas::Mailbox;
use crate::logic::policy::PolicyName;
use crate::logic::policy::access::MailboxSettings;
use crate::logic::policy::assign;

/// What is to change about a mailbox; `None` leaves it.
#[derive(Debug, Clone, Default)]
pub struct MailboxEdit {
    /// The policy of the mailbox itself; `Some(None)`: none of its own.
    pub policy: Option<Option<PolicyName>>,
    /// Its switches.
    pub settings: Option<MailboxSettings>,
}

/// A list or a group as it is to be.
#[derive(Debug, Clone)]
pub struct MembersEdit {
    /// Which of the two.
    pub kind: MembersKind,
    /// Its name.
    pub name: String,
    /// Smaller counts first.
    pub rank: u32,
    /// The policy of its members; a group may have none.
    pub policy: Option<PolicyName>,
    /// Who is on it, said twice is once; `None` leaves that as it is.
    pub mailboxes: Option<Vec<Mailbox>>,
    /// The revision that was read; 0 if it is to be new.
    pub read_revision: u64,
}

/// A domain, in lower case, and its policy.
pub type DomainPolicy = (String, Option<PolicyName>);

impl Store {
    /// Changes a mailbox that is still at `read_revision` (0: nothing was ever said of it). Its devices are decided anew with it.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn change_mailbox(
        &self,
        by: &By,
        mailbox: Mailbox,
        read_revision: u64,
        edit: MailboxEdit,
    ) -> Result<MailboxRecord, StoreError> {
        edit.settings.as_ref().map_or(Ok(()), MailboxSettings::check)?;
        // Told again inside, by what is there then; this is for an act that is refused.
        let deed = Deed::new("mailbox change").mailbox(&mailbox).detail(asked(&self.snapshot().mailbox(&mailbox), &edit));
        self.act(by, deed, move |tx| {
            let mut record = load(tx, &mailbox)?;
            if record.revision != read_revision {
                return Err(StoreError::Conflict { revision: record.revision });
            }
            let before = record.clone();
            if let Some(policy) = edit.policy {
                record.policy = policy.map(|policy| must_find(tx, policy).map(|policy| policy.name)).transpose()?;
            }
            if let Some(settings) = edit.settings {
                record.settings = settings;
                decide_devices(tx, &mailbox, &record.settings)?;
            }
            record.revision += 1;
            save(tx, &mailbox, &record)?;
            tx.told = Some(told::mailbox(&before, &record));
            Ok(record)
        })
        .await
    }

    /// Assigns policies to many mailboxes at once, all or none; whatever they had before. How many it were.
    ///
    /// # Errors
    /// See [`StoreError`]; a policy that is not there.
    pub async fn assign_mailboxes(&self, by: &By, assignments: Vec<(Mailbox, Option<PolicyName>)>) -> Result<usize, StoreError> {
        if assignments.len() > MEMBERS_MAX {
            return Err(StoreError::Full(format!("at most {MEMBERS_MAX} mailboxes at once")));
        }
        let deed = Deed::new("mailbox assign").detail(format!("{} mailboxes", assignments.len()));
        let by_whom = by.clone();
        self.act(by, deed, move |tx| {
            let settings = to_json(&MailboxSettings::default())?;
            let mut rows: Vec<Vec<Value>> = Vec::with_capacity(assignments.len());
            let mut found: Option<PolicyName> = None;
            let mut entries = Vec::new();
            let before = own_policies(tx)?;
            for (mailbox, policy) in &assignments {
                // One look-up for a file that names the same policy in every line.
                if let Some(policy) = policy.as_ref().filter(|policy| found.as_ref() != Some(policy)) {
                    found = Some(must_find(tx, policy.clone())?.name);
                }
                let after = policy.as_ref().and(found.as_ref());
                let had = before.get(mailbox.as_str());
                if had.map(String::as_str) != after.map(PolicyName::as_str) {
                    let detail = format!("policy {}, by a file", told::change(had, after));
                    entries.push(Deed::new("mailbox assign").mailbox(mailbox).detail(detail).entry(&by_whom, tx.now, "done"));
                }
                rows.push(params![mailbox.as_str(), policy.as_ref().map(PolicyName::folded), settings.as_str()].to_vec());
            }
            tx.touched.snapshot = true;
            tx.sql.execute_many(
                "INSERT INTO mailboxes (mailbox, revision, policy, settings) VALUES (?1, 1, ?2, ?3) ON CONFLICT (mailbox) DO UPDATE \
                 SET revision = mailboxes.revision + 1, policy = excluded.policy",
                &rows,
            )?;
            tx.audit_many(&entries)?;
            tx.told = Some(format!("a file of {} mailboxes; {} have another policy than before", assignments.len(), entries.len()));
            Ok(assignments.len())
        })
        .await
    }

    /// Makes a list or a group, or replaces it as a whole; its new revision.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn put_members(&self, by: &By, edit: MembersEdit) -> Result<u64, StoreError> {
        if edit.mailboxes.as_ref().is_some_and(|mailboxes| mailboxes.len() > MEMBERS_MAX) {
            return Err(StoreError::Full(format!("a {} has at most {MEMBERS_MAX} mailboxes", edit.kind.name())));
        }
        if !assign::is_name(&edit.name) {
            return Err(StoreError::Unsuitable("a name has 1 to 64 characters, no control character and no slash".into()));
        }
        let act = if edit.kind == MembersKind::List { "list put" } else { "group put" };
        let policy = edit.policy.as_ref().map_or("no policy", PolicyName::as_str);
        let who = edit.mailboxes.as_ref().map_or_else(|| "the same mailboxes".into(), |mailboxes| format!("{} mailboxes", mailboxes.len()));
        let detail = format!("{who}, {policy}, rank {}", edit.rank);
        self.act(by, Deed::new(act).subject(&edit.name).detail(detail), move |tx| put_members(tx, edit)).await
    }

    /// Removes a list or a group.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn remove_members(&self, by: &By, kind: MembersKind, name: &str, read_revision: u64) -> Result<(), StoreError> {
        let name = name.to_owned();
        let act = if kind == MembersKind::List { "list remove" } else { "group remove" };
        self.act(by, Deed::new(act).subject(&name), move |tx| {
            match members_revision(tx, kind, &name)? {
                0 => return Err(StoreError::Missing(format!("{} {name}", kind.name()))),
                revision if revision != read_revision => return Err(StoreError::Conflict { revision }),
                _ => {}
            }
            if origin(tx, kind, &name)? == Origin::Directory.name() {
                return Err(StoreError::Foreign(format!("{} {name}", kind.name())));
            }
            let before = members_before(tx, kind, &name)?;
            tx.told = Some(told::members(&before, &MembersSaid::default()));
            tx.touched.snapshot = true;
            tx.sql.execute("DELETE FROM member_lists WHERE kind = ?1 AND name = ?2", params![kind.name(), name])?;
            Ok(())
        })
        .await
    }

    /// Gives a domain a policy, or takes it away; its revision then. Only if it is still at `read_revision` (0: it has none), if one is
    /// given.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn assign_domain(&self, by: &By, (domain, policy): DomainPolicy, read_revision: Option<u64>) -> Result<u64, StoreError> {
        let domain = domain.trim().to_lowercase();
        if domain.is_empty() || domain.len() > 255 || domain.contains(|c: char| c.is_control() || c.is_whitespace() || c == '@') {
            return Err(StoreError::Unsuitable("a domain is what stands behind the @ of an address".into()));
        }
        let deed = Deed::new("domain assign").subject(&domain).detail(policy.as_ref().map_or("no policy", PolicyName::as_str));
        self.act(by, deed, move |tx| {
            let statement = "SELECT p.name, d.revision FROM domains d JOIN policies p ON p.folded = d.policy WHERE d.domain = ?1";
            let rows = tx.sql.query(statement, params![domain.as_str()])?;
            let had = rows.first().map(|row| row.text(0).map(str::to_owned)).transpose()?;
            let revision = rows.first().map_or(Ok(0), |row| row.number(1))?;
            if read_revision.is_some_and(|read| read != revision) {
                return Err(StoreError::Conflict { revision });
            }
            tx.told = Some(format!("policy {}", told::change(had.as_ref(), policy.as_ref())));
            tx.touched.snapshot = true;
            let Some(policy) = policy else {
                tx.sql.execute("DELETE FROM domains WHERE domain = ?1", params![domain.as_str()])?;
                return Ok(0);
            };
            let policy = must_find(tx, policy)?.name;
            let statement = "INSERT INTO domains (domain, policy, revision) VALUES (?1, ?2, ?3) ON CONFLICT (domain) DO UPDATE \
                 SET policy = excluded.policy, revision = excluded.revision";
            // A new one begins where no removed one was: whoever read that is told.
            let revision = if revision == 0 { tx.generation } else { revision + 1 };
            tx.sql.execute(statement, params![domain.as_str(), policy.folded(), revision])?;
            Ok(revision)
        })
        .await
    }
}

/// What an edit would make of a mailbox.
fn asked(present: &MailboxRecord, edit: &MailboxEdit) -> String {
    let policy = edit.policy.clone().unwrap_or_else(|| present.policy.clone());
    let settings = edit.settings.clone().unwrap_or_else(|| present.settings.clone());
    told::mailbox(present, &MailboxRecord { policy, settings, ..present.clone() })
}

/// Mailboxes that have a policy of their own, and its name.
fn own_policies(tx: &mut Tx<'_>) -> Result<HashMap<String, String>, StoreError> {
    let rows = tx.sql.query("SELECT m.mailbox, p.name FROM mailboxes m JOIN policies p ON p.folded = m.policy", &[])?;
    Ok(rows.iter().map(|row| Ok((row.text(0)?.to_owned(), row.text(1)?.to_owned()))).collect::<Result<_, SqlError>>()?)
}

fn load(tx: &mut Tx<'_>, mailbox: &Mailbox) -> Result<MailboxRecord, StoreError> {
    let statement =
        "SELECT m.revision, p.name, m.settings FROM mailboxes m LEFT JOIN policies p ON p.folded = m.policy WHERE m.mailbox = ?1";
    let rows = tx.sql.query(statement, params![mailbox.as_str()])?;
    let Some(row) = rows.first() else { return Ok(MailboxRecord::default()) };
    let policy = row.some_text(1)?.map(|name| PolicyName::new(name).map_err(|_| rows::strange("a policy's name"))).transpose()?;
    Ok(MailboxRecord { revision: row.number(0)?, policy, settings: rows::from_json(row.text(2)?)? })
}

fn save(tx: &mut Tx<'_>, mailbox: &Mailbox, record: &MailboxRecord) -> Result<(), StoreError> {
    tx.touched.snapshot = true;
    tx.sql.execute(
        "INSERT INTO mailboxes (mailbox, revision, policy, settings) VALUES (?1, ?2, ?3, ?4) ON CONFLICT (mailbox) DO UPDATE \
         SET revision = excluded.revision, policy = excluded.policy, settings = excluded.settings",
        params![mailbox.as_str(), record.revision, record.policy.as_ref().map(PolicyName::folded), to_json(&record.settings)?],
    )?;
    Ok(())
}

/// The mailbox's devices under its new switches.
fn decide_devices(tx: &mut Tx<'_>, mailbox: &Mailbox, settings: &MailboxSettings) -> Result<(), StoreError> {
    let rules = tx.snapshot.rules.clone();
    let statement = format!("SELECT {} FROM devices WHERE mailbox = ?1", rows::COLUMNS);
    let devices = tx.sql.query(&statement, params![mailbox.as_str()])?;
    for row in &devices {
        let mut partnership = rows::read(row)?.partnership;
        let before = (partnership.access_state, partnership.access_why.clone());
        tx.decide(&mut partnership, settings, &rules);
        if before != (partnership.access_state, partnership.access_why.clone()) {
            tx.save(partnership)?;
        }
    }
    Ok(())
}

pub(super) fn members_revision(tx: &mut Tx<'_>, kind: MembersKind, name: &str) -> Result<u64, StoreError> {
    let rows = tx.sql.query("SELECT revision FROM member_lists WHERE kind = ?1 AND name = ?2", params![kind.name(), name])?;
    Ok(rows.first().map_or(Ok(0), |row| row.number(0))?)
}

/// Empty if there is none.
fn origin(tx: &mut Tx<'_>, kind: MembersKind, name: &str) -> Result<String, StoreError> {
    let rows = tx.sql.query("SELECT origin FROM member_lists WHERE kind = ?1 AND name = ?2", params![kind.name(), name])?;
    Ok(rows.first().map_or(Ok(""), |row| row.text(0))?.to_owned())
}

/// As it is now; nothing if there is none.
fn members_before(tx: &mut Tx<'_>, kind: MembersKind, name: &str) -> Result<MembersSaid, StoreError> {
    let statement =
        "SELECT l.rank, p.name FROM member_lists l LEFT JOIN policies p ON p.folded = l.policy WHERE l.kind = ?1 AND l.name = ?2";
    let rows = tx.sql.query(statement, params![kind.name(), name])?;
    let Some(row) = rows.first() else { return Ok(MembersSaid::default()) };
    let (rank, policy) = (u32::try_from(row.number(0)?).unwrap_or(u32::MAX), row.some_text(1)?.map(str::to_owned));
    let rows = tx.sql.query("SELECT mailbox FROM members WHERE kind = ?1 AND name = ?2", params![kind.name(), name])?;
    let mailboxes = rows.iter().map(|row| Ok(row.text(0)?.to_owned())).collect::<Result<_, SqlError>>()?;
    Ok(MembersSaid { rank, policy, mailboxes })
}

fn put_members(tx: &mut Tx<'_>, edit: MembersEdit) -> Result<u64, StoreError> {
    let (kind, name) = (edit.kind.name(), edit.name.trim());
    let revision = members_revision(tx, edit.kind, name)?;
    if revision != edit.read_revision {
        return Err(StoreError::Conflict { revision });
    }
    let by_hand = ["", Origin::Hand.name()];
    if edit.mailboxes.is_some() && !by_hand.contains(&origin(tx, edit.kind, name)?.as_str()) {
        return Err(StoreError::Foreign(format!("{kind} {name}")));
    }
    let policy = edit.policy.map(|policy| must_find(tx, policy)).transpose()?;
    let before = members_before(tx, edit.kind, name)?;
    let after = MembersSaid {
        rank: edit.rank,
        policy: policy.as_ref().map(|policy| policy.name.as_str().to_owned()),
        mailboxes: match &edit.mailboxes {
            Some(mailboxes) => mailboxes.iter().map(|mailbox| mailbox.as_str().to_owned()).collect(),
            None => before.mailboxes.clone(),
        },
    };
    tx.told = Some(told::members(&before, &after));
    tx.touched.snapshot = true;
    tx.sql.execute(
        "INSERT INTO member_lists (kind, name, rank, revision, policy) VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (kind, name) DO UPDATE \
         SET rank = excluded.rank, revision = excluded.revision, policy = excluded.policy",
        params![kind, name, edit.rank, revision + 1, policy.as_ref().map(|policy| policy.name.folded())],
    )?;
    if let Some(mailboxes) = edit.mailboxes {
        tx.sql.execute("DELETE FROM members WHERE kind = ?1 AND name = ?2", params![kind, name])?;
        let rows: Vec<Vec<Value>> = mailboxes.iter().map(|mailbox| params![kind, name, mailbox.as_str()].to_vec()).collect();
        tx.sql.execute_many("INSERT INTO members (kind, name, mailbox) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING", &rows)?;
    }
    Ok(revision + 1)
}
