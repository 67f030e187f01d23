//! One exchange: wait in line, take a turn, choose a backend, send, wait for the head, and let the answer stream.
//!
//! A request goes out a second time only when the first cannot have had an effect: the connection was never
//! made, or it was an idle one that closed before hyper sent anything, or it was an idle one that closed without
//! a byte of an answer and the request may be repeated.

use std::borrow::Cow;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use http::header::{CONTENT_LENGTH, HeaderValue, TRANSFER_ENCODING};
use http::{Method, Request, Response, StatusCode, Uri, Version, request};
use hyper::body::Incoming;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep_until, timeout};

use super::body::{BackendBody, Lease, Progress, RequestBody, answer_body};
use super::choice::Health;
use super::connect::Link;
use super::failure::Failure;
use super::pool::Member;
use super::{AnswerBody, Backend, Claim, Inner, Route, choice, headers, presets};
use crate::config::limits::BACKEND_ATTEMPTS_MAX;

/// `backend_requests_total{command,status}`.
const BACKEND_REQUESTS: &str = "pushgate_backend_requests_total";

impl Backend {
    /// Passes a request on and streams the answer back.
    ///
    /// Always an answer: when no backend gave one, it is ours (502, 503, 504, …) and carries its [`Failure`] as an extension.
    /// An error in the body of an answer means that the backend broke off: the device's connection must be aborted.
    pub async fn forward(&self, head: request::Parts, body: BackendBody, route: Route) -> Response<AnswerBody> {
        let response = match self.exchange(head, body, &route).await {
            Ok(response) => response,
            Err(failure) => failure.into_response(),
        };
        count(route.command, response.status());
        response
    }

    /// As [`Backend::forward`], telling a backend's answer from its absence.
    pub(super) async fn exchange(&self, head: request::Parts, body: BackendBody, route: &Route) -> Result<Response<AnswerBody>, Failure> {
        let request = self.0.request(head, body, route)?;
        let turns = self.0.take_turns(route).await?;
        self.0.send_somewhere(request, turns, route).await
    }

    /// An exchange outside the common bound, for callers that bring their own (checks).
    pub(super) async fn exchange_unbounded(
        &self,
        head: request::Parts,
        body: BackendBody,
        route: &Route,
    ) -> Result<Response<AnswerBody>, Failure> {
        let request = self.0.request(head, body, route)?;
        drop(self.0.pace.turn_always(route).await);
        self.0.send_somewhere(request, Vec::new(), route).await
    }
}

/// A request that did not bring an answer.
struct Lost {
    /// It comes back when nothing of it was sent.
    unsent: Option<Request<RequestBody>>,
    failure: Failure,
    was_silent: bool,
}

impl Inner {
    /// Rewrites a device's request into one for a backend.
    fn request(&self, mut head: request::Parts, body: BackendBody, route: &Route) -> Result<Request<RequestBody>, Failure> {
        let target = head.uri.path_and_query().filter(|target| target.as_str().starts_with('/')).cloned();
        let target = target.filter(|_| head.method != Method::CONNECT).ok_or(Failure::BadTarget)?;
        headers::to_backend(&mut head.headers, route, &self.members[0].host);
        presets::adjust(self.kind, &target, &mut head.headers);
        head.uri = Uri::from(target);
        head.version = Version::HTTP_11;
        match &body {
            BackendBody::Empty if !matches!(head.method, Method::POST | Method::PUT) => drop(head.headers.remove(CONTENT_LENGTH)),
            // Some servers answer 411 to a POST that leaves its length out.
            BackendBody::Empty => drop(head.headers.insert(CONTENT_LENGTH, HeaderValue::from(0))),
            BackendBody::Replayable(bytes) => drop(head.headers.insert(CONTENT_LENGTH, HeaderValue::from(bytes.len()))),
            // Said aloud, because hyper takes a GET without a length for one without a body.
            BackendBody::Stream(_) if !head.headers.contains_key(CONTENT_LENGTH) => {
                head.headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
            }
            BackendBody::Stream(_) => {}
        }
        Ok(Request::from_parts(head, RequestBody::new(body, self.body_idle)))
    }

