//! PostgreSQL, spoken to from one thread: its connection runs on a small runtime of that thread's own, and every wait has an end.

use std::collections::HashMap;
use std::future::Future;
use std::path::Path;
use std::time::Duration;

use futures_util::future::try_join_all;
use tokio::runtime::{Builder, Runtime};
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Config, Error, Statement};

use super::postgres_tls::Tls;
use super::{Dialect, Fault, Row, Sql, SqlError, Value};

/// Time to connect, all of TLS and authentication included.
const CONNECT: Duration = Duration::from_secs(5);
/// The server ends a statement after this; ours take milliseconds, a search through a million devices seconds.
const STATEMENT: Duration = Duration::from_secs(15);
/// We give a connection up after this: the server did not end the statement, so it is not there.
const ANSWER: Duration = Duration::from_secs(20);
/// A migration may rewrite a table.
const BATCH: Duration = Duration::from_secs(3_600);
/// Statements sent ahead of their answers.
const AHEAD: usize = 500;

/// A connection.
pub(in crate::store) struct Postgres {
    // Before the runtime, which the connection runs on.
    client: Client,
    statements: HashMap<String, Statement>,
    runtime: Runtime,
}

/// Where the server is and how to prove who we are; reads nothing but the CA file.
#[derive(Clone)]
pub(in crate::store) struct Address {
    config: Config,
    tls: Tls,
}

impl Address {
    /// From `store.url`, `store.password` and `store.ca`.
    ///
    /// Unless the URL says `sslmode=…`, a server on another machine is spoken to with TLS only, and one on this machine without.
    pub(in crate::store) fn new(url: &str, password: &str, ca: Option<&Path>) -> Result<Self, String> {
        // The certificate is always verified; that is what these two ask for.
        let url = url.replace("sslmode=verify-full", "sslmode=require").replace("sslmode=verify-ca", "sslmode=require");
        let mut config: Config = url.parse().map_err(|error: Error| format!("store.url: {}", chain(&error)))?;
        if !password.is_empty() {
            config.password(password);
        }
        if !url.contains("sslmode=") {
            let is_local = |host: &Host| match host {
                Host::Tcp(name) => name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback()),
                Host::Unix(_) => true,
            };
            config.ssl_mode(if config.get_hosts().iter().all(is_local) { SslMode::Disable } else { SslMode::Require });
        }
        config.connect_timeout(CONNECT).keepalives_idle(Duration::from_secs(30)).tcp_user_timeout(ANSWER);
        config.application_name("pushgate");
        Ok(Address { config, tls: Tls::new(ca)? })
    }
}

impl Postgres {
    /// Connects, or gives up within seconds.
    pub(in crate::store) fn connect(address: &Address) -> Result<Self, SqlError> {
        let broken = |error: std::io::Error| SqlError { fault: Fault::Lost, message: error.to_string() };
        let runtime = Builder::new_current_thread().enable_all().build().map_err(broken)?;
        let (client, connection) = wait(&runtime, CONNECT * 2, address.config.connect(address.tls.clone()))?;
        runtime.spawn(async move {
            // What ended it shows at the next statement.
            if let Err(error) = connection.await {
                tracing::debug!(error = chain(&error), "connection to PostgreSQL ended");
            }
        });
        let mut this = Postgres { client, statements: HashMap::new(), runtime };
        this.batch(&format!(
            "SET statement_timeout = {0}; SET lock_timeout = {0}; SET idle_in_transaction_session_timeout = 60000; SET synchronous_commit = on; SET client_min_messages = warning",
            STATEMENT.as_millis()
        ))?;
        Ok(this)
    }

    fn prepared(&mut self, sql: &str) -> Result<Statement, SqlError> {
        if let Some(statement) = self.statements.get(sql) {
            return Ok(statement.clone());
        }
        let statement = wait(&self.runtime, ANSWER, self.client.prepare(&sql.replace('?', "$")))?;
        self.statements.insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }
}

