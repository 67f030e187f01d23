//! What needs no socket: sizes, bounds, sequence numbers, handshakes in memory, arbitrary bytes.

use std::io::{Read, Write};
use std::sync::Arc;

use proptest::prelude::*;
use rustls::crypto::aws_lc_rs as provider;
use rustls::crypto::aws_lc_rs::Ticketer;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig};
use zeroize::Zeroize;

use super::certificates::Material;
use super::handshake::{Finished, Handshake, Next};
use super::record::{Keys, RECORDS_MAX};
use super::*;

fn pair(suite: Suite) -> (Wire, Wire) {
    pair_at(suite, 0)
}

fn pair_at(suite: Suite, sequence: u32) -> (Wire, Wire) {
    (Wire::Tls(Keys::known(suite, true, sequence)), Wire::Tls(Keys::known(suite, false, sequence)))
}

#[test]
fn what_a_parked_connection_keeps_is_small() {
    assert!(size_of::<Wire>() <= 112, "{}", size_of::<Wire>());
    assert_eq!(size_of::<Option<Wire>>(), size_of::<Wire>());
    assert_eq!(size_of::<Received>(), size_of::<usize>());
    assert!(size_of::<WireStream>() <= 256, "{}", size_of::<WireStream>());
}

#[test]
fn keys_are_wiped() {
    assert!(std::mem::needs_drop::<Wire>());
    let mut keys = Keys::known(Suite::Tls13Aes128Gcm, true, 7);
    keys.zeroize();
    assert!(keys.secret_bytes().all(|byte| byte == 0));
}

#[test]
fn secrets_are_not_in_debug_output() {
    let (wire, _) = pair(Suite::Tls13Aes128Gcm);
    assert_eq!(format!("{wire:?}"), "Tls(Tls13Aes128Gcm)");
    assert_eq!(format!("{:?}", Received::from_plaintext(b"password".to_vec())), "Received { plaintext: 8, ciphertext: 0 }");
}

#[test]
fn keys_end_before_two_to_the_24th_record_and_the_device_is_told() {
    for suite in Suite::ALL {
        let (mut device, mut gateway) = pair_at(suite, RECORDS_MAX - 3);
        let mut out = Vec::new();
        assert_eq!(gateway.seal(&[0; 3 * 16_384], &mut out), Err(RecordError::Exhausted), "one record too many");
        assert_eq!(out.len(), 0, "and no part of it");
        gateway.seal(&[1; 2 * 16_384], &mut out).expect("two are left");
        assert_eq!(gateway.seal(b"one more", &mut out), Err(RecordError::Exhausted));
        gateway.seal_alert(RecordError::Exhausted, &mut out);

        let mut received = Received::default();
        let incoming = device.receive(&mut received, &out[..20_000]).expect("first record");
        assert_eq!((incoming, received.plaintext().len()), (Incoming::Data, 16_384));
        received.consume(16_384);
        assert_eq!(device.receive(&mut received, &out[20_000..]), Ok(Incoming::Data));
        assert_eq!(received.plaintext().len(), 16_384);
        received.consume(16_384);
        assert_eq!(device.receive(&mut received, &[]), Ok(Incoming::Closed));
    }
}

#[test]
fn records_beyond_the_limit_are_not_opened() {
    let (mut device, mut gateway) = pair_at(Suite::Tls13Aes128Gcm, RECORDS_MAX);
    let mut out = Vec::new();
    device.seal_close_notify(&mut out);
    assert!(out.is_empty(), "not even an alert can be sealed");
    let (mut fresh, _) = pair(Suite::Tls13Aes128Gcm);
    fresh.seal(b"data", &mut out).expect("sealed");
    assert_eq!(gateway.receive(&mut Received::default(), &out), Err(RecordError::Exhausted));
}

