//! One TLS 1.3 record with AES-128-GCM, as the gateway does it with the keys of a parked connection: cipher context included,
//! as that is not kept.

use std::hint::black_box;
use std::io::Write as _;
use std::sync::Arc;

use pushgate::gateway::tls::{Acceptor, Incoming, Received, Wire};
use pushgate::standin::tls::ThrowAway;
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, ClientConnection, RootCertStore};

use super::{Part, Work};

/// A Ping's answer with its head; the most that a record carries.
const SMALL: usize = 200;
const LARGE: usize = 16_384;
const STEPS: usize = 16;
/// Records after which there are new keys: long before either side would refuse to go on with the old ones.
const RECORDS_MAX: usize = 1 << 20;

pub fn parts() -> Vec<Part> {
    let steps = STEPS as u64;
    vec![
        Part { name: "seal_200", what: "seal 200 bytes", steps, prepare: || Box::new(Seal::new(SMALL)) },
        Part { name: "seal_16k", what: "seal 16,384 bytes", steps, prepare: || Box::new(Seal::new(LARGE)) },
        Part { name: "open_200", what: "open 200 bytes", steps, prepare: || Box::new(Open::new(SMALL)) },
        Part { name: "open_16k", what: "open 16,384 bytes", steps, prepare: || Box::new(Open::new(LARGE)) },
    ]
}

struct Seal {
    wire: Wire,
    plain: Vec<u8>,
    sealed: Vec<u8>,
    records: usize,
}

impl Seal {
    fn new(bytes: usize) -> Self {
        Seal { wire: shake_hands().1, plain: noise(bytes), sealed: Vec::new(), records: 0 }
    }
}

impl Work for Seal {
    fn ready(&mut self) {
        self.records += STEPS;
        if self.records > RECORDS_MAX {
            (self.wire, self.records) = (shake_hands().1, STEPS);
        }
    }

    fn run(&mut self) {
        for _ in 0..STEPS {
            self.sealed.clear();
            self.wire.seal(black_box(&self.plain), &mut self.sealed).expect("there are records left");
            black_box(&self.sealed);
        }
    }
}

struct Open {
    device: ClientConnection,
    wire: Wire,
    received: Received,
    plain: Vec<u8>,
    sealed: Vec<Vec<u8>>,
    records: usize,
}

impl Open {
    fn new(bytes: usize) -> Self {
        let (device, wire) = shake_hands();
        Open { device, wire, received: Received::default(), plain: noise(bytes), sealed: vec![Vec::new(); STEPS], records: 0 }
    }
}

impl Work for Open {
    fn ready(&mut self) {
        self.records += STEPS;
        if self.records > RECORDS_MAX {
            ((self.device, self.wire), self.records) = (shake_hands(), STEPS);
        }
        for record in &mut self.sealed {
            record.clear();
            self.device.writer().write_all(&self.plain).expect("it takes a record's worth");
            while self.device.wants_write() {
                self.device.write_tls(record).expect("a vector takes everything");
            }
        }
    }

    fn run(&mut self) {
        for record in &self.sealed {
            let incoming = self.wire.receive(&mut self.received, black_box(record));
            assert_eq!(incoming.ok(), Some(Incoming::Data), "the record is good");
            assert_eq!(self.received.plaintext().len(), self.plain.len());
            self.received.consume(usize::MAX);
        }
    }
}

/// A device that knows one suite, and the gateway's side after a handshake with it.
fn shake_hands() -> (ClientConnection, Wire) {
    let pair = ThrowAway::new(&["localhost"]).expect("a certificate");
    let acceptor = Acceptor::from_pem(&pair.certificate_pem, &pair.key_pem).expect("the certificate is good");
    let mut provider = aws_lc_rs::default_provider();
    provider.cipher_suites = vec![aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256];
    let mut roots = RootCertStore::empty();
    roots.add(pair.certificate.clone()).expect("the certificate is good");
    let config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("suite and version agree")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut device = ClientConnection::new(Arc::new(config), "localhost".try_into().expect("a name")).expect("a device");
    let mut gateway = acceptor.in_memory().expect("a handshake");
    loop {
        let (mut there, mut back) = (Vec::new(), Vec::new());
        while device.wants_write() {
            device.write_tls(&mut there).expect("a vector takes everything");
        }
        let is_over = gateway.receive(&there, &mut back).expect("both sides agree");
        let mut input = &back[..];
        while !input.is_empty() {
            device.read_tls(&mut input).expect("a slice can be read");
            device.process_new_packets().expect("both sides agree");
        }
        if is_over {
            return (device, gateway.finish().expect("it is over"));
        }
    }
}

/// Bytes that do not repeat.
fn noise(count: usize) -> Vec<u8> {
    (0..count as u32).map(|number| (number.wrapping_mul(0x9E37_79B9) >> 24) as u8).collect()
}
