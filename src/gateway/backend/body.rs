//! Bodies on their way through: frames pass one at a time, nothing is collected, and a stream that stands still ends.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Sleep};

use super::connect::Link;
use super::pool::Member;
use super::{AnswerBody, BoxError};

/// The body of a request to forward.
#[derive(Default)]
pub enum BackendBody {
    /// There is none.
    #[default]
    Empty,
    /// Already read. The caller says: doing this request twice is as good as once (a Ping, a Sync with its key; not a SendMail).
    Replayable(Bytes),
    /// Comes from the device; sent once, never again.
    Stream(BoxBody<Bytes, BoxError>),
}

impl BackendBody {
    /// A body as a device sends it.
    pub fn stream<B>(body: B) -> Self
    where
        B: Body<Data = Bytes> + Send + Sync + 'static,
        B::Error: Into<BoxError>,
    {
        if body.is_end_stream() { BackendBody::Empty } else { BackendBody::Stream(body.map_err(Into::into).boxed()) }
    }
}

impl From<Incoming> for BackendBody {
    fn from(body: Incoming) -> Self {
        BackendBody::stream(body)
    }
}

impl fmt::Debug for BackendBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            BackendBody::Empty => "Empty",
            BackendBody::Replayable(_) => "Replayable",
            BackendBody::Stream(_) => "Stream",
        })
    }
}

/// How far a request body has come; shared between the body, which hyper owns, and the exchange that waits for the answer.
pub(super) struct Progress {
    started: Instant,
    moved_ms: AtomicU64,
    end: AtomicU8,
}

const OPEN: u8 = 0;
const COMPLETE: u8 = 1;
const STALLED: u8 = 2;
const BROKEN: u8 = 3;

impl Progress {
    fn new(is_complete: bool) -> Arc<Self> {
        let end = if is_complete { COMPLETE } else { OPEN };
        Arc::new(Progress { started: Instant::now(), moved_ms: AtomicU64::new(0), end: AtomicU8::new(end) })
    }

    /// When the request last moved towards the backend.
    pub(super) fn moved_at(&self) -> Instant {
        self.started + Duration::from_millis(self.moved_ms.load(Ordering::Acquire))
    }

    pub(super) fn note_moved(&self) {
        let ms = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.moved_ms.store(ms, Ordering::Release);
    }

    fn end(&self, how: u8) {
        self.end.store(how, Ordering::Release);
    }

    pub(super) fn is_complete(&self) -> bool {
        self.end.load(Ordering::Acquire) == COMPLETE
    }

    pub(super) fn is_stalled(&self) -> bool {
        self.end.load(Ordering::Acquire) == STALLED
    }

    pub(super) fn is_broken(&self) -> bool {
        self.end.load(Ordering::Acquire) == BROKEN
    }
}

/// A request body on its way to a backend.
pub(super) struct RequestBody {
    inner: BoxBody<Bytes, BoxError>,
    replay: Option<Bytes>,
    pub(super) progress: Arc<Progress>,
    stillness: Stillness,
}

impl RequestBody {
    pub(super) fn new(body: BackendBody, idle: Duration) -> Self {
        match body {
            BackendBody::Empty => Self::of_bytes(Bytes::new(), idle),
            BackendBody::Replayable(bytes) => Self::of_bytes(bytes, idle),
            BackendBody::Stream(inner) => {
                let progress = Progress::new(inner.is_end_stream());
                RequestBody { inner, replay: None, progress, stillness: Stillness::new(idle) }
            }
        }
    }

    fn of_bytes(bytes: Bytes, idle: Duration) -> Self {
        let inner = Full::new(bytes.clone()).map_err(|never| match never {}).boxed();
        RequestBody { inner, progress: Progress::new(bytes.is_empty()), replay: Some(bytes), stillness: Stillness::new(idle) }
    }