impl Sql for Postgres {
    fn dialect(&self) -> Dialect {
        Dialect::Postgres
    }

    fn batch(&mut self, sql: &str) -> Result<(), SqlError> {
        wait(&self.runtime, BATCH, self.client.batch_execute(sql))
    }

    fn execute(&mut self, sql: &str, params: &[Value]) -> Result<u64, SqlError> {
        let statement = self.prepared(sql)?;
        wait(&self.runtime, ANSWER, self.client.execute(&statement, &references(params)))
    }

    fn execute_many(&mut self, sql: &str, rows: &[Vec<Value>]) -> Result<(), SqlError> {
        let statement = self.prepared(sql)?;
        let (client, runtime) = (&self.client, &self.runtime);
        for ahead in rows.chunks(AHEAD) {
            let references: Vec<_> = ahead.iter().map(|row| references(row)).collect();
            wait(runtime, ANSWER, try_join_all(references.iter().map(|row| client.execute(&statement, row))))?;
        }
        Ok(())
    }

    fn query_many(&mut self, sql: &str, rows: &[Vec<Value>]) -> Result<Vec<Vec<Row>>, SqlError> {
        let statement = self.prepared(sql)?;
        let (client, runtime) = (&self.client, &self.runtime);
        let mut answers = Vec::with_capacity(rows.len());
        for ahead in rows.chunks(AHEAD) {
            let references: Vec<_> = ahead.iter().map(|row| references(row)).collect();
            let found = wait(runtime, ANSWER, try_join_all(references.iter().map(|row| client.query(&statement, row))))?;
            for rows in found {
                answers.push(read(&rows)?);
            }
        }
        Ok(answers)
    }

    fn query(&mut self, sql: &str, params: &[Value]) -> Result<Vec<Row>, SqlError> {
        let statement = self.prepared(sql)?;
        let rows = wait(&self.runtime, ANSWER, self.client.query(&statement, &references(params)))?;
        read(&rows)
    }
}

fn read(rows: &[tokio_postgres::Row]) -> Result<Vec<Row>, SqlError> {
    rows.iter().map(|row| Ok(Row((0..row.len()).map(|index| row.try_get(index)).collect::<Result<_, Error>>()?))).collect()
}

/// As the driver wants them.
fn references(params: &[Value]) -> Vec<&(dyn ToSql + Sync)> {
    params.iter().map(|value| value as &(dyn ToSql + Sync)).collect()
}

fn wait<T>(runtime: &Runtime, patience: Duration, answer: impl Future<Output = Result<T, Error>>) -> Result<T, SqlError> {
    match runtime.block_on(async { tokio::time::timeout(patience, answer).await }) {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(SqlError { fault: Fault::Lost, message: format!("PostgreSQL did not answer within {} s", patience.as_secs()) }),
    }
}

/// An error with its causes, on one line. The server's detail, which may quote values, is left out.
fn chain(error: &Error) -> String {
    if let Some(server) = error.as_db_error() {
        return format!("{} ({})", server.message(), server.code().code());
    }
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}

impl From<Error> for SqlError {
    fn from(error: Error) -> Self {
        let busy = [
            SqlState::T_R_SERIALIZATION_FAILURE,
            SqlState::T_R_DEADLOCK_DETECTED,
            SqlState::LOCK_NOT_AVAILABLE,
            SqlState::QUERY_CANCELED,
            SqlState::DISK_FULL,
            SqlState::OUT_OF_MEMORY,
        ];
        let fault = match error.code() {
            Some(code) if busy.contains(code) => Fault::Busy,
            // 57P: shut down or being so; 08: connection; 25006: read only, so a standby; 53: out of resources; 58: system.
            Some(code) if ["57P", "08", "25006", "53", "58"].iter().any(|class| code.code().starts_with(class)) => Fault::Lost,
            Some(_) => Fault::Refused,
            None => Fault::Lost,
        };
        SqlError { fault, message: chain(&error) }
    }
}
