//! Lines, put together from pieces.

use super::Fault;

/// The beginning of a line whose end has not come. Its bound is the caller's: heads by `limits.head_bytes_max`, which hyper holds.
#[derive(Debug, Default)]
pub(super) struct Lines {
    begun: Vec<u8>,
}

/// What `Lines::next` found.
pub(super) enum Next<T> {
    /// A line, what the caller made of it, and the bytes it took of the input.
    Line(T, usize),
    /// Its end is not here yet; all of the input is remembered.
    Open,
}

impl Lines {
    /// Reads one line off `input`, without its CRLF, and shows it to `read`. An error stands for the line's last byte.
    pub(super) fn next<T>(&mut self, input: &[u8], read: impl FnOnce(&[u8]) -> Result<T, Fault>) -> Result<Next<T>, (usize, Fault)> {
        let Some(end) = input.iter().position(|&byte| byte == b'\n') else {
            self.begun.extend_from_slice(input);
            return Ok(Next::Open);
        };
        let found = if self.begun.is_empty() {
            strip(&input[..end]).and_then(read)
        } else {
            self.begun.extend_from_slice(&input[..end]);
            let whole = std::mem::take(&mut self.begun);
            strip(&whole).and_then(read)
        };
        found.map(|found| Next::Line(found, end + 1)).map_err(|fault| (end, fault))
    }

    /// Bytes of the unfinished line.
    pub(super) fn begun_bytes(&self) -> usize {
        self.begun.len()
    }
}

/// The line without the CR before its LF; no other CR may be in it.
fn strip(line: &[u8]) -> Result<&[u8], Fault> {
    let line = line.strip_suffix(b"\r").ok_or(Fault::BareLineEnd)?;
    if line.contains(&b'\r') { Err(Fault::BareLineEnd) } else { Ok(line) }
}