    /// The same body once more, where that is allowed.
    pub(super) fn again(&self) -> Option<Self> {
        self.replay.clone().map(|bytes| Self::of_bytes(bytes, self.stillness.idle))
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        let Poll::Ready(frame) = Pin::new(&mut this.inner).poll_frame(cx) else {
            ready!(this.stillness.poll_over(cx));
            this.progress.end(STALLED);
            return Poll::Ready(Some(Err(Box::new(StoodStill))));
        };
        this.stillness.note_moved();
        this.progress.note_moved();
        match &frame {
            Some(Err(_)) => this.progress.end(BROKEN),
            Some(Ok(_)) if !this.inner.is_end_stream() => {}
            Some(Ok(_)) | None => this.progress.end(COMPLETE),
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

/// What an exchange occupies until the last byte of its answer has passed.
pub(super) struct Lease {
    pub(super) link: Link,
    pub(super) member: Arc<Member>,
    pub(super) progress: Arc<Progress>,
    pub(super) may_reuse: bool,
    pub(super) turns: Vec<OwnedSemaphorePermit>,
}

impl Lease {
    /// The answer is complete. The connection is kept only when the request is, too: an answer that came early
    /// (413, 401) leaves the rest of the body in the way of the next request.
    fn finish(self) {
        if self.may_reuse && self.progress.is_complete() {
            self.member.put_back(self.link);
        }
        // Only now: whoever is next in line should find the connection.
        drop(self.turns);
    }
}

/// Makes the body of an answer out of what the backend sends. Dropping it before its end closes the connection to the backend.
pub(super) fn answer_body(inner: Incoming, lease: Lease, idle: Duration) -> AnswerBody {
    if inner.is_end_stream() {
        lease.finish();
        return inner.map_err(Into::into).boxed();
    }
    LeasedBody { inner, lease: Some(lease), stillness: Stillness::new(idle) }.boxed()
}

struct LeasedBody {
    inner: Incoming,
    lease: Option<Lease>,
    stillness: Stillness,
}

impl Body for LeasedBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        let Poll::Ready(frame) = Pin::new(&mut this.inner).poll_frame(cx) else {
            ready!(this.stillness.poll_over(cx));
            this.lease = None;
            return Poll::Ready(Some(Err(Box::new(StoodStill))));
        };
        this.stillness.note_moved();
        match &frame {
            Some(Err(_)) => this.lease = None,
            Some(Ok(_)) if !this.inner.is_end_stream() => {}
            Some(Ok(_)) | None => {
                if let Some(lease) = this.lease.take() {
                    lease.finish();
                }
            }
        }
        Poll::Ready(frame.map(|result| result.map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// Reads a whole body of at most `max` bytes; `None` when it is longer or breaks off.
pub(super) async fn read_whole(mut body: AnswerBody, max: usize) -> Option<Bytes> {
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame.ok()?.into_data() {
            if whole.len() + data.len() > max {
                return None;
            }
            whole.extend_from_slice(&data);
        }
    }
    Some(whole.freeze())
}

/// Measures how long we have been waiting for the sender of a body. The time the receiver takes is not counted:
/// while it does not read, nobody asks for the next frame and no wait has begun.
struct Stillness {
    idle: Duration,
    waiting: Option<Pin<Box<Sleep>>>,
    is_waiting: bool,
}

impl Stillness {
    fn new(idle: Duration) -> Self {
        Stillness { idle, waiting: None, is_waiting: false }
    }

    fn note_moved(&mut self) {
        self.is_waiting = false;
    }

    fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let until = Instant::now() + self.idle;
        let sleep = self.waiting.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until)));
        if !self.is_waiting {
            self.is_waiting = true;
            sleep.as_mut().reset(until);
        }
        sleep.as_mut().poll(cx)
    }
}

/// A body whose sender was silent for `limits.body_idle_s`.
#[derive(Debug)]
struct StoodStill;

impl fmt::Display for StoodStill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the body stood still for too long")
    }
}

impl std::error::Error for StoodStill {}
