//! LDAP messages by their outermost shape (RFC 4511 §5.1, BER with definite lengths). The library that reads them trusts a server more
//! than this project trusts anybody: what it would choke on is held back here.

/// Levels of elements inside a message: results with controls and referrals need six.
const DEPTH_MAX: usize = 16;
/// SEQUENCE, INTEGER and ENUMERATED of BER; ExtendedResponse of LDAP.
const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const ENUMERATED: u8 = 0x0a;
const EXTENDED_RESPONSE: u8 = 0x78;
/// "Constructed": what is inside are elements.
const CONSTRUCTED: u8 = 0x20;

/// StartTLS (RFC 4511 §4.14), as message 1.
pub const START_TLS: &[u8] = b"\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037";

/// Bytes that are no message, or one that is larger than any may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unsound;

/// The length of the first message in `bytes`; `None` if it is not whole yet.
///
/// # Errors
/// If it is none, or longer than `bytes_max`.
pub fn first(bytes: &[u8], bytes_max: usize) -> Result<Option<usize>, Unsound> {
    let Some((tag, start, length)) = head(bytes)? else { return Ok(None) };
    let end = start.checked_add(length).filter(|end| *end <= bytes_max).ok_or(Unsound)?;
    if tag != SEQUENCE {
        return Err(Unsound);
    }
    if bytes.len() < end {
        return Ok(None);
    }
    check(&bytes[start..end])?;
    Ok(Some(end))
}

/// Whether a whole message is the answer that StartTLS may begin.
pub fn agrees_to_tls(message: &[u8]) -> bool {
    let inside = |bytes: &[u8], wanted: u8| match head(bytes) {
        Ok(Some((tag, start, length))) if tag == wanted && start + length <= bytes.len() => Some((start, start + length)),
        _ => None,
    };
    let answer = || {
        let (start, end) = inside(message, SEQUENCE)?;
        let message = &message[start..end];
        let (_, after_id) = inside(message, INTEGER)?;
        let (start, end) = inside(&message[after_id..], EXTENDED_RESPONSE)?;
        let answer = &message[after_id..][start..end];
        let (start, end) = inside(answer, ENUMERATED)?;
        Some(answer[start..end] == [0])
    };
    answer().unwrap_or(false)
}

/// A number and an operation, perhaps controls, each whole to its innermost element.
fn check(content: &[u8]) -> Result<(), Unsound> {
    let (mut rest, mut count) = (content, 0);
    while !rest.is_empty() {
        let (tag, start, length) = head(rest)?.ok_or(Unsound)?;
        let inner = rest.get(start..start + length).ok_or(Unsound)?;
        let is_fitting = match count {
            0 => tag == INTEGER && (1..=4).contains(&length),
            // Of the application, and with elements inside; all answers are.
            1 => tag & 0xe0 == 0x60,
            // Controls, or the name that Active Directory puts in their place when it hangs up.
            2 => tag == 0xa0 || tag == 0x8a,
            _ => false,
        };
        if !is_fitting {
            return Err(Unsound);
        }
        if tag & CONSTRUCTED != 0 {
            elements(inner, 1)?;
        }
        rest = &rest[start + length..];
        count += 1;
    }
    if count >= 2 { Ok(()) } else { Err(Unsound) }
}

fn elements(mut bytes: &[u8], depth: usize) -> Result<(), Unsound> {
    while !bytes.is_empty() {
        let (tag, start, length) = head(bytes)?.ok_or(Unsound)?;
        let inner = bytes.get(start..start + length).ok_or(Unsound)?;
        if tag & CONSTRUCTED != 0 {
            if depth == DEPTH_MAX {
                return Err(Unsound);
            }
            elements(inner, depth + 1)?;
        }
        bytes = &bytes[start + length..];
    }
    Ok(())
}

