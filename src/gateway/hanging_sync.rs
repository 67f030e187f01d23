//! A Sync that may wait for a change (Wait from 12.1, HeartbeatInterval from 14.0), held like a Ping.
//!
//! ```text
//! request ─► in full (what an empty or Partial one stands for) ─► bounds: Status 4, 13, 14, 15
//!    └─► the backend is asked without the wait ─► something to say: the device's answer
//!             ▲                                └─► nothing changed: parked in the home lot ─► expired: an empty 200
//!             └───────── a change, a doubt ◄──────────────────────────┘
//! ```
//! The answer always is the backend's, so no key is invented here. An answer whose keys are new says something even without
//! items (SOGo has one after each change): a device that never got it would be sent the same items again. It is passed on
//! at once, except for a second one in a row: that device would never be held, and an answer that is lost harms nobody.
//!
//! What is no hanging Sync passes this way too, because it moves the keys on and is what a later empty one repeats.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode, Version as HttpVersion, request};

use super::backend::{BackendBody, Route};
use super::body::{Peeked, Watcher, full as full_body, peek};
use super::connection::{Again, Hold};
use super::exchange::{Answer, Eas, Exchange, PING_MARGIN, is_done, wants_close};
use super::observe::{SyncWatcher, proving};
use super::own::{retry_later, wbxml};
use super::parked::{HeldSync, Recipe};
use super::sync_memory::Whose;
use crate::config::BackendKind;
use crate::config::limits::{HANGING_SYNC_BYTES_MAX, QUIET_ANSWER_BYTES_MAX};
use crate::logic::answer::{RETRY_AFTER_S, WBXML_TYPE};
use crate::logic::decide::{SyncRefusal, decide_sync};
use crate::logic::eas::sync::{Quiet, SyncAnswer, SyncRequest, without_wait};
use crate::logic::eas::sync_repeat::{complete, with_keys, without_commands};
use crate::logic::eas::{BodyError, Class, Mailbox, PingFolder, PingRequest};
use crate::logic::hold::trials::Heard;
use crate::telemetry::metrics::{HANGING_SYNCS_TOTAL, SHED_TOTAL};

/// A Sync as it came: on the wire, unpacked, read.
pub(super) type Came = (Bytes, Bytes, SyncRequest);

/// A Sync whose full text is known.
struct Full {
    whose: Whose,
    mailbox: Mailbox,
    /// What is sent to the backend now.
    sent: Bytes,
    /// The whole request with its wait, without what the device changed.
    body: Arc<[u8]>,
    request: SyncRequest,
    /// `None`: to be answered at once.
    wait_s: Option<u32>,
}

impl Exchange {
    /// Any Sync of a version whose Syncs may wait.
    pub(super) async fn sync(self, mut head: request::Parts, came: Came, eas: Eas) -> Answer {
        // What passes by must be readable, and what is sent is not packed.
        head.headers.remove(ACCEPT_ENCODING);
        let (wire, inspected, asked) = came;
        let Some(mailbox) = eas.mailbox.clone().filter(|_| eas.credentials.is_some()) else {
            return self.forward_unheld(head, wire, &asked, eas).await;
        };
        match self.in_full(mailbox, &eas, inspected, &asked) {
            Ok(Ok(Some(full))) => {
                head.headers.remove(CONTENT_ENCODING);
                self.hang(head, eas, full, None).await
            }
            Ok(Ok(None)) => self.forward_unheld(head, wire, &asked, eas).await,
            Ok(Err(refusal)) => {
                tracing::debug!(reason = refusal.label(), "refused: Sync");
                metrics::counter!(HANGING_SYNCS_TOTAL.name, "outcome" => refusal.label()).increment(1);
                self.done(wbxml(refusal.encode()))
            }
            Err(error) => self.refuse_malformed(&eas, error),
        }
    }

    /// A Sync that was held: its head came from the connection, everything else from the lot.
    pub(super) async fn ask_again(mut self, head: request::Parts, eas: Eas, again: Again) -> Answer {
        let Again { sync: HeldSync { body, wait_s, received }, place } = again;
        self.received = received;
        let Some(mailbox) = eas.mailbox.clone() else { return self.done(retry_later(StatusCode::SERVICE_UNAVAILABLE, 30)) };
        let whose = self.gateway.syncs.whose(&mailbox, &eas.request.device_id);
        // Another connection may have moved the keys on.
        let keys = self.gateway.syncs.keys(whose).unwrap_or_default();
        let full = with_keys(&body, &keys).and_then(|body| {
            let (request, sent) = (SyncRequest::skim(&body)?, without_wait(&body)?.into());
            Ok(Full { whose, mailbox, sent, body: body.into(), request, wait_s: Some(wait_s) })
        });
        match full {
            Ok(full) => self.hang(with_type(head), eas, full, place).await,
            Err(error) => self.refuse_malformed(&eas, error),
        }
    }

