//! Lines on standard input, for programs that wait for other things too.

use std::io::{self, BufRead, Read as _};

use tokio::sync::mpsc;

/// Lines that wait to be taken.
const LINES_MAX: usize = 64;
/// The longest line: an order with all its addresses is some 80 kB.
const LINE_BYTES_MAX: u64 = 1 << 20;

/// Lines as they come; the channel ends with the input, or with a line that is none: too long, or not text. A thread of its
/// own reads: reading standard input cannot be interrupted.
pub fn lines() -> mpsc::Receiver<String> {
    let (sender, lines) = mpsc::channel(LINES_MAX);
    std::thread::spawn(move || {
        let mut input = io::stdin().lock();
        while let Some(line) = next_line(&mut input).unwrap_or_else(|error| {
            eprintln!("pushgate-loadtest: standard input is not read any more: {error}");
            None
        }) {
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    });
    lines
}

/// The next line without its end; `None` at the end of the input.
fn next_line(input: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut line = String::new();
    let length = input.take(LINE_BYTES_MAX).read_line(&mut line)?;
    if length as u64 == LINE_BYTES_MAX && !line.ends_with('\n') {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("a line has more than {LINE_BYTES_MAX} bytes")));
    }
    line.truncate(line.trim_end_matches(['\r', '\n']).len());
    Ok((length > 0).then_some(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_with_the_input() {
        let mut input = &b"one\r\n\ntwo"[..];
        let lines: Vec<String> = std::iter::from_fn(|| next_line(&mut input).expect("text")).collect();
        assert_eq!(lines, ["one", "", "two"]);
    }

    #[test]
    fn a_line_without_end_is_refused_and_not_kept() {
        let mut endless = io::BufReader::new(io::repeat(0));
        assert_eq!(next_line(&mut endless).expect_err("too long").kind(), io::ErrorKind::InvalidData);
    }
}
