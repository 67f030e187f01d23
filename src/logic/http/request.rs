//! Requests of devices, one behind the other.

use super::chunked::Chunks;
use super::field::{Fields, is_token};
use super::line::{Lines, Next};
use super::{Fault, Refused, follow};

/// Empty lines before a request that are let pass: some old clients end a body with a line end too many (RFC 9112 §2.2).
const EMPTY_LINES_MAX: u8 = 2;

/// What the next byte belongs to.
#[derive(Debug)]
enum Awaits {
    /// The request line; so many empty lines came instead.
    RequestLine(u8),
    Field {
        fields: Fields,
        is_http10: bool,
    },
    Body(u64),
    Chunks(Chunks),
}

/// Follows the requests of one connection, from the beginning of one of them.
#[derive(Debug)]
pub struct RequestFraming {
    awaits: Awaits,
    lines: Lines,
}

impl Default for RequestFraming {
    fn default() -> Self {
        RequestFraming { awaits: Awaits::RequestLine(0), lines: Lines::default() }
    }
}

impl RequestFraming {
    /// Looks at bytes that come next.
    ///
    /// # Errors
    /// Something has two readings. What follows has no meaning: the connection must end.
    pub fn pass(&mut self, input: &[u8]) -> Result<(), Refused> {
        follow(input, |rest| self.step(rest))
    }

    /// Whether a body is begun and not over.
    pub fn is_in_body(&self) -> bool {
        matches!(self.awaits, Awaits::Body(_) | Awaits::Chunks(_))
    }

    fn step(&mut self, rest: &[u8]) -> Result<usize, Refused> {
        let refused = |(good, fault)| Refused { good, fault };
        match &mut self.awaits {
            Awaits::RequestLine(empty_lines) => {
                let empty_lines = *empty_lines;
                let Next::Line(awaits, taken) = self.lines.next(rest, |line| after_request_line(line, empty_lines)).map_err(refused)?
                else {
                    return Ok(rest.len());
                };
                self.awaits = awaits;
                Ok(taken)
            }
            Awaits::Field { fields, is_http10 } => {
                let is_http10 = *is_http10;
                let read = |line: &[u8]| match line {
                    [] => fields.check(is_http10).map(Some),
                    field => fields.read(field, false).map(|()| None),
                };
                match self.lines.next(rest, read).map_err(refused)? {
                    Next::Open => Ok(rest.len()),
                    Next::Line(None, taken) => Ok(taken),
                    Next::Line(Some(fields), taken) => {
                        self.awaits = after_head(fields);
                        Ok(taken)
                    }
                }
            }
            Awaits::Body(left) => {
                let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(rest.len());
                *left -= taken as u64;
                if *left == 0 {
                    self.awaits = Awaits::RequestLine(0);
                }
                Ok(taken)
            }
            Awaits::Chunks(chunks) => {
                let (taken, is_over) = chunks.pass(rest)?;
                if is_over {
                    self.awaits = Awaits::RequestLine(0);
                }
                Ok(taken)
            }
        }
    }
}

fn after_request_line(line: &[u8], empty_lines: u8) -> Result<Awaits, Fault> {
    if line.is_empty() {
        return if empty_lines < EMPTY_LINES_MAX { Ok(Awaits::RequestLine(empty_lines + 1)) } else { Err(Fault::EmptyLines) };
    }
    let mut words = line.split(|&byte| byte == b' ');
    let (Some(method), Some(target), Some(version), None) = (words.next(), words.next(), words.next(), words.next()) else {
        return Err(Fault::FirstLine);
    };
    let is_method = !method.is_empty() && method.iter().all(|&byte| is_token(byte));
    // A fragment is never sent; whoever cuts it off asks for something else than whoever does not.
    let is_target = !target.is_empty() && target.iter().all(|&byte| byte > b' ' && byte != 0x7f && byte != b'#');
    match version {
        b"HTTP/1.1" | b"HTTP/1.0" if is_method && is_target => {
            Ok(Awaits::Field { fields: Fields::default(), is_http10: version == b"HTTP/1.0" })
        }
        _ => Err(Fault::FirstLine),
    }
}

fn after_head(fields: Fields) -> Awaits {
    match fields {
        Fields { is_chunked: true, .. } => Awaits::Chunks(Chunks::new(false)),
        Fields { length: Some(length @ 1..), .. } => Awaits::Body(length),
        Fields { .. } => Awaits::RequestLine(0),
    }
}
