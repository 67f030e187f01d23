//! One exchange: a request in, an answer out, or a Ping left on the stage to be held.
//!
//! Whatever is not a Ping is forwarded; what passes by teaches (`observe`). Bodies that the gateway must understand are
//! understood strictly or refused: what a lenient backend would read differently never reaches it.

use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, COOKIE, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Version as HttpVersion, request};
use http_body_util::BodyExt;
use hyper::Request;
use hyper::body::{Body as _, Incoming};
use tracing::Instrument;

use super::backend::{AnswerBody, BackendBody, BoxError, Claim, Credentials, Route, Verdict, mailbox_of};
use super::body::{Collected, Watched, Watcher, inflated};
use super::connection::{Busy, Hold, Stage};
use super::gate::{Gate, Passage, Who, agent, offer_provision};
use super::gathering::Occupied;
use super::own::{plain, retry_later, wbxml};
use super::parked::{Peer, Recipe};
use super::reading::{check_head, check_root, is_eas_path, is_wbxml, may_be_mime, parse_request, refuse_body};
use super::shield::Sender;
use super::{Gateway, crowd};
use crate::logic::eas::{Command, Mailbox, PingAnswer, PingError, PingRequest, Request as EasRequest, status};
use crate::logic::hold::Moment;
use crate::store::Seen;
use crate::telemetry::metrics::{PINGS_TOTAL, SHED_TOTAL};
use crate::telemetry::{RequestId, log};

/// What goes there: commands, the question for versions, and people who look with a browser.
const CARRIED: [Method; 4] = [Method::POST, Method::OPTIONS, Method::GET, Method::HEAD];
/// Bytes that are enough to see a body's root element: header, page switch, tag, with long forms.
const ROOT_BYTES: usize = 32;
/// Beyond its heartbeat, a forwarded Ping may take this long.
pub(super) const PING_MARGIN: Duration = Duration::from_secs(30);

pub(super) type Answer = Response<AnswerBody>;

/// An exchange's surroundings.
pub(super) struct Exchange {
    pub(super) gateway: Arc<Gateway>,
    pub(super) stage: Arc<Stage>,
    pub(super) peer: Peer,
    pub(super) received: Moment,
    /// Room that its body takes.
    pub(super) occupied: Mutex<Occupied>,
    busy: Busy,
}

/// An EAS request that is well formed, and whose it is, if that shows.
pub(super) struct Eas {
    pub(super) request: EasRequest,
    pub(super) credentials: Option<Credentials>,
    pub(super) mailbox: Option<Mailbox>,
    pub(super) user_agent: Option<HeaderValue>,
    pub(super) from: IpAddr,
    /// Alarms before the gate looked.
    pub(super) alarms: u64,
}

impl Eas {
    /// Who asks, if that shows.
    pub(super) fn who(&self) -> Option<Who<'_>> {
        let mailbox = self.credentials.as_ref().and(self.mailbox.as_ref())?;
        Some(Who { mailbox, request: &self.request, user_agent: agent(self.user_agent.as_ref()), from: self.from })
    }
}

/// Answers a request. hyper calls this; an error ends the connection.
pub(crate) async fn answer(gateway: Arc<Gateway>, stage: Arc<Stage>, peer: Peer, request: Request<Incoming>) -> Result<Answer, BoxError> {
    let (received, occupied) = (gateway.lots.now(), Mutex::default());
    let exchange = Exchange { received, busy: stage.begin(), occupied, gateway, stage, peer };
    let span = tracing::debug_span!("exchange", id = %RequestId::next(), %peer, mailbox = tracing::field::Empty);
    let answer = exchange.route(request).instrument(span.clone()).await;
    span.in_scope(|| tracing::debug!(status = answer.status().as_u16(), "answered"));
    Ok(answer)
}

