//! Does the backend accept these credentials? Asked once, remembered for a while, asked once for all who wait.
//!
//! What is remembered is a keyed hash of the credentials and a time, 20 bytes: nothing that could be stolen. The key is
//! made anew in each process. Every status of a backend that could mean "accepted" is trusted only when
//! a wrong password has been seen to be refused by the same question.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderMap, HeaderValue, USER_AGENT};
use http::{Method, Request, Response, StatusCode, Uri, request};
use http_body_util::{BodyExt, Full};
use quick_cache::sync::Cache;
use tokio::sync::watch;
use tokio::time::Instant;

use super::body::read_whole;
use super::credentials::Credentials;
use super::failure::Failure;
use super::presets::{self, MS_AS_PROTOCOL_VERSION, SETTINGS_BODY, X_MS_POLICY_KEY};
use super::{AnswerBody, Backend, BackendBody, Claim, Route, forward};
use crate::config;
use crate::config::limits::{REFUSAL_BODY_BYTES_MAX, REFUSAL_TTL, REFUSALS_MAX, VERDICT_QUESTIONS_MAX, VERDICTS_MAX};
use crate::logic::eas::Mailbox;

/// What the backend thinks of credentials.
#[derive(Debug, Clone)]
pub enum Verdict {
    /// They are right, or were within `auth.verdict_ttl_s`.
    Accepted,
    /// They are not (401), or the user may not (403, 451, 456, 457): pass the answer on.
    Refused(Arc<Refusal>),
    /// The backend could not say.
    Unknown {
        /// The one that stands for its trouble.
        status: StatusCode,
        /// Seconds after which it is worth asking again.
        retry_after_s: u32,
    },
}

/// A backend's refusal, as it came.
#[derive(Debug)]
pub struct Refusal {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Refusal {
    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The headers of the answer.
    pub(crate) fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The answer for the device.
    pub fn response(&self) -> Response<AnswerBody> {
        let mut response = Response::new(Full::new(self.body.clone()).map_err(|never| match never {}).boxed());
        *response.status_mut() = self.status;
        response.headers_mut().clone_from(&self.headers);
        response
    }
}

/// A keyed hash of one `Authorization` value, shortened: 2^64 guesses for a collision, which could only be made online.
type Digest = [u8; 16];
/// Tenths of a second since the start: 13 years in 4 bytes.
type Tenths = u32;

/// All remembered verdicts; cheap to clone.
#[derive(Clone)]
pub struct Verdicts(Arc<Inner>);

struct Inner {
    backend: Backend,
    key: hmac::Key,
    started: Instant,
    /// Of what is remembered from now on.
    ttl: AtomicU32,
    /// Until when.
    accepted: Cache<Digest, Tenths>,
    refused: Cache<Digest, (Tenths, Arc<Refusal>)>,
    /// Questions under way, at most `VERDICT_QUESTIONS_MAX`.
    asking: Mutex<HashMap<Digest, watch::Receiver<Option<Verdict>>>>,
    question: AtomicU8,
    /// The backend says 403 to a wrong password.
    forbids: AtomicBool,
    /// When the last attempt to find out failed, and how.
    proving: tokio::sync::Mutex<Option<(Instant, StatusCode)>>,
}

/// How this backend is asked; found out with a wrong password at first use.
const UNPROVED: u8 = 0;
const OPTIONS: u8 = 1;
const SETTINGS: u8 = 2;

impl Verdicts {
    /// Nothing remembered, nothing asked yet.
    pub fn new(backend: Backend, auth: &config::Auth) -> Self {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new()).expect("the system has randomness");
        Verdicts(Arc::new(Inner {
            backend,
            key,
            started: Instant::now(),
            ttl: AtomicU32::new(tenths(auth.verdict_ttl)),
            accepted: Cache::new(VERDICTS_MAX),
            refused: Cache::new(REFUSALS_MAX),
            asking: Mutex::new(HashMap::new()),
            question: AtomicU8::new(UNPROVED),
            forbids: AtomicBool::new(false),
            proving: tokio::sync::Mutex::new(None),
        }))
    }