    /// Waits in line as the rate has it, then for one of the exchanges, first come first served.
    async fn take_turns(&self, route: &Route) -> Result<Vec<OwnedSemaphorePermit>, Failure> {
        // Given back once the exchange is ours: while a backend stands still nobody is let go that would only pile up here.
        let _boarding = self.pace.turn(route).await?;
        let is_long = route.answer_timeout.is_some_and(|timeout| timeout > self.answer_timeout);
        let wait = async {
            let mut turns = Vec::with_capacity(3);
            match route.claim {
                Claim::Known => {}
                Claim::Stranger => turns.push(Arc::clone(&self.stranger_turns).acquire_owned().await),
                Claim::Question => turns.push(Arc::clone(&self.question_turns).acquire_owned().await),
            }
            if is_long {
                turns.push(Arc::clone(&self.long_turns).acquire_owned().await);
            }
            turns.push(Arc::clone(&self.turns).acquire_owned().await);
            turns.into_iter().collect::<Result<_, _>>().expect("the semaphores are never closed")
        };
        timeout(self.answer_timeout, wait).await.map_err(|_| self.pace.busy())
    }

    /// Tries backends in their order until one takes the request.
    async fn send_somewhere(
        &self,
        mut request: Request<RequestBody>,
        turns: Vec<OwnedSemaphorePermit>,
        route: &Route,
    ) -> Result<Response<AnswerBody>, Failure> {
        let mut last = Failure::Unreachable;
        self.requests.fetch_add(1, Ordering::Relaxed);
        for member in self.candidates(route) {
            match self.send_to(member, request, route).await {
                Ok((response, lease)) => return Ok(self.answer(response, Lease { turns, ..lease })),
                Err(Lost { unsent: Some(unsent), failure, .. }) => {
                    self.note(member, Health::note_unreachable);
                    (request, last) = (unsent, failure);
                }
                Err(Lost { failure, .. }) => {
                    if matches!(failure, Failure::NoAnswer | Failure::BrokenOff) {
                        self.note(member, Health::note_failure);
                    }
                    return Err(failure);
                }
            }
        }
        Err(last)
    }

