//! PROXY protocol v1 and v2: who a balancer says is behind a connection (the `ppp` crate parses).

use std::io;
use std::net::{IpAddr, SocketAddr};

use ppp::{HeaderResult, PartialResult, v1, v2};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

/// A v2 header carries at most 65,535 bytes after its first 16, but balancers send addresses and a few TLVs.
const HEADER_BYTES_MAX: usize = 4_096;
/// How a v1 header begins, and the most bytes it has (section 2.1 of its specification).
const LINE_START: &[u8] = b"PROXY ";
const LINE_BYTES_MAX: usize = 107;
/// A line that names nobody: whatever else it says is ignored (section 2.1).
const LINE_OF_NOBODY: &[u8] = b"PROXY UNKNOWN";

/// Why a header was not taken.
#[derive(Debug)]
pub(crate) enum ProxyError {
    /// Not a PROXY header, or too long.
    Malformed,
    /// The balancer hung up.
    Io(#[expect(dead_code, reason = "shown in the debug log")] io::Error),
}

/// Reads a header. Returns the device's address (`None` for the balancer's own health checks: LOCAL, UNKNOWN) and the bytes
/// that came after it.
pub(crate) async fn read(stream: &mut TcpStream) -> Result<(Option<SocketAddr>, Vec<u8>), ProxyError> {
    let mut bytes = Vec::with_capacity(256);
    loop {
        if stream.read_buf(&mut bytes).await.map_err(ProxyError::Io)? == 0 {
            return Err(ProxyError::Io(io::ErrorKind::UnexpectedEof.into()));
        }
        match header(&bytes) {
            Header::Open => {}
            Header::Whole(address, length) => return Ok((address, bytes.get(length..).unwrap_or_default().to_vec())),
            Header::Malformed => return Err(ProxyError::Malformed),
        }
    }
}

/// What bytes begin with.
#[derive(Debug, PartialEq, Eq)]
enum Header {
    /// A part of a header.
    Open,
    /// A header: the device's address, and how long it is.
    Whole(Option<SocketAddr>, usize),
    Malformed,
}

fn header(bytes: &[u8]) -> Header {
    if LINE_START.starts_with(bytes) {
        return Header::Open;
    }
    if bytes.starts_with(LINE_START) {
        return line(bytes);
    }
    let header = HeaderResult::parse(bytes);
    match &header {
        HeaderResult::V2(_) if header.is_incomplete() && bytes.len() < HEADER_BYTES_MAX => Header::Open,
        HeaderResult::V2(Ok(header)) => Header::Whole(v2_source(header), header.len()),
        _ => Header::Malformed,
    }
}

/// What the parser makes of a part of a line, or of one with something behind it, depends on where they end: it is shown the line alone.
fn line(bytes: &[u8]) -> Header {
    let bytes = &bytes[..bytes.len().min(LINE_BYTES_MAX)];
    let Some(end) = bytes.windows(2).position(|pair| pair == b"\r\n") else {
        return if bytes.len() < LINE_BYTES_MAX { Header::Open } else { Header::Malformed };
    };
    // The parser would count the words.
    if let Some(rest) = bytes[..end].strip_prefix(LINE_OF_NOBODY)
        && (rest.is_empty() || rest.starts_with(b" "))
    {
        return Header::Whole(None, end + 2);
    }
    match HeaderResult::parse(&bytes[..end + 2]) {
        HeaderResult::V1(Ok(header)) if header.header.len() == end + 2 => Header::Whole(v1_source(&header), end + 2),
        _ => Header::Malformed,
    }
}

/// Entry point for fuzzing: any bytes in place of a header.
///
/// # Panics
/// When a header is longer than what came, or what it says depends on the pieces in which it came.
#[doc(hidden)]
pub fn fuzz(bytes: &[u8]) {
    let bytes = &bytes[..bytes.len().min(HEADER_BYTES_MAX - 1)];
    let whole = header(bytes);
    for end in 0..bytes.len() {
        match header(&bytes[..end]) {
            Header::Open => {}
            found => {
                assert!(!matches!(found, Header::Whole(_, length) if length > end), "a header of more than {end} bytes");
                assert_eq!(found, whole, "after {end} bytes it was decided otherwise");
                break;
            }
        }
    }
}

fn v1_source(header: &v1::Header<'_>) -> Option<SocketAddr> {
    match header.addresses {
        v1::Addresses::Tcp4(a) => Some(SocketAddr::new(IpAddr::V4(a.source_address), a.source_port)),
        v1::Addresses::Tcp6(a) => Some(SocketAddr::new(IpAddr::V6(a.source_address), a.source_port)),
        v1::Addresses::Unknown => None,
    }
}

fn v2_source(header: &v2::Header<'_>) -> Option<SocketAddr> {
    match (header.command, header.addresses) {
        (v2::Command::Proxy, v2::Addresses::IPv4(a)) => Some(SocketAddr::new(IpAddr::V4(a.source_address), a.source_port)),
        (v2::Command::Proxy, v2::Addresses::IPv6(a)) => Some(SocketAddr::new(IpAddr::V6(a.source_address), a.source_port)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;

    use super::*;

    /// Sends the pieces one by one and reads a header.
    async fn read_of(pieces: &[&[u8]]) -> Result<(Option<SocketAddr>, Vec<u8>), ProxyError> {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let mut client = TcpStream::connect(listener.local_addr().expect("bound")).await.expect("connected");
        let (mut server, _) = listener.accept().await.expect("accepted");
        let pieces: Vec<Vec<u8>> = pieces.iter().map(|p| p.to_vec()).collect();
        let sender = tokio::spawn(async move {
            for piece in pieces {
                client.write_all(&piece).await.expect("sent");
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        });
        let result = read(&mut server).await;
        sender.await.expect("all pieces sent");
        result
    }

    #[tokio::test]
    async fn both_versions_name_the_device_and_leave_what_follows() {
        let (address, rest) = read_of(&[b"PROXY TCP4 198.51.100.7 127.0.0.1 50000 443\r\n\x16\x03\x01"]).await.expect("v1");
        assert_eq!((address, rest.as_slice()), ("198.51.100.7:50000".parse().ok(), &b"\x16\x03\x01"[..]));
        let mut v2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c".to_vec();
        v2.extend([198, 51, 100, 8, 127, 0, 0, 1, 0xC3, 0x50, 0x01, 0xBB, 0x16]);
        let (head, tail) = v2.split_at(14);
        let (address, rest) = read_of(&[head, tail]).await.expect("v2 in two pieces");
        assert_eq!((address, rest.as_slice()), ("198.51.100.8:50000".parse().ok(), &b"\x16"[..]));
    }

    #[tokio::test]
    async fn a_health_check_has_no_device() {
        let (address, _) = read_of(&[b"PROXY UNKNOWN\r\n"]).await.expect("v1");
        assert_eq!(address, None);
        let (address, _) = read_of(&[b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0"]).await.expect("v2");
        assert_eq!(address, None);
    }

    /// Found by fuzzing: whether a line of a byte too many was refused depended on where it was cut.
    #[test]
    fn a_line_is_judged_by_itself() {
        let line = format!("PROXY UNKNOWN {:92}\r\n", "");
        assert_eq!(line.len(), LINE_BYTES_MAX + 1);
        assert_eq!(header(line.as_bytes()), Header::Malformed);
        let line = format!("PROXY UNKNOWN {:91}\r\n", "");
        for behind in [&b""[..], b"\x16\x03\x01\xff\xff", b"\r\n"] {
            assert_eq!(header(&[line.as_bytes(), behind].concat()), Header::Whole(None, LINE_BYTES_MAX));
        }
        assert_eq!(header(b"PROXY UNKNOWNS\r\n"), Header::Malformed);
        assert_eq!(header(b"PROXY TCP4 1.2.3.4 1.2.3.4 1 \xff\r\n"), Header::Malformed);
        assert_eq!(header(b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r3\r\n"), Header::Malformed);
    }

    #[tokio::test]
    async fn anything_else_is_refused() {
        assert!(matches!(read_of(&[b"\x16\x03\x01\x02\x00\x01\x00"]).await, Err(ProxyError::Malformed)));
        assert!(matches!(read_of(&[b"GET / HTTP/1.1\r\n\r\n"]).await, Err(ProxyError::Malformed)));
        assert!(matches!(read_of(&[b"PROXY TCP4 nonsense\r", b"\n\x16\x03"]).await, Err(ProxyError::Malformed)));
        assert!(matches!(read_of(&[b"PROXY TCP4 1.2"]).await, Err(ProxyError::Io(_))));
    }
}
