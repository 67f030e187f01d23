//! A connection as bytes: TLS or plain, with just enough HTTP to tell one answer from the next.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use pushgate::logic::eas::PingAnswer;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::soon;

/// Answers are short in these tests; whatever is longer is read piece by piece.
const ANSWER_BYTES_MAX: usize = 4 << 20;

pub enum Line {
    Plain(TcpStream, Vec<u8>),
    Tls(Box<TlsStream<TcpStream>>, Vec<u8>),
}

/// One answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// Status line and header lines.
    pub head: String,
    /// Without its transfer coding.
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(':'));
        lines.into_iter().find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }

    /// As the answer to a Ping.
    pub fn ping(&self) -> PingAnswer {
        assert_eq!(self.status, 200, "{}", self.head);
        assert_eq!(self.header("content-type"), Some("application/vnd.ms-sync.wbxml"));
        PingAnswer::parse(&self.body).unwrap()
    }
}

/// A device that speaks one version of TLS.
pub fn tls_only(version: &'static SupportedProtocolVersion, root: &CertificateDer<'static>) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(root.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(&[version]).unwrap();
    Arc::new(builder.with_root_certificates(roots).with_no_client_auth())
}

impl Line {
    pub async fn plain(address: SocketAddr) -> Line {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Line::Plain(stream, Vec::new())
    }

    pub async fn tls(address: SocketAddr, config: Arc<ClientConfig>) -> io::Result<Line> {
        let Line::Plain(stream, _) = Line::plain(address).await else { unreachable!("just made") };
        Line::shake_hands(stream, config).await
    }