#[test]
fn what_waits_unread_is_bounded() {
    for suite in [Suite::Tls12Aes128Gcm, Suite::Tls13ChaCha20Poly1305] {
        let (mut device, mut gateway) = pair(suite);
        let mut received = Received::default();
        let mut out = Vec::new();
        let refused = (0..100).find_map(|_| {
            out.clear();
            device.seal(&[7; 4_000], &mut out).expect("sealed");
            let refused = gateway.receive(&mut received, &out).err();
            assert!(received.bytes() <= RECEIVED_BYTES_MAX && received.plaintext().len() < 2 * 16_384);
            refused
        });
        assert_eq!(refused, Some(RecordError::TooMuch));
        assert_eq!(gateway.receive(&mut received, &[]), Err(RecordError::Ended));
        out.clear();
        gateway.seal_alert(RecordError::TooMuch, &mut out);
        assert_eq!(device.receive(&mut Received::default(), &out), Err(RecordError::Alert(80)));
    }
    let refused = Wire::Plain.receive(&mut Received::default(), &[0; RECEIVED_BYTES_MAX + 1]);
    assert_eq!(refused, Err(RecordError::TooMuch));
}

#[test]
fn memory_is_given_back_when_nothing_waits() {
    let (mut device, mut gateway) = pair(Suite::Tls13Aes128Gcm);
    let mut out = Vec::new();
    device.seal(b"", &mut out).expect("nothing is no record");
    assert!(out.is_empty());
    device.seal(b"request", &mut out).expect("sealed");
    let mut received = Received::default();
    assert_eq!(gateway.receive(&mut received, &out), Ok(Incoming::Data));
    received.consume(7);
    assert!(received.is_empty());
    received.shed();
    assert!(received.plaintext().is_empty() && received.is_empty());
}

#[test]
fn what_hyper_gives_back_is_read_first() {
    let (mut device, mut gateway) = pair(Suite::Tls12Aes256Gcm);
    let mut out = Vec::new();
    device.seal(b"GET /a", &mut out).expect("sealed");
    device.seal(b" HTTP/1.1", &mut out).expect("sealed");
    let mut received = Received::default();
    let middle = out.len() / 2;
    assert_eq!(gateway.receive(&mut received, &out[..middle]), Ok(Incoming::Data));
    received.consume(4);
    received.put_back(b"POST ").expect("little");
    assert_eq!(received.plaintext(), b"POST /a");
    assert_eq!(gateway.receive(&mut received, &out[middle..]), Ok(Incoming::Data));
    assert_eq!(received.plaintext(), b"POST /a HTTP/1.1");
    assert_eq!(received.put_back(&[0; RECEIVED_BYTES_MAX]), Err(RecordError::TooMuch));
    let mut empty = Received::default();
    empty.put_back(b"").expect("nothing");
    empty.put_back(b"again").expect("little");
    assert_eq!(empty.plaintext(), b"again");
}

/// Everything a device can send at once, in one buffer: none of what follows Finished may reach rustls.
#[test]
fn rustls_sees_nothing_behind_finished() {
    let (server, client) = configurations();
    let mut device = ClientConnection::new(client, "cas.example.org".try_into().expect("name")).expect("client");
    let mut handshake = Handshake::new(&server, Vec::new()).expect("handshake");
    device.write_tls(&mut handshake.incoming).expect("hello");
    assert_eq!(handshake.advance(), Ok(Next::Send));
    device.read_tls(&mut &handshake.outgoing[..]).expect("flight");
    handshake.outgoing.clear();
    device.process_new_packets().expect("processed");
    // Finished, a request, a key update, another request.
    device.writer().write_all(b"before").expect("queued");
    device.refresh_traffic_keys().expect("key update");
    device.writer().write_all(b"after").expect("queued");
    while device.wants_write() {
        device.write_tls(&mut handshake.incoming).expect("flight");
    }

    assert_eq!(handshake.advance(), Ok(Next::Send));
    device.read_tls(&mut &handshake.outgoing[..]).expect("tickets");
    handshake.outgoing.clear();
    assert_eq!(handshake.advance(), Ok(Next::Finish));
    let Finished { keys, server_name, resumed, early, .. } = handshake.finish().expect("keys");
    assert_eq!((server_name.as_deref(), resumed), (Some("cas.example.org"), false));
    let (mut wire, mut received) = (Wire::Tls(keys), Received::from_ciphertext(early));
    assert_eq!(wire.receive(&mut received, &[]), Err(RecordError::KeyUpdate));
    assert_eq!(received.plaintext(), b"before");
    let mut alert = Vec::new();
    wire.seal_alert(RecordError::KeyUpdate, &mut alert);
    device.read_tls(&mut &alert[..]).expect("alert");
    let told = device.process_new_packets().expect_err("the alert, and the tickets before it in order");
    assert_eq!(told, rustls::Error::AlertReceived(rustls::AlertDescription::InternalError));
    assert!(device.reader().read(&mut [0; 1]).is_err(), "no data came");
}

