//! Large bodies in constant memory, and bodies that lie, stop or stand still.

use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::body::{Body, Frame, SizeHint};

use super::*;

const MEGABYTE: u64 = 1 << 20;
const TOTAL: u64 = 100 * MEGABYTE;
/// What may be under way between the two ends: the kernel's buffers of one loopback connection, and one of ours.
const UNDER_WAY_MAX: u64 = 16 * MEGABYTE;

/// A hundred megabytes in frames of 64 KiB, counted as they are taken.
struct Flood {
    left: u64,
    produced: Arc<std::sync::atomic::AtomicU64>,
}

impl Body for Flood {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        static ZEROS: [u8; 65_536] = [0; 65_536];
        self.left -= ZEROS.len() as u64;
        self.produced.fetch_add(ZEROS.len() as u64, Ordering::SeqCst);
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&ZEROS)))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

/// Reads everything, standing still for a moment after the first frame; returns (bytes, most that was ever under way).
async fn drink(mut body: impl Body<Data = Bytes, Error: std::fmt::Debug> + Unpin, produced: &std::sync::atomic::AtomicU64) -> (u64, u64) {
    let (mut taken, mut under_way_max) = (0, 0);
    while let Some(frame) = body.frame().await {
        taken += frame.expect("whole").data_ref().map_or(0, |data| data.len() as u64);
        if under_way_max == 0 {
            tokio::time::sleep(Duration::from_millis(150)).await;
        }
        under_way_max = under_way_max.max(produced.load(Ordering::SeqCst) - taken);
    }
    (taken, under_way_max)
}

#[tokio::test]
async fn a_hundred_megabytes_come_down_in_constant_memory() {
    let produced = Arc::new(std::sync::atomic::AtomicU64::new(0));
    let count = Arc::clone(&produced);
    let cas = serving(move |_| {
        let produced = Arc::clone(&count);
        async move { Response::new(Flood { left: TOTAL, produced }.boxed()) }
    })
    .await;
    let response = backend(&[&cas], |_| ()).forward(head("GET", EAS), BackendBody::Empty, route()).await;
    assert_eq!(response.headers()["content-length"], TOTAL.to_string());
    let (taken, under_way_max) = drink(response.into_body(), &produced).await;
    assert_eq!(taken, TOTAL);
    assert!((1..UNDER_WAY_MAX).contains(&under_way_max), "{under_way_max} bytes were under way");
}

#[tokio::test]
async fn a_hundred_megabytes_go_up_in_constant_memory() {
    let produced = Arc::new(std::sync::atomic::AtomicU64::new(0));
    let count = Arc::clone(&produced);
    let cas = serving(move |request: Request<Incoming>| {
        let produced = Arc::clone(&count);
        async move {
            let (taken, under_way_max) = drink(request.into_body(), &produced).await;
            Response::new(full(&format!("{taken} {under_way_max}")))
        }
    })
    .await;
    let mut head = head("POST", EAS);
    head.headers.insert("content-length", TOTAL.into());
    let body = BackendBody::stream(Flood { left: TOTAL, produced });
    let answer = text(backend(&[&cas], |_| ()).forward(head, body, route()).await).await;
    let (taken, under_way_max) = answer.split_once(' ').expect("two numbers");
    assert_eq!(taken.parse(), Ok(TOTAL));
    assert!((1..UNDER_WAY_MAX).contains(&under_way_max.parse().expect("number")), "{under_way_max} bytes were under way");
}

/// What a device gets when the backend sends this and then closes.
async fn device_of(answer: &'static str) -> (String, bool) {
    let cas = scripted(move |mut stream, _| async move {
        read_request(&mut stream).await;
        stream.write_all(answer.as_bytes()).await.expect("written");
    })
    .await;
    device(gateway(backend(&[&cas], |_| ())).await, "GET / HTTP/1.1\r\nHost: a\r\n\r\n").await
}

#[tokio::test]
async fn an_answer_that_is_shorter_than_it_says_is_never_passed_off_as_whole() {
    let (seen, is_closed) = device_of("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort").await;
    assert!(is_closed && seen.to_ascii_lowercase().contains("content-length: 10\r\n") && !seen.ends_with("shortshort"), "{seen}");
}