    /// What is to be asked, `None` if it is to pass as it came, or the refusal.
    fn in_full(
        &self,
        mailbox: Mailbox,
        eas: &Eas,
        inspected: Bytes,
        asked: &SyncRequest,
    ) -> Result<Result<Option<Full>, SyncRefusal>, BodyError> {
        let syncs = &self.gateway.syncs;
        let whose = syncs.whose(&mailbox, &eas.request.device_id);
        let is_short = inspected.is_empty() || asked.is_partial;
        let has_wait = asked.wait_min.or(asked.heartbeat_s).is_some();
        let whole = match is_short.then(|| syncs.last(whose, self.gateway.lots.now())) {
            None if !has_wait && !syncs.knows(whose) => return Ok(Ok(None)),
            None => inspected.clone(),
            // A backend's memory may know more, but without a wait, which was taken out: it would answer at once, again and again.
            Some(None) => return Ok(Err(SyncRefusal::Incomplete)),
            Some(Some((last, keys))) if inspected.is_empty() => with_keys(&last, &keys)?.into(),
            Some(Some((last, keys))) => complete(&inspected, &last, &keys)?.into(),
        };
        let request = if is_short { SyncRequest::skim(&whole)? } else { asked.clone() };
        let wait_s = match decide_sync(&request, &self.gateway.lot_options().ping) {
            Ok(wait_s) => wait_s,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let body: Arc<[u8]> = if has_commands(&request) { without_commands(&whole)?.into() } else { Arc::from(&*whole) };
        // Nothing that could be watched, or too long to be kept.
        let is_holdable =
            body.len() <= HANGING_SYNC_BYTES_MAX && !(proving(&request, eas.request.version).is_empty() && has_begun(&request));
        if wait_s.is_some() && !is_holdable {
            return Ok(Ok(None));
        }
        // SOGo knows neither empty nor Partial ones.
        let sent = match self.gateway.config.backend.kind {
            BackendKind::Sogo if is_short => without_wait(&whole)?.into(),
            // Partial and a wait, no more: without the wait it says what an empty one says.
            _ if is_short && asked.collections.is_empty() && asked.window_size.is_none() => Bytes::new(),
            _ if has_wait => without_wait(&inspected)?.into(),
            _ => inspected,
        };
        Ok(Ok(Some(Full { whose, mailbox, sent, body, request, wait_s })))
    }

    /// Asks the backend; what it says is the answer, unless that is nothing and the device is ready to wait.
    async fn hang(self, head: request::Parts, eas: Eas, full: Full, place: Option<super::check::Place>) -> Answer {
        let recipe = full.wait_s.map(|_| Recipe::new(&head));
        let closes = head.version == HttpVersion::HTTP_10 || wants_close(&head.headers);
        let asked = proving(&full.request, eas.request.version);
        let pupil = self.pupil(&full.mailbox, &eas);
        let as_of = self.expect(&pupil, &asked, self.is_known(&eas)).await;
        let body = if full.sent.is_empty() { BackendBody::Empty } else { BackendBody::Replayable(full.sent.clone()) };
        let watcher = SyncWatcher::new(pupil, (asked, as_of), eas.request.version, self.way(&eas));
        let response = self.ask(head, body, &eas, self.route_to(&eas)).await;
        if let Some(mut place) = place {
            place.heard(if response.status().is_server_error() { Heard::Silence } else { Heard::Answer });
        }
        // Strangers leave nothing behind.
        if !is_done(&response) || !self.is_known(&eas) {
            return self.deliver(response, Some(Box::new(watcher)));
        }
        let (gateway, whose) = (self.gateway.clone(), full.whose);
        gateway.syncs.remember(whose, full.body.clone(), &full.request, gateway.lots.now());
        let telling = |watcher: SyncWatcher, only_keys| {
            let gateway = gateway.clone();
            let told = move |answer: Option<&SyncAnswer>| match answer {
                Some(answer) => gateway.syncs.answered(whose, answer, only_keys, gateway.lots.now()),
                None => gateway.syncs.forget(whose),
            };
            Some(Box::new(watcher.telling(told)) as _)
        };
        let Some((wait_s, recipe)) = full.wait_s.zip(recipe) else { return self.deliver(response, telling(watcher, false)) };
        let (parts, body) = response.into_parts();
        let read = match peek(body, QUIET_ANSWER_BYTES_MAX).await {
            Peeked::More(body) => return self.deliver(Response::from_parts(parts, body), telling(watcher, false)),
            Peeked::Whole(read) => read,
        };
        let parsed = SyncAnswer::parse(&read).ok();
        // An answer to what the device sent is an answer; and it must not be sent twice.
        let quiet = parsed.as_ref().filter(|_| !has_commands(&full.request)).map_or(Quiet::No, |answer| answer.quiet(&full.request));
        match (quiet, parsed) {
            (Quiet::Unchanged, Some(answer)) => self.hold(&eas, full, (wait_s, recipe, closes), (watcher, answer)).await,
            (Quiet::OnlyKeys, Some(answer)) if gateway.syncs.had_only_keys(whose) => {
                self.hold(&eas, full, (wait_s, recipe, closes), (watcher, answer)).await
            }
            (quiet, _) => self.deliver(Response::from_parts(parts, full_body(read)), telling(watcher, quiet == Quiet::OnlyKeys)),
        }
    }

    /// Leaves the Sync to be held; or nothing has changed and there is no time left, or no room.
    async fn hold(
        self,
        eas: &Eas,
        full: Full,
        (wait_s, recipe, closes): (u32, Recipe, bool),
        (watcher, answer): (SyncWatcher, SyncAnswer),
    ) -> Answer {
        watcher.learn_unsent(&answer);
        self.gateway.syncs.held(full.whose);
        if self.gateway.lots.now() >= self.received + Duration::from_secs(wait_s.into()) {
            metrics::counter!(HANGING_SYNCS_TOTAL.name, "outcome" => "quiet").increment(1);
            return self.done(Response::new(full_body(Bytes::new())));
        }
        if self.gateway.lots.parked() >= self.gateway.config.limits.parked_max {
            metrics::counter!(SHED_TOTAL.name, "limit" => "parked_max").increment(1);
            return self.done(retry_later(StatusCode::SERVICE_UNAVAILABLE, RETRY_AFTER_S));
        }
        // The lot does not take the class: a learnt one decides.
        let folders = proving(&full.request, eas.request.version).into_iter().map(|asked| PingFolder { id: asked.id, class: Class::Email });
        let folders: Vec<PingFolder> = folders.collect();
        self.stage.leave(Hold {
            home: self.gateway.lots.home(&full.mailbox),
            mailbox: full.mailbox,
            device: eas.request.device_id.clone(),
            ping: PingRequest { heartbeat_s: Some(wait_s), folder_count: folders.len(), folders: Some(folders) },
            sync: Some(HeldSync { body: full.body, wait_s, received: self.received }),
            alarms: eas.alarms,
            received: self.received,
            recipe,
            closes,
        });
        // The connection is taken apart around this point; nothing comes after it.
        std::future::pending().await
    }

    /// A Sync that cannot be held here: as it came, and the backend may hold it as long as it asks for.
    async fn forward_unheld(self, head: request::Parts, wire: Bytes, asked: &SyncRequest, eas: Eas) -> Answer {
        let max_s = self.gateway.config.ping.heartbeat_max_s;
        let wait_s = match (asked.heartbeat_s, asked.wait_min) {
            (Some(seconds), _) => Some(seconds),
            (None, Some(minutes)) => Some(minutes.saturating_mul(60)),
            // An empty one may repeat a wait that only the backend knows.
            (None, None) => (wire.is_empty() || asked.is_partial).then_some(max_s),
        };
        let answer_timeout = wait_s.map(|wait_s| Duration::from_secs(wait_s.min(max_s).into()) + PING_MARGIN);
        let route = Route { answer_timeout, ..self.route_to(&eas) };
        let pupil = eas.mailbox.as_ref().map(|mailbox| self.pupil(mailbox, &eas));
        let watcher = match pupil {
            None => None,
            Some(pupil) => {
                let asked = proving(asked, eas.request.version);
                let as_of = self.expect(&pupil, &asked, self.is_known(&eas)).await;
                Some(Box::new(SyncWatcher::new(pupil, (asked, as_of), eas.request.version, self.way(&eas))) as Box<dyn Watcher>)
            }
        };
        let body = if wire.is_empty() { BackendBody::Empty } else { BackendBody::Replayable(wire) };
        self.forward(head, body, eas, route, watcher).await
    }
}

/// All of them have been begun: none is answered at once because it starts at key 0.
fn has_begun(request: &SyncRequest) -> bool {
    request.collections.iter().all(|collection| collection.sync_key != "0")
}

/// The device sends changes of its own, or fetches.
fn has_commands(request: &SyncRequest) -> bool {
    request.collections.iter().any(|collection| collection.has_commands)
}

/// A head that is asked again comes without the type of its body.
fn with_type(mut head: request::Parts) -> request::Parts {
    head.headers.insert(CONTENT_TYPE, HeaderValue::from_static(WBXML_TYPE));
    head
}
