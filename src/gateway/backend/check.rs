//! Asks the backend once whether anything changed: its shortest Ping, with the device's own folders.
//!
//! The device's own list, because backends remember the last one. Checks have their own bound, below the backend's
//! workers, and do not take turns with forwarded requests: each holds a worker for its whole heartbeat.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT_LANGUAGE, AUTHORIZATION, CONTENT_TYPE, COOKIE, HOST, HeaderMap, HeaderValue, USER_AGENT};
use http::uri::PathAndQuery;
use http::{Method, Request, Response, StatusCode, Uri};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::body::read_whole;
use super::presets::{MS_AS_PROTOCOL_VERSION, X_MS_POLICY_KEY};
use super::{AnswerBody, Backend, BackendBody, Route, forward};
use crate::config;
use crate::logic::eas::{FolderId, PingAnswer, PingFolder, PingRequest};

/// `backend_checks_total{result}`.
const BACKEND_CHECKS: &str = "pushgate_backend_checks_total";
/// Beyond the heartbeat: a backend under load starts late and, on SOGo, looks once more at the end.
const MARGIN: Duration = Duration::from_secs(30);
/// No backend may teach us to wait longer than the protocol allows a Ping to last.
const HEARTBEAT_S_MAX: u32 = 3_540;

/// One check to make.
#[derive(Debug, Clone)]
pub struct CheckRequest {
    /// Path and query of the device's Ping.
    pub target: PathAndQuery,
    /// The head of the device's Ping; what a check needs of it is picked out.
    pub headers: HeaderMap,
    /// All folders the device watches.
    pub folders: Vec<PingFolder>,
}

/// What the backend says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckResult {
    /// Nothing changed since the device's last Sync.
    Unchanged,
    /// These folders changed.
    Changed(Vec<FolderId>),
    /// The device must FolderSync (Status 7).
    Hierarchy,
    /// The device may not: 401, 403, 449, 451, 456 or 457; the Statuses that ask for a policy count as 449.
    Refused(StatusCode),
    /// An answer that says nothing of use; the doubt remains.
    Failed,
    /// No answer, or a 5xx: nobody's mailbox is the cause of that. The doubt remains.
    Down,
}

impl CheckResult {
    fn label(&self) -> &'static str {
        match self {
            CheckResult::Unchanged => "unchanged",
            CheckResult::Changed(_) => "changed",
            CheckResult::Hierarchy => "hierarchy",
            CheckResult::Refused(_) => "refused",
            CheckResult::Failed | CheckResult::Down => "failed",
        }
    }
}

/// Makes checks, at most `backend.checks_max` at a time, in the order they were asked for; cheap to clone.
#[derive(Clone)]
pub struct Checker(Arc<Inner>);

struct Inner {
    backend: Backend,
    turns: Semaphore,
    /// As configured, until the backend names another.
    heartbeat_s: AtomicU32,
    answer_bytes_max: usize,
}

impl Checker {
    /// No check is made yet.
    pub fn new(backend: Backend, config: &config::Backend, limits: &config::Limits) -> Self {
        Checker(Arc::new(Inner {
            backend,
            turns: Semaphore::new(config.checks_max),
            heartbeat_s: AtomicU32::new(config.check_heartbeat_s),
            answer_bytes_max: limits.inspected_body_bytes_max,
        }))
    }

    /// Waits for its turn, then at most heartbeat and 30 s. Dropping the future gives the turn back and closes the
    /// connection to the backend.
    pub async fn check(&self, request: CheckRequest, route: Route) -> CheckResult {
        let _turn = self.0.turns.acquire().await.expect("never closed");
        let result = match self.0.ask(&request, &route).await {
            Answered::Done(result) => result,
            Answered::OtherHeartbeat => match self.0.ask(&request, &route).await {
                Answered::Done(result) => result,
                Answered::OtherHeartbeat => CheckResult::Failed,
            },
        };
        metrics::counter!(BACKEND_CHECKS, "result" => result.label()).increment(1);
        result
    }

    #[cfg(test)]
    pub(super) fn backend(&self) -> &Backend {
        &self.0.backend
    }