/// The tag, where the content begins, and its length; `None` if there are too few bytes to say.
fn head(bytes: &[u8]) -> Result<Option<(u8, usize, usize)>, Unsound> {
    let [tag, first, rest @ ..] = bytes else { return Ok(None) };
    if tag & 0x1f == 0x1f {
        // A tag of several bytes: LDAP has none.
        return Err(Unsound);
    }
    if *first < 0x80 {
        return Ok(Some((*tag, 2, usize::from(*first))));
    }
    let count = usize::from(first & 0x7f);
    // 0 would be an indefinite length, which LDAP forbids; four bytes say four gigabytes.
    if !(1..=4).contains(&count) {
        return Err(Unsound);
    }
    let Some(length) = rest.get(..count) else { return Ok(None) };
    Ok(Some((*tag, 2 + count, length.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)))))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BIND_ANSWER: &[u8] = b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x00\x04\x00\x04\x00";

    fn wrapped(depth: usize) -> Vec<u8> {
        let mut inner = b"\x04\x00".to_vec();
        for _ in 0..depth {
            inner = [&[0x30, 0x82, (inner.len() >> 8) as u8, inner.len() as u8][..], &inner].concat();
        }
        let operation = [&[0x64, 0x82, (inner.len() >> 8) as u8, inner.len() as u8][..], &inner].concat();
        let content = [b"\x02\x01\x01".as_slice(), &operation].concat();
        [&[0x30, 0x82, (content.len() >> 8) as u8, content.len() as u8][..], &content].concat()
    }

    #[test]
    fn messages_are_told_apart_in_a_stream() {
        let two = [BIND_ANSWER, BIND_ANSWER].concat();
        assert_eq!(first(&two, 1_000), Ok(Some(BIND_ANSWER.len())));
        for end in 0..BIND_ANSWER.len() {
            assert_eq!(first(&two[..end], 1_000), Ok(None), "{end}");
        }
        // Active Directory hangs up with a name where controls would be.
        assert_eq!(first(b"\x30\x0e\x02\x01\x00\x78\x07\x0a\x01\x34\x04\x00\x04\x00\x8a\x00", 1_000), Ok(Some(16)));
    }

    #[test]
    fn what_would_take_memory_or_the_stack_is_unsound() {
        assert_eq!(first(&wrapped(DEPTH_MAX - 1), 100_000).map(|end| end.is_some()), Ok(true));
        assert_eq!(first(&wrapped(DEPTH_MAX), 100_000), Err(Unsound));
        assert_eq!(first(&wrapped(10_000), 100_000), Err(Unsound));
        assert_eq!(first(b"\x30\x84\xff\xff\xff\xff", 1_000), Err(Unsound), "four gigabytes");
        assert_eq!(first(b"\x30\x82\x03\xe9", 1_000), Err(Unsound), "said before it is sent");
    }

    #[test]
    fn what_is_no_message_is_unsound() {
        for bytes in [
            b"HTTP/1.1 400 Bad Request".as_slice(),
            b"\x30\x80\x00\x00",
            b"\x30\x85\x00\x00\x00\x00\x01",
            b"\x30\x00",
            b"\x30\x03\x02\x01\x01",
            b"\x30\x03\x04\x01\x01",
            b"\x30\x05\x02\x03\x01\x61\x00",
            b"\x30\x07\x02\x01\x01\x61\x02\x04\x09",
            b"\x30\x07\x02\x01\x01\x41\x02\x04\x00",
            b"\x30\x02\x3f\x1f",
        ] {
            assert_eq!(first(bytes, 1_000), Err(Unsound), "{bytes:02x?}");
        }
    }

    #[test]
    fn tls_begins_only_after_a_success() {
        assert!(agrees_to_tls(b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x00\x04\x00\x04\x00"));
        assert!(!agrees_to_tls(b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x02\x04\x00\x04\x00"), "protocolError: it has no TLS");
        assert!(!agrees_to_tls(BIND_ANSWER));
        for end in 0..14 {
            assert!(!agrees_to_tls(&b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x00\x04\x00\x04\x00"[..end]));
        }
        assert_eq!(START_TLS.len(), 2 + usize::from(START_TLS[1]));
    }
}
