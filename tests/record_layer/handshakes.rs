//! How handshakes arrive: in crumbs, with a request on their heels, or not at all.

use std::future::Future;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use openssl::ssl::{SslConnector, SslMethod, SslVerifyMode, SslVersion};
use pushgate::gateway::tls::{AcceptError, Accepted, Suite};
use rustls::ClientConnection;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::scene::{Gateway, HOST, acceptor, certificate, connect, gateway, rustls_config};

const BOTH: [Suite; 2] = [Suite::Tls12Aes128Gcm, Suite::Tls13Aes128Gcm];

/// Sends back one word of four bytes.
async fn echo_a_word(accepted: Result<Accepted, AcceptError>) -> &'static str {
    let mut stream = match accepted {
        Ok(accepted) => accepted.stream,
        Err(error) => return error.label(),
    };
    let mut word = [0; 4];
    stream.read_exact(&mut word).await.expect("word");
    stream.write_all(&word).await.expect("written");
    "spoken"
}

fn refusing_gateway() -> Gateway<Vec<&'static str>> {
    gateway(acceptor(&certificate(HOST)), 1, echo_a_word)
}

/// A socket that takes one byte a write.
struct Dribble(TcpStream);

impl Read for Dribble {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for Dribble {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(&bytes[..bytes.len().min(1)])
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_handshake_may_come_byte_by_byte() {
    let certificate = certificate(HOST);
    for suite in BOTH {
        let gateway = gateway(acceptor(&certificate), 1, echo_a_word);
        let config = Arc::new(rustls_config(suite, &certificate));
        let mut device = ClientConnection::new(config, HOST.try_into().expect("name")).expect("client");
        let mut socket = Dribble(connect(gateway.address));
        socket.0.set_nodelay(true).expect("no delay");
        let mut stream = rustls::Stream::new(&mut device, &mut socket);
        stream.write_all(b"slow").expect("sent");
        let mut word = [0; 4];
        stream.read_exact(&mut word).expect("echo");
        assert_eq!((&word, gateway.result()), (b"slow", vec!["spoken"]));
    }
}

#[test]
fn handshake_messages_may_be_split_over_many_records() {
    let certificate = certificate(HOST);
    for suite in BOTH {
        let gateway = gateway(acceptor(&certificate), 1, echo_a_word);
        let mut config = rustls_config(suite, &certificate);
        config.max_fragment_size = Some(32);
        let mut device = ClientConnection::new(Arc::new(config), HOST.try_into().expect("name")).expect("client");
        let mut socket = connect(gateway.address);
        let mut stream = rustls::Stream::new(&mut device, &mut socket);
        stream.write_all(b"bits").expect("sent");
        let mut word = [0; 4];
        stream.read_exact(&mut word).expect("echo");
        assert_eq!((&word, gateway.result()), (b"bits", vec!["spoken"]));
    }
}

#[test]
fn a_device_may_have_to_say_hello_twice() {
    let certificate = certificate(HOST);
    let gateway = gateway(acceptor(&certificate), 1, async |accepted: Result<Accepted, AcceptError>| {
        let name = accepted.as_ref().ok().and_then(|accepted| accepted.server_name.clone());
        (name, echo_a_word(accepted).await)
    });
    // Its first guess at a key exchange is one that the gateway does not have.
    let mut connector = SslConnector::builder(SslMethod::tls_client()).expect("connector");
    connector.set_min_proto_version(Some(SslVersion::TLS1_3)).expect("version");
    connector.set_groups_list("X448:P-256").expect("groups");
    connector.set_verify(SslVerifyMode::NONE);
    let mut device = connector.build().connect(HOST, connect(gateway.address)).expect("handshake");
    device.write_all(b"word").expect("sent");
    let mut word = [0; 4];
    device.read_exact(&mut word).expect("echo");
    assert_eq!((&word, gateway.result()), (b"word", vec![(Some(HOST.into()), "spoken")]));
}

#[test]
fn a_request_may_follow_finished_in_the_same_breath() {
    let certificate = certificate(HOST);
    for suite in BOTH {
        let gateway = gateway(acceptor(&certificate), 1, echo_a_word);
        let config = Arc::new(rustls_config(suite, &certificate));
        let mut device = ClientConnection::new(config, HOST.try_into().expect("name")).expect("client");
        // Queued before the handshake, so rustls sends it in one write with Finished.
        device.writer().write_all(b"fast").expect("queued");
        let mut socket = connect(gateway.address);
        let mut word = [0; 4];
        rustls::Stream::new(&mut device, &mut socket).read_exact(&mut word).expect("echo");
        assert_eq!((&word, gateway.result()), (b"fast", vec!["spoken"]));
    }
}

#[test]
fn bytes_read_with_a_proxy_header_belong_to_the_handshake() {
    let certificate = certificate(HOST);
    let acceptor = acceptor(&certificate);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("bind");
    let address = listener.local_addr().expect("address");
    let device = std::thread::spawn(move || {
        let config = Arc::new(rustls_config(Suite::Tls13Aes128Gcm, &certificate));
        let mut device = ClientConnection::new(config, HOST.try_into().expect("name")).expect("client");
        let mut word = [0; 4];
        let mut socket = connect(address);
        let mut stream = rustls::Stream::new(&mut device, &mut socket);
        stream.write_all(b"word").and_then(|()| stream.read_exact(&mut word)).expect("echo");
        word
    });
    let (mut socket, _) = listener.accept().expect("accept");
    let mut early = vec![0; 100];
    socket.read_exact(&mut early).expect("a part of the hello");
    socket.set_nonblocking(true).expect("non-blocking");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
    runtime.block_on(async {
        let accepted = acceptor.accept(tokio::net::TcpStream::from_std(socket).expect("socket"), early).await;
        assert_eq!(echo_a_word(accepted).await, "spoken");
    });
    assert_eq!(&device.join().expect("device"), b"word");
}

#[test]
fn plain_http_on_a_tls_address_is_told_so() {
    for request in ["GET / HTTP/1.1\r\n\r\n", "OPTIONS /Microsoft-Server-ActiveSync HTTP/1.1\r\nHost: cas\r\n\r\n"] {
        let gateway = refusing_gateway();
        let mut device = connect(gateway.address);
        device.write_all(request.as_bytes()).expect("sent");
        let mut answer = String::new();
        device.read_to_string(&mut answer).expect("an answer and an end, no reset");
        let (head, body) = answer.split_once("\r\n\r\n").expect("head and body");
        assert!(head.starts_with("HTTP/1.1 400 "), "{head}");
        assert!(head.contains(&format!("Content-Length: {}", body.len())), "{head}");
        assert_eq!(gateway.result(), ["plain_http"]);
    }
}

/// What the device sends gets an alert (or nothing) and the socket closes.
fn is_refused(bytes: &[u8], label: &str, alert: Option<u8>) {
    let gateway = refusing_gateway();
    let mut device = connect(gateway.address);
    device.write_all(bytes).expect("sent");
    device.shutdown(Shutdown::Write).expect("shutdown");
    let mut answer = Vec::new();
    let _ = device.read_to_end(&mut answer);
    assert_eq!(gateway.result(), [label]);
    match alert {
        Some(number) => assert_eq!(answer, [21, 3, 3, 0, 2, 2, number]),
        None => assert!(answer.is_empty()),
    }
}

#[test]
fn what_is_no_handshake_is_refused() {
    is_refused(b"\x00\x01\x02\x03\x04\x05\x06\x07", "protocol", Some(50));
    is_refused(&[22, 3, 1, 0xff, 0xff, 1], "protocol", Some(50));
    is_refused(&[23, 3, 3, 0, 2, 1, 2], "protocol", Some(10));
    is_refused(&[22, 3, 1, 0, 4, 99, 0, 0, 0], "protocol", Some(10));
    is_refused(&[21, 3, 3, 0, 2, 2, 40], "alert", None);
    is_refused(&[22, 3, 1, 0, 200, 1], "hung_up", None);
    is_refused(&[22, 3], "hung_up", None);
    is_refused(&[], "hung_up", None);
}

#[test]
fn a_hello_without_end_is_cut_off() {
    // A hello that says it is 65,000 bytes long and comes in records of one byte: headers alone are five times that.
    let mut flood = vec![22, 3, 1, 0, 4, 1, 0, 0xfd, 0xe8];
    for _ in 0..40_000 {
        flood.extend_from_slice(&[22, 3, 1, 0, 1, 0]);
    }
    let gateway = refusing_gateway();
    let mut device = connect(gateway.address);
    let _ = device.write_all(&flood);
    assert_eq!(gateway.result(), ["protocol"]);
}

#[test]
fn a_device_without_a_common_suite_is_refused() {
    let gateway = refusing_gateway();
    let mut connector = SslConnector::builder(SslMethod::tls_client()).expect("connector");
    connector.set_max_proto_version(Some(SslVersion::TLS1_2)).expect("version");
    connector.set_cipher_list("AES128-SHA").expect("suite");
    let device = connector.build().connect(HOST, connect(gateway.address));
    assert!(device.is_err());
    assert_eq!(gateway.result(), ["incompatible"]);
}

#[test]
fn aes_128_is_taken_before_aes_256_unless_the_device_asks_for_chacha20_first() {
    let (aes_256, aes_128, chacha20) = ("TLS_AES_256_GCM_SHA384", "TLS_AES_128_GCM_SHA256", "TLS_CHACHA20_POLY1305_SHA256");
    let cases = [
        ([aes_256, aes_128, chacha20].join(":"), Suite::Tls13Aes128Gcm),
        ([aes_256, chacha20].join(":"), Suite::Tls13Aes256Gcm),
        ([chacha20, aes_256, aes_128].join(":"), Suite::Tls13ChaCha20Poly1305),
    ];
    for (list, expected) in cases {
        let gateway = gateway(acceptor(&certificate(HOST)), 1, async |accepted| accepted.expect("a common suite").suite);
        let mut connector = SslConnector::builder(SslMethod::tls_client()).expect("connector");
        connector.set_verify(SslVerifyMode::NONE);
        connector.set_ciphersuites(&list).expect("suites");
        let device = connector.build().connect(HOST, connect(gateway.address));
        assert!(device.is_ok(), "{list}");
        assert_eq!(gateway.result(), [expected], "{list}");
    }
}

#[test]
fn a_handshake_that_is_given_up_closes_its_socket() {
    let acceptor = acceptor(&certificate(HOST));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let mut device = tokio::net::TcpStream::connect(listener.local_addr().expect("address")).await.expect("connect");
        let (socket, _) = listener.accept().await.expect("accept");
        device.write_all(&[22, 3]).await.expect("sent");
        let accepted = tokio::time::timeout(Duration::from_millis(20), acceptor.accept(socket, Vec::new())).await;
        assert!(accepted.is_err(), "it waits for the rest of the hello");
        // The hello was not read to its end, so this may be an end or a reset; never a wait.
        let end = tokio::time::timeout(Duration::from_secs(1), device.read(&mut [0; 1])).await.expect("closed");
        assert!(matches!(end, Ok(0) | Err(_)));
    });
}

#[test]
fn accepting_costs_the_callers_task_little() {
    let acceptor = acceptor(&certificate(HOST));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let address = listener.local_addr().expect("address");
        let socket = tokio::net::TcpStream::connect(address).await.expect("connect");
        let mut accepting = pin!(acceptor.accept(socket, Vec::new()));
        assert!(size_of_val(&*accepting) <= 1_024, "{} bytes", size_of_val(&*accepting));
        let pending = std::future::poll_fn(|cx| std::task::Poll::Ready(accepting.as_mut().poll(cx).is_pending())).await;
        assert!(pending);
    });
}