fn configurations() -> (ServerConfig, Arc<ClientConfig>) {
    let made = rcgen::generate_simple_self_signed(["cas.example.org".to_owned()]).expect("certificate");
    let material = Material::from_pem(&made.cert.pem(), &made.signing_key.serialize_pem());
    let server = material.server_config(Ticketer::new().expect("ticketer"), true).expect("configuration");
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(made.cert.pem().as_bytes()).expect("PEM")).expect("root");
    let client = ClientConfig::builder_with_provider(Arc::new(provider::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    (server, Arc::new(client))
}

fn any_suite() -> impl Strategy<Value = Suite> {
    prop::sample::select(&Suite::ALL[..])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_are_never_data(data in prop::collection::vec(any::<u8>(), 0..2_000)) {
        fuzzing::open(&data);
        fuzzing::open_changed(&data);
    }

    /// Contents that authenticate: every kind, well or badly formed.
    #[test]
    fn arbitrary_contents_keep_the_promises(
        suite in 0u8..6,
        piece in any::<u8>(),
        contents in prop::collection::vec((prop_oneof![Just(0u8), Just(21), Just(22), Just(23), any::<u8>()], prop::collection::vec(prop_oneof![Just(0u8), Just(23), any::<u8>()], 0..40)), 0..60),
    ) {
        let mut data = vec![0x80 | suite, piece];
        for (kind, content) in contents {
            data.extend_from_slice(&[kind, 0, content.len() as u8]);
            data.extend_from_slice(&content);
        }
        fuzzing::open(&data);
    }

    /// However the network cuts it, what was sealed comes out, in order and whole.
    #[test]
    fn what_is_sealed_comes_out_however_it_is_cut(
        suite in any_suite(),
        messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..20_000), 1..4),
        cuts in prop::collection::vec(1usize..9_000, 1..20),
    ) {
        let (mut device, mut gateway) = pair(suite);
        let mut bytes = Vec::new();
        for message in &messages {
            device.seal(message, &mut bytes).expect("sealed");
        }
        device.seal_close_notify(&mut bytes);
        let (mut received, mut out, mut rest, mut cuts) = (Received::default(), Vec::new(), &bytes[..], cuts.iter().cycle());
        let mut incoming = Incoming::Nothing;
        while !rest.is_empty() || !received.is_empty() {
            let (piece, behind) = rest.split_at(rest.len().min(*cuts.next().expect("a cycle")));
            incoming = gateway.receive(&mut received, piece).expect("good records");
            prop_assert_eq!(incoming == Incoming::Nothing, received.plaintext().is_empty() && incoming != Incoming::Closed);
            out.extend_from_slice(received.plaintext());
            received.consume(usize::MAX);
            rest = behind;
        }
        prop_assert_eq!(incoming, Incoming::Closed);
        prop_assert!(out == messages.concat());
    }

    /// A hello that was damaged anywhere, in any pieces: an error or a wait, never a panic.
    #[test]
    fn a_damaged_hello_is_an_error_or_a_wait(place in 0usize..400, value in any::<u8>(), cut in 1usize..400, noise in prop::collection::vec(any::<u8>(), 0..50)) {
        let (server, client) = configurations();
        let mut device = ClientConnection::new(client, "cas.example.org".try_into().expect("name")).expect("client");
        let mut hello = Vec::new();
        device.write_tls(&mut hello).expect("hello");
        let place = place % hello.len();
        hello[place] = value;
        hello.extend_from_slice(&noise);
        let mut handshake = Handshake::new(&server, Vec::new()).expect("handshake");
        'pieces: for piece in hello.chunks(cut) {
            handshake.incoming.extend_from_slice(piece);
            loop {
                match handshake.advance() {
                    Ok(Next::Receive) => break,
                    Ok(Next::Send) => handshake.outgoing.clear(),
                    Ok(Next::Finish) => prop_assert!(false, "no Finished was sent"),
                    Err(_) => break 'pieces,
                }
            }
        }
        prop_assert!(handshake.outgoing.len() < 20_000);
    }
}
