//! Attachments and documents that the policy forbids, refused whatever the device does about its policy.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, CONTENT_LENGTH};
use http::{Response, StatusCode, request};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming, SizeHint};

use crate::config::limits::ATTACHMENT_READ_BYTES_MAX;
use crate::gateway::backend::{AnswerBody, BackendBody, BoxError};
use crate::gateway::body::{Collected, Peeked, full, inflated, peek};
use crate::gateway::exchange::{Answer, Eas, Exchange};
use crate::gateway::own::{plain, wbxml};
use crate::gateway::reading::{check_root, refuse_body};
use crate::logic::eas::status;
use crate::logic::policy::enforce::{self, Enforcement, Refused};
use crate::telemetry::metrics::GATE_REFUSALS_TOTAL;

impl Exchange {
    /// GetAttachment, ItemOperations or Search: what the mailbox's policy forbids ends here.
    pub(crate) async fn enforced(self, mut head: request::Parts, body: Incoming, eas: Eas) -> Answer {
        let limits = &self.gateway.config.limits;
        let wire = match self.gather(&head, body, &eas, limits.inspected_body_bytes_max).await {
            Ok(Collected::Whole(body)) => body,
            Ok(Collected::More(_)) => return self.done(refuse_body(&eas.request, status::INVALID_WBXML)),
            Err(answer) => return self.done(*answer),
        };
        let Some(body) = inflated(&head.headers, &wire, limits.inspected_body_bytes_max) else {
            return self.done(refuse_body(&eas.request, status::INVALID_WBXML));
        };
        if let Err(code) = check_root(&body, &eas.request) {
            return self.done(refuse_body(&eas.request, code));
        }
        let enforcement = match self.enforcement(&eas, &body) {
            Ok(enforcement) => enforcement,
            Err(error) => return self.refuse_malformed(&eas, error),
        };
        let bytes_max = match enforcement {
            Enforcement::Answer(refused) => return self.done(refusal(refused)),
            Enforcement::Forward { answer_bytes_max } => answer_bytes_max,
        };
        if bytes_max.is_some() {
            // Packed, it would look smaller than it is.
            head.headers.remove(ACCEPT_ENCODING);
        }
        let route = self.route_to(&eas);
        // Some of what these commands do is not to be done twice.
        let stream = BackendBody::stream(http_body_util::Full::new(wire).map_err(|never| match never {}));
        let response = self.ask(head, stream, &eas, route).await;
        let response = match bytes_max {
            Some(bytes_max) if response.status() == StatusCode::OK => {
                watched(response, bytes_max, || enforce::too_large(eas.request.command, &body)).await
            }
            _ => response,
        };
        self.deliver(response, None)
    }

    fn enforcement(&self, eas: &Eas, body: &[u8]) -> Result<Enforcement, crate::logic::eas::BodyError> {
        let (Some(gate), Some(who)) = (&self.gateway.gate, eas.who()) else { return Ok(Enforcement::Forward { answer_bytes_max: None }) };
        match gate.find(&who).policy(who.mailbox) {
            Some(policy) => enforce::decide(eas.request.command, body, policy),
            None => Ok(Enforcement::Forward { answer_bytes_max: None }),
        }
    }
}

/// An answer that must not be longer than that.
async fn watched<E>(response: Answer, bytes_max: u64, too_large: impl FnOnce() -> Result<Refused, E>) -> Answer {
    let length = response.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    let mut is_too_large = length.is_some_and(|length| length > bytes_max);
    let (parts, mut body) = response.into_parts();
    if length.is_none() {
        let read_max = bytes_max.min(ATTACHMENT_READ_BYTES_MAX);
        body = match peek(body, usize::try_from(read_max).unwrap_or(usize::MAX)).await {
            Peeked::Whole(bytes) => full(bytes),
            Peeked::More(body) => {
                is_too_large = read_max == bytes_max;
                Bounded { inner: body, left: bytes_max }.boxed()
            }
        };
    }
    match is_too_large.then(too_large) {
        // It was read before, so it can be read.
        Some(Ok(refused)) => refusal(refused),
        Some(Err(_)) => plain(StatusCode::FORBIDDEN, "The attachment is too large."),
        None => Response::from_parts(parts, body),
    }
}

fn refusal(refused: Refused) -> Answer {
    metrics::counter!(GATE_REFUSALS_TOTAL.name, "reason" => "forbidden_content").increment(1);
    let mut answer = if refused.body.is_empty() { Response::new(full(Bytes::new())) } else { wbxml(refused.body) };
    *answer.status_mut() = StatusCode::from_u16(refused.http).unwrap_or(StatusCode::FORBIDDEN);
    answer
}

/// A body that breaks off beyond so many bytes: its head is with the device, so that there is no other way to say no.
struct Bounded {
    inner: AnswerBody,
    left: u64,
}

impl Body for Bounded {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(cx));
        if let Some(Ok(frame)) = &frame {
            let bytes = frame.data_ref().map_or(0, |data| data.len() as u64);
            match self.left.checked_sub(bytes) {
                Some(left) => self.left = left,
                None => return Poll::Ready(Some(Err("the attachment is larger than the policy allows".into()))),
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
