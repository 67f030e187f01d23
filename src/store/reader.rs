//! The one thread that only reads: lists, searches, one device in full. It has a connection of its own, so that a long list keeps no act
//! of an administrator waiting.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

use super::error::StoreError;
use super::place::Place;
use super::shared::Shared;
use super::sql::{Fault, Sql, SqlError};
use crate::config::limits::STORE_JOBS_MAX;

/// Connecting again is tried this often, however many ask.
const RETRY: Duration = Duration::from_secs(1);

/// A connection that was not used this long is looked at before it is.
const IDLE: Duration = Duration::from_secs(1);

type Question = Box<dyn FnOnce(Result<&mut dyn Sql, &SqlError>) -> Option<Fault> + Send>;

/// A way to ask.
pub(super) struct Reader(SyncSender<Question>);

/// Starts the thread; it ends with the last [`Reader`].
pub(super) fn start(place: Place, shared: Arc<Shared>) -> std::io::Result<Reader> {
    let (ask, questions) = sync_channel(STORE_JOBS_MAX);
    std::thread::Builder::new().name("store-reader".into()).spawn(move || run(&place, &shared, &questions))?;
    Ok(Reader(ask))
}

impl Reader {
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&mut dyn Sql) -> Result<T, SqlError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, answered) = tokio::sync::oneshot::channel();
        let question: Question = Box::new(move |sql| {
            let result = match sql {
                Ok(sql) => question(sql),
                Err(error) => Err(SqlError { fault: error.fault, message: error.message.clone() }),
            };
            let fault = result.as_ref().err().map(|error| error.fault);
            // Who asked may have left.
            let _ = answer.send(result);
            fault
        });
        self.0.try_send(question).map_err(|error| match error {
            TrySendError::Full(_) => StoreError::Unavailable("too many questions at once; ask again".into()),
            TrySendError::Disconnected(_) => StoreError::Unavailable("pushgate is leaving".into()),
        })?;
        match answered.await {
            Ok(result) => result.map_err(StoreError::from),
            Err(_) => Err(StoreError::Unavailable("pushgate is leaving".into())),
        }
    }
}

fn run(place: &Place, shared: &Shared, questions: &Receiver<Question>) {
    let mut sql: Option<Box<dyn Sql>> = None;
    let mut used_at = Instant::now();
    let mut failure: Option<(Instant, SqlError)> = None;
    for question in questions {
        // One that was idle may have been closed since; the question must not be the one to find out.
        let is_idle = used_at.elapsed() >= IDLE;
        if is_idle && sql.as_deref_mut().is_some_and(|sql| sql.query("SELECT generation FROM store_state", &[]).is_err()) {
            sql = None;
        }
        used_at = Instant::now();
        // The writer knows first when the database is back.
        let is_worth_trying = |at: Instant| at.elapsed() >= RETRY || shared.connected.load(Ordering::Acquire);
        if sql.is_none() && failure.as_ref().is_none_or(|(at, _)| is_worth_trying(*at)) {
            match place.connect_to_read() {
                Ok(connected) => (sql, failure) = (Some(connected), None),
                Err(error) => failure = Some((Instant::now(), error)),
            }
        }
        let fault = match (sql.as_deref_mut(), &failure) {
            (Some(sql), _) => question(Ok(sql)),
            (None, Some((_, error))) => question(Err(error)),
            (None, None) => None,
        };
        if fault == Some(Fault::Lost) {
            sql = None;
        }
    }
}
