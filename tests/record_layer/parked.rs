//! A connection that is taken apart, answered by hand as a lot thread does, and put together again.

use std::io::{Read, Write};
use std::sync::Arc;

use pushgate::gateway::tls::{AcceptError, Accepted, Incoming, Received, Suite, Wire, WireStream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::peer::{ALERT, DATA, Peer};
use crate::scene::{Device, HOST, acceptor, certificate, gateway, openssl_context, openssl_device, rustls_config, rustls_device};

const ROUNDS: usize = 3;

/// Three times: a request is read by the task, the connection parks, the lot answers and takes the first part
/// of the next request, the task reads the rest of it and answers that.
async fn park_three_times(accepted: Result<Accepted, AcceptError>) {
    let mut stream = accepted.expect("handshake").stream;
    for round in 0..ROUNDS {
        assert_eq!(read_line(&mut stream).await, format!("ping {round}\n"));
        let (socket, mut wire, mut received) = stream.into_parts().expect("nothing is unsent");
        assert!(received.is_empty());
        assert_eq!(size_of_val(&received), size_of::<usize>());

        let mut answer = Vec::new();
        wire.seal(format!("wake {round}\n").as_bytes(), &mut answer).expect("sealed");
        let socket = lot_exchange(socket, &mut wire, &mut received, &answer);

        stream = WireStream::from_parts(socket, wire, received);
        assert_eq!(read_line(&mut stream).await, format!("sync {round}\n"));
        stream.write_all(format!("done {round}\n").as_bytes()).await.expect("written");
        stream.flush_sealed().await.expect("sent");
    }
    let (socket, mut wire, mut received) = stream.into_parts().expect("nothing is unsent");
    lot_sees_the_close(socket, &mut wire, &mut received);
}

/// Writes the answer, and reads until there is plaintext: no runtime, one small read at a time.
fn lot_exchange(socket: TcpStream, wire: &mut Wire, received: &mut Received, answer: &[u8]) -> TcpStream {
    let mut socket = socket.into_std().expect("socket");
    socket.set_nonblocking(false).expect("blocking");
    socket.write_all(answer).expect("sent");
    let mut bytes = [0; 7];
    loop {
        let count = socket.read(&mut bytes).expect("readable");
        match wire.receive(received, &bytes[..count]).expect("good records") {
            Incoming::Nothing => {}
            Incoming::Data => break,
            Incoming::Closed => panic!("not closed yet"),
        }
    }
    socket.set_nonblocking(true).expect("non-blocking");
    TcpStream::from_std(socket).expect("socket")
}

fn lot_sees_the_close(socket: TcpStream, wire: &mut Wire, received: &mut Received) {
    let mut socket = socket.into_std().expect("socket");
    socket.set_nonblocking(false).expect("blocking");
    let mut bytes = [0; 512];
    let mut incoming = Incoming::Nothing;
    while incoming == Incoming::Nothing {
        let count = socket.read(&mut bytes).expect("readable");
        incoming = wire.receive(received, &bytes[..count]).expect("good records");
    }
    assert_eq!(incoming, Incoming::Closed);
    let mut goodbye = Vec::new();
    wire.seal_close_notify(&mut goodbye);
    wire.seal_close_notify(&mut goodbye);
    socket.write_all(&goodbye).expect("sent");
    assert!(wire.seal(b"late", &mut Vec::new()).is_err(), "nothing is sealed after close_notify");
}

async fn read_line(stream: &mut WireStream) -> String {
    let mut line = Vec::new();
    while line.last() != Some(&b'\n') {
        line.push(stream.read_u8().await.expect("a byte of a line"));
    }
    String::from_utf8(line).expect("text")
}

fn three_rounds(device: &mut impl Device) {
    for round in 0..ROUNDS {
        for (say, hear) in [("ping", "wake"), ("sync", "done")] {
            device.write_all(format!("{say} {round}\n").as_bytes()).expect("sent");
            let mut heard = [0; 7];
            device.read_exact(&mut heard).expect("answer");
            assert_eq!(heard, format!("{hear} {round}\n").as_bytes());
        }
    }
    device.close();
    assert_eq!(device.read(&mut [0; 1]).expect("close_notify"), 0);
}

#[test]
fn a_connection_parks_three_times_in_every_suite() {
    let certificate = certificate(HOST);
    for suite in Suite::ALL {
        let gateway = gateway(acceptor(&certificate), 2, park_three_times);
        three_rounds(&mut rustls_device(&Arc::new(rustls_config(suite, &certificate)), gateway.address));
        let context = openssl_context(suite, std::sync::mpsc::channel().0);
        three_rounds(&mut openssl_device(&context, None, gateway.address));
        gateway.result();
    }
}

/// What a task has read of the second request, and what of it is still sealed, goes with the connection.
#[test]
fn requests_that_came_early_survive_parking() {
    let certificate = certificate(HOST);
    for suite in [Suite::Tls12Aes128Gcm, Suite::Tls13Aes128Gcm] {
        let gateway = gateway(acceptor(&certificate), 1, async |accepted: Result<Accepted, AcceptError>| {
            let mut stream = accepted.expect("handshake").stream;
            assert_eq!(read_line(&mut stream).await, "first\n");
            let (socket, mut wire, mut received) = stream.into_parts().expect("nothing is unsent");
            // The rest may have been read already, or not: the second record is cut in two.
            let _ = wire.receive(&mut received, &[]).expect("good records");
            let mut stream = WireStream::from_parts(socket, wire, received);
            assert_eq!(read_line(&mut stream).await, "second\n");
            assert_eq!(read_line(&mut stream).await, "third\n");
        });
        let mut peer = Peer::new(suite, rustls_config(suite, &certificate), gateway.address);
        let (first, second) = (peer.seal(DATA, b"first\nsec"), peer.seal(DATA, b"ond\nthird\n"));
        let (near, far) = second.split_at(12);
        peer.send(&[&first, near].concat());
        std::thread::sleep(std::time::Duration::from_millis(10));
        peer.send(far);
        gateway.result();
    }
}

#[test]
fn a_connection_with_unsent_bytes_cannot_be_parked() {
    let certificate = certificate(HOST);
    let gateway = gateway(acceptor(&certificate), 1, async |accepted: Result<Accepted, AcceptError>| {
        let mut stream = accepted.expect("handshake").stream;
        socket2::SockRef::from(stream.get_ref()).set_send_buffer_size(4_096).expect("small buffer");
        // Nobody reads: the kernel takes what it likes, then writes wait.
        let megabyte = vec![0; 1 << 20];
        let stuck = tokio::time::timeout(std::time::Duration::from_millis(100), stream.write_all(&megabyte)).await;
        assert!(stuck.is_err(), "a megabyte does not fit");
        assert!(stream.unsent() > 0 && stream.unsent() < 40_000, "bounded: {}", stream.unsent());
        assert!(stream.into_parts().is_none());
    });
    let peer = Peer::new(Suite::Tls13Aes128Gcm, rustls_config(Suite::Tls13Aes128Gcm, &certificate), gateway.address);
    gateway.result();
    drop(peer);
}

#[test]
fn a_failed_write_ends_the_connection_for_good() {
    let certificate = certificate(HOST);
    let gateway = gateway(acceptor(&certificate), 1, async |accepted: Result<Accepted, AcceptError>| {
        let mut stream = accepted.expect("handshake").stream;
        // The device resets once it has read something; whichever write notices is the last.
        let mut failures = 0;
        while failures < 2 {
            tokio::task::yield_now().await;
            match stream.write_all(b"anybody there?").await {
                Ok(()) => assert_eq!(failures, 0, "a write after a failed one"),
                Err(_) => failures += 1,
            }
        }
        assert!(stream.into_parts().is_none());
    });
    let mut peer = Peer::new(Suite::Tls13Aes128Gcm, rustls_config(Suite::Tls13Aes128Gcm, &certificate), gateway.address);
    assert!(peer.read_record().is_some(), "the handshake is over on both sides");
    socket2::SockRef::from(&peer.socket).set_linger(Some(std::time::Duration::ZERO)).expect("linger");
    drop(peer);
    gateway.result();
}

#[test]
fn a_plain_connection_parks_like_any_other() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let mut device = TcpStream::connect(listener.local_addr().expect("address")).await.expect("connect");
        let (socket, _) = listener.accept().await.expect("accept");
        let mut stream = WireStream::plain(socket, b"read with the PROXY header; ".to_vec());
        device.write_all(b"and after it\nnext").await.expect("sent");
        assert_eq!(read_line(&mut stream).await, "read with the PROXY header; and after it\n");
        let (socket, mut wire, mut received) = stream.into_parts().expect("nothing is unsent");
        assert!(matches!(wire, Wire::Plain));
        assert_eq!(wire.receive(&mut received, b"next"), Ok(Incoming::Data));
        assert_eq!(wire.receive(&mut received, &[]), Ok(Incoming::Data));
        assert_eq!(received.plaintext(), b"next");
        received.consume(4);
        assert_eq!(wire.receive(&mut received, &[]), Ok(Incoming::Nothing));
        let mut answer = Vec::new();
        wire.seal(b"as it is", &mut answer).expect("plain");
        wire.seal_close_notify(&mut answer);
        assert_eq!(answer, b"as it is");
        let mut stream = WireStream::from_parts(socket, wire, received);
        stream.write_all(&answer).await.expect("written");
        stream.shutdown().await.expect("shut down");
        let mut heard = Vec::new();
        device.read_to_end(&mut heard).await.expect("all");
        assert_eq!(heard, answer);
    });
}