    /// A device whose kernel takes a few kilobytes and no more until they are read.
    pub async fn with_little_room(address: SocketAddr, config: Arc<ClientConfig>) -> Line {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4_096).unwrap();
        Line::shake_hands(socket.connect(address).await.unwrap(), config).await.unwrap()
    }

    /// TLS on a socket that has said something before.
    pub async fn shake_hands(stream: TcpStream, config: Arc<ClientConfig>) -> io::Result<Line> {
        let name = ServerName::try_from("localhost").unwrap();
        Ok(Line::Tls(Box::new(TlsConnector::from(config).connect(name, stream).await?), Vec::new()))
    }

    pub fn session(&self) -> &rustls::ClientConnection {
        match self {
            Line::Tls(stream, _) => stream.get_ref().1,
            Line::Plain(..) => panic!("not TLS"),
        }
    }

    /// The socket under it.
    pub fn socket(&self) -> &TcpStream {
        match self {
            Line::Tls(stream, _) => stream.get_ref().0,
            Line::Plain(stream, _) => stream,
        }
    }

    /// The socket alone, to send ciphertext of one's own.
    pub fn into_socket(self) -> TcpStream {
        match self {
            Line::Tls(stream, _) => stream.into_inner().0,
            Line::Plain(stream, _) => stream,
        }
    }

    /// As one TLS record (or a few, if it is long).
    pub async fn send(&mut self, bytes: impl Into<Vec<u8>>) {
        self.try_send(bytes).await.unwrap();
    }

    pub async fn try_send(&mut self, bytes: impl Into<Vec<u8>>) -> io::Result<()> {
        let (stream, _) = self.parts();
        stream.write_all(&bytes.into()).await?;
        stream.flush().await
    }

    /// Sends and reads the answer.
    pub async fn ask(&mut self, bytes: impl Into<Vec<u8>>) -> Answer {
        self.send(bytes).await;
        self.answer().await
    }

    /// The next answer, which must come soon and be complete.
    pub async fn answer(&mut self) -> Answer {
        soon("an answer", self.try_answer(false)).await.unwrap()
    }

    /// The answer to a HEAD: its length is that of a body that does not come.
    pub async fn answer_to_head(&mut self) -> Answer {
        soon("an answer", self.try_answer(true)).await.unwrap()
    }

    /// The next answer; an error where the connection ends too early.
    pub async fn try_answer(&mut self, is_to_head: bool) -> io::Result<Answer> {
        let head_end = loop {
            if let Some(at) = find(self.parts().1, b"\r\n\r\n") {
                break at;
            }
            if self.more().await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        };
        let head = String::from_utf8(self.take(head_end + 4)).unwrap();
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap();
        let mut answer = Answer { status, head, body: Vec::new() };
        if is_to_head || (100..200).contains(&status) || matches!(status, 204 | 304) {
            return Ok(answer);
        }
        answer.body = if answer.header("transfer-encoding").is_some() {
            self.chunks().await?
        } else if let Some(length) = answer.header("content-length") {
            self.exactly(length.parse().unwrap()).await?
        } else {
            while self.more().await? > 0 {}
            std::mem::take(self.parts().1)
        };
        Ok(answer)
    }

    /// Only the head of the next answer; its body can be read as it comes.
    pub async fn head(&mut self) -> Answer {
        self.answer_to_head().await
    }

    /// Counts what comes until so many bytes are there, keeping none.
    pub async fn drain_bytes(&mut self, bytes: u64) {
        let mut left = bytes - std::mem::take(self.parts().1).len() as u64;
        let mut piece = vec![0; 64 << 10];
        while left > 0 {
            let count = soon("more of a body", self.parts().0.read(&mut piece)).await.unwrap();
            assert!(count > 0, "the body ended {left} bytes early");
            left -= count as u64;
        }
    }

    /// The other side ends the connection soon, and says nothing more. A reset is an end too.
    pub async fn ends(&mut self) {
        let rest = self.rest().await;
        assert!(rest.is_empty(), "unexpected: {}", String::from_utf8_lossy(&rest));
    }

    /// Everything until the other side ends the connection.
    pub async fn rest(&mut self) -> Vec<u8> {
        soon("the end of the connection", async { while matches!(self.more().await, Ok(1..)) {} }).await;
        std::mem::take(self.parts().1)
    }

    /// TLS's goodbye, without closing the socket.
    pub async fn say_close_notify(&mut self) {
        let Line::Tls(stream, _) = self else { panic!("not TLS") };
        stream.get_mut().1.send_close_notify();
        stream.flush().await.unwrap();
    }

    /// Closes with a reset.
    pub fn reset(self) {
        socket2::SockRef::from(self.socket()).set_linger(Some(std::time::Duration::ZERO)).unwrap();
    }

    /// Reads more; 0 at the end.
    async fn more(&mut self) -> io::Result<usize> {
        let mut piece = [0; 16 << 10];
        let (stream, input) = self.parts();
        assert!(input.len() < ANSWER_BYTES_MAX, "an answer without an end");
        let count = stream.read(&mut piece).await?;
        input.extend_from_slice(&piece[..count]);
        Ok(count)
    }

    async fn exactly(&mut self, bytes: usize) -> io::Result<Vec<u8>> {
        while self.parts().1.len() < bytes {
            if self.more().await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(self.take(bytes))
    }

    async fn chunks(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line_end = loop {
                if let Some(at) = find(self.parts().1, b"\r\n") {
                    break at;
                }
                if self.more().await? == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
            };
            let line = String::from_utf8(self.take(line_end + 2)).unwrap();
            let size = usize::from_str_radix(line.trim(), 16).unwrap();
            let chunk = self.exactly(size + 2).await?;
            assert!(chunk.ends_with(b"\r\n"), "a chunk's end");
            if size == 0 {
                return Ok(body);
            }
            body.extend_from_slice(&chunk[..size]);
        }
    }

    fn take(&mut self, bytes: usize) -> Vec<u8> {
        self.parts().1.drain(..bytes).collect()
    }

    fn parts(&mut self) -> (&mut (dyn Wire + '_), &mut Vec<u8>) {
        match self {
            Line::Plain(stream, input) => (stream, input),
            Line::Tls(stream, input) => (stream, input),
        }
    }
}

trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Wire for T {}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}
