//! Six suites, two libraries, full and resumed handshakes, both directions, small and large.

use std::sync::Arc;

use pushgate::gateway::tls::{AcceptError, Accepted, Suite};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::scene::{Device, HOST, acceptor, certificate, gateway, noise, openssl_context, openssl_device, rustls_config, rustls_device};

/// What the gateway saw of a connection.
#[derive(Debug, PartialEq)]
struct Seen {
    suite: Suite,
    resumed: bool,
    server_name: Option<String>,
}

/// Sends back what it reads, until the device closes.
async fn echo(accepted: Result<Accepted, AcceptError>) -> Seen {
    let Accepted { mut stream, server_name, resumed, suite, .. } = accepted.expect("handshake");
    let mut buffer = vec![0; 10_000];
    loop {
        match stream.read(&mut buffer).await.expect("read") {
            0 => break,
            count => stream.write_all(&buffer[..count]).await.expect("written"),
        }
    }
    stream.shutdown().await.expect("close_notify sent");
    Seen { suite, resumed, server_name: server_name.map(Into::into) }
}

fn exchange(device: &mut impl Device, seed: u64) {
    let sent = noise(seed, 1_000);
    device.write_all(&sent).expect("sent");
    let mut back = vec![0; sent.len()];
    device.read_exact(&mut back).expect("echo");
    assert!(back == sent, "the echo differs");
}

fn close_and_see_it_answered(device: &mut impl Device) {
    device.close();
    assert_eq!(device.read(&mut [0; 1]).expect("close_notify, not a bare end"), 0);
}

#[test]
fn rustls_speaks_every_suite_in_full_and_resumed() {
    let certificate = certificate(HOST);
    for suite in Suite::ALL {
        let gateway = gateway(acceptor(&certificate), 2, echo);
        let config = Arc::new(rustls_config(suite, &certificate));
        for resumed in [false, true] {
            let mut device = rustls_device(&config, gateway.address);
            exchange(&mut device, 1);
            exchange(&mut device, 2);
            assert_eq!(device.is_resumed(), resumed, "{suite:?}");
            close_and_see_it_answered(&mut device);
        }
        let seen = |resumed| Seen { suite, resumed, server_name: Some(HOST.into()) };
        assert_eq!(gateway.result(), [seen(false), seen(true)]);
    }
}

#[test]
fn openssl_speaks_every_suite_in_full_and_resumed() {
    let certificate = certificate(HOST);
    for suite in Suite::ALL {
        let gateway = gateway(acceptor(&certificate), 2, echo);
        let (sender, sessions) = std::sync::mpsc::channel();
        let context = openssl_context(suite, sender);
        let mut session = None;
        for resumed in [false, true] {
            let mut device = openssl_device(&context, session.as_ref(), gateway.address);
            exchange(&mut device, 3);
            exchange(&mut device, 4);
            assert_eq!(device.is_resumed(), resumed, "{suite:?}");
            session = sessions.try_iter().last();
            close_and_see_it_answered(&mut device);
        }
        let seen = |resumed| Seen { suite, resumed, server_name: Some(HOST.into()) };
        assert_eq!(gateway.result(), [seen(false), seen(true)]);
    }
}
