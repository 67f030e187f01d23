//! A device whose every record is made by hand: rustls shakes hands, then this slow and obvious second
//! reading of RFC 8446 section 5.2 and RFC 5246 section 6.2.3.3 takes over.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;

use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use pushgate::gateway::tls::Suite;
use rustls::{ClientConfig, ConnectionTrafficSecrets};

use crate::scene::rustls_device;

pub const ALERT: u8 = 21;
pub const HANDSHAKE: u8 = 22;
pub const DATA: u8 = 23;

pub struct Peer {
    pub socket: TcpStream,
    suite: Suite,
    send: Half,
    receive: Half,
}

struct Half {
    key: LessSafeKey,
    iv: [u8; 12],
    sequence: u64,
}

impl Peer {
    pub fn new(suite: Suite, config: ClientConfig, address: SocketAddr) -> Self {
        let mut device = rustls_device(&Arc::new(config), address);
        device.conn.complete_io(&mut device.sock).expect("handshake");
        let secrets = device.conn.dangerous_extract_secrets().expect("secrets");
        Peer { socket: device.sock, suite, send: Half::new(secrets.tx), receive: Half::new(secrets.rx) }
    }

    /// A record with the next sequence number.
    pub fn seal(&mut self, kind: u8, content: &[u8]) -> Vec<u8> {
        self.seal_padded(kind, content, 0)
    }

    /// Padding is for TLS 1.3 only.
    pub fn seal_padded(&mut self, kind: u8, content: &[u8], padding: usize) -> Vec<u8> {
        let sequence = self.send.sequence;
        self.send.sequence += 1;
        let mut nonce = self.send.iv;
        nonce.iter_mut().skip(4).zip(sequence.to_be_bytes()).for_each(|(byte, number)| *byte ^= number);
        if self.suite.version() == "1.3" {
            let mut inner = [content, &[kind], &vec![0; padding]].concat();
            let header = [&[DATA, 3, 3][..], &(inner.len() as u16 + 16).to_be_bytes()].concat();
            self.send.key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(&header), &mut inner).expect("sealed");
            return [header, inner].concat();
        }
        assert_eq!(padding, 0, "TLS 1.2 has no padding in these suites");
        let mut explicit = Vec::new();
        if self.suite.cipher() != "chacha20-poly1305" {
            // Any value that does not repeat is good; a peer may well count backwards.
            explicit = (!sequence).to_be_bytes().to_vec();
            nonce[4..].copy_from_slice(&explicit);
        }
        let aad = [&sequence.to_be_bytes()[..], &[kind, 3, 3], &(content.len() as u16).to_be_bytes()].concat();
        let mut inner = content.to_vec();
        self.send.key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(&aad), &mut inner).expect("sealed");
        let length = (explicit.len() + inner.len()) as u16;
        [vec![kind, 3, 3], length.to_be_bytes().to_vec(), explicit, inner].concat()
    }

    pub fn send(&mut self, bytes: &[u8]) {
        self.socket.write_all(bytes).expect("sent");
    }

    pub fn send_data(&mut self, content: &[u8]) {
        let record = self.seal(DATA, content);
        self.send(&record);
    }

    pub fn finish_sending(&mut self) {
        self.socket.shutdown(Shutdown::Write).expect("shutdown");
    }

    /// The next record that is no session ticket: its kind and content. `None` when the socket ends.
    pub fn read_record(&mut self) -> Option<(u8, Vec<u8>)> {
        loop {
            let mut header = [0; 5];
            if self.socket.read(&mut header[..1]).expect("readable") == 0 {
                return None;
            }
            self.socket.read_exact(&mut header[1..]).expect("header");
            let mut body = vec![0; usize::from(u16::from_be_bytes([header[3], header[4]]))];
            self.socket.read_exact(&mut body).expect("body");
            let (kind, content) = self.open(header, body);
            if kind != HANDSHAKE {
                return Some((kind, content));
            }
            assert_eq!(content.first(), Some(&4), "only session tickets come after a handshake");
        }
    }

    fn open(&mut self, header: [u8; 5], mut body: Vec<u8>) -> (u8, Vec<u8>) {
        let sequence = self.receive.sequence;
        self.receive.sequence += 1;
        let mut nonce = self.receive.iv;
        nonce.iter_mut().skip(4).zip(sequence.to_be_bytes()).for_each(|(byte, number)| *byte ^= number);
        let aad = if self.suite.version() == "1.3" {
            header.to_vec()
        } else {
            if self.suite.cipher() != "chacha20-poly1305" {
                nonce[4..].copy_from_slice(&body[..8]);
                body.drain(..8);
            }
            [&sequence.to_be_bytes()[..], &header[..3], &(body.len() as u16 - 16).to_be_bytes()].concat()
        };
        let nonce = Nonce::assume_unique_for_key(nonce);
        let mut content = self.receive.key.open_in_place(nonce, Aad::from(&aad), &mut body).expect("authentic").to_vec();
        if self.suite.version() == "1.2" {
            return (header[0], content);
        }
        while content.last() == Some(&0) {
            content.pop();
        }
        (content.pop().expect("content type"), content)
    }
}

impl Half {
    fn new((sequence, secrets): (u64, ConnectionTrafficSecrets)) -> Self {
        let (algorithm, key, iv) = match &secrets {
            ConnectionTrafficSecrets::Aes128Gcm { key, iv } => (&AES_128_GCM, key, iv),
            ConnectionTrafficSecrets::Aes256Gcm { key, iv } => (&AES_256_GCM, key, iv),
            ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv } => (&CHACHA20_POLY1305, key, iv),
            _ => panic!("not a suite of this test"),
        };
        let key = LessSafeKey::new(UnboundKey::new(algorithm, key.as_ref()).expect("key"));
        Half { key, iv: iv.as_ref().try_into().expect("12 bytes"), sequence }
    }
}