#[test]
fn a_lot_tells_the_device_why_it_closes() {
    let certificate = certificate(HOST);
    let gateway = gateway(acceptor(&certificate), 1, async |accepted: Result<Accepted, AcceptError>| {
        let (socket, mut wire, mut received) = accepted.expect("handshake").stream.into_parts().expect("whole");
        let mut socket = socket.into_std().expect("socket");
        socket.set_nonblocking(false).expect("blocking");
        let mut bytes = [0; 512];
        let count = socket.read(&mut bytes).expect("readable");
        let error = wire.receive(&mut received, &bytes[..count]).expect_err("key update");
        let mut farewell = Vec::new();
        wire.seal_alert(error, &mut farewell);
        socket.write_all(&farewell).expect("sent");
        assert!(wire.receive(&mut received, &[]).is_err() && wire.seal(b"late", &mut farewell).is_err(), "errors are final");
        error.label()
    });
    let mut peer = Peer::new(Suite::Tls13Aes128Gcm, rustls_config(Suite::Tls13Aes128Gcm, &certificate), gateway.address);
    let update = peer.seal(crate::peer::HANDSHAKE, &[24, 0, 0, 1, 1]);
    peer.send(&update);
    assert_eq!(peer.read_record(), Some((ALERT, vec![2, 80])));
    assert_eq!(gateway.result(), ["key_update"]);
}
