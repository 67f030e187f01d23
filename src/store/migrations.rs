//! The tables, step by step. A step is one transaction: a database is at one version or at the next, never between.

use super::error::OpenError;
use super::sql::{Dialect, Sql, SqlError, in_transaction, params};

/// One step: what both databases do, and what only one of them does.
struct Migration {
    both: &'static str,
    sqlite: &'static str,
    postgres: &'static str,
}

/// All steps, the oldest first. A released one is never changed.
const MIGRATIONS: &[Migration] = &[
    Migration { both: include_str!("migrations/0001_devices_and_policies.sql"), sqlite: "", postgres: "" },
    Migration {
        both: include_str!("migrations/0002_tokens_and_audit.sql"),
        sqlite: include_str!("migrations/0002_sqlite.sql"),
        postgres: include_str!("migrations/0002_postgres.sql"),
    },
    Migration {
        both: include_str!("migrations/0003_directory_and_retention.sql"),
        sqlite: include_str!("migrations/0003_sqlite.sql"),
        postgres: include_str!("migrations/0003_postgres.sql"),
    },
    Migration { both: include_str!("migrations/0004_revisions_and_tokens.sql"), sqlite: "", postgres: "" },
];

/// Under which several processes that start at once queue in PostgreSQL: "pushgate" in ASCII.
const LOCK: i64 = 0x7075_7368_6761_7465;

/// Brings the tables to this program's version.
pub(super) fn migrate(sql: &mut dyn Sql) -> Result<(), OpenError> {
    in_transaction(sql, |sql| {
        if sql.dialect() == Dialect::Postgres {
            // Released at the end of the transaction.
            sql.batch(&format!("SET LOCAL lock_timeout = 0; SET LOCAL statement_timeout = 0; SELECT pg_advisory_xact_lock({LOCK})"))?;
        }
        sql.batch("CREATE TABLE IF NOT EXISTS schema_version (version BIGINT NOT NULL)")
    })
    .map_err(|error| OpenError::database("its tables cannot be made", &error))?;
    while in_transaction(sql, |sql| next_step(sql))? {}
    Ok(())
}

/// One step, if there is one left to do.
fn next_step(sql: &mut dyn Sql) -> Result<bool, OpenError> {
    let about = |error: SqlError| OpenError::database("its version cannot be read", &error);
    if sql.dialect() == Dialect::Postgres {
        let lock = format!("SET LOCAL lock_timeout = 0; SET LOCAL statement_timeout = 0; SELECT pg_advisory_xact_lock({LOCK})");
        sql.batch(&lock).map_err(about)?;
    }
    let rows = sql.query("SELECT coalesce(max(version), 0) FROM schema_version", &[]).map_err(about)?;
    let version = rows.first().map_or(Ok(0), |row| row.number(0)).map_err(about)? as usize;
    if version > MIGRATIONS.len() {
        return Err(OpenError::Newer { found: version, known: MIGRATIONS.len() });
    }
    let Some(migration) = MIGRATIONS.get(version) else { return Ok(false) };
    let failed = |error: SqlError| OpenError::Migration { step: version + 1, message: error.to_string() };
    let (identity, bytes, own) = match sql.dialect() {
        // AUTOINCREMENT: an id is never used again, as in PostgreSQL.
        Dialect::Sqlite => ("INTEGER PRIMARY KEY AUTOINCREMENT", "BLOB", migration.sqlite),
        Dialect::Postgres => ("BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY", "BYTEA", migration.postgres),
    };
    sql.batch(&migration.both.replace("{identity}", identity).replace("{bytes}", bytes)).map_err(failed)?;
    sql.batch(own).map_err(failed)?;
    sql.execute("DELETE FROM schema_version", &[]).map_err(failed)?;
    sql.execute("INSERT INTO schema_version (version) VALUES (?1)", params![version as u64 + 1]).map_err(failed)?;
    Ok(true)
}