    /// Whether the backend accepts the credentials of this request; asks it if nothing is remembered.
    ///
    /// All who ask about the same credentials at the same time share one question, and a device that hangs up does
    /// not take the answer from the others.
    pub async fn verdict(&self, credentials: &Credentials, head: &request::Parts, route: &Route) -> Verdict {
        let digest = self.0.digest(credentials);
        if let Some(verdict) = self.0.remembered(&digest) {
            return verdict;
        }
        let Some(mut answer) = self.0.join_or_ask(digest, || Question::new(credentials, head, route)) else {
            return self.0.unknown(self.0.backend.busy());
        };
        match answer.wait_for(Option::is_some).await {
            Ok(verdict) => verdict.clone().unwrap_or_else(|| self.0.unknown(self.0.backend.busy())),
            Err(_) => self.0.unknown(self.0.backend.busy()),
        }
    }

    /// The backend has just accepted them in a forwarded command.
    pub fn remember(&self, credentials: &Credentials) {
        self.0.accept(self.0.digest(credentials));
    }

    /// Whether they are remembered as right; asks nobody.
    pub fn is_accepted(&self, credentials: &Credentials) -> bool {
        matches!(self.0.remembered(&self.0.digest(credentials)), Some(Verdict::Accepted))
    }

    /// Whether the backend says with this status that a password is wrong: 401, or 403 where it says that to a wrong one. (Elsewhere 403
    /// means that a user may not, which no other password changes.)
    pub(crate) fn is_rejection(&self, status: StatusCode) -> bool {
        status == StatusCode::UNAUTHORIZED || status == StatusCode::FORBIDDEN && self.0.forbids.load(Ordering::Relaxed)
    }

    /// A keyed hash of credentials, for others who remember something of them.
    pub(crate) fn mark(&self, credentials: &Credentials) -> [u8; 16] {
        self.0.digest(credentials)
    }

    /// The same of anything else.
    pub(crate) fn mark_bytes(&self, bytes: &[u8]) -> [u8; 16] {
        hmac::sign(&self.0.key, bytes).as_ref().first_chunk().copied().expect("SHA-256 has 32 bytes")
    }

    /// The configuration changed; with other backends, how they are asked is found out anew.
    pub(crate) fn reconfigure(&self, auth: &config::Auth, are_backends_new: bool) {
        self.0.ttl.store(tenths(auth.verdict_ttl), Ordering::Relaxed);
        if are_backends_new {
            self.0.question.store(UNPROVED, Ordering::Release);
        }
    }

    #[cfg(test)]
    pub(super) fn is_remembered(&self, credentials: &Credentials) -> bool {
        self.0.remembered(&self.0.digest(credentials)).is_some()
    }

    /// The backend has just answered 401 to them.
    pub fn forget(&self, credentials: &Credentials) {
        self.0.accepted.remove(&self.0.digest(credentials));
    }
}

/// Everything a question needs, owned: it outlives the request that raised it.
struct Question {
    credentials: Credentials,
    headers: HeaderMap,
    settings: Option<Uri>,
    route: Route,
}

impl Question {
    fn new(credentials: &Credentials, head: &request::Parts, route: &Route) -> Self {
        let mut headers = HeaderMap::new();
        for name in [HOST, USER_AGENT, MS_AS_PROTOCOL_VERSION, X_MS_POLICY_KEY] {
            if let Some(value) = head.headers.get(&name) {
                headers.insert(name, value.clone());
            }
        }
        headers.insert(AUTHORIZATION, credentials.authorization().clone());
        let settings = head.uri.path_and_query().and_then(presets::settings_target);
        // A forwarded Ping may wait for a heartbeat, a question about its sender must not.
        let route = Route { answer_timeout: None, command: "verdict", claim: Claim::Question, ..route.clone() };
        Question { credentials: credentials.clone(), headers, settings, route }
    }
}

