//! Connections that are between two exchanges, one list for each backend.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::Uri;
use http::header::HeaderValue;
use tokio::time::Instant;

use super::BoxError;
use super::choice::Health;
use super::connect::{Connector, Link, SetupError};
use crate::config::limits::{BACKEND_IDLE, BACKEND_IDLE_LINKS_MAX};

/// One of the backends.
pub(super) struct Member {
    /// `host:port`, as configured: the name it is chosen by.
    pub(super) name: String,
    /// Where to connect.
    uri: Uri,
    /// `Host` for requests whose device sent none.
    pub(super) host: HeaderValue,
    pub(super) health: Health,
    idle: Mutex<Idle>,
}

#[derive(Default)]
struct Idle {
    /// Oldest first.
    links: VecDeque<(Link, Instant)>,
    /// A task looks after them.
    is_swept: bool,
}

impl Member {
    pub(super) fn new(url: &Uri, down: Duration, trial: Duration) -> Result<Self, SetupError> {
        let name = url.authority().map(|authority| authority.as_str().to_ascii_lowercase()).unwrap_or_default();
        let bad = |_| SetupError { place: "backend.url", message: format!("\"{url}\" cannot be a Host header") };
        let host = HeaderValue::from_str(&name).map_err(bad)?;
        Ok(Member { name, uri: url.clone(), host, health: Health::new(down, trial), idle: Mutex::default() })
    }

    /// An idle connection if `may_reuse` and one is there, else a new one.
    pub(super) async fn link(&self, connector: &Connector, may_reuse: bool) -> Result<Link, BoxError> {
        while may_reuse && let Some(mut link) = self.take_idle() {
            // Its driver has at most to notice that the last answer is over; one that does not is not worth waiting for.
            if let Ok(Ok(())) = tokio::time::timeout(Duration::from_millis(20), link.sender.ready()).await {
                link.is_reused = true;
                return Ok(link);
            }
        }
        connector.connect(&self.uri).await
    }

    /// Takes a connection back whose exchange is complete in both directions.
    pub(super) fn put_back(self: &Arc<Self>, link: Link) {
        let mut idle = self.idle();
        idle.close_stale(Instant::now());
        if idle.links.len() < BACKEND_IDLE_LINKS_MAX && !link.sender.is_closed() && !link.is_spoilt() {
            idle.links.push_back((link, Instant::now()));
            if !std::mem::replace(&mut idle.is_swept, true) {
                tokio::spawn(Arc::clone(self).sweep());
            }
        }
    }

    /// Closes what has grown old, until nothing is idle: after a storm, when all devices are parked, no exchange comes by
    /// that would do it, and each link keeps a socket and some ten kilobytes.
    async fn sweep(self: Arc<Self>) {
        loop {
            tokio::time::sleep(BACKEND_IDLE).await;
            let mut idle = self.idle();
            idle.close_stale(Instant::now());
            if idle.links.is_empty() {
                (idle.links, idle.is_swept) = (VecDeque::new(), false);
                return;
            }
        }
    }

    /// The youngest: the older ones may then grow old and go.
    fn take_idle(&self) -> Option<Link> {
        let now = Instant::now();
        let mut idle = self.idle();
        while let Some((link, since)) = idle.links.pop_back() {
            if is_fresh(&link, since, now) {
                return Some(link);
            }
        }
        None
    }

    fn idle(&self) -> MutexGuard<'_, Idle> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Idle {
    fn close_stale(&mut self, now: Instant) {
        while self.links.front().is_some_and(|(link, since)| !is_fresh(link, *since, now)) {
            self.links.pop_front();
        }
    }
}

fn is_fresh(link: &Link, since: Instant, now: Instant) -> bool {
    !link.sender.is_closed() && !link.is_spoilt() && now.saturating_duration_since(since) < BACKEND_IDLE
}
