//! SQLite, in the process: one file, with a write-ahead log beside it.

use std::path::Path;
use std::time::Duration;

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ErrorCode, OpenFlags, ToSql};

use super::{Dialect, Fault, Row, Sql, SqlError, Value};

/// How long one process waits for another's transaction; ours take milliseconds.
const BUSY: Duration = Duration::from_secs(5);
/// Statements kept ready; the store has some sixty.
const STATEMENTS: usize = 100;

/// A connection.
pub(in crate::store) struct Sqlite(Connection);

impl Sqlite {
    /// Opens the file, made if it is missing (with mode 0600: it holds who reads mail with which device).
    pub(in crate::store) fn open(path: &Path) -> Result<Self, SqlError> {
        make_private(path).map_err(|error| SqlError { fault: Fault::Lost, message: error.to_string() })?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(BUSY)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        // FULL: what is acknowledged is on the disk. With WAL that is one sync a transaction.
        // What devices need is in memory, and what is seen of them is written once: more pages than the upper ones of each tree
        // (SQLite would keep 2 MB of them, in each of two threads) would only be a second copy of the system's.
        connection
            .execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA cache_size = -256;")?;
        Ok(Sqlite(connection))
    }

    /// The same for the thread that only reads.
    pub(in crate::store) fn open_to_read(path: &Path) -> Result<Self, SqlError> {
        let this = Sqlite::open(path)?;
        this.0.execute_batch("PRAGMA query_only = ON;")?;
        Ok(this)
    }
}

/// SQLite gives its log and its index the mode of the file itself.
fn make_private(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    let made = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    match made {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        made => made.map(drop),
    }
}

impl Sql for Sqlite {
    fn dialect(&self) -> Dialect {
        Dialect::Sqlite
    }

    fn batch(&mut self, sql: &str) -> Result<(), SqlError> {
        Ok(self.0.execute_batch(sql)?)
    }

    fn execute(&mut self, sql: &str, params: &[Value]) -> Result<u64, SqlError> {
        let mut statement = self.0.prepare_cached(sql)?;
        Ok(statement.execute(rusqlite::params_from_iter(params))? as u64)
    }

    fn execute_many(&mut self, sql: &str, rows: &[Vec<Value>]) -> Result<(), SqlError> {
        let mut statement = self.0.prepare_cached(sql)?;
        for params in rows {
            statement.execute(rusqlite::params_from_iter(params))?;
        }
        Ok(())
    }

    fn query_many(&mut self, sql: &str, rows: &[Vec<Value>]) -> Result<Vec<Vec<Row>>, SqlError> {
        rows.iter().map(|params| self.query(sql, params)).collect()
    }

    fn query(&mut self, sql: &str, params: &[Value]) -> Result<Vec<Row>, SqlError> {
        let mut statement = self.0.prepare_cached(sql)?;
        let count = statement.column_count();
        let mut rows = statement.query(rusqlite::params_from_iter(params))?;
        let mut all = Vec::new();
        while let Some(row) = rows.next()? {
            all.push(Row((0..count).map(|index| row.get_ref(index).map(read)).collect::<Result<_, _>>()?));
        }
        Ok(all)
    }
}

fn read(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(value) => Value::Int(value),
        // No column holds any; a strange one is noticed where it is read.
        ValueRef::Real(value) => Value::Text(value.to_string()),
        ValueRef::Text(text) => Value::Text(String::from_utf8_lossy(text).into_owned()),
        ValueRef::Blob(bytes) => Value::Bytes(bytes.to_vec()),
    }
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Value::Null => ValueRef::Null,
            Value::Int(value) => ValueRef::Integer(*value),
            Value::Text(value) => ValueRef::Text(value.as_bytes()),
            Value::Bytes(value) => ValueRef::Blob(value),
        }))
    }
}

impl From<rusqlite::Error> for SqlError {
    fn from(error: rusqlite::Error) -> Self {
        let fault = match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::DiskFull) => Fault::Busy,
            Some(
                ErrorCode::ConstraintViolation
                | ErrorCode::TypeMismatch
                | ErrorCode::TooBig
                | ErrorCode::ParameterOutOfRange
                | ErrorCode::Unknown,
            ) => Fault::Refused,
            Some(_) => Fault::Lost,
            None => Fault::Refused,
        };
        SqlError { fault, message: error.to_string() }
    }
}
