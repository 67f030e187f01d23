//! The bodies of answers: whole, streamed zeros, or broken off.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};

/// Bytes in one frame of a streamed answer.
const FRAME_BYTES: u64 = 16_384;
static ZEROS: [u8; FRAME_BYTES as usize] = [0; FRAME_BYTES as usize];

/// A body.
#[derive(Debug)]
pub(super) struct Body {
    content: Content,
    /// Bytes that still come.
    left: u64,
    /// It ends in an error instead of properly; its length is then not told to hyper.
    is_broken: bool,
}

#[derive(Debug)]
enum Content {
    Whole(Bytes),
    Zeros,
}

impl Body {
    pub(super) fn whole(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Body { left: bytes.len() as u64, content: Content::Whole(bytes), is_broken: false }
    }

    pub(super) fn zeros(bytes: u64) -> Self {
        Body { content: Content::Zeros, left: bytes, is_broken: false }
    }

    pub(super) fn length(&self) -> u64 {
        self.left
    }

    /// Breaks off after so many bytes.
    pub(super) fn cut(mut self, bytes: u64) -> Self {
        self.left = self.left.min(bytes);
        self.is_broken = true;
        self
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.left == 0 {
            return Poll::Ready(self.is_broken.then(|| Err(io::ErrorKind::ConnectionAborted.into())));
        }
        let now = self.left.min(FRAME_BYTES);
        let bytes = match &mut self.content {
            Content::Whole(bytes) => bytes.split_to(now as usize),
            Content::Zeros => Bytes::from_static(&ZEROS[..now as usize]),
        };
        self.left -= now;
        Poll::Ready(Some(Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0 && !self.is_broken
    }

    fn size_hint(&self) -> SizeHint {
        if self.is_broken { SizeHint::default() } else { SizeHint::with_exact(self.left) }
    }
}