    /// Backends to try, best first: those that are up in the order of the key, then the others (all down: still try).
    fn candidates(&self, route: &Route) -> impl Iterator<Item = &Arc<Member>> {
        let key: Cow<'_, [u8]> = match &route.mailbox {
            Some(mailbox) => Cow::Borrowed(mailbox.as_str().as_bytes()),
            None => Cow::Owned(route.peer.to_canonical().to_string().into_bytes()),
        };
        let ranked = choice::ranked(self.members.iter().map(|member| member.name.as_str()), &key);
        let mut left = ranked;
        std::iter::from_fn(move || {
            let admitted = left.iter().position(|&index| self.members[index].health.admits(self.now_ms()));
            (!left.is_empty()).then(|| &self.members[left.remove(admitted.unwrap_or(0))])
        })
        .take(BACKEND_ATTEMPTS_MAX)
    }

    /// One backend: at most one try on an idle connection, then one on a new connection.
    async fn send_to(
        &self,
        member: &Arc<Member>,
        mut request: Request<RequestBody>,
        route: &Route,
    ) -> Result<(Response<Incoming>, Lease), Lost> {
        let is_shareable = !headers::is_connection_bound(request.headers());
        let mut may_reuse = is_shareable;
        loop {
            let mut link = match member.link(&self.connector, may_reuse).await {
                Ok(link) => link,
                Err(error) => {
                    tracing::debug!(backend = member.name, %error, "no connection to a backend");
                    return Err(Lost { unsent: Some(request), failure: Failure::Unreachable, was_silent: true });
                }
            };
            let is_second_chance = link.is_reused;
            let copy = if is_second_chance { again(&request) } else { None };
            let progress = Arc::clone(&request.body().progress);
            match self.send_on(&mut link, request, &progress, route).await {
                Ok(response) => {
                    let lease = Lease { link, member: Arc::clone(member), progress, may_reuse: is_shareable, turns: Vec::new() };
                    return Ok((response, lease));
                }
                Err(Lost { unsent: Some(unsent), .. }) if is_second_chance => request = unsent,
                Err(Lost { was_silent: true, .. }) if let Some(copy) = copy => request = copy,
                Err(lost) => {
                    tracing::debug!(backend = member.name, failure = ?lost.failure, "a backend gave no answer");
                    return Err(lost);
                }
            }
            may_reuse = false;
        }
    }

    /// Sends, and waits for the head of the answer. The time for it runs from the last byte of the request that
    /// moved: a slow upload is bounded by the stillness of its body, not by this.
    async fn send_on(
        &self,
        link: &mut Link,
        request: Request<RequestBody>,
        progress: &Progress,
        route: &Route,
    ) -> Result<Response<Incoming>, Lost> {
        let patience = route.answer_timeout.unwrap_or(self.answer_timeout);
        let read_before = link.read_bytes();
        progress.note_moved();
        let mut sending = pin!(link.sender.try_send_request(request));
        let outcome = loop {
            tokio::select! {
                biased;
                outcome = &mut sending => break outcome,
                () = sleep_until(progress.moved_at() + patience) => {
                    if is_over(progress, patience) {
                        return Err(Lost { unsent: None, failure: Failure::NoAnswer, was_silent: false });
                    }
                }
            }
        };
        if let Ok(response) = &outcome
            && response.status() == StatusCode::SWITCHING_PROTOCOLS
        {
            // We never asked for another protocol, and have no way to speak it.
            return Err(Lost { unsent: None, failure: Failure::BrokenOff, was_silent: false });
        }
        outcome.map_err(|mut error| {
            let unsent = error.take_message();
            let failure = match () {
                () if progress.is_stalled() => Failure::DeviceStalled,
                () if progress.is_broken() => Failure::DeviceHungUp,
                () => Failure::BrokenOff,
            };
            let was_silent = failure == Failure::BrokenOff && link.read_bytes() == read_before;
            tracing::debug!(error = %error.error(), "an exchange with a backend broke off");
            Lost { unsent, failure, was_silent }
        })
    }

    /// Turns a backend's answer into one for the device.
    fn answer(&self, response: Response<Incoming>, lease: Lease) -> Response<AnswerBody> {
        match response.status() {
            StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => {
                self.note(&lease.member, Health::note_failure);
            }
            _ => lease.member.health.note_success(),
        }
        let (mut head, body) = response.into_parts();
        headers::to_device(&mut head.headers);
        head.version = Version::HTTP_11;
        Response::from_parts(head, answer_body(body, lease, self.body_idle))
    }

    /// One line when a backend goes, not one for each request that finds it gone.
    fn note(&self, member: &Member, what: fn(&Health, u64) -> bool) {
        if what(&member.health, self.now_ms()) {
            tracing::warn!(backend = member.name, "a backend fails and is left out for a while");
        }
    }

    /// Milliseconds since the start, never 0.
    fn now_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX / 2).saturating_add(1)
    }
}

fn is_over(progress: &Progress, patience: Duration) -> bool {
    Instant::now() >= progress.moved_at() + patience
}

/// The same request, if it may be repeated. Extensions are left behind: they only hold the spelling of header names.
fn again(request: &Request<RequestBody>) -> Option<Request<RequestBody>> {
    let body = request.body().again()?;
    let mut copy = Request::new(body);
    copy.method_mut().clone_from(request.method());
    copy.uri_mut().clone_from(request.uri());
    copy.headers_mut().clone_from(request.headers());
    Some(copy)
}

pub(super) fn count(command: &'static str, status: StatusCode) {
    metrics::counter!(BACKEND_REQUESTS, "command" => command, "status" => status.as_str().to_owned()).increment(1);
}
