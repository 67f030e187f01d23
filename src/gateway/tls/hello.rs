//! One question to a ClientHello before rustls reads it: does the device ask for ChaCha20 first?
//!
//! A best guess from the bytes of the first read: a hello that is cut before its list of suites, or is not one, says no.

/// In front of the list: record header, handshake header, version, random.
const FIXED_BYTES: usize = 5 + 4 + 2 + 32;
const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
/// TLS 1.3; then TLS 1.2 with ECDSA and RSA: (RFC 7905, RFC 8446 appendix B.4).
const CHACHA20: [[u8; 2]; 3] = [[0x13, 0x03], [0xCC, 0xA9], [0xCC, 0xA8]];

/// Whether ChaCha20 stands at the head of the device's list, as devices write it that have no AES in their processor.
pub(super) fn prefers_chacha20(bytes: &[u8]) -> bool {
    first_suite(bytes).is_some_and(|suite| CHACHA20.contains(&suite))
}

fn first_suite(bytes: &[u8]) -> Option<[u8; 2]> {
    let (fixed, rest) = bytes.split_at_checked(FIXED_BYTES)?;
    if fixed[0] != HANDSHAKE || fixed[5] != CLIENT_HELLO {
        return None;
    }
    let (&session_bytes, rest) = rest.split_first()?;
    let (length, suites) = rest.get(usize::from(session_bytes)..)?.split_first_chunk::<2>()?;
    let suites = &suites[..suites.len().min(usize::from(u16::from_be_bytes(*length)))];
    suites.chunks_exact(2).map(|suite| [suite[0], suite[1]]).find(|suite| !is_grease(*suite))
}

/// Values that mean nothing, sent so that servers get used to such (RFC 8701).
fn is_grease([high, low]: [u8; 2]) -> bool {
    high == low && high & 0x0F == 0x0A
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello(session: &[u8], suites: &[u8]) -> Vec<u8> {
        let mut bytes = vec![HANDSHAKE, 3, 1, 1, 0, CLIENT_HELLO, 0, 0, 252, 3, 3];
        bytes.extend([7; 32]);
        bytes.push(session.len() as u8);
        bytes.extend(session);
        bytes.extend((suites.len() as u16).to_be_bytes());
        bytes.extend(suites);
        bytes.extend([1, 0]);
        bytes
    }

    #[test]
    fn the_head_of_the_list_counts_grease_aside() {
        for suites in [&[0x13, 0x03, 0x13, 0x01][..], &[0x3A, 0x3A, 0x13, 0x03], &[0xCC, 0xA8], &[0xCC, 0xA9, 0xC0, 0x2B]] {
            assert!(prefers_chacha20(&hello(&[1; 32], suites)), "{suites:?}");
            assert!(prefers_chacha20(&hello(&[], suites)), "{suites:?}");
        }
        for suites in [&[0x13, 0x01, 0x13, 0x03][..], &[0x13, 0x02], &[0x5A, 0x5A], &[]] {
            assert!(!prefers_chacha20(&hello(&[1; 32], suites)), "{suites:?}");
        }
    }

    #[test]
    fn a_part_of_a_hello_says_no_and_nothing_makes_it_panic() {
        let whole = hello(&[1; 32], &[0x13, 0x03]);
        let end = whole.len() - 2;
        assert!((0..end).all(|cut| !prefers_chacha20(&whole[..cut])) && prefers_chacha20(&whole[..end]));
        assert!(!prefers_chacha20(b"GET / HTTP/1.1\r\nHost: a-host-with-a-long-name.example.org\r\n\r\n"));
        assert!(!prefers_chacha20(&[0xFF; 200]));
    }
}
