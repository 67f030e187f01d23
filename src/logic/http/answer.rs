//! Answers of a backend on one connection, each to a request that we sent.

use super::chunked::Chunks;
use super::field::Fields;
use super::line::{Lines, Next};
use super::{Fault, Refused, follow};

/// Interim answers (100, 102, 103) to one request.
const INTERIM_ANSWERS_MAX: u8 = 16;
/// Bytes of heads for one request, the interim ones included: several times what one head may have.
const HEAD_BYTES_MAX: usize = 262_144;

/// What the next byte belongs to.
#[derive(Debug)]
enum Awaits {
    /// No request is unanswered: no byte may come.
    Request,
    StatusLine,
    Field {
        fields: Fields,
        status: u16,
        is_http10: bool,
    },
    Body(u64),
    Chunks(Chunks),
    /// The body ends where the connection does.
    End,
}

/// Follows the answers on one connection.
#[derive(Debug)]
pub struct AnswerFraming {
    awaits: Awaits,
    lines: Lines,
    is_to_head: bool,
    interim: u8,
    head_bytes: usize,
    is_final: bool,
}

impl Default for AnswerFraming {
    fn default() -> Self {
        AnswerFraming { awaits: Awaits::Request, lines: Lines::default(), is_to_head: false, interim: 0, head_bytes: 0, is_final: false }
    }
}

impl AnswerFraming {
    /// Some of a request is sent, `bytes` next. Only its first bytes matter.
    pub fn note_sent(&mut self, bytes: &[u8]) {
        if matches!(self.awaits, Awaits::Request) && !bytes.is_empty() {
            let is_final = self.is_final;
            *self = AnswerFraming { awaits: Awaits::StatusLine, is_to_head: bytes.starts_with(b"HEAD "), is_final, ..Self::default() };
        }
    }

    /// Whether no further request should follow on this connection: an answer without a body by rule, to which careless servers
    /// add one that would be taken for the next answer.
    pub fn is_final(&self) -> bool {
        self.is_final
    }

    /// Looks at bytes that come next.
    ///
    /// # Errors
    /// Something has two readings, or nobody asked for it. The connection must end.
    pub fn pass(&mut self, input: &[u8]) -> Result<(), Refused> {
        follow(input, |rest| self.step(rest))
    }

    fn step(&mut self, rest: &[u8]) -> Result<usize, Refused> {
        let refused = |(good, fault)| Refused { good, fault };
        match &mut self.awaits {
            Awaits::Request => Err(Refused { good: 0, fault: Fault::Unasked }),
            Awaits::StatusLine => {
                let next = self.lines.next(rest, status_line).map_err(refused)?;
                let Next::Line((status, is_http10), taken) = next else { return self.note_head(rest.len()) };
                self.awaits = Awaits::Field { fields: Fields::default(), status, is_http10 };
                self.note_head(taken)
            }
            Awaits::Field { fields, status, is_http10 } => {
                let (status, is_http10) = (*status, *is_http10);
                let read = |line: &[u8]| match line {
                    [] => fields.check(is_http10).map(Some),
                    field => fields.read(field, true).map(|()| None),
                };
                match self.lines.next(rest, read).map_err(refused)? {
                    Next::Open => self.note_head(rest.len()),
                    Next::Line(None, taken) => self.note_head(taken),
                    Next::Line(Some(fields), taken) => {
                        self.end_head(status, fields).map_err(|fault| refused((taken - 1, fault)))?;
                        Ok(taken)
                    }
                }
            }
            Awaits::Body(left) => {
                let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(rest.len());
                *left -= taken as u64;
                if *left == 0 {
                    self.awaits = Awaits::Request;
                }
                Ok(taken)
            }
            Awaits::Chunks(chunks) => {
                let (taken, is_over) = chunks.pass(rest)?;
                if is_over {
                    self.awaits = Awaits::Request;
                }
                Ok(taken)
            }
            Awaits::End => Ok(rest.len()),
        }
    }

    fn note_head(&mut self, taken: usize) -> Result<usize, Refused> {
        self.head_bytes += taken;
        if self.head_bytes > HEAD_BYTES_MAX { Err(Refused { good: 0, fault: Fault::Field }) } else { Ok(taken) }
    }

    fn end_head(&mut self, status: u16, fields: Fields) -> Result<(), Fault> {
        self.awaits = match (status, fields) {
            (101, _) => Awaits::End,
            (100..200, _) if self.interim >= INTERIM_ANSWERS_MAX => return Err(Fault::InterimAnswers),
            (100..200, _) => {
                self.interim += 1;
                Awaits::StatusLine
            }
            _ if self.is_to_head || matches!(status, 204 | 304) => {
                self.is_final = true;
                Awaits::Request
            }
            (_, Fields { is_chunked: true, .. }) => Awaits::Chunks(Chunks::new(true)),
            (_, Fields { length: Some(0), .. }) => Awaits::Request,
            (_, Fields { length: Some(length), .. }) => Awaits::Body(length),
            (_, Fields { .. }) => Awaits::End,
        };
        Ok(())
    }
}

/// Status, and whether it is HTTP/1.0.
fn status_line(line: &[u8]) -> Result<(u16, bool), Fault> {
    let is_http10 = line.starts_with(b"HTTP/1.0 ");
    let rest = if is_http10 { Some(&line[9..]) } else { line.strip_prefix(b"HTTP/1.1 ") };
    let (code, reason) = rest.and_then(<[u8]>::split_first_chunk::<3>).ok_or(Fault::FirstLine)?;
    let is_code = matches!(code[0], b'1'..=b'9') && code.iter().all(u8::is_ascii_digit);
    let is_reason = reason.first().is_none_or(|&byte| byte == b' ');
    let is_text = reason.iter().all(|&byte| byte == b'\t' || (byte >= b' ' && byte != 0x7f));
    if !is_code || !is_reason || !is_text {
        return Err(Fault::FirstLine);
    }
    Ok((code.iter().fold(0, |status, digit| status * 10 + u16::from(digit - b'0')), is_http10))
}
