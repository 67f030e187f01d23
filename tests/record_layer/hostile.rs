//! Devices that misbehave, or do what we do not support: each ends its own connection, with the right alert.

use std::io::Write;
use std::sync::Arc;

use pushgate::gateway::tls::{AcceptError, Accepted, RecordError, Suite};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::peer::{ALERT, DATA, HANDSHAKE, Peer};
use crate::scene::{Gateway, HOST, acceptor, certificate, gateway, rustls_config, rustls_device};

/// One suite of each record form.
const FORMS: [Suite; 3] = [Suite::Tls12Aes128Gcm, Suite::Tls12ChaCha20Poly1305, Suite::Tls13Aes256Gcm];
const TLS12: Suite = Suite::Tls12Aes256Gcm;
const TLS13: Suite = Suite::Tls13Aes128Gcm;

#[derive(Debug, PartialEq)]
enum End {
    /// Reading gave 0 bytes.
    Quiet,
    Refused(RecordError),
    Cut,
}

type ReadingGateway = Gateway<Vec<(Vec<u8>, End)>>;

/// Reads until the end; gives what was read and how it ended. What the device said is checked by the device.
async fn read_to_the_end(accepted: Result<Accepted, AcceptError>) -> (Vec<u8>, End) {
    let mut stream = accepted.expect("handshake").stream;
    let mut all = Vec::new();
    let end = match stream.read_to_end(&mut all).await {
        Ok(_) => End::Quiet,
        Err(error) => RecordError::find(&error).map_or(End::Cut, End::Refused),
    };
    if let End::Refused(_) = end {
        let again = stream.read(&mut [0; 8]).await.expect_err("an error is final");
        assert_eq!(RecordError::find(&again), Some(RecordError::Ended));
        let write = stream.write_all(b"HTTP/1.1 200 OK\r\n").await.expect_err("nothing is sealed after an error");
        assert_eq!(RecordError::find(&write), Some(RecordError::Ended));
    }
    let _ = stream.shutdown().await;
    (all, end)
}

fn meet(suite: Suite) -> (Peer, ReadingGateway) {
    let certificate = certificate(HOST);
    let gateway = gateway(acceptor(&certificate), 1, read_to_the_end);
    (Peer::new(suite, rustls_config(suite, &certificate), gateway.address), gateway)
}

/// What the device sends is refused, after `before` was read, and the device is told by `alert`.
fn is_refused(suite: Suite, misbehave: impl FnOnce(&mut Peer), before: &[u8], error: RecordError, alert: Option<[u8; 2]>) {
    let (mut peer, gateway) = meet(suite);
    misbehave(&mut peer);
    assert_eq!(gateway_end(gateway), (before.to_vec(), End::Refused(error)), "{suite:?}");
    match alert {
        Some(alert) => assert_eq!(peer.read_record(), Some((ALERT, alert.to_vec())), "{suite:?}"),
        // The close_notify of the shutdown.
        None => assert_eq!(peer.read_record(), Some((ALERT, vec![1, 0])), "{suite:?}"),
    }
}

fn gateway_end(gateway: ReadingGateway) -> (Vec<u8>, End) {
    gateway.result().pop().expect("one connection")
}

#[test]
fn a_damaged_record_is_refused_wherever_the_damage_is() {
    for suite in FORMS {
        for place in [1, 5, 13, 20, usize::MAX] {
            let damage = |peer: &mut Peer| {
                peer.send_data(b"good");
                let mut record = peer.seal(DATA, b"to be damaged");
                let place = place.min(record.len() - 1);
                record[place] ^= 0x10;
                peer.send(&record);
            };
            // In TLS 1.2 a version that is not 1.2 is seen without opening anything.
            let is_version = place == 1 && suite.version() == "1.2";
            let (error, alert) = if is_version { (RecordError::UnexpectedMessage, 10) } else { (RecordError::BadRecord, 20) };
            is_refused(suite, damage, b"good", error, Some([2, alert]));
        }
    }
}

