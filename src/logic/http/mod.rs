//! Where an HTTP/1 message ends, by rules that leave one reading only.
//!
//! hyper parses what devices and backends send, and is as forgiving as servers usually are. Two servers that forgive different
//! things disagree about where a message ends, and what one takes for a body the other takes for a request. So every byte
//! passes here before hyper sees it: whatever RFC 9112 calls malformed, obsolete or a matter of choice in the *framing* of a
//! message is a [`Fault`]. In: bytes as they come, in any pieces. Out: how many of them are good. Nothing is kept but an
//! unfinished line; what a message means is none of this module's business.

mod answer;
mod chunked;
mod field;
mod line;
mod request;
#[cfg(test)]
mod tests;

pub use answer::AnswerFraming;
pub use request::RequestFraming;

/// What is wrong with the framing of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// LF without CR before it, or CR without LF behind it.
    BareLineEnd,
    /// More empty lines before a request than a careless client sends.
    EmptyLines,
    /// No request or status line of HTTP/1.0 or HTTP/1.1.
    FirstLine,
    /// A field that is continued on the next line, without a name, with space before the colon, or with a control character.
    Field,
    /// A length that is no number, or there twice.
    Length,
    /// A transfer coding other than "chunked" alone, or in HTTP/1.0.
    TransferCoding,
    /// A length and a transfer coding.
    LengthAndCoding,
    /// A chunk without a proper size or end.
    Chunk,
    /// Fields behind the last chunk.
    Trailer,
    /// More interim answers than anybody needs.
    InterimAnswers,
    /// An answer that nobody asked for.
    Unasked,
}

impl Fault {
    /// As a metric label.
    pub fn label(self) -> &'static str {
        match self {
            Fault::BareLineEnd => "bare_line_end",
            Fault::EmptyLines => "empty_lines",
            Fault::FirstLine => "first_line",
            Fault::Field => "field",
            Fault::Length => "length",
            Fault::TransferCoding => "transfer_coding",
            Fault::LengthAndCoding => "length_and_coding",
            Fault::Chunk => "chunk",
            Fault::Trailer => "trailer",
            Fault::InterimAnswers => "interim_answers",
            Fault::Unasked => "unasked",
        }
    }
}

/// Bytes that are not as they must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused {
    /// So many bytes before the fault are good. They end inside a line that is not over, so no parser acts on them.
    pub good: usize,
    /// What is wrong.
    pub fault: Fault,
}

/// Takes steps until all of the input is taken; each says how much.
fn follow(input: &[u8], mut step: impl FnMut(&[u8]) -> Result<usize, Refused>) -> Result<(), Refused> {
    let mut at = 0;
    while at < input.len() {
        at += step(&input[at..]).map_err(|refused| Refused { good: at + refused.good, ..refused })?;
    }
    Ok(())
}
