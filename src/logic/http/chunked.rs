//! Bodies in chunks.

use super::field;
use super::line::{Lines, Next};
use super::{Fault, Refused};

/// Hexadecimal digits of a size: as many bytes as a length may have.
const SIZE_DIGITS_MAX: usize = 12;
/// A size and its extensions, which nobody uses.
const SIZE_LINE_BYTES_MAX: usize = 256;
/// Fields behind the last chunk of an answer.
const TRAILER_BYTES_MAX: usize = 8_192;

/// What the next byte belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Awaits {
    Size,
    Data(u64),
    /// CR and LF behind the data.
    DataCr,
    DataLf,
    /// Trailer fields or the empty line that ends the body; so many bytes of them so far.
    Trailer(usize),
}

/// One chunked body.
#[derive(Debug)]
pub(super) struct Chunks {
    awaits: Awaits,
    lines: Lines,
    /// Servers may pad a size with spaces and add trailers; a device has no reason to.
    is_answer: bool,
}

impl Chunks {
    pub(super) fn new(is_answer: bool) -> Self {
        Chunks { awaits: Awaits::Size, lines: Lines::default(), is_answer }
    }

    /// Takes bytes of the body; gives how many, and whether the body is over.
    pub(super) fn pass(&mut self, input: &[u8]) -> Result<(usize, bool), Refused> {
        let mut at = 0;
        while at < input.len() {
            let rest = &input[at..];
            let (taken, is_over) = self.step(rest).map_err(|(good, fault)| Refused { good: at + good, fault })?;
            at += taken;
            if is_over {
                return Ok((at, true));
            }
        }
        Ok((at, false))
    }

    fn step(&mut self, rest: &[u8]) -> Result<(usize, bool), (usize, Fault)> {
        match self.awaits {
            Awaits::Size => self.size(rest).map(|taken| (taken, false)),
            Awaits::Data(left) => {
                let taken = usize::try_from(left).unwrap_or(usize::MAX).min(rest.len());
                let left = left - taken as u64;
                self.awaits = if left == 0 { Awaits::DataCr } else { Awaits::Data(left) };
                Ok((taken, false))
            }
            Awaits::DataCr if rest[0] == b'\r' => {
                self.awaits = Awaits::DataLf;
                Ok((1, false))
            }
            Awaits::DataLf if rest[0] == b'\n' => {
                self.awaits = Awaits::Size;
                Ok((1, false))
            }
            Awaits::DataCr | Awaits::DataLf => Err((0, Fault::Chunk)),
            Awaits::Trailer(before) => self.trailer(rest, before),
        }
    }

    fn size(&mut self, rest: &[u8]) -> Result<usize, (usize, Fault)> {
        let is_padded = self.is_answer;
        match self.lines.next(rest, |line| size(line, is_padded))? {
            Next::Line(size, taken) => {
                self.awaits = if size == 0 { Awaits::Trailer(0) } else { Awaits::Data(size) };
                Ok(taken)
            }
            // The CR of a line that is just short enough may be here without its LF.
            Next::Open if self.lines.begun_bytes() > SIZE_LINE_BYTES_MAX + 1 => Err((0, Fault::Chunk)),
            Next::Open => Ok(rest.len()),
        }
    }

    fn trailer(&mut self, rest: &[u8], before: usize) -> Result<(usize, bool), (usize, Fault)> {
        let (is_answer, begun) = (self.is_answer, self.lines.begun_bytes());
        let read = |line: &[u8]| match line {
            [] => Ok(true),
            _ if !is_answer => Err(Fault::Trailer),
            field => field::split(field).map(|_| false),
        };
        match self.lines.next(rest, read)? {
            Next::Line(is_over, taken) => {
                let so_far = before + begun + taken;
                self.awaits = Awaits::Trailer(so_far);
                if so_far > TRAILER_BYTES_MAX { Err((0, Fault::Trailer)) } else { Ok((taken, is_over)) }
            }
            Next::Open if before + self.lines.begun_bytes() > TRAILER_BYTES_MAX => Err((0, Fault::Trailer)),
            Next::Open => Ok((rest.len(), false)),
        }
    }
}

/// `1*HEXDIG *( ";" extension )`; extensions are not understood, only kept within visible characters.
fn size(line: &[u8], is_padded: bool) -> Result<u64, Fault> {
    let end = line.iter().position(|byte| !byte.is_ascii_hexdigit()).unwrap_or(line.len());
    let (digits, mut rest) = line.split_at(end);
    if is_padded {
        rest = rest.trim_ascii_start();
    }
    let is_extension = |byte: &u8| *byte == b'\t' || (b' '..0x7f).contains(byte);
    let is_fine = (1..=SIZE_DIGITS_MAX).contains(&digits.len())
        && (rest.is_empty() || (rest[0] == b';' && rest.iter().all(is_extension)))
        && line.len() <= SIZE_LINE_BYTES_MAX;
    if !is_fine {
        return Err(Fault::Chunk);
    }
    let value = |digit: &u8| u64::from(char::from(*digit).to_digit(16).unwrap_or(0));
    Ok(digits.iter().fold(0, |size, digit| size * 16 + value(digit)))
}
