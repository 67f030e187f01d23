//! HTTP/1.1 as a phone speaks it: one request, one answer, on one connection that is kept.
//!
//! Buffers live as long as an exchange: a waiting connection holds none of ours.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::ready;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf};

/// Bytes of an answer's head at most.
const HEAD_BYTES_MAX: usize = 64 << 10;
/// Bytes of an answer's body at most.
const BODY_BYTES_MAX: usize = 1 << 30;
/// Bytes read at once; on the stack, so that no waiting connection owns them.
const PIECE_BYTES: usize = 8 << 10;

/// An answer.
#[derive(Debug)]
pub struct HttpAnswer {
    /// Status code.
    pub status: u16,
    /// Head lines after the status line, as sent.
    head: String,
    /// The body without its transfer coding.
    pub body: Vec<u8>,
    /// Whether the connection may be used again.
    pub keeps_alive: bool,
}

impl HttpAnswer {
    /// The first header of that name.
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.head, name)
    }
}

/// Sends a request and reads its answer. `is_sent` is called when the request is on its way.
pub async fn exchange<S>(stream: &mut S, request: Vec<u8>, is_sent: impl FnOnce()) -> io::Result<HttpAnswer>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    send(stream, request).await?;
    is_sent();
    read_answer(stream).await
}

/// Sends a request.
pub(super) async fn send<S: AsyncWrite + Unpin>(stream: &mut S, request: Vec<u8>) -> io::Result<()> {
    stream.write_all(&request).await?;
    stream.flush().await
}

/// Reads the answer of what was sent.
pub(super) async fn read_answer<S: AsyncRead + Unpin>(stream: &mut S) -> io::Result<HttpAnswer> {
    let mut input = Vec::new();
    let head_end = loop {
        if let Some(end) = find(&input, b"\r\n\r\n") {
            break end;
        }
        if input.len() > HEAD_BYTES_MAX {
            return Err(malformed("the head of an answer is too long"));
        }
        read_more(stream, &mut input).await?;
    };
    let mut body = input.split_off(head_end + 4);
    input.truncate(head_end);
    let head = String::from_utf8(input).map_err(|_| malformed("the head of an answer is not text"))?;
    let (status_line, lines) = head.split_once("\r\n").unwrap_or((&head, ""));
    let mut words = status_line.split(' ');
    let is_1_1 = words.next() == Some("HTTP/1.1");
    let status: u16 = words.next().and_then(|code| code.parse().ok()).ok_or_else(|| malformed("no status code"))?;
    let keeps_alive = is_1_1 && !header(lines, "connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
    let lines = lines.to_owned();
    let keeps_alive = keeps_alive & read_body(stream, &lines, status, &mut body).await?;
    Ok(HttpAnswer { status, head: lines, body, keeps_alive })
}

/// Completes the body; false: it ended with the connection.
async fn read_body<S: AsyncRead + Unpin>(stream: &mut S, head: &str, status: u16, body: &mut Vec<u8>) -> io::Result<bool> {
    if status == 204 || status == 304 {
        return Ok(true);
    }
    if header(head, "transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked")) {
        *body = read_chunks(stream, std::mem::take(body)).await?;
        return Ok(true);
    }
    let Some(length) = header(head, "content-length") else {
        while body.len() <= BODY_BYTES_MAX {
            match read_more(stream, body).await {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        return Err(malformed("the body is too long"));
    };
    let length: usize = length.parse().map_err(|_| malformed("Content-Length is not a number"))?;
    if length > BODY_BYTES_MAX {
        return Err(malformed("the body is too long"));
    }
    while body.len() < length {
        read_more(stream, body).await?;
    }
    if body.len() > length { Err(malformed("bytes after the answer")) } else { Ok(true) }
}

async fn read_chunks<S: AsyncRead + Unpin>(stream: &mut S, mut input: Vec<u8>) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line_end = read_until_line(stream, &mut input).await?;
        let line = String::from_utf8_lossy(&input[..line_end]).into_owned();
        let size = line.split(';').next().and_then(|size| usize::from_str_radix(size.trim(), 16).ok());
        let size = size.filter(|size| body.len() + size <= BODY_BYTES_MAX).ok_or_else(|| malformed("a chunk's size"))?;
        input.drain(..line_end + 2);
        if size == 0 {
            // Trailers end with an empty line.
            loop {
                let line_end = read_until_line(stream, &mut input).await?;
                input.drain(..line_end + 2);
                if line_end == 0 {
                    return if input.is_empty() { Ok(body) } else { Err(malformed("bytes after the answer")) };
                }
            }
        }
        while input.len() < size + 2 {
            read_more(stream, &mut input).await?;
        }
        body.extend(input.drain(..size));
        if input[..2] != *b"\r\n" {
            return Err(malformed("a chunk's end"));
        }
        input.drain(..2);
    }
}

async fn read_until_line<S: AsyncRead + Unpin>(stream: &mut S, input: &mut Vec<u8>) -> io::Result<usize> {
    loop {
        if let Some(end) = find(input, b"\r\n") {
            return Ok(end);
        }
        if input.len() > HEAD_BYTES_MAX {
            return Err(malformed("a line of the body is too long"));
        }
        read_more(stream, input).await?;
    }
}

/// Appends what comes next; the end of the connection is an error.
async fn read_more<S: AsyncRead + Unpin>(stream: &mut S, input: &mut Vec<u8>) -> io::Result<()> {
    poll_fn(|context| {
        let mut piece = [std::mem::MaybeUninit::uninit(); PIECE_BYTES];
        let mut piece = ReadBuf::uninit(&mut piece);
        ready!(Pin::new(&mut *stream).poll_read(context, &mut piece))?;
        input.extend_from_slice(piece.filled());
        let is_end = piece.filled().is_empty();
        std::task::Poll::Ready(if is_end { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) })
    })
    .await
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let pairs = head.split("\r\n").filter_map(|line| line.split_once(':'));
    pairs.into_iter().find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

fn malformed(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(mut bytes: &[u8]) -> io::Result<HttpAnswer> {
        read_answer(&mut bytes).await
    }

    #[tokio::test]
    async fn reads_each_way_to_end_a_body() {
        let counted = read(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc").await.unwrap();
        assert_eq!((counted.status, &counted.body[..], counted.keeps_alive), (200, &b"abc"[..], true));
        let chunked =
            read(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1;x=y\r\nc\r\n0\r\nT: 1\r\n\r\n").await.unwrap();
        assert_eq!((&chunked.body[..], chunked.keeps_alive), (&b"abc"[..], true));
        let to_the_end = read(b"HTTP/1.1 401 No\r\nWWW-Authenticate: Basic\r\n\r\nabc").await.unwrap();
        assert_eq!((&to_the_end.body[..], to_the_end.keeps_alive), (&b"abc"[..], false));
        assert_eq!(to_the_end.header("www-authenticate"), Some("Basic"));
        assert!(!read(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n").await.unwrap().keeps_alive);
    }

    #[tokio::test]
    async fn refuses_answers_that_are_cut_or_run_over() {
        for bytes in [
            &b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabc"[..],
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nabc",
            b"HTTP/1.1 200 OK\r\nContent-Len",
            b"HTTP/1.1 OK\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffff\r\n",
            b"",
        ] {
            assert!(read(bytes).await.is_err(), "{}", String::from_utf8_lossy(bytes));
        }
    }
}