#[test]
fn a_replayed_record_is_refused() {
    for suite in FORMS {
        let replay = |peer: &mut Peer| {
            let record = peer.seal(DATA, b"pay");
            peer.send(&[record.clone(), record].concat());
        };
        is_refused(suite, replay, b"pay", RecordError::BadRecord, Some([2, 20]));
    }
}

#[test]
fn records_out_of_order_are_refused() {
    for suite in FORMS {
        let swap = |peer: &mut Peer| {
            let (first, second) = (peer.seal(DATA, b"first"), peer.seal(DATA, b"second"));
            peer.send(&[second, first].concat());
        };
        is_refused(suite, swap, b"", RecordError::BadRecord, Some([2, 20]));
    }
}

#[test]
fn a_record_too_short_to_be_one_is_refused() {
    for suite in FORMS {
        is_refused(suite, |peer| peer.send(&[DATA, 3, 3, 0, 3, 1, 2, 3]), b"", RecordError::BadRecord, Some([2, 20]));
    }
}

#[test]
fn a_length_over_the_limit_is_refused_from_the_header_alone() {
    is_refused(TLS13, |peer| peer.send(&[DATA, 3, 3, 0x41, 0x01]), b"", RecordError::TooLong, Some([2, 22]));
    is_refused(TLS12, |peer| peer.send(&[DATA, 3, 3, 0x48, 0x01]), b"", RecordError::TooLong, Some([2, 22]));
}

#[test]
fn content_over_the_limit_is_refused_though_it_authenticates() {
    for suite in FORMS {
        let sixteen_k_and_one = |peer: &mut Peer| peer.send_data(&[b'x'; 16_385]);
        is_refused(suite, sixteen_k_and_one, b"", RecordError::TooLong, Some([2, 22]));
    }
}

#[test]
fn the_longest_records_are_accepted() {
    for suite in FORMS {
        let (mut peer, gateway) = meet(suite);
        peer.send_data(&[b'x'; 16_384]);
        peer.finish_sending();
        assert_eq!(gateway_end(gateway), (vec![b'x'; 16_384], End::Quiet), "{suite:?}");
    }
}

#[test]
fn padding_is_taken_off_and_padding_alone_is_refused() {
    let pad = |peer: &mut Peer| {
        for padding in [1, 255, 16_000] {
            let padded = peer.seal_padded(DATA, b"padded;", padding);
            peer.send(&padded);
        }
        let nothing_else = peer.seal_padded(0, b"", 100);
        peer.send(&nothing_else);
    };
    is_refused(TLS13, pad, b"padded;padded;padded;", RecordError::UnexpectedMessage, Some([2, 10]));
}

#[test]
fn a_flood_of_empty_records_is_refused_and_a_few_are_not() {
    for suite in FORMS {
        let flood = |peer: &mut Peer| {
            for _ in 0..3 {
                (0..32).for_each(|_| peer.send_data(b""));
                peer.send_data(b"data;");
            }
            (0..33).for_each(|_| peer.send_data(b""));
        };
        is_refused(suite, flood, b"data;data;data;", RecordError::EmptyRecords, Some([2, 10]));
    }
}

#[test]
fn a_key_update_ends_the_connection_with_an_alert_of_its_own() {
    let certificate = certificate(HOST);
    let gateway = gateway(acceptor(&certificate), 1, read_to_the_end);
    let mut device = rustls_device(&Arc::new(rustls_config(TLS13, &certificate)), gateway.address);
    device.write_all(b"before").expect("sent");
    device.conn.refresh_traffic_keys().expect("key update queued");
    device.write_all(b"after").expect("sent");
    assert_eq!(gateway_end(gateway), (b"before".to_vec(), End::Refused(RecordError::KeyUpdate)));
    let told = std::io::Read::read(&mut device, &mut [0; 1]).expect_err("alert");
    assert!(told.to_string().contains("InternalError"), "{told}");
}

#[test]
fn a_key_update_in_pieces_is_still_a_key_update() {
    let split = |peer: &mut Peer| {
        let (first, second) = (peer.seal(HANDSHAKE, &[24]), peer.seal(HANDSHAKE, &[0, 0, 1, 0]));
        peer.send(&[first, second].concat());
    };
    is_refused(TLS13, split, b"", RecordError::KeyUpdate, Some([2, 80]));
}