impl Exchange {
    async fn route(mut self, request: Request<Incoming>) -> Answer {
        let (head, body) = request.into_parts();
        if let Err((status, sentence)) = check_head(&head, !body.is_end_stream()) {
            tracing::debug!(reason = sentence, "refused: bad head");
            return self.done(plain(status, sentence));
        }
        // We would believe one of them and the backend another: a verdict about one user would speak for the other.
        if head.headers.get_all(AUTHORIZATION).iter().count() > 1 {
            return self.done(plain(StatusCode::BAD_REQUEST, "There is more than one Authorization."));
        }
        let is_eas = is_eas_path(head.uri.path());
        if is_eas && !CARRIED.contains(&head.method) {
            return self.done(plain(StatusCode::METHOD_NOT_ALLOWED, "ActiveSync is POST and OPTIONS."));
        }
        if is_eas && head.method != Method::POST && !body.is_end_stream() {
            return self.done(plain(StatusCode::BAD_REQUEST, "This method has no body."));
        }
        if !is_eas || head.method != Method::POST {
            let command = if head.method == Method::OPTIONS && is_eas { "OPTIONS" } else { "other" };
            return self.pass(head, BackendBody::from(body), command).await;
        }
        let request = match parse_request(&head) {
            Ok(request) => request,
            Err(sentence) => {
                tracing::debug!(reason = sentence, "refused: bad query");
                return self.done(plain(StatusCode::BAD_REQUEST, &sentence));
            }
        };
        let credentials = head.headers.get(AUTHORIZATION).and_then(Credentials::from_header);
        let config = &self.gateway.config;
        let mailbox = credentials.as_ref().and_then(|c| mailbox_of(c, &config.mailbox, &config.auth));
        note_whose(mailbox.as_ref());
        tracing::debug!(command = request.command.name(), device = %request.device_id, "request");
        let user_agent = head.headers.get(USER_AGENT).cloned();
        if let (Some(credentials), Some(mailbox)) = (&credentials, &mailbox) {
            let Some(turn) = self.gateway.crowd.take_turn(&config.limits, (mailbox, &request.device_id), credentials) else {
                return self.done(retry_later(StatusCode::SERVICE_UNAVAILABLE, crowd::RETRY_AFTER_S));
            };
            self.busy.take(turn);
        }
        let alarms = self.gateway.gate.as_ref().map_or(0, Gate::alarm_count);
        let eas = Eas { request, credentials, mailbox, user_agent, from: self.peer.ip, alarms };
        let again = self.stage.take_again();
        let body = match self.enter(&head, body, &eas).await {
            Passage::Passes(body) => body,
            Passage::Stopped(answer) => return self.done(answer),
        };
        if let Some(answer) = self.spare_eas(&eas) {
            return self.done(answer);
        }
        self.note_other(&eas);
        if let Some(again) = again {
            return self.ask_again(head, eas, *again).await;
        }
        match eas.request.command {
            Command::Ping => self.ping(head, body, eas).await,
            Command::Sync | Command::FolderSync | Command::FolderCreate | Command::FolderUpdate | Command::FolderDelete => {
                self.observed(head, body, eas).await
            }
            Command::Provision if self.gateway.gate.is_some() => self.pass_provision(head, body, eas).await,
            Command::Settings if self.gateway.gate.is_some() => self.settings(head, body, eas).await,
            Command::GetAttachment | Command::ItemOperations | Command::Search if self.gateway.gate.is_some() => {
                self.enforced(head, body, eas).await
            }
            _ => self.unobserved(head, body, eas).await,
        }
    }

    /// A Ping: who is it, what does it ask, and then it is left to be held.
    async fn ping(self, head: request::Parts, body: Incoming, eas: Eas) -> Answer {
        let (Some(credentials), Some(mailbox)) = (&eas.credentials, &eas.mailbox) else {
            // Nobody we can name: the backend may know more, and refuse or hold it.
            return self.forward_ping(head, body, eas).await;
        };
        let route = self.route_to(&eas);
        if route.claim != Claim::Known {
            if let Err(answer) = self.verify(credentials, &head, (&eas, &route)).await {
                return self.done(*answer);
            }
            self.stage.note_known();
        }
        if let Some(answer) = self.slow_ping(&eas) {
            return self.done(answer);
        }
        let limits = &self.gateway.config.limits;
        let ping = match self.gather(&head, body, &eas, limits.inspected_body_bytes_max).await {
            Ok(Collected::Whole(body)) => self.parse_ping(&head.headers, &body),
            Ok(Collected::More(_)) => Err(PingError::Syntax("the body is too long")),
            Err(answer) => return self.done(*answer),
        };
        let ping = match ping {
            Ok(ping) => ping,
            Err(error) => {
                tracing::debug!(%error, "refused: malformed Ping");
                metrics::counter!(PINGS_TOTAL.name, "outcome" => "malformed").increment(1);
                return self.done(wbxml(PingAnswer::Syntax.encode()));
            }
        };
        if self.gateway.lots.parked() >= limits.parked_max {
            metrics::counter!(SHED_TOTAL.name, "limit" => "parked_max").increment(1);
            return self.done(retry_later(StatusCode::SERVICE_UNAVAILABLE, crate::logic::answer::RETRY_AFTER_S));
        }
        self.note_ping(&eas, &ping);
        let closes = head.version == HttpVersion::HTTP_10 || wants_close(&head.headers);
        self.stage.leave(Hold {
            home: self.gateway.lots.home(mailbox),
            mailbox: mailbox.clone(),
            device: eas.request.device_id.clone(),
            ping,
            sync: None,
            alarms: eas.alarms,
            received: self.received,
            recipe: Recipe::new(&head),
            closes,
        });
        // The connection is taken apart around this point; nothing comes after it.
        std::future::pending().await
    }

