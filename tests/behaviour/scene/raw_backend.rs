//! A backend made of bytes: records what comes in as it was on the wire, and sends what it is told to.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A request as it was on the wire.
#[derive(Debug, Clone)]
pub struct RawRequest {
    pub head: String,
    /// With its transfer coding; the first part only when it is long.
    pub body: Vec<u8>,
    /// All of it.
    pub body_bytes: u64,
}

impl RawRequest {
    /// All values of the headers of that name.
    pub fn values(&self, name: &str) -> Vec<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(':'));
        lines.filter(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).collect()
    }

    pub fn line(&self) -> &str {
        self.head.lines().next().unwrap()
    }
}

/// What to do with a request.
pub enum Reply {
    Send(Vec<u8>),
    SendAndClose(Vec<u8>),
    Hang,
}

pub struct RawBackend {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<RawRequest>>>,
}

/// Bytes of a body that are kept.
const KEPT_BYTES: usize = 64 << 10;

/// Answers every request with what `script` makes of it.
pub async fn raw_backend(script: impl Fn(&RawRequest) -> Reply + Send + Sync + 'static) -> RawBackend {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let backend = RawBackend { address: listener.local_addr().unwrap(), requests: Arc::default() };
    let (requests, script) = (backend.requests.clone(), Arc::new(script));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, requests.clone(), script.clone()));
        }
    });
    backend
}

impl RawBackend {
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn requests(&self) -> Vec<RawRequest> {
        self.requests.lock().unwrap().clone()
    }

    /// The only request so far.
    pub fn only_request(&self) -> RawRequest {
        let requests = self.requests();
        assert_eq!(requests.len(), 1, "{requests:?}");
        requests.into_iter().next().unwrap()
    }
}

async fn serve(mut stream: TcpStream, requests: Arc<Mutex<Vec<RawRequest>>>, script: Arc<impl Fn(&RawRequest) -> Reply>) {
    let mut input = Vec::new();
    while let Some(request) = read_request(&mut stream, &mut input).await {
        let reply = script(&request);
        requests.lock().unwrap().push(request);
        match reply {
            Reply::Hang => std::future::pending().await,
            Reply::Send(bytes) => {
                if stream.write_all(&bytes).await.is_err() {
                    return;
                }
            }
            Reply::SendAndClose(bytes) => {
                // Whether it arrives is for the other side to say.
                let _ = stream.write_all(&bytes).await;
                let _ = stream.shutdown().await;
                return;
            }
        }
    }
}

async fn read_request(stream: &mut TcpStream, input: &mut Vec<u8>) -> Option<RawRequest> {
    let head_end = loop {
        if let Some(at) = input.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        more(stream, input).await?;
    };
    let head = String::from_utf8(input.drain(..head_end).collect()).unwrap();
    let mut request = RawRequest { head, body: Vec::new(), body_bytes: 0 };
    if !request.values("transfer-encoding").is_empty() {
        while !input.ends_with(b"0\r\n\r\n") {
            more(stream, input).await?;
        }
        request.body = std::mem::take(input);
        request.body_bytes = request.body.len() as u64;
        return Some(request);
    }
    let length: u64 = request.values("content-length").first().map_or(0, |length| length.parse().unwrap());
    while request.body_bytes < length {
        if input.is_empty() {
            more(stream, input).await?;
        }
        let count = input.len().min((length - request.body_bytes) as usize);
        let kept = count.min(KEPT_BYTES - request.body.len());
        request.body.extend_from_slice(&input[..kept]);
        request.body_bytes += count as u64;
        input.drain(..count);
    }
    Some(request)
}

/// Reads more; `None` at the end.
async fn more(stream: &mut TcpStream, input: &mut Vec<u8>) -> Option<()> {
    let mut piece = vec![0; 64 << 10];
    let count = stream.read(&mut piece).await.ok().filter(|count| *count > 0)?;
    input.extend_from_slice(&piece[..count]);
    Some(())
}