#[test]
fn renegotiation_is_refused_in_its_own_words() {
    let renegotiate = |peer: &mut Peer| {
        let hello = peer.seal(HANDSHAKE, &[1, 0, 0, 2, 3, 3]);
        peer.send(&hello);
    };
    is_refused(TLS12, renegotiate, b"", RecordError::Renegotiation, Some([1, 100]));
}

#[test]
fn handshake_messages_without_a_place_are_refused() {
    // Certificate, Finished, a hello in TLS 1.3, a key update in TLS 1.2, and nothing at all.
    for (suite, message) in [(TLS13, &[11, 0, 0, 0][..]), (TLS13, &[20]), (TLS13, &[1, 0, 0, 0]), (TLS12, &[24, 0, 0, 1, 0]), (TLS13, &[])]
    {
        let intrude = |peer: &mut Peer| {
            let record = peer.seal(HANDSHAKE, message);
            peer.send(&record);
        };
        is_refused(suite, intrude, b"", RecordError::UnexpectedMessage, Some([2, 10]));
    }
}

#[test]
fn records_in_the_clear_are_refused() {
    // An alert, a change of cipher, application data of nobody: none is authenticated.
    is_refused(TLS13, |peer| peer.send(&[ALERT, 3, 3, 0, 2, 1, 0]), b"", RecordError::UnexpectedMessage, Some([2, 10]));
    for suite in FORMS {
        is_refused(suite, |peer| peer.send(&[20, 3, 3, 0, 1, 1]), b"", RecordError::UnexpectedMessage, Some([2, 10]));
        is_refused(suite, |peer| peer.send(b"GET / HTTP/1.1\r\n\r\n"), b"", RecordError::UnexpectedMessage, Some([2, 10]));
    }
    is_refused(TLS12, |peer| peer.send(&[ALERT, 3, 3, 0, 2, 1, 0]), b"", RecordError::BadRecord, Some([2, 20]));
}

#[test]
fn other_alerts_end_the_connection_without_an_alert_in_return() {
    for suite in FORMS {
        let give_up = |peer: &mut Peer| {
            let alert = peer.seal(ALERT, &[2, 80]);
            peer.send(&alert);
        };
        is_refused(suite, give_up, b"", RecordError::Alert(80), None);
        let stammer = |peer: &mut Peer| {
            let alert = peer.seal(ALERT, &[1, 0, 0]);
            peer.send(&alert);
        };
        is_refused(suite, stammer, b"", RecordError::MalformedAlert, Some([2, 50]));
    }
}

#[test]
fn nothing_is_read_after_close_notify() {
    for suite in FORMS {
        let (mut peer, gateway) = meet(suite);
        let (data, close, late) = (peer.seal(DATA, b"last words"), peer.seal(ALERT, &[1, 0]), peer.seal(DATA, b"one more thing"));
        peer.send(&[data, close, late].concat());
        assert_eq!(gateway_end(gateway), (b"last words".to_vec(), End::Quiet), "{suite:?}");
        assert_eq!(peer.read_record(), Some((ALERT, vec![1, 0])), "{suite:?}");
        assert_eq!(peer.read_record(), None);
    }
}

#[test]
fn a_socket_that_ends_between_records_ends_quietly_and_inside_one_it_does_not() {
    for suite in FORMS {
        let (mut peer, gateway) = meet(suite);
        peer.send_data(b"all of it");
        peer.finish_sending();
        assert_eq!(gateway_end(gateway), (b"all of it".to_vec(), End::Quiet), "{suite:?}");

        for kept in [3, 10] {
            let (mut peer, gateway) = meet(suite);
            peer.send_data(b"a part");
            let cut = peer.seal(DATA, b"of it is missing");
            peer.send(&cut[..kept]);
            peer.finish_sending();
            assert_eq!(gateway_end(gateway), (b"a part".to_vec(), End::Cut), "{suite:?}");
        }
    }
}
