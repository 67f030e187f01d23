//! The EAS servers behind us.
//!
//! In: a request head, its body and a [`Route`]. Out: an answer that streams, a verdict about a
//! credential, or the result of a check. Upstream connections are pooled here and nowhere else; nothing
//! here reads WBXML beyond a Ping's, and no secret is ever logged, kept or put into an error.
//!
//! * `forward`: one exchange, top to bottom, with its retry rules. `headers`: what must not cross.
//! * `pace`: when, and who first. `choice`: which backend. `pool`, `connect`: connections to it. `body`: streams with their bounds.
//! * `credentials`, `verdict`: whose request is it, and does the backend agree.
//! * `check`: has anything changed? `presets`: where backends differ.

mod body;
mod check;
mod choice;
mod connect;
mod credentials;
mod failure;
mod forward;
mod headers;
mod pace;
mod pool;
mod presets;
#[cfg(test)]
mod tests;
mod verdict;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use tokio::sync::Semaphore;
use tokio::time::Instant;

pub use body::BackendBody;
pub use check::{CheckRequest, CheckResult, Checker};
pub use connect::SetupError;
pub use credentials::{Credentials, mailbox_of};
pub use failure::Failure;
pub use verdict::{Refusal, Verdict, Verdicts};

use crate::config;
use crate::config::{BackendKind, Live};
use crate::logic::eas::Mailbox;
use connect::Connector;
use pace::Pace;
use pool::Member;

/// Whatever went wrong in a body; it ends a connection and is never shown to a device.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;
/// The body of an answer: frames as they come from the backend; an error means "abort the connection".
pub type AnswerBody = BoxBody<Bytes, BoxError>;

/// What the caller knows about a request besides its head.
#[derive(Debug, Clone)]
pub struct Route {
    /// Whose request it is: all requests of a mailbox go to the same backend while it is up.
    pub mailbox: Option<Mailbox>,
    /// Who is connected to us: put into `X-Forwarded-For`, and the key of the choice when there is no mailbox.
    pub peer: IpAddr,
    /// Whether `peer` is one of `listen.trusted_proxies`, whose own `X-Forwarded-For` is kept.
    pub trusts_forwarded: bool,
    /// Time for the head of the answer when it is not `backend.answer_timeout_s`: a forwarded Ping's heartbeat and a margin.
    pub answer_timeout: Option<Duration>,
    /// The EAS command, as a metric label.
    pub command: &'static str,
    /// What is known of who asks: how much of the backend they may occupy together.
    pub claim: Claim,
}

/// Who asks, as far as it matters for sharing the backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// The backend accepted these credentials lately.
    Known,
    /// Anybody: half of the turns at most, since a body that trickles in keeps its turn for as long as it likes.
    Stranger,
    /// We ask about credentials: a quarter at most, since whoever guesses passwords makes us ask.
    Question,
}

impl Route {
    /// A request about which nothing is known but who sent it.
    pub fn from_peer(peer: IpAddr) -> Self {
        Route { mailbox: None, peer, trusts_forwarded: false, answer_timeout: None, command: "none", claim: Claim::Stranger }
    }
}

/// All configured backends, their connections and the bound on both; cheap to clone.
#[derive(Clone)]
pub struct Backend(Arc<Live<Inner>>);

/// Backends that can be put in force.
pub(crate) struct Prepared(Inner);

pub(crate) struct Inner {
    kind: BackendKind,
    pace: Pace,
    members: Vec<Arc<Member>>,
    connector: Connector,
    /// One permit an exchange, from before the connection until the last byte of the answer. Waiters are served in order.
    turns: Arc<Semaphore>,
    /// Held besides by exchanges that may last a heartbeat, so that forwarded Pings cannot starve everything else.
    long_turns: Arc<Semaphore>,
    /// Held besides by strangers, and by questions about credentials, so that those whom the backend knows find a turn.
    stranger_turns: Arc<Semaphore>,
    question_turns: Arc<Semaphore>,
    /// Sent so far, whatever became of them.
    requests: AtomicU64,
    answer_timeout: Duration,
    body_idle: Duration,
    started: Instant,
}

impl Backend {
    /// Reads the CA file; opens no connection yet.
    pub fn new(config: &config::Backend, limits: &config::Limits) -> Result<Self, SetupError> {
        Ok(Backend(Arc::new(Live::new(Self::prepare(config, limits)?.0))))
    }

    /// Backends as configured, to be put in force by [`Backend::replace`]. Reads the CA file.
    pub(crate) fn prepare(config: &config::Backend, limits: &config::Limits) -> Result<Prepared, SetupError> {
        let members = config.url.iter().map(|url| Member::new(url, config.down, config.connect_timeout).map(Arc::new));
        Ok(Prepared(Inner {
            kind: config.kind,
            pace: Pace::new(config.requests_per_s),
            members: members.collect::<Result<_, _>>()?,
            connector: Connector::new(config)?,
            turns: Arc::new(Semaphore::new(config.connections_max)),
            long_turns: Arc::new(Semaphore::new((config.connections_max * 3 / 4).max(1))),
            stranger_turns: Arc::new(Semaphore::new(config.connections_max.div_ceil(2))),
            question_turns: Arc::new(Semaphore::new(config.connections_max.div_ceil(4))),
            requests: AtomicU64::new(0),
            answer_timeout: config.answer_timeout,
            body_idle: limits.body_idle,
            started: Instant::now(),
        }))
    }

    /// From now on these take the requests; what is under way ends where it began.
    pub(crate) fn replace(&self, Prepared(next): Prepared) {
        next.requests.store(self.requests_total(), Ordering::Relaxed);
        self.0.replace(next);
    }

    /// Requests sent since the start, checks and questions about credentials included.
    pub fn requests_total(&self) -> u64 {
        self.0.requests.load(Ordering::Relaxed)
    }

    /// Requests that wait for their turn under `backend.requests_per_s`.
    pub fn waiting(&self) -> usize {
        self.0.pace.waiting()
    }

    pub(crate) fn kind(&self) -> BackendKind {
        self.0.kind
    }
}