    /// Asks the backend whether the credentials are good, unless that is known. Its no is the answer, and is remembered.
    pub(super) async fn verify(
        &self,
        credentials: &Credentials,
        head: &request::Parts,
        (eas, route): (&Eas, &Route),
    ) -> Result<(), Box<Answer>> {
        match self.gateway.verdicts.verdict(credentials, head, route).await {
            Verdict::Accepted => {
                self.gateway.credentials_accepted(credentials);
                Ok(())
            }
            Verdict::Refused(refusal) => {
                self.judge_eas(eas, false, (refusal.status(), refusal.headers()));
                Err(Box::new(refusal.response()))
            }
            Verdict::Unknown { status, retry_after_s } => Err(Box::new(retry_later(status, retry_after_s))),
        }
    }

    fn parse_ping(&self, headers: &HeaderMap, body: &Bytes) -> Result<PingRequest, PingError> {
        let config = &self.gateway.config;
        let body = inflated(headers, body, config.limits.inspected_body_bytes_max);
        PingRequest::parse(&body.ok_or(PingError::Syntax("the body cannot be unpacked"))?, config.ping.folders_max)
    }

    /// A Ping that cannot be held here: the backend holds it.
    async fn forward_ping(self, head: request::Parts, body: Incoming, eas: Eas) -> Answer {
        let limits = &self.gateway.config.limits;
        let body = match self.gather(&head, body, &eas, limits.inspected_body_bytes_max).await {
            Ok(Collected::Whole(body)) => body,
            Ok(Collected::More(_)) => return self.done(wbxml(PingAnswer::Syntax.encode())),
            Err(answer) => return self.done(*answer),
        };
        let Ok(ping) = self.parse_ping(&head.headers, &body) else { return self.done(wbxml(PingAnswer::Syntax.encode())) };
        let heartbeat_s =
            ping.heartbeat_s.unwrap_or(self.gateway.config.ping.heartbeat_max_s).min(self.gateway.config.ping.heartbeat_max_s);
        let wait = Duration::from_secs(heartbeat_s.into()) + PING_MARGIN;
        let route = Route { answer_timeout: Some(wait), ..self.route_to(&eas) };
        self.forward(head, BackendBody::Replayable(body), eas, route, None).await
    }

    /// Whether the backend accepted these credentials lately.
    pub(super) fn is_known(&self, eas: &Eas) -> bool {
        self.claim(eas.credentials.as_ref()) == Claim::Known
    }

    /// Any other command: its root is looked at, the rest streams through.
    async fn unobserved(self, head: request::Parts, body: Incoming, eas: Eas) -> Answer {
        let route = self.route_to(&eas);
        let limits = &self.gateway.config.limits;
        let is_packed = head.headers.contains_key(CONTENT_ENCODING);
        let bytes = if is_packed { limits.inspected_body_bytes_max } else { ROOT_BYTES };
        let (first, body) = match self.gather(&head, body, &eas, bytes).await {
            // Doing these twice is not as good as once: never replayable.
            Ok(Collected::Whole(body)) => {
                (body.clone(), BackendBody::stream(http_body_util::Full::new(body).map_err(|never| match never {})))
            }
            Ok(Collected::More(_)) if is_packed => {
                return self.done(plain(StatusCode::PAYLOAD_TOO_LARGE, "The compressed body is too long."));
            }
            Ok(Collected::More(beginning)) => (beginning.first.clone(), BackendBody::stream(beginning)),
            Err(answer) => return self.done(*answer),
        };
        let root = inflated(&head.headers, &first, limits.inspected_body_bytes_max).ok_or(status::INVALID_WBXML);
        let is_mime = may_be_mime(&head.headers, &eas.request);
        if let Err(code) = root.and_then(|root| if is_mime && !is_wbxml(&root) { Ok(()) } else { check_root(&root, &eas.request) }) {
            return self.done(refuse_body(&eas.request, code));
        }
        self.forward(head, body, eas, route, None).await
    }

    /// Forwards an EAS command; what the backend thinks of the credentials is remembered.
    pub(super) async fn forward(
        self,
        head: request::Parts,
        body: BackendBody,
        eas: Eas,
        route: Route,
        watcher: Option<Box<dyn Watcher>>,
    ) -> Answer {
        let response = self.ask(head, body, &eas, route).await;
        self.deliver(response, watcher)
    }

