//! A connection while it is active: `AsyncRead` and `AsyncWrite` for hyper, over a socket and a [`Wire`].

use std::fmt;
use std::io::{self, IoSlice};
use std::os::fd::AsRawFd;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use aws_lc_rs::aead::LessSafeKey;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::connector::Tickets;
use super::error::RecordError;
use super::received::Received;
use super::record::{FRAGMENT_BYTES_MAX, Keys, RECORD_BYTES_MAX};
use super::wire::{RECORD_OVERHEAD_BYTES, Wire};

/// A device connection as hyper sees it.
///
/// Reading ends (0 bytes) at close_notify, and also where the socket ends between two records: requests carry
/// their own length, so a cut one shows there, and many devices never say close_notify. A socket that ends
/// inside a record is an error.
pub struct WireStream {
    stream: TcpStream,
    wire: Wire,
    ciphers: Option<Ciphers>,
    received: Received,
    /// Sealed records; those before `sent` are with the kernel.
    sealed: Vec<u8>,
    sent: usize,
    /// The socket gave its last byte.
    at_end: bool,
    /// A write failed or a record was refused: the peer cannot know what it missed, so nothing more is sent.
    broken: bool,
    /// On the device's side: takes the session tickets that the server sends.
    tickets: Option<Box<Tickets>>,
    /// A record was refused while good plaintext before it is unread: reading gives that first.
    refused: Option<RecordError>,
}

/// Cipher contexts, made once for as long as the connection is active.
struct Ciphers {
    send: LessSafeKey,
    receive: LessSafeKey,
}

impl Ciphers {
    fn new(keys: &Keys) -> Self {
        Ciphers { send: keys.send_cipher(), receive: keys.receive_cipher() }
    }
}

impl WireStream {
    /// A connection without TLS; `early` is what was read from it already.
    pub fn plain(stream: TcpStream, early: Vec<u8>) -> Self {
        Self::from_parts(stream, Wire::Plain, Received::from_plaintext(early))
    }

    /// Puts a connection together that was taken apart.
    pub fn from_parts(stream: TcpStream, wire: Wire, received: Received) -> Self {
        WireStream {
            stream,
            wire,
            ciphers: None,
            received,
            sealed: Vec::new(),
            sent: 0,
            at_end: false,
            broken: false,
            tickets: None,
            refused: None,
        }
    }

    /// The same, on the device's side.
    pub(super) fn with_tickets(mut self, tickets: Tickets) -> Self {
        self.tickets = Some(Box::new(tickets));
        self
    }

    /// Takes the connection apart, memory given back. `None`, and the connection is closed, when something sealed
    /// is unsent or the connection is broken: the next record would never make sense to the device. So call
    /// [`WireStream::flush_sealed`] first.
    pub fn into_parts(mut self) -> Option<(TcpStream, Wire, Received)> {
        if self.broken || self.unsent() > 0 {
            return None;
        }
        self.received.shed();
        Some((self.stream, self.wire, self.received))
    }

    /// Waits until everything written is with the kernel.
    ///
    /// # Errors
    /// The socket's; the connection is broken then.
    pub async fn flush_sealed(&mut self) -> io::Result<()> {
        std::future::poll_fn(|cx| self.poll_send(cx)).await
    }

    /// The socket, for its addresses and options; reading or writing it would break the record layer.
    pub fn get_ref(&self) -> &TcpStream {
        &self.stream
    }

    /// What was received and not read yet.
    pub fn received(&self) -> &Received {
        &self.received
    }

    /// Puts plaintext back that hyper had read and did not use, so that it is read again, first.
    ///
    /// # Errors
    /// [`RecordError::TooMuch`]: more would wait than may; close the connection.
    pub fn put_back(&mut self, bytes: &[u8]) -> Result<(), RecordError> {
        self.received.put_back(bytes)
    }

    /// Sealed bytes that the kernel has not taken.
    pub fn unsent(&self) -> usize {
        self.sealed.len() - self.sent
    }

    /// Bytes written that the peer's kernel has not acknowledged.
    ///
    /// # Errors
    /// The socket's.
    pub fn unacknowledged(&self) -> io::Result<usize> {
        Ok(self.unsent() + unacknowledged(&self.stream)?)
    }

    /// Opens what waits; true when there is plaintext or the peer has closed.
    fn open_waiting(&mut self) -> Result<bool, RecordError> {
        let Wire::Tls(keys) = &mut self.wire else { return Ok(!self.received.plaintext().is_empty()) };
        if keys.has_failed() {
            return Err(self.refused.take().unwrap_or(RecordError::Ended));
        }
        if !keys.peer_closed && !self.received.ciphertext().is_empty() {
            let ciphers = self.ciphers.get_or_insert_with(|| Ciphers::new(keys));
            let tickets = &mut self.tickets;
            let take = |message: &[u8]| tickets.iter_mut().for_each(|tickets| tickets.take(message));
            match self.received.open(keys, &ciphers.receive, take) {
                Err(error) if self.received.plaintext().is_empty() => return Err(error),
                Err(error) => self.refused = Some(error),
                Ok(()) => {}
            }
        }
        Ok(keys.peer_closed || !self.received.plaintext().is_empty())
    }

