//! Request bodies that are read before they are passed on, and answer bodies that something watches.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Frame, Incoming, SizeHint};

use super::backend::{AnswerBody, BoxError};
use super::connection::Busy;
use super::exchange::Answer;
use super::gathering::{BodyRoom, Occupied};
use super::own::{plain, retry_later};
use crate::logic::eas::inflate;

/// What became of reading a body up to a bound.
pub(crate) enum Collected {
    /// All of it.
    Whole(Bytes),
    /// It goes on beyond the bound.
    More(Beginning<Incoming>),
}

/// A body whose first bytes were looked at; as a body it is whole again.
pub(crate) struct Beginning<B> {
    pub(crate) first: Bytes,
    rest: B,
}

/// Why a body did not come to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BrokenOff {
    /// The device stopped sending or hung up.
    Early,
    /// Its chunks are none. The connection closes behind the answer.
    Malformed,
    /// Too many bodies are being read.
    NoRoom,
}

impl BrokenOff {
    fn of(error: &hyper::Error) -> Self {
        let cause = std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<std::io::Error>());
        match cause.map(std::io::Error::kind) {
            Some(std::io::ErrorKind::InvalidInput | std::io::ErrorKind::InvalidData) => BrokenOff::Malformed,
            _ => BrokenOff::Early,
        }
    }

    pub(crate) fn answer(self) -> Answer {
        match self {
            BrokenOff::Early => plain(StatusCode::REQUEST_TIMEOUT, "The request body ended early."),
            BrokenOff::Malformed => plain(StatusCode::BAD_REQUEST, "The request body is malformed."),
            BrokenOff::NoRoom => retry_later(StatusCode::SERVICE_UNAVAILABLE, 30),
        }
    }
}

/// Reads until the end, or until at least `bytes` are there. A body that stands still for `idle` has broken off.
pub(super) async fn collect(mut body: Incoming, bytes: usize, idle: Duration, room: &BodyRoom) -> Result<(Collected, Occupied), BrokenOff> {
    let (mut first, mut occupied) = (BytesMut::new(), Occupied::default());
    while first.len() < bytes {
        let frame = tokio::time::timeout(idle, body.frame()).await.map_err(|_| BrokenOff::Early)?;
        match frame {
            None => return Ok((Collected::Whole(first.freeze()), occupied)),
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref() {
                    room.occupy(&mut occupied, data.len()).map_err(|_| BrokenOff::NoRoom)?;
                    first.extend_from_slice(data);
                }
            }
            Some(Err(error)) => return Err(BrokenOff::of(&error)),
        }
    }
    let first = first.freeze();
    let collected = if body.is_end_stream() { Collected::Whole(first) } else { Collected::More(Beginning { first, rest: body }) };
    Ok((collected, occupied))
}

impl<B: Body<Data = Bytes, Error: Into<BoxError>> + Unpin> Body for Beginning<B> {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if !self.first.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut self.first)))));
        }
        Pin::new(&mut self.rest).poll_frame(cx).map_err(Into::into)
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_empty() && self.rest.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (rest, first) = (self.rest.size_hint(), self.first.len() as u64);
        let mut hint = SizeHint::new();
        hint.set_lower(rest.lower() + first);
        if let Some(upper) = rest.upper() {
            hint.set_upper(upper + first);
        }
        hint
    }
}

/// The body as WBXML: inflated if the device says it is gzip. `None`: not gzip, or more than `max` bytes.
pub(crate) fn inflated(headers: &HeaderMap, body: &Bytes, max: usize) -> Option<Bytes> {
    match headers.get(header::CONTENT_ENCODING).map(http::HeaderValue::as_bytes) {
        None => Some(body.clone()),
        Some(encoding) if encoding.eq_ignore_ascii_case(b"identity") => Some(body.clone()),
        Some(encoding) if encoding.eq_ignore_ascii_case(b"gzip") || encoding.eq_ignore_ascii_case(b"x-gzip") => {
            inflate(body, max).ok().map(Bytes::from)
        }
        Some(_) => None,
    }
}

/// What became of reading an answer up to a bound.
pub(crate) enum Peeked {
    /// All of it.
    Whole(Bytes),
    /// It goes on beyond the bound, or breaks off: as a body it is whole again.
    More(AnswerBody),
}

/// Reads an answer until its end, or until more than `bytes` are there.
pub(crate) async fn peek(mut body: AnswerBody, bytes: usize) -> Peeked {
    let mut first = BytesMut::new();
    while first.len() <= bytes {
        let next = match body.frame().await {
            None => return Peeked::Whole(first.freeze()),
            Some(frame) => frame.map(|frame| frame.into_data().unwrap_or_default()),
        };
        match next {
            Ok(data) => first.extend_from_slice(&data),
            Err(error) => return Peeked::More(Beginning { first: first.freeze(), rest: Broken(Some(error)) }.boxed()),
        }
    }
    if body.is_end_stream() { Peeked::Whole(first.freeze()) } else { Peeked::More(Beginning { first: first.freeze(), rest: body }.boxed()) }
}

/// The end of a body that broke off.
struct Broken(Option<BoxError>);

impl Body for Broken {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        Poll::Ready(self.0.take().map(Err))
    }
}

/// A whole answer body of our own.
pub(crate) fn full(bytes: impl Into<Bytes>) -> AnswerBody {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed()
}

/// Sees an answer pass by.
pub(crate) trait Watcher: Send + Sync + Unpin + 'static {
    /// Before the body: whether the answer is an EAS server's good one. Nothing follows if it is not.
    fn begin(&mut self, _is_good: bool) {}
    /// Some of the body.
    fn push(&mut self, bytes: &[u8]);
    /// The body is complete. Not called when it breaks off.
    fn finish(&mut self);
}

/// An answer's body that keeps its exchange busy until it is over, and shows itself to a watcher.
pub(crate) struct Watched {
    inner: AnswerBody,
    watcher: Option<Box<dyn Watcher>>,
    _busy: Busy,
}

impl Watched {
    pub(crate) fn new(inner: AnswerBody, watcher: Option<Box<dyn Watcher>>, busy: Busy) -> Self {
        let mut this = Watched { inner, watcher, _busy: busy };
        this.finish_if_over();
        this
    }

    /// hyper does not poll a body that says it is over.
    fn finish_if_over(&mut self) {
        if self.inner.is_end_stream()
            && let Some(mut watcher) = self.watcher.take()
        {
            watcher.finish();
        }
    }
}

impl Body for Watched {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(cx));
        match &frame {
            Some(Ok(frame)) => {
                if let (Some(watcher), Some(data)) = (&mut self.watcher, frame.data_ref()) {
                    watcher.push(data);
                }
                self.finish_if_over();
            }
            Some(Err(_)) => self.watcher = None,
            None => {
                if let Some(mut watcher) = self.watcher.take() {
                    watcher.finish();
                }
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
