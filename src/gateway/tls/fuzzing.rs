//! Entry points for fuzzing, in the library so that tests run them too. Not part of the interface.

use super::received::{RECEIVED_BYTES_MAX, Received};
use super::record::{APPLICATION_DATA, FRAGMENT_BYTES_MAX, Keys};
use super::suite::Suite;
use super::wire::{Incoming, Wire};

/// Opens `data` as a device's records, with keys that are known. The first byte chooses the suite and whether
/// the rest is taken as it is, or as contents that are sealed first and so get past authentication. The second
/// says in what pieces the bytes arrive.
///
/// # Panics
/// When the record layer breaks a promise: plaintext that was not sealed, more of it than may wait, or an error
/// that is not final.
pub fn open(data: &[u8]) {
    let [choice, piece, rest @ ..] = data else { return };
    let suite = Suite::ALL[usize::from(choice & 0x7f) % Suite::ALL.len()];
    let (bytes, sealed) = if choice & 0x80 == 0 { (rest.to_vec(), Vec::new()) } else { seal_contents(suite, rest) };
    let mut wire = Wire::Tls(Keys::known(suite, false, 0));
    let mut received = Received::default();
    let mut plaintext = Vec::new();
    for piece in bytes.chunks(1 + 37 * usize::from(*piece)) {
        let incoming = wire.receive(&mut received, piece);
        assert!(received.bytes() <= RECEIVED_BYTES_MAX, "what waits is bounded");
        plaintext.extend_from_slice(received.plaintext());
        received.consume(usize::MAX);
        match incoming {
            Ok(Incoming::Closed) => break,
            Ok(_) => {}
            Err(_) => {
                assert!(wire.receive(&mut received, &[]).is_err() && wire.seal(b"x", &mut Vec::new()).is_err(), "an error is final");
                break;
            }
        }
    }
    assert!(sealed.starts_with(&plaintext), "only what was sealed as data comes out");
}

/// Seals data and opens it, whole and with one change on its way: byte 0 chooses the suite, bytes 1 and 2 the place of the change,
/// byte 3 the change, byte 4 how often keys were used before; the rest is data.
///
/// # Panics
/// When what was sealed does not come out as it went in, or anything of a changed record does.
pub fn open_changed(data: &[u8]) {
    let [suite, high, low, change, used, data @ ..] = data else { return };
    let suite = Suite::ALL[usize::from(*suite) % Suite::ALL.len()];
    // One record: of several, those before the change would open.
    let data = &data[..data.len().min(FRAGMENT_BYTES_MAX)];
    let sequence = u32::from(*used) << 15;
    let keys = |is_device| Wire::Tls(Keys::known(suite, is_device, sequence));
    let mut sealed = Vec::new();
    keys(true).seal(data, &mut sealed).expect("there are records left");
    let mut received = Received::default();
    let opened = keys(false).receive(&mut received, &sealed);
    assert!(opened.is_ok() && received.plaintext() == data, "what is sealed opens: {opened:?}");
    let place = usize::from(u16::from_be_bytes([*high, *low]));
    let Some(byte) = sealed.get_mut(place) else { return };
    *byte ^= change.max(&1);
    let mut received = Received::default();
    let opened = keys(false).receive(&mut received, &sealed);
    // A length that grew makes it a part of a record; everything else is an error.
    let is_waiting = matches!(opened, Ok(Incoming::Nothing)) && (3..5).contains(&place);
    assert!(received.plaintext().is_empty() && (opened.is_err() || is_waiting), "changed at {place}, and opened: {opened:?}");
}

/// Reads `rest` as contents (kind, length as a 16-bit number, bytes); gives their records and the data in them.
fn seal_contents(suite: Suite, mut rest: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let mut keys = Keys::known(suite, true, 0);
    let cipher = keys.send_cipher();
    let (mut records, mut data) = (Vec::new(), Vec::new());
    while let [kind, high, low, behind @ ..] = rest {
        let length = usize::from(u16::from_be_bytes([*high, *low])).min(behind.len()).min(FRAGMENT_BYTES_MAX);
        let (content, next) = behind.split_at(length);
        if keys.seal(&cipher, *kind, &mut records, |out| out.extend_from_slice(content)).is_err() {
            break;
        }
        // In TLS 1.3 a kind of 0 is padding, and the last byte of the content is the kind.
        match content.iter().rposition(|&byte| byte != 0) {
            Some(end) if suite.is_tls13() && *kind == 0 && content[end] == APPLICATION_DATA => data.extend_from_slice(&content[..end]),
            _ if *kind == APPLICATION_DATA => data.extend_from_slice(content),
            _ => {}
        }
        rest = next;
    }
    (records, data)
}