    /// Reads the socket into the room for ciphertext. Ready when something came or the socket ended.
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            if self.received.is_empty() {
                // The device is thinking; the buffer need not wait with us.
                self.received.shed();
            }
            ready!(self.stream.poll_read_ready(cx))?;
            let begun = match &self.wire {
                Wire::Tls(keys) => self.received.begun_record_bytes(keys),
                Wire::Plain => 0,
            };
            match self.stream.try_read_buf(self.received.room(begun, READ_BYTES)) {
                Ok(0) => {
                    self.at_end = true;
                    return Poll::Ready(Ok(()));
                }
                Ok(_) => return Poll::Ready(Ok(())),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    /// A record was refused: says why to the device, as far as the socket takes it now.
    fn refuse(&mut self, cx: &mut Context<'_>, error: RecordError) -> io::Error {
        if !self.broken {
            self.wire.seal_alert(error, &mut self.sealed);
            let _ = self.poll_send(cx);
        }
        error.into()
    }

    /// Seals at most one record out of `slices`; gives the bytes it took.
    fn seal_from(&mut self, slices: &[IoSlice<'_>]) -> Result<usize, RecordError> {
        let total: usize = slices.iter().map(|slice| slice.len()).sum();
        let taken = total.min(FRAGMENT_BYTES_MAX);
        let fill = |out: &mut Vec<u8>| {
            let mut left = taken;
            for slice in slices {
                let part = left.min(slice.len());
                out.extend_from_slice(&slice[..part]);
                left -= part;
            }
        };
        if taken == 0 {
            return Ok(0);
        }
        self.sealed.drain(..self.sent);
        self.sent = 0;
        match &mut self.wire {
            Wire::Plain => fill(&mut self.sealed),
            Wire::Tls(keys) => {
                let ciphers = self.ciphers.get_or_insert_with(|| Ciphers::new(keys));
                self.sealed.reserve(taken + RECORD_OVERHEAD_BYTES);
                keys.seal_data(&ciphers.send, &mut self.sealed, fill)?;
            }
        }
        Ok(taken)
    }

    /// Sends what is sealed; ready when all of it is with the kernel.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.broken {
            return Poll::Ready(Err(RecordError::Ended.into()));
        }
        while self.unsent() > 0 {
            let error = match ready!(Pin::new(&mut self.stream).poll_write(cx, &self.sealed[self.sent..])) {
                Ok(0) => io::ErrorKind::WriteZero.into(),
                Ok(count) => {
                    self.sent += count;
                    continue;
                }
                Err(error) => error,
            };
            self.broken = true;
            self.sealed = Vec::new();
            self.sent = 0;
            return Poll::Ready(Err(error));
        }
        // Given back rather than kept: an answer is written in one go, and then the device is silent for long.
        self.sealed = Vec::new();
        self.sent = 0;
        Poll::Ready(Ok(()))
    }
}

/// Of what the kernel took (SIOCOUTQ, which Linux numbers like TIOCOUTQ).
#[expect(unsafe_code, reason = "ioctl has no safe wrapper in the standard library")]
fn unacknowledged(stream: &TcpStream) -> io::Result<usize> {
    let mut bytes: libc::c_int = 0;
    // SAFETY: the descriptor is open as long as the stream is borrowed, and the request writes one int to where it is told.
    match unsafe { libc::ioctl(stream.as_raw_fd(), libc::TIOCOUTQ, &raw mut bytes) } {
        0 => Ok(usize::try_from(bytes).unwrap_or_default()),
        _ => Err(io::Error::last_os_error()),
    }
}

impl AsyncRead for WireStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        loop {
            let plaintext = this.received.plaintext();
            if !plaintext.is_empty() {
                let count = plaintext.len().min(buf.remaining());
                buf.put_slice(&plaintext[..count]);
                this.received.consume(count);
                return Poll::Ready(Ok(()));
            }
            match this.open_waiting() {
                Ok(true) if this.received.plaintext().is_empty() => return Poll::Ready(Ok(())),
                Ok(true) => continue,
                Ok(false) if !this.at_end => {}
                Ok(false) if this.received.is_empty() => return Poll::Ready(Ok(())),
                Ok(false) => return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
                Err(error) => return Poll::Ready(Err(this.refuse(cx, error))),
            }
            if let Wire::Plain = this.wire {
                return Pin::new(&mut this.stream).poll_read(cx, buf);
            }
            ready!(this.poll_receive(cx))?;
        }
    }
}

impl AsyncWrite for WireStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(self: Pin<&mut Self>, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        // One record may wait while the next is sealed; more waits with the caller.
        match this.poll_send(cx) {
            Poll::Ready(sent) => sent?,
            Poll::Pending if this.unsent() > RECORD_BYTES_MAX => return Poll::Pending,
            Poll::Pending => {}
        }
        let taken = this.seal_from(slices)?;
        if let Poll::Ready(Err(error)) = this.poll_send(cx) {
            return Poll::Ready(Err(error));
        }
        Poll::Ready(Ok(taken))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll_send(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.wire.seal_close_notify(&mut this.sealed);
        ready!(this.poll_send(cx))?;
        Pin::new(&mut this.stream).poll_shutdown(cx)
    }
}

impl fmt::Debug for WireStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WireStream").field("wire", &self.wire).field("received", &self.received).field("unsent", &self.unsent()).finish()
    }
}

/// Least room for one read of a socket: a Ping with its head is under 1 KB.
const READ_BYTES: usize = 4_096;
