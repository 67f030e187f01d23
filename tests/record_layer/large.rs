//! A megabyte each way at once, in chunks of all sizes, through small kernel buffers: short writes and records
//! cut anywhere.

use std::io::{Read, Write};
use std::sync::Arc;
use std::time::Duration;

use pushgate::gateway::tls::{AcceptError, Accepted, Suite};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::scene::{
    Device, Dice, HOST, acceptor, certificate, gateway, noise, openssl_context, openssl_device, rustls_config, rustls_device,
};

const MEGABYTE: usize = 1 << 20;
const UP: u64 = 17;
const DOWN: u64 = 18;

/// Reads the device's megabyte and writes ours at the same time, each in pieces of random size.
async fn trade(accepted: Result<Accepted, AcceptError>) {
    let stream = accepted.expect("handshake").stream;
    socket2::SockRef::from(stream.get_ref()).set_send_buffer_size(8_192).expect("small buffer");
    let (mut reading, mut writing) = tokio::io::split(stream);
    let read = async {
        let (expected, mut dice, mut buffer) = (noise(UP, MEGABYTE), Dice(5), vec![0; 70_000]);
        let mut read = 0;
        while read < MEGABYTE {
            let most = 1 + dice.roll(70_000);
            let count = reading.read(&mut buffer[..most]).await.expect("read");
            assert!(count > 0 && buffer[..count] == expected[read..read + count], "at {read}");
            read += count;
        }
    };
    let write = async {
        let (ours, mut dice) = (noise(DOWN, MEGABYTE), Dice(7));
        let mut written = 0;
        while written < MEGABYTE {
            let some = dice.roll(40_000).min(MEGABYTE - written);
            let (head, body) = ours[written..written + some].split_at(dice.roll(some + 1));
            writing.write_all_buf(&mut bytes::Buf::chain(head, body)).await.expect("written");
            written += some;
        }
        writing.shutdown().await.expect("close_notify sent");
    };
    tokio::join!(read, write);
    assert_eq!(reading.read(&mut [0; 1]).await.expect("the device closes"), 0);
}

/// Writes its megabyte, while ours waits in sealed records and small buffers; then reads.
fn trade_from_the_other_side(device: &mut impl Device) {
    let (ours, expected) = (noise(UP, MEGABYTE), noise(DOWN, MEGABYTE));
    let mut dice = Dice(6);
    let (mut sent, mut heard) = (0, 0);
    let mut buffer = vec![0; 70_000];
    while sent < MEGABYTE {
        let some = (1 + dice.roll(50_000)).min(MEGABYTE - sent);
        device.write_all(&ours[sent..sent + some]).expect("sent");
        device.flush().expect("flushed");
        sent += some;
    }
    while heard < MEGABYTE {
        let most = 1 + dice.roll(70_000);
        let count = device.read(&mut buffer[..most]).expect("readable");
        assert!(count > 0 && buffer[..count] == expected[heard..heard + count], "at {heard}");
        heard += count;
    }
    assert_eq!(device.read(&mut buffer).expect("close_notify"), 0);
    device.close();
}

#[test]
fn a_megabyte_each_way_arrives_whole_with_rustls() {
    let certificate = certificate(HOST);
    for suite in [Suite::Tls12Aes256Gcm, Suite::Tls12ChaCha20Poly1305, Suite::Tls13Aes128Gcm] {
        let gateway = gateway(acceptor(&certificate), 1, trade);
        trade_from_the_other_side(&mut rustls_device(&Arc::new(rustls_config(suite, &certificate)), gateway.address));
        gateway.result();
    }
}

#[test]
fn a_megabyte_each_way_arrives_whole_with_openssl() {
    let certificate = certificate(HOST);
    for suite in [Suite::Tls12Aes128Gcm, Suite::Tls13Aes256Gcm, Suite::Tls13ChaCha20Poly1305] {
        let gateway = gateway(acceptor(&certificate), 1, trade);
        let context = openssl_context(suite, std::sync::mpsc::channel().0);
        trade_from_the_other_side(&mut openssl_device(&context, None, gateway.address));
        gateway.result();
    }
}

/// Everything waits sealed or with the caller while the device does not read, and arrives when it does.
#[test]
fn a_device_that_reads_slowly_gets_every_byte_once() {
    let certificate = certificate(HOST);
    let gateway = gateway(acceptor(&certificate), 1, async |accepted: Result<Accepted, AcceptError>| {
        let mut stream = accepted.expect("handshake").stream;
        socket2::SockRef::from(stream.get_ref()).set_send_buffer_size(4_096).expect("small buffer");
        stream.write_all(&noise(DOWN, MEGABYTE / 4)).await.expect("written");
        stream.shutdown().await.expect("close_notify sent");
    });
    let config = Arc::new(rustls_config(Suite::Tls13Aes128Gcm, &certificate));
    let mut device = rustls_device(&config, gateway.address);
    device.flush().expect("handshake");
    std::thread::sleep(Duration::from_millis(20));
    let mut all = Vec::new();
    device.read_to_end(&mut all).expect("ends with close_notify");
    assert!(all == noise(DOWN, MEGABYTE / 4));
    gateway.result();
}
