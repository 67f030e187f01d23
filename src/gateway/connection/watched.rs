//! What hyper reads and writes through: bytes with one reading, at a pace, and known to have been written.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::Stage;
use crate::config::limits::Patience;
use crate::gateway::pace::Pace;
use crate::gateway::tls::WireStream;
use crate::logic::http::{Fault, RequestFraming};
use crate::telemetry::metrics::SHED_TOTAL;

/// The stream under hyper, with an eye on whether hyper has everything written, and on requests with two readings.
pub(super) struct Watched {
    pub(super) stream: WireStream,
    stage: Arc<Stage>,
    /// Begins anew with every stretch, which always begins with a request.
    framing: RequestFraming,
    /// Nothing is read any more.
    pub(super) fault: Option<Fault>,
    /// How long the device makes us wait within a body,
    reading: Pace,
    /// and within an answer.
    writing: Pace,
}

/// The device keeps us waiting: it is closed, and what it occupied is free.
fn too_slow(limit: &'static str) -> std::io::Error {
    metrics::counter!(SHED_TOTAL.name, "limit" => limit).increment(1);
    std::io::Error::new(std::io::ErrorKind::TimedOut, "the device is too slow")
}

/// What hyper reads where a fault begins: at that place, no line being over, it is none of HTTP, so that hyper answers 400, or
/// ends the body with an error, and closes. It also stands there when an earlier Ping is parked with what came behind it.
const REFUSED_BYTE: u8 = 0;

impl Watched {
    pub(super) fn new(stream: WireStream, stage: Arc<Stage>, patience: Patience) -> Self {
        let (reading, writing) = (Pace::of_reading(patience), Pace::of_writing(patience));
        Watched { stream, stage, framing: RequestFraming::default(), fault: None, reading, writing }
    }

    /// A write: a device that does not take it in time is given up.
    fn note<T>(&mut self, poll: Poll<std::io::Result<T>>, cx: &mut Context<'_>) -> Poll<std::io::Result<T>> {
        self.stage.is_writing.store(poll.is_pending(), Ordering::Relaxed);
        let poll = match poll {
            Poll::Pending if self.writing.poll_over(cx).is_ready() => Poll::Ready(Err(too_slow("answer_pace"))),
            poll => poll,
        };
        self.note_failure(poll)
    }

    fn note_written(&mut self, poll: Poll<std::io::Result<usize>>, cx: &mut Context<'_>) -> Poll<std::io::Result<usize>> {
        if let Poll::Ready(Ok(bytes)) = poll {
            self.writing.moved(bytes);
        }
        self.note(poll, cx)
    }

    fn note_failure<T>(&self, poll: Poll<std::io::Result<T>>) -> Poll<std::io::Result<T>> {
        if matches!(poll, Poll::Ready(Err(_))) {
            self.stage.is_broken.store(true, Ordering::Relaxed);
        }
        poll
    }

    /// Looks at what was read from `start` on, before hyper does.
    fn follow(&mut self, buffer: &mut ReadBuf<'_>, start: usize) {
        self.reading.moved(buffer.filled().len() - start);
        if !self.framing.is_in_body() {
            self.reading.restart();
        }
        if let Err(refused) = self.framing.pass(&buffer.filled()[start..]) {
            buffer.set_filled(start + refused.good);
            buffer.put_slice(&[REFUSED_BYTE]);
            self.fault = Some(refused.fault);
        }
    }

    /// Has the device what it was sent? Looked for when hyper reads: the device's next request, or its leaving, acknowledges the
    /// answer before, and must find that known. Costs a system call, and only while something is on its way.
    fn look(&self, has_read: bool) {
        let mut delivery = self.stage.delivery();
        // While its exchange is not over, hyper may have something to add (the end of a chunked body).
        let Some(sent) = delivery.as_mut().filter(|_| self.stage.has_sent()) else { return };
        if !sent.is_acknowledged() && matches!(self.stream.unacknowledged(), Ok(0)) {
            sent.acknowledge();
        }
        if has_read
            && sent.is_acknowledged()
            && let Some(sent) = delivery.take()
        {
            sent.arrived();
        }
    }
}

impl AsyncRead for Watched {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        if let Some(fault) = self.fault {
            // Within a body: a chunk's extension may hold any byte, that one too.
            return Poll::Ready(Err(std::io::Error::new(std::io::ErrorKind::InvalidData, fault.label())));
        }
        let start = buffer.filled().len();
        let poll = Pin::new(&mut self.stream).poll_read(cx, buffer);
        let poll = self.note_failure(poll);
        self.look(matches!(poll, Poll::Ready(Ok(()))));
        match poll {
            Poll::Ready(Ok(())) => self.follow(buffer, start),
            // Between two requests other clocks run.
            Poll::Pending if self.framing.is_in_body() && self.reading.poll_over(cx).is_ready() => {
                return Poll::Ready(Err(too_slow("body_pace")));
            }
            _ => {}
        }
        poll
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        let poll = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.note_written(poll, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        let poll = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.note_written(poll, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        let poll = Pin::new(&mut self.stream).poll_flush(cx);
        if matches!(poll, Poll::Ready(Ok(()))) {
            self.stage.is_sent.store(true, Ordering::Relaxed);
            self.writing.restart();
        }
        self.note(poll, cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
