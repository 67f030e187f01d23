//! Header fields, as far as they decide where a message ends.

use super::Fault;

/// Digits of a length: 10^15 bytes are more than any mail, and far from what overflows anywhere.
const LENGTH_DIGITS_MAX: usize = 15;

/// What the fields of a head say about its body.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Fields {
    pub(super) length: Option<u64>,
    pub(super) is_chunked: bool,
}

impl Fields {
    /// One line of a head. `may_repeat`: the same length twice is one length (answers of careless servers).
    pub(super) fn read(&mut self, line: &[u8], may_repeat: bool) -> Result<(), Fault> {
        let (name, value) = split(line)?;
        if name.eq_ignore_ascii_case(b"content-length") {
            let length = number(value)?;
            if self.length.replace(length).is_some_and(|before| !may_repeat || before != length) {
                return Err(Fault::Length);
            }
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            if self.is_chunked || !value.eq_ignore_ascii_case(b"chunked") {
                return Err(Fault::TransferCoding);
            }
            self.is_chunked = true;
        }
        Ok(())
    }

    /// At the end of the head.
    pub(super) fn check(self, is_http10: bool) -> Result<Self, Fault> {
        match self {
            Fields { is_chunked: true, .. } if is_http10 => Err(Fault::TransferCoding),
            Fields { is_chunked: true, length: Some(_) } => Err(Fault::LengthAndCoding),
            _ => Ok(self),
        }
    }
}

/// Name and value, the value without space around it (RFC 9112 §5).
pub(super) fn split(line: &[u8]) -> Result<(&[u8], &[u8]), Fault> {
    let colon = line.iter().position(|&byte| byte == b':').ok_or(Fault::Field)?;
    let (name, value) = (&line[..colon], &line[colon + 1..]);
    let is_name = !name.is_empty() && name.iter().all(|&byte| is_token(byte));
    let is_value = value.iter().all(|&byte| byte == b'\t' || (byte >= b' ' && byte != 0x7f));
    if is_name && is_value { Ok((name, trim(value))) } else { Err(Fault::Field) }
}

/// RFC 9110 §5.6.2.
pub(super) fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Decimal digits and nothing else; no sign, no list, no zeros in front.
fn number(value: &[u8]) -> Result<u64, Fault> {
    let is_plain = !value.is_empty() && value.iter().all(u8::is_ascii_digit) && (value[0] != b'0' || value.len() == 1);
    if !is_plain || value.len() > LENGTH_DIGITS_MAX {
        return Err(Fault::Length);
    }
    Ok(value.iter().fold(0, |number, digit| number * 10 + u64::from(digit - b'0')))
}

fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}