    /// The heartbeat checks are made with, in seconds.
    pub fn heartbeat_s(&self) -> u32 {
        self.0.heartbeat_s.load(Ordering::Relaxed)
    }
}

enum Answered {
    Done(CheckResult),
    /// Status 5; the heartbeat it named has been learnt.
    OtherHeartbeat,
}

impl Inner {
    async fn ask(&self, request: &CheckRequest, route: &Route) -> Answered {
        let heartbeat_s = self.heartbeat_s.load(Ordering::Relaxed);
        let patience = Duration::from_secs(heartbeat_s.into()) + MARGIN;
        let route = Route { answer_timeout: Some(patience), command: "check", ..route.clone() };
        let exchange = async {
            let response = self.send(request, heartbeat_s, &route).await?;
            let status = response.status();
            Some((status, read_whole(response.into_body(), self.answer_bytes_max).await))
        };
        let Ok(Some((status, body))) = timeout(patience, exchange).await else { return Answered::Done(CheckResult::Down) };
        match (status.as_u16(), body) {
            (200, Some(body)) => self.read(&body, heartbeat_s, &request.folders),
            (401 | 403 | 449 | 451 | 456 | 457, _) => Answered::Done(CheckResult::Refused(status)),
            (500.., _) => Answered::Done(CheckResult::Down),
            _ => Answered::Done(CheckResult::Failed),
        }
    }

    async fn send(&self, request: &CheckRequest, heartbeat_s: u32, route: &Route) -> Option<Response<AnswerBody>> {
        let folders = request.folders.clone();
        let ping = PingRequest { heartbeat_s: Some(heartbeat_s), folder_count: folders.len(), folders: Some(folders) };
        let (mut head, ()) = Request::new(()).into_parts();
        head.method = Method::POST;
        head.uri = Uri::from(request.target.clone());
        // Not Accept-Encoding: we read the answer.
        for name in [HOST, AUTHORIZATION, USER_AGENT, ACCEPT_LANGUAGE, COOKIE, MS_AS_PROTOCOL_VERSION, X_MS_POLICY_KEY] {
            for value in request.headers.get_all(&name) {
                head.headers.append(name.clone(), value.clone());
            }
        }
        head.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/vnd.ms-sync.wbxml"));
        let result = self.backend.exchange_unbounded(head, BackendBody::Replayable(Bytes::from(ping.encode())), route).await;
        forward::count(route.command, result.as_ref().map_or_else(|failure| failure.status(), Response::status));
        result.ok()
    }

    fn read(&self, body: &[u8], asked_s: u32, folders: &[PingFolder]) -> Answered {
        let result = match PingAnswer::parse(body) {
            Ok(PingAnswer::Expired) => CheckResult::Unchanged,
            // Without a name it may be any of them.
            Ok(PingAnswer::Changes(changed)) if changed.is_empty() => {
                CheckResult::Changed(folders.iter().map(|folder| folder.id.clone()).collect())
            }
            Ok(PingAnswer::Changes(changed)) => CheckResult::Changed(changed),
            Ok(PingAnswer::HierarchyChanged) => CheckResult::Hierarchy,
            Ok(PingAnswer::HeartbeatOutOfRange { heartbeat_s })
                if heartbeat_s != asked_s && (1..=HEARTBEAT_S_MAX).contains(&heartbeat_s) =>
            {
                tracing::info!(asked_s, heartbeat_s, "the backend wants another heartbeat for checks (backend.check_heartbeat_s)");
                self.heartbeat_s.store(heartbeat_s, Ordering::Relaxed);
                return Answered::OtherHeartbeat;
            }
            // 139 to 145: the device must provision or is not as the policy wants it.
            Ok(PingAnswer::Other(139..=145)) => CheckResult::Refused(StatusCode::from_u16(449).expect("three digits")),
            Ok(answer) => {
                tracing::debug!(status = answer.status(), "a check was answered with a status that says nothing");
                CheckResult::Failed
            }
            Err(error) => {
                tracing::debug!(%error, "the answer to a check cannot be read");
                CheckResult::Failed
            }
        };
        Answered::Done(result)
    }
}