impl Inner {
    fn digest(&self, credentials: &Credentials) -> Digest {
        let tag = hmac::sign(&self.key, credentials.authorization().as_bytes());
        tag.as_ref().first_chunk().copied().expect("SHA-256 has 32 bytes")
    }

    fn now(&self) -> Tenths {
        tenths(self.started.elapsed())
    }

    fn remembered(&self, digest: &Digest) -> Option<Verdict> {
        let now = self.now();
        match self.accepted.get(digest) {
            Some(until) if now < until => return Some(Verdict::Accepted),
            Some(_) => drop(self.accepted.remove(digest)),
            None => {}
        }
        let (until, refusal) = self.refused.get(digest)?;
        (now < until).then_some(Verdict::Refused(refusal))
    }

    fn accept(&self, digest: Digest) {
        self.accepted.insert(digest, self.now().saturating_add(self.ttl.load(Ordering::Relaxed)));
        self.refused.remove(&digest);
    }

    /// Waits with those who already ask, or asks. `None` when too much is asked already: questions outlive those who
    /// asked them, so whoever guesses passwords and hangs up could otherwise pile them up.
    fn join_or_ask(self: &Arc<Self>, digest: Digest, question: impl FnOnce() -> Question) -> Option<watch::Receiver<Option<Verdict>>> {
        let mut asking = self.asking.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(answer) = asking.get(&digest) {
            return Some(answer.clone());
        }
        if asking.len() >= VERDICT_QUESTIONS_MAX {
            return None;
        }
        let (sender, answer) = watch::channel(None);
        asking.insert(digest, answer.clone());
        let (this, question) = (Arc::clone(self), question());
        tokio::spawn(async move {
            let asked = Asked { inner: &this, digest };
            let verdict = this.ask(question).await;
            this.note(digest, &verdict);
            // Remembered first, then no longer asked: whoever comes between finds one of the two.
            drop(asked);
            let _nobody_waits = sender.send(Some(verdict));
        });
        Some(answer)
    }

    fn note(&self, digest: Digest, verdict: &Verdict) {
        match verdict {
            Verdict::Accepted => self.accept(digest),
            Verdict::Refused(refusal) => {
                self.accepted.remove(&digest);
                self.refused.insert(digest, (self.now().saturating_add(tenths(REFUSAL_TTL)), Arc::clone(refusal)));
            }
            Verdict::Unknown { .. } => {}
        }
    }

    /// No answer from a backend.
    fn unknown(&self, failure: Failure) -> Verdict {
        let retry_after_s = if let Failure::Busy { retry_after_s } = failure { retry_after_s } else { self.backend.later_s() };
        Verdict::Unknown { status: failure.status(), retry_after_s }
    }

    async fn ask(&self, question: Question) -> Verdict {
        let kind = self.backend.kind();
        let (method, uri, body) = match self.prove().await {
            Ok(OPTIONS) => {
                let mailbox = question.route.mailbox.as_ref().map(Mailbox::as_str);
                (Method::OPTIONS, presets::options_target(kind, question.credentials.user().or(mailbox)), BackendBody::Empty)
            }
            Ok(_) => match question.settings {
                Some(uri) => (Method::POST, uri, BackendBody::Replayable(Bytes::from_static(SETTINGS_BODY))),
                // Not an EAS request, and nothing else would prove anything.
                None => return self.unknown(self.backend.busy()),
            },
            Err(status) => return Verdict::Unknown { status, retry_after_s: self.backend.later_s() },
        };
        let mut headers = question.headers;
        if method == Method::POST {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/vnd.ms-sync.wbxml"));
            // Settings came with 12.0; a base64 query brings its own version.
            if headers.get(&MS_AS_PROTOCOL_VERSION).is_some_and(|version| version.as_bytes().starts_with(b"2.")) {
                headers.insert(MS_AS_PROTOCOL_VERSION, HeaderValue::from_static("12.1"));
            }
        }
        match self.send(method, uri, headers, body, &question.route).await {
            Ok(response) => judge(response, self.backend.later_s()).await,
            Err(failure) => self.unknown(failure),
        }
    }

