//! The life of the process between its start and its end: reloads, and being told to leave.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::watch;

use super::systemd;
use crate::admin::token::{self, Token};
use crate::admin::{BoxFuture, Leaving, Life, Reloaded};
use crate::config::{Config, Problem, Reload};
use crate::gateway::Gateway;
use crate::telemetry::metrics::RELOADS_TOTAL;

/// Who is asked to reload or to leave, by signals and by administrators.
pub struct Conductor {
    gateway: Arc<Gateway>,
    token: Arc<ArcSwap<Token>>,
    /// `None`: the configuration came from nowhere, and cannot be read again.
    file: Option<PathBuf>,
    leave: watch::Sender<bool>,
    /// One reload at a time.
    turn: tokio::sync::Mutex<()>,
}

impl Conductor {
    pub(super) fn new(gateway: Arc<Gateway>, token: Arc<ArcSwap<Token>>, file: Option<PathBuf>) -> Self {
        Conductor { gateway, token, file, leave: watch::Sender::new(false), turn: tokio::sync::Mutex::default() }
    }

    /// Resolves when an administrator asked the process to leave.
    pub(super) async fn is_to_leave(&self) {
        // The sender is here, so that nobody can have dropped it.
        let _ = self.leave.subscribe().wait_for(|leave| *leave).await;
    }

    async fn read_again(&self) -> Result<Reloaded, Vec<Problem>> {
        let _turn = self.turn.lock().await;
        let Some(file) = &self.file else {
            return Err(vec![Problem {
                place: "file".to_owned(),
                message: "there is none: this gateway was not started from one".to_owned(),
            }]);
        };
        let (gateway, file) = (self.gateway.clone(), file.clone());
        let read = tokio::task::spawn_blocking(move || {
            let reload = gateway.config.reload(&file)?;
            let (changed, needs_restart) = (reload.changed.clone(), reload.needs_restart.clone());
            let token = load_token(&reload);
            let ready = gateway.make_ready(reload);
            match (ready, token) {
                (Ok(ready), Ok(token)) => Ok((ready, token, changed, needs_restart)),
                (Err(mut problems), Err(problem)) => {
                    problems.push(problem);
                    Err(problems)
                }
                (Err(problems), _) => Err(problems),
                (_, Err(problem)) => Err(vec![problem]),
            }
        });
        let failed =
            |error: tokio::task::JoinError| vec![Problem { place: "file".to_owned(), message: format!("could not be read: {error}") }];
        let (ready, new_token, changed, needs_restart) = read.await.map_err(failed)??;
        let certificates = self.gateway.put_in_force(ready).await;
        let token = !self.token.load().is(new_token.reveal().as_bytes());
        self.token.store(Arc::new(new_token));
        Ok(Reloaded { changed, needs_restart, certificates, token, held: self.gateway.lots.held() })
    }
}

/// The token file stays where it was: its place needs a restart, its content does not.
fn load_token(reload: &Reload) -> Result<Token, Problem> {
    let file: &Path = &reload.config.internal.token_file;
    let problem = |message: String| Problem { place: "internal.token_file".to_owned(), message };
    match token::load(file) {
        Ok(Some(token)) => Ok(token),
        Ok(None) => Err(problem(format!("there is no {}", file.display()))),
        Err(error) => Err(problem(error.to_string())),
    }
}

impl Life for Conductor {
    fn drain(&self) -> Leaving {
        self.leave.send_replace(true);
        let Config { drain, .. } = &*self.gateway.config;
        Leaving { held: self.gateway.lots.held(), unready_s: drain.unready.as_secs(), drain_s: drain.spread.as_secs() }
    }

    fn reload(&self) -> BoxFuture<'_, Result<Reloaded, Vec<Problem>>> {
        Box::pin(async move {
            systemd::reloading();
            let outcome = self.read_again().await;
            match &outcome {
                Ok(Reloaded { changed, needs_restart, certificates, token, held }) => {
                    tracing::info!(?changed, ?needs_restart, certificates, token, held, "reloaded");
                    if !needs_restart.is_empty() {
                        tracing::warn!(?needs_restart, "these keys need a restart; their old values stay in force");
                    }
                }
                Err(problems) => {
                    for problem in problems {
                        tracing::error!(%problem, "not reloaded; everything stays as it was");
                    }
                }
            }
            let label = if outcome.is_ok() { "done" } else { "refused" };
            metrics::counter!(RELOADS_TOTAL.name, "outcome" => label).increment(1);
            systemd::ready(outcome.as_ref().err().map(|problems| format!("not reloaded: {}", problems[0])).as_deref());
            outcome
        })
    }
}