    /// The backend's answer, which nobody has seen yet.
    pub(super) async fn ask(&self, head: request::Parts, body: BackendBody, eas: &Eas, route: Route) -> Answer {
        // A session that the backend knows by its cookie says nothing about the password beside it.
        let has_cookie = head.headers.contains_key(COOKIE);
        let response = self.gateway.backend.forward(head, body, route).await;
        if let Some(credentials) = &eas.credentials {
            if is_done(&response) && !has_cookie {
                self.gateway.verdicts.remember(credentials);
                self.stage.note_known();
                self.gateway.credentials_accepted(credentials);
            } else {
                self.judge_eas(eas, self.is_known(eas), (response.status(), response.headers()));
                if response.status() == StatusCode::UNAUTHORIZED {
                    self.gateway.verdicts.forget(credentials);
                }
            }
        }
        if is_done(&response) {
            self.note(eas, Seen::Attempt);
        }
        response
    }

    /// Passes an answer on; an EAS server's good one is watched.
    pub(super) fn deliver(self, response: Answer, mut watcher: Option<Box<dyn Watcher>>) -> Answer {
        let is_good = is_done(&response);
        // A backend that took the request and said nothing may have answered it all the same: that answer is lost.
        if let Some(watcher) = watcher.as_mut().filter(|_| response.status() != StatusCode::GATEWAY_TIMEOUT) {
            watcher.begin(is_good);
        }
        let watcher = watcher.filter(|_| is_good);
        response.map(|body| Watched::new(body, watcher, self.busy).boxed())
    }

    /// Everything that is not EAS, and OPTIONS: through, untouched.
    async fn pass(self, head: request::Parts, body: BackendBody, command: &'static str) -> Answer {
        let config = &self.gateway.config;
        let credentials = head.headers.get(AUTHORIZATION).and_then(Credentials::from_header);
        let mailbox = credentials.as_ref().and_then(|c| mailbox_of(c, &config.mailbox, &config.auth));
        note_whose(mailbox.as_ref());
        tracing::debug!(command, "request");
        let claim = self.claim(credentials.as_ref());
        let sender = Sender::Address(self.peer.ip);
        if let Some(answer) = self.spare(credentials.as_ref(), sender) {
            return self.done(answer);
        }
        let whose = mailbox.clone();
        let route = Route { mailbox, command, claim, trusts_forwarded: self.peer.trusts_forwarded, ..Route::from_peer(self.peer.ip) };
        let mut response = self.gateway.backend.forward(head, body, route).await;
        if let Some(credentials) = &credentials {
            let answered = (response.status(), response.headers());
            self.judge_credentials((credentials, claim == Claim::Known), (sender, whose.as_ref()), answered);
            if response.status() == StatusCode::UNAUTHORIZED {
                self.gateway.verdicts.forget(credentials);
            }
        }
        if self.gateway.gate.is_some() && command == "OPTIONS" {
            offer_provision(response.headers_mut());
        }
        self.done(response)
    }

    pub(super) fn route_to(&self, eas: &Eas) -> Route {
        Route {
            mailbox: eas.mailbox.clone(),
            command: eas.request.command.name(),
            claim: self.claim(eas.credentials.as_ref()),
            trusts_forwarded: self.peer.trusts_forwarded,
            ..Route::from_peer(self.peer.ip)
        }
    }

    fn claim(&self, credentials: Option<&Credentials>) -> Claim {
        let is_known = credentials.is_some_and(|credentials| self.gateway.verdicts.is_accepted(credentials));
        if is_known {
            self.stage.note_known();
        }
        if is_known { Claim::Known } else { Claim::Stranger }
    }

    pub(super) fn done(self, response: Answer) -> Answer {
        response.map(|body| Watched::new(body, None, self.busy).boxed())
    }
}

/// Says on the exchange's lines whose it is; a debug log of a mailbox takes those that are of it.
fn note_whose(mailbox: Option<&Mailbox>) {
    if let (Some(mailbox), true) = (mailbox, log::listens()) {
        tracing::Span::current().record("mailbox", tracing::field::display(mailbox));
    }
}

/// The backend did what it was asked, and it is an EAS server.
pub(super) fn is_done(response: &Answer) -> bool {
    response.status() == StatusCode::OK && is_eas_answer(response.headers())
}

/// Only an EAS server's 200 says that a password is right, or without a body that nothing changed; a web server in between may
/// say 200 to anything.
fn is_eas_answer(headers: &HeaderMap) -> bool {
    let is_wbxml = headers.get(CONTENT_TYPE).is_some_and(|value| value.as_bytes().starts_with(b"application/vnd.ms-sync"));
    is_wbxml || headers.contains_key("MS-Server-ActiveSync") || headers.contains_key("MS-ASProtocolVersions")
}

pub(super) fn wants_close(headers: &HeaderMap) -> bool {
    let values = headers.get_all(http::header::CONNECTION).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|token| token.trim().eq_ignore_ascii_case("close"))
}
