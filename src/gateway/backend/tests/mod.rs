//! The scene of the tests: backends on loopback (scripted byte by byte, or served by hyper), a gateway in front of
//! them that only forwards, and devices that speak raw HTTP.

#![expect(clippy::disallowed_methods, reason = "a queue between two parts of a test needs no bound: it ends with the test")]

mod checks;
mod failures;
mod forwarding;
mod pacing;
mod streams;
mod tls;
mod verdicts;

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::{Request, Response, request};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::config::Config;

pub(super) const EAS: &str = "/Microsoft-Server-ActiveSync?Cmd=Sync&User=hew&DeviceId=dev1&DeviceType=X";

/// A backend on loopback.
pub(super) struct Cas {
    pub(super) url: String,
    pub(super) accepted: Arc<AtomicUsize>,
}

impl Cas {
    pub(super) fn connections(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }
}

/// A backend that does with each connection what `script` says; the number counts connections from 0.
pub(super) async fn scripted<F, T>(script: F) -> Cas
where
    F: Fn(TcpStream, usize) -> T + Send + 'static,
    T: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    scripted_on(listener, script)
}

pub(super) fn scripted_on<F, T>(listener: TcpListener, script: F) -> Cas
where
    F: Fn(TcpStream, usize) -> T + Send + 'static,
    T: Future<Output = ()> + Send + 'static,
{
    let url = format!("http://{}", listener.local_addr().expect("address"));
    let accepted = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&accepted);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(script(stream, count.fetch_add(1, Ordering::SeqCst)));
        }
    });
    Cas { url, accepted }
}

/// A backend that answers each request of a connection with the same bytes.
pub(super) async fn answering(answer: &'static str) -> Cas {
    scripted(move |mut stream, _| async move {
        while !read_request(&mut stream).await.is_empty() {
            stream.write_all(answer.as_bytes()).await.expect("written");
        }
    })
    .await
}

/// A backend served by hyper.
pub(super) async fn serving<F, T>(service: F) -> Cas
where
    F: Fn(Request<Incoming>) -> T + Clone + Send + Sync + 'static,
    T: Future<Output = Response<AnswerBody>> + Send + 'static,
{
    scripted(move |stream, _| {
        let service = service.clone();
        let service = service_fn(move |request| {
            let answer = service(request);
            async move { Ok::<_, Infallible>(answer.await) }
        });
        async move { drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service).await) }
    })
    .await
}

/// Reads one request: its head as text, then a body of `Content-Length`. Empty when the peer closed.
pub(super) async fn read_request(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let head_end = loop {
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        match stream.read_u8().await {
            Ok(byte) => bytes.push(byte),
            Err(_) => return String::new(),
        }
    };
    let head = String::from_utf8_lossy(&bytes[..head_end]).to_ascii_lowercase();
    let length = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next()?.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.expect("body");
    bytes.extend_from_slice(&body);
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A `Backend` for these addresses with short time-outs; `tweak` changes what a test is about.
pub(super) fn backend(cases: &[&Cas], tweak: impl FnOnce(&mut Config)) -> Backend {
    let mut config = Config::parse("", std::iter::empty()).expect("defaults");
    config.backend.url = cases.iter().map(|cas| cas.url.parse().expect("address")).collect();
    config.backend.connect_timeout = Duration::from_secs(1);
    config.backend.answer_timeout = Duration::from_secs(1);
    config.limits.body_idle = Duration::from_secs(1);
    tweak(&mut config);
    Backend::new(&config.backend, &config.limits).expect("backend")
}

/// A gateway that forwards everything of a peer it does not trust.
pub(super) async fn gateway(backend: Backend) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let address = listener.local_addr().expect("address");
    tokio::spawn(async move {
        while let Ok((stream, peer)) = listener.accept().await {
            let backend = backend.clone();
            let service = service_fn(move |request: Request<Incoming>| {
                let backend = backend.clone();
                async move {
                    let (head, body) = request.into_parts();
                    Ok::<_, Infallible>(backend.forward(head, body.into(), Route::from_peer(peer.ip())).await)
                }
            });
            let mut builder = http1::Builder::new();
            builder.preserve_header_case(true);
            tokio::spawn(builder.serve_connection(TokioIo::new(stream), service));
        }
    });
    address
}

/// What a device sees: everything until the gateway closes or 300 ms pass without a byte; and whether it was closed.
pub(super) async fn device(gateway: SocketAddr, request: &str) -> (String, bool) {
    let mut stream = TcpStream::connect(gateway).await.expect("connected");
    stream.write_all(request.as_bytes()).await.expect("written");
    let mut seen = Vec::new();
    let mut buffer = vec![0; 65_536];
    loop {
        match tokio::time::timeout(Duration::from_millis(300), stream.read(&mut buffer)).await {
            Ok(Ok(0) | Err(_)) => return (String::from_utf8_lossy(&seen).into_owned(), true),
            Ok(Ok(count)) => seen.extend_from_slice(&buffer[..count]),
            Err(_) => return (String::from_utf8_lossy(&seen).into_owned(), false),
        }
    }
}

pub(super) fn head(method: &str, target: &str) -> request::Parts {
    Request::builder().method(method).uri(target).header("host", "mail.example.org").body(()).expect("request").into_parts().0
}

/// Somebody whom the backend knows.
pub(super) fn route() -> Route {
    Route { claim: Claim::Known, ..Route::from_peer("192.0.2.7".parse().expect("address")) }
}

pub(super) async fn text(response: Response<AnswerBody>) -> String {
    String::from_utf8_lossy(&response.into_body().collect().await.expect("complete").to_bytes()).into_owned()
}

pub(super) fn full(text: &str) -> AnswerBody {
    http_body_util::Full::new(Bytes::copy_from_slice(text.as_bytes())).map_err(|never| match never {}).boxed()
}