#[tokio::test]
async fn an_answer_with_two_lengths_is_a_502() {
    let (seen, _) = device_of("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n").await;
    assert!(seen.starts_with("HTTP/1.1 502 ") && !seen.contains("hello"), "{seen}");
}

#[tokio::test]
async fn an_unasked_for_protocol_is_a_502() {
    let (seen, _) = device_of("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n").await;
    assert!(seen.starts_with("HTTP/1.1 502 "), "{seen}");
}

#[tokio::test]
async fn a_chunked_answer_that_breaks_off_gets_no_last_chunk() {
    let (seen, is_closed) = device_of("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n5\r\nwo").await;
    assert!(is_closed && !seen.contains("\r\n0\r\n"), "{seen}");
}

#[tokio::test]
async fn bytes_beyond_the_length_reach_nobody() {
    let cas = answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil").await;
    let backend = backend(&[&cas], |_| ());
    for round in 1..=3 {
        assert_eq!(text(backend.forward(head("GET", EAS), BackendBody::Empty, route()).await).await, "ok");
        assert_eq!(cas.connections(), round, "such a connection is not used again");
    }
}

#[tokio::test]
async fn an_answer_that_stands_still_is_aborted() {
    let cas = scripted(|mut stream, _| async move {
        read_request(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf").await.expect("written");
        std::future::pending().await
    })
    .await;
    let backend = backend(&[&cas], |config| config.limits.body_idle = Duration::from_millis(60));
    let (seen, is_closed) = device(gateway(backend).await, "GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert!(is_closed && seen.ends_with("half"), "{seen}");
}

#[tokio::test]
async fn a_slow_reader_is_not_taken_for_a_still_backend() {
    let cas = answering("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n1\r\nb\r\n0\r\n\r\n").await;
    let backend = backend(&[&cas], |config| config.limits.body_idle = Duration::from_millis(30));
    let mut body = backend.forward(head("GET", EAS), BackendBody::Empty, route()).await.into_body();
    let mut seen = Vec::new();
    while let Some(frame) = body.frame().await {
        seen.extend_from_slice(&frame.expect("whole").into_data().expect("data"));
        tokio::time::sleep(Duration::from_millis(90)).await;
    }
    assert_eq!(seen, b"ab");
}

#[tokio::test]
async fn a_device_that_stops_in_its_body_gets_408_and_the_backend_a_broken_request() {
    let (sender, mut broken) = tokio::sync::mpsc::channel(1);
    let cas = serving(move |request: Request<Incoming>| {
        let sender = sender.clone();
        async move {
            sender.send(request.into_body().collect().await.is_err()).await.expect("listened to");
            Response::new(full("never"))
        }
    })
    .await;
    let gateway = gateway(backend(&[&cas], |config| config.limits.body_idle = Duration::from_millis(60))).await;
    let (seen, _) = device(gateway, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf").await;
    assert!(seen.starts_with("HTTP/1.1 408 Request Timeout\r\n"), "{seen}");
    assert_eq!(broken.recv().await, Some(true));
}

#[tokio::test]
async fn a_device_that_hangs_up_in_an_answer_closes_the_connection_behind_it() {
    let (sender, mut closed) = tokio::sync::mpsc::channel(1);
    let cas = scripted(move |mut stream, _| {
        let sender = sender.clone();
        async move {
            read_request(&mut stream).await;
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf").await.expect("written");
            sender.send(read_request(&mut stream).await.is_empty()).await.expect("listened to");
        }
    })
    .await;
    let backend = backend(&[&cas], |_| ());
    drop(backend.forward(head("GET", EAS), BackendBody::Empty, route()).await);
    assert_eq!(closed.recv().await, Some(true));
}

#[tokio::test]
async fn an_early_answer_passes_while_the_body_still_comes() {
    let cas = scripted(|mut stream, _| async move {
        stream.read_u8().await.expect("some of the request");
        stream.write_all(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n").await.expect("written");
        std::future::pending().await
    })
    .await;
    let gateway = gateway(backend(&[&cas], |_| ())).await;
    let (seen, _) = device(gateway, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\nbegun").await;
    assert!(seen.starts_with("HTTP/1.1 413 "), "{seen}");
}
