//! hyper over the record layer, taken apart between a request and its answer.

use std::convert::Infallible;
use std::io::Write;
use std::sync::Arc;

use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use pushgate::gateway::tls::{AcceptError, Accepted, Suite, WireStream};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use crate::scene::{Device, HOST, acceptor, certificate, gateway, rustls_config, rustls_device};

/// Serves until a request for `/ping` is read, whose answer hyper never gets; gives the stream back.
async fn serve_until_ping(stream: WireStream) -> Option<WireStream> {
    let (held, mut hold) = mpsc::channel(1);
    let service = service_fn(move |request: Request<Incoming>| {
        let held = held.clone();
        Box::pin(async move {
            let path = request.uri().path().to_owned();
            let body = request.into_body().collect().await.expect("body").to_bytes();
            if path == "/ping" {
                held.send(body.clone()).await.expect("one Ping at a time");
                std::future::pending::<()>().await;
            }
            Ok::<_, Infallible>(Response::new(Full::new(body)))
        })
    });
    let mut connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        end = &mut connection => { end.expect("a clean end"); None }
        body = hold.recv() => {
            assert_eq!(body.as_deref(), Some(&b"folders"[..]));
            let parts = connection.into_parts();
            let mut stream = parts.io.into_inner();
            stream.put_back(&parts.read_buf).expect("a part of a request");
            Some(stream)
        }
    }
}

async fn hold_pings(accepted: Result<Accepted, AcceptError>) -> usize {
    let mut stream = accepted.expect("handshake").stream;
    let mut pings = 0;
    while let Some(mut held) = serve_until_ping(stream).await {
        pings += 1;
        held.flush_sealed().await.expect("sent");
        let (socket, mut wire, received) = held.into_parts().expect("nothing is unsent");
        let mut answer = Vec::new();
        wire.seal(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nwoke", &mut answer).expect("sealed");
        let mut socket = socket.into_std().expect("socket");
        socket.write_all(&answer).expect("sent");
        stream = WireStream::from_parts(TcpStream::from_std(socket).expect("socket"), wire, received);
    }
    pings
}

fn answer(device: &mut impl Device, body: &str) {
    let mut heard = String::new();
    while !heard.ends_with(body) {
        let mut byte = [0; 1];
        device.read_exact(&mut byte).expect("an answer");
        heard.push(char::from(byte[0]));
    }
    assert!(heard.starts_with("HTTP/1.1 200 OK\r\n"), "{heard}");
}

#[test]
fn hyper_and_a_lot_take_turns_on_one_connection() {
    let certificate = certificate(HOST);
    for suite in Suite::ALL {
        let gateway = gateway(acceptor(&certificate), 1, hold_pings);
        let mut device = rustls_device(&Arc::new(rustls_config(suite, &certificate)), gateway.address);
        let sync = format!("POST /sync HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 5\r\n\r\nmails");
        let ping = format!("POST /ping HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 7\r\n\r\nfolders");
        for _ in 0..3 {
            device.write_all(sync.as_bytes()).expect("sent");
            answer(&mut device, "mails");
            device.write_all(ping.as_bytes()).expect("sent");
            answer(&mut device, "woke");
        }
        // And a device that does not wait for answers.
        device.write_all(format!("{sync}{ping}{sync}{ping}").as_bytes()).expect("sent");
        for body in ["mails", "woke", "mails", "woke"] {
            answer(&mut device, body);
        }
        device.close();
        assert_eq!(gateway.result(), [5]);
    }
}
