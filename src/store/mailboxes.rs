//! Mailboxes that have devices, for lists.

use super::Store;
use super::error::StoreError;
use super::sql::{Dialect, Sql, SqlError, params};
use crate::config::limits::LISTED_MAX;

impl Store {
    /// Mailboxes that have partnerships, and how many, in the order of their bytes: at most `count` from behind `after`.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn mailboxes_with_devices(&self, after: &str, count: usize) -> Result<Vec<(String, u32)>, StoreError> {
        let after = after.to_owned();
        self.read(move |sql| list(sql, &after, count.clamp(1, LISTED_MAX + 1))).await
    }
}

fn list(sql: &mut dyn Sql, after: &str, count: usize) -> Result<Vec<(String, u32)>, SqlError> {
    // SQLite compares bytes; PostgreSQL compares as the language of its installation does, unless told.
    let bytewise = if sql.dialect() == Dialect::Postgres { "COLLATE \"C\"" } else { "" };
    let statement = format!(
        "SELECT mailbox, count(*) FROM devices WHERE mailbox {bytewise} > ?1 GROUP BY mailbox ORDER BY mailbox {bytewise} LIMIT {count}"
    );
    let rows = sql.query(&statement, params![after])?;
    rows.iter().map(|row| Ok((row.text(0)?.to_owned(), u32::try_from(row.number(1)?).unwrap_or(u32::MAX)))).collect()
}
