//! One way to speak SQL to either database, blocking, from a thread of the store's own.
//!
//! Statements are written once: parameters are `?1`, `?2`, …; types are 64-bit integers, texts and bytes; upserts and `RETURNING`
//! mean the same in both. What does differ (identity columns, triggers) is [`Dialect`]'s. Nothing here knows a table.

mod postgres;
mod postgres_tls;
mod sqlite;
mod value;

use std::fmt;

pub(super) use postgres::{Address as PostgresAddress, Postgres};
pub(super) use sqlite::Sqlite;
pub(super) use value::{Row, Value, params};

/// Which database it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// One file, embedded.
    Sqlite,
    /// A server.
    Postgres,
}

/// What became of a statement that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// The database is not there (any more): connect again.
    Lost,
    /// Somebody else holds what it needs, or it took too long: try again.
    Busy,
    /// It refuses this very statement or value: trying again would not help.
    Refused,
}

/// A failed statement. The message is the database's own and holds no values.
#[derive(Debug)]
pub(super) struct SqlError {
    pub(super) fault: Fault,
    pub(super) message: String,
}

impl fmt::Display for SqlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for SqlError {}

/// A connection to a database.
pub(super) trait Sql {
    /// Which kind.
    fn dialect(&self) -> Dialect;

    /// Several statements without parameters, such as a migration.
    fn batch(&mut self, sql: &str) -> Result<(), SqlError>;

    /// One statement; the number of rows it changed.
    fn execute(&mut self, sql: &str, params: &[Value]) -> Result<u64, SqlError>;

    /// One statement with many rows of parameters, without waiting for each answer. The first error ends it; the caller's transaction
    /// is then to be rolled back.
    fn execute_many(&mut self, sql: &str, rows: &[Vec<Value>]) -> Result<(), SqlError>;

    /// One statement with many rows of parameters, as above; the rows that each gives.
    fn query_many(&mut self, sql: &str, rows: &[Vec<Value>]) -> Result<Vec<Vec<Row>>, SqlError>;

    /// One statement; the rows it gives, all of them: callers page.
    fn query(&mut self, sql: &str, params: &[Value]) -> Result<Vec<Row>, SqlError>;
}

/// Runs `work` in a transaction: everything is kept, or nothing.
pub(super) fn in_transaction<T, E: From<SqlError>>(sql: &mut dyn Sql, work: impl FnOnce(&mut dyn Sql) -> Result<T, E>) -> Result<T, E> {
    sql.batch(match sql.dialect() {
        // Without it a transaction that begins by reading could not write if another process wrote meanwhile.
        Dialect::Sqlite => "BEGIN IMMEDIATE",
        Dialect::Postgres => "BEGIN",
    })?;
    match work(sql) {
        Ok(done) => match sql.batch("COMMIT") {
            Ok(()) => Ok(done),
            Err(error) => {
                // SQLite keeps a transaction open whose commit failed.
                let _ = sql.batch("ROLLBACK");
                Err(error.into())
            }
        },
        Err(error) => {
            // When that fails too, the connection is lost, and the next statement says so.
            let _ = sql.batch("ROLLBACK");
            Err(error)
        }
    }
}
