//! Where the database is, and how to get there.

use std::path::PathBuf;

use super::error::OpenError;
use super::sql::{Dialect, Postgres, PostgresAddress, Sql, SqlError, Sqlite, in_transaction};
use crate::config;

/// A database to connect to, as often as needed.
#[derive(Clone)]
pub(super) enum Place {
    Sqlite(PathBuf),
    Postgres(Box<PostgresAddress>),
}

impl Place {
    pub(super) fn new(settings: &config::Store) -> Result<Self, OpenError> {
        match &settings.url {
            config::StoreUrl::Sqlite(path) => Ok(Place::Sqlite(path.clone())),
            config::StoreUrl::Postgres(url) => {
                let address = PostgresAddress::new(url.reveal(), settings.password.reveal(), settings.ca.as_deref());
                address.map(|address| Place::Postgres(Box::new(address))).map_err(OpenError::Database)
            }
        }
    }

    pub(super) fn connect(&self) -> Result<Box<dyn Sql>, SqlError> {
        match self {
            Place::Sqlite(path) => Ok(Box::new(Sqlite::open(path)?)),
            Place::Postgres(address) => Ok(Box::new(Postgres::connect(address)?)),
        }
    }

    /// For the thread that only reads.
    pub(super) fn connect_to_read(&self) -> Result<Box<dyn Sql>, SqlError> {
        match self {
            Place::Sqlite(path) => Ok(Box::new(Sqlite::open_to_read(path)?)),
            Place::Postgres(address) => Ok(Box::new(Postgres::connect(address)?)),
        }
    }
}

/// Reads that all see the same moment.
pub(super) fn in_one_moment<T>(sql: &mut dyn Sql, work: impl FnOnce(&mut dyn Sql) -> Result<T, SqlError>) -> Result<T, SqlError> {
    match sql.dialect() {
        Dialect::Postgres => in_transaction(sql, |sql| {
            sql.batch("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")?;
            work(sql)
        }),
        Dialect::Sqlite => {
            // Deferred: it takes no lock, so that no writer waits for it.
            sql.batch("BEGIN")?;
            let done = work(sql);
            let ended = sql.batch("COMMIT");
            let done = done?;
            ended.map(|()| done)
        }
    }
}
