//! An acknowledged transaction: everything it does is kept together, audit trail included, and has one number.

use super::audit::{self, Entry};
use super::error::StoreError;
use super::key::SealingKey;
use super::news::News;
use super::rows::{self, Stored};
use super::snapshot::Snapshot;
use super::sql::{Sql, SqlError, params};
use crate::logic::eas::{DeviceId, Mailbox};
use crate::logic::policy::access::{self, MailboxSettings, Rules};
use crate::logic::policy::{Partnership, Timestamp};

/// A transaction under way.
pub(super) struct Tx<'a> {
    pub(super) sql: &'a mut dyn Sql,
    pub(super) generation: u64,
    pub(super) now: Timestamp,
    pub(super) key: &'a SealingKey,
    /// What was last read; another process may be a second ahead.
    pub(super) snapshot: &'a Snapshot,
    pub(super) touched: Touched,
    /// For the audit trail: what exactly was done, where that is known only now. Takes the place of the deed's detail.
    pub(super) told: Option<String>,
}

/// What has to be told to the data plane once it is committed.
#[derive(Default)]
pub(super) struct Touched {
    pub(super) snapshot: bool,
    pub(super) saved: Vec<Partnership>,
    pub(super) news: Vec<News>,
    pub(super) removed: Vec<(Mailbox, DeviceId)>,
}

/// Begins: from here on, no other process is in such a transaction.
pub(super) fn next_generation(sql: &mut dyn Sql) -> Result<u64, SqlError> {
    let rows = sql.query("UPDATE store_state SET generation = generation + 1 WHERE id = 1 RETURNING generation", &[])?;
    rows.first().ok_or_else(|| rows::strange("its state"))?.number(0)
}

impl Tx<'_> {
    /// A partnership that must be there.
    pub(super) fn device(&mut self, mailbox: &Mailbox, device_id: &DeviceId) -> Result<Stored, StoreError> {
        let missing = || StoreError::Missing(format!("partnership of {mailbox} with device {device_id}"));
        rows::load(self.sql, mailbox, device_id)?.ok_or_else(missing)
    }

    pub(super) fn save(&mut self, partnership: Partnership) -> Result<(), StoreError> {
        rows::save_many(self.sql, std::slice::from_ref(&partnership), self.generation)?;
        self.touched.saved.push(partnership);
        Ok(())
    }

    /// Says whether it may sync now, by these switches and rules.
    pub(super) fn decide(&self, partnership: &mut Partnership, settings: &MailboxSettings, rules: &Rules) {
        let traits = partnership.traits(self.now);
        let said = partnership.device_access.as_ref();
        let (state, why) = access::decide(settings, &partnership.device_id, said, rules, &traits);
        (partnership.access_state, partnership.access_why) = (state, why);
    }

    /// The same by what is in the snapshot.
    pub(super) fn decide_by_snapshot(&self, partnership: &mut Partnership) {
        let settings = self.snapshot.mailbox(&partnership.mailbox).settings;
        self.decide(partnership, &settings, &self.snapshot.rules);
    }

    pub(super) fn audit(&mut self, entry: &Entry) -> Result<(), StoreError> {
        Ok(audit::append(self.sql, entry)?)
    }

    /// Many entries at once.
    pub(super) fn audit_many(&mut self, entries: &[Entry]) -> Result<(), StoreError> {
        Ok(audit::append_many(self.sql, entries)?)
    }

    /// The last thing before the commit.
    pub(super) fn finish(&mut self) -> Result<(), SqlError> {
        if self.touched.snapshot {
            self.sql.execute("UPDATE store_state SET snapshot_generation = ?1 WHERE id = 1", params![self.generation])?;
        }
        Ok(())
    }
}