    /// How to ask: OPTIONS if it refuses a wrong password. One wrong password a process, for a user that nobody has, so
    /// that no account is locked; and not in the name of the device's address, so that no address is banned.
    async fn prove(&self) -> Result<u8, StatusCode> {
        let came_at = Instant::now();
        let known = self.question.load(Ordering::Acquire);
        if known != UNPROVED {
            return Ok(known);
        }
        let mut failed = self.proving.lock().await;
        let known = self.question.load(Ordering::Acquire);
        if known != UNPROVED {
            return Ok(known);
        }
        if let Some((at, status)) = *failed
            && at >= came_at
        {
            // Whoever waited meanwhile would only wait as long again.
            return Err(status);
        }
        let question = self.try_a_wrong_password().await.inspect_err(|&status| *failed = Some((Instant::now(), status)))?;
        self.question.store(question, Ordering::Release);
        Ok(question)
    }

    async fn try_a_wrong_password(&self) -> Result<u8, StatusCode> {
        let (user, authorization) = nobody();
        let headers = HeaderMap::from_iter([(AUTHORIZATION, authorization)]);
        let route = Route { command: "verdict", claim: Claim::Question, ..Route::from_peer(IpAddr::V4(Ipv4Addr::LOCALHOST)) };
        let uri = presets::options_target(self.backend.kind(), Some(&user));
        let response = self.send(Method::OPTIONS, uri, headers, BackendBody::Empty, &route).await;
        match response.map_err(Failure::status)?.status() {
            status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {
                self.forbids.store(status == StatusCode::FORBIDDEN, Ordering::Relaxed);
                Ok(OPTIONS)
            }
            trouble if trouble.is_server_error() => Err(trouble),
            status => {
                tracing::info!(%status, "the backend answers OPTIONS to a wrong password: credentials are checked with Settings instead");
                Ok(SETTINGS)
            }
        }
    }

    async fn send(
        &self,
        method: Method,
        uri: Uri,
        headers: HeaderMap,
        body: BackendBody,
        route: &Route,
    ) -> Result<Response<AnswerBody>, Failure> {
        let (mut head, ()) = Request::new(()).into_parts();
        (head.method, head.uri, head.headers) = (method, uri, headers);
        let result = self.backend.exchange(head, body, route).await;
        forward::count(route.command, result.as_ref().map_or_else(|failure| failure.status(), Response::status));
        result
    }
}

/// Takes a question out of the list however it ends.
struct Asked<'a> {
    inner: &'a Inner,
    digest: Digest,
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        self.inner.asking.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.digest);
    }
}

/// 449 asks for a policy, which no backend does before it knows the user.
async fn judge(response: Response<AnswerBody>, later_s: u32) -> Verdict {
    match response.status().as_u16() {
        200..=299 | 449 => Verdict::Accepted,
        401 | 403 | 451 | 456 | 457 => {
            let (mut head, body) = response.into_parts();
            let body = read_whole(body, REFUSAL_BODY_BYTES_MAX).await;
            head.headers.remove(CONTENT_LENGTH);
            Verdict::Refused(Arc::new(Refusal {
                status: head.status,
                headers: head.headers,
                // What matters is the head; a refusal that is a book is cut to nothing.
                body: body.unwrap_or_default(),
            }))
        }
        _ => Verdict::Unknown { status: response.status(), retry_after_s: later_s },
    }
}

fn nobody() -> (String, HeaderValue) {
    let mut random = [0; 24];
    aws_lc_rs::rand::fill(&mut random).expect("the system has randomness");
    let hex: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    let user = format!("pushgate-{}", &hex[..16]);
    let basic = BASE64_STANDARD.encode(format!("{user}:{}", &hex[16..]));
    (user, HeaderValue::from_str(&format!("Basic {basic}")).expect("base64 is ASCII"))
}

fn tenths(duration: Duration) -> Tenths {
    Tenths::try_from(duration.as_millis() / 100).unwrap_or(Tenths::MAX)
}
