//! The audit trail is kept as long as `store.audit_keep_days` says; older entries go, some at a time. Both databases refuse to delete
//! what is younger, to whomever asks.

use std::time::{Duration, Instant};

use super::error::StoreError;
use super::sql::params;
use super::writer::Writer;

/// How often entries are looked for that are too old.
const EVERY: Duration = Duration::from_secs(3_600);
/// Entries deleted in one transaction: everybody else waits meanwhile.
const BATCH: u64 = 1_000;

impl Writer {
    /// Deletes some entries that are too old; soon again while there are more.
    pub(super) fn expire_audit(&mut self) -> Result<(), StoreError> {
        let Some(keep) = self.shared.audit_keep.filter(|_| Instant::now() >= self.next_expiry) else { return Ok(()) };
        let since = super::now().0.saturating_sub(keep.as_secs());
        let Some(sql) = self.sql.as_deref_mut() else { return Ok(()) };
        if sql.query("SELECT id FROM audit WHERE at < ?1 LIMIT 1", params![since])?.is_empty() {
            self.next_expiry = Instant::now() + EVERY;
            return Ok(());
        }
        let removed = self.transact(|tx| {
            tx.sql.execute("UPDATE store_state SET audit_since = ?1 WHERE id = 1 AND audit_since < ?1", params![since])?;
            let statement = format!("DELETE FROM audit WHERE id IN (SELECT id FROM audit WHERE at < ?1 ORDER BY at LIMIT {BATCH})");
            Ok(tx.sql.execute(&statement, params![since])?)
        })?;
        tracing::info!(removed, before = %crate::logic::policy::Timestamp(since), "entries of the audit trail are older than store.audit_keep_days");
        self.poll_at_once();
        Ok(())
    }
}
