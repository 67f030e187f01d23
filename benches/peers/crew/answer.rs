//! An HTTP/1.1 answer, from whatever has come of it so far.

use anyhow::{Context as _, bail};

/// A whole answer.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// The body without its transfer coding.
    pub body: Vec<u8>,
    /// Bytes it took.
    pub bytes: usize,
    /// The connection is not to be used again.
    pub closes: bool,
}

/// The answer at the start of `input`; `None`: it goes on. One that ends with its connection is not understood: no server here
/// gives any.
pub fn complete(input: &[u8]) -> anyhow::Result<Option<Answer>> {
    let Some(head_end) = find(input, b"\r\n\r\n") else { return Ok(None) };
    let head = std::str::from_utf8(&input[..head_end]).context("the head of an answer is not text")?;
    let status: u16 = head.split(' ').nth(1).context("no status")?.parse().context("the status is not a number")?;
    let start = head_end + 4;
    let header = |name: &str| {
        let mut lines = head.split("\r\n").filter_map(|line| line.split_once(':'));
        lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    };
    let closes = header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
    if let Some(length) = header("content-length") {
        let end = start + length.parse::<usize>().context("Content-Length is not a number")?;
        let body = || input[start..end].to_vec();
        return Ok((input.len() >= end).then(|| Answer { status, body: body(), bytes: end, closes }));
    }
    if header("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
        return Ok(chunks(&input[start..])?.map(|(body, bytes)| Answer { status, body, bytes: start + bytes, closes }));
    }
    match status {
        204 | 304 => Ok(Some(Answer { status, body: Vec::new(), bytes: start, closes })),
        _ => bail!("an answer without a length: {head}"),
    }
}

/// The body, and the bytes it took; no trailers are expected.
fn chunks(mut input: &[u8]) -> anyhow::Result<Option<(Vec<u8>, usize)>> {
    let (mut body, whole) = (Vec::new(), input.len());
    loop {
        let Some(line) = find(input, b"\r\n") else { return Ok(None) };
        let size = usize::from_str_radix(std::str::from_utf8(&input[..line])?.trim(), 16).context("a chunk's size")?;
        let end = line + 2 + size + 2;
        if input.len() < end {
            return Ok(None);
        }
        body.extend_from_slice(&input[line + 2..end - 2]);
        input = &input[end..];
        if size == 0 {
            return Ok(Some((body, whole - input.len())));
        }
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}
