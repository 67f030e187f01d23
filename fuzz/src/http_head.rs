//! Where HTTP messages end: the same in whatever pieces they come, and where the parser behind finds it.

use httparse::{EMPTY_HEADER, Header, Request, Response, Status};
use pushgate::logic::http::{AnswerFraming, Fault, Refused, RequestFraming};

use super::choices::Choices;

/// As many fields as hyper reads of a head.
const FIELDS_MAX: usize = 100;
/// How often the parser behind reads an input from its beginning.
const LOOKS_MAX: usize = 64;
/// Between two answers of an input. It is in no head that passes.
const NEXT_ANSWER: u8 = 0x1e;

/// Byte 0: requests (even) or answers (odd), and for answers whether HEAD was asked for (bit 1). Byte 1: into what pieces the rest is
/// cut. Then the bytes of a connection; answers to different requests have 0x1E between them.
///
/// # Panics
/// When the pieces matter, or a message that passed ends elsewhere for the parser behind.
pub fn play(bytes: &[u8]) {
    let mut choices = Choices::new(bytes);
    let (what, cut) = (choices.byte(), choices.byte());
    if what & 1 == 0 {
        requests(choices.rest(), cut);
    } else {
        answers(choices.rest(), cut, what & 2 != 0);
    }
}

fn requests(bytes: &[u8], cut: u8) {
    let whole = RequestFraming::default().pass(bytes);
    look_at(bytes, &whole);
    let (mut framing, mut at, mut result) = (RequestFraming::default(), 0, Ok(()));
    for (count, piece) in pieces(bytes, cut).enumerate() {
        result = framing.pass(piece).map_err(|refused| Refused { good: at + refused.good, ..refused });
        if result.is_err() {
            break;
        }
        at += piece.len();
        if (count < LOOKS_MAX || at == bytes.len())
            && let Some(is_in_body) = requests_end_in_body(&bytes[..at])
        {
            assert_eq!(framing.is_in_body(), is_in_body, "after {at} bytes the parser behind is elsewhere");
        }
    }
    compare(&whole, &result);
}

fn answers(bytes: &[u8], cut: u8, is_to_head: bool) {
    let request: &[u8] = if is_to_head { b"HEAD / HTTP/1.1\r\n\r\n" } else { b"GET / HTTP/1.1\r\n\r\n" };
    let (mut whole, mut split) = (AnswerFraming::default(), AnswerFraming::default());
    for answer in bytes.split(|byte| *byte == NEXT_ANSWER) {
        whole.note_sent(request);
        split.note_sent(request);
        let passed = whole.pass(answer);
        look_at(answer, &passed);
        let (mut at, mut result) = (0, Ok(()));
        for piece in pieces(answer, cut) {
            result = split.pass(piece).map_err(|refused| Refused { good: at + refused.good, ..refused });
            if result.is_err() {
                break;
            }
            at += piece.len();
        }
        compare(&passed, &result);
        assert_eq!(whole.is_final(), split.is_final(), "whether it was the last depends on the pieces");
        let Ok(()) = passed else { return };
        // Where it is not over, or refused by the parser behind, nothing can be said of what follows.
        let Some(end) = end_of_answer(answer, is_to_head) else { return };
        assert_eq!(end, answer.len(), "for the parser behind the answer ends earlier");
    }
}

fn look_at(bytes: &[u8], passed: &Result<(), Refused>) {
    if let Err(refused) = passed {
        assert!(refused.good < bytes.len(), "{refused:?} of {}", bytes.len());
    }
}

/// What is wrong with a line shows at its end; that it is too long, as soon as it is: there the pieces decide which is found first.
fn compare(whole: &Result<(), Refused>, split: &Result<(), Refused>) {
    let may_be_too_long = |refused: &Refused| matches!(refused.fault, Fault::Chunk | Fault::Trailer);
    match (whole, split) {
        (Ok(()), Ok(())) => {}
        (Err(_), Err(split)) if may_be_too_long(split) => {}
        (Err(whole), Err(split)) => assert_eq!(whole.fault, split.fault, "the pieces matter"),
        _ => panic!("the pieces matter: {whole:?}, in pieces {split:?}"),
    }
}

/// Pieces of one size, or of ever other ones.
fn pieces(bytes: &[u8], cut: u8) -> impl Iterator<Item = &[u8]> {
    let (mut rest, mut state) = (bytes, u32::from(cut));
    std::iter::from_fn(move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let size = if cut < 64 { usize::from(cut) + 1 } else { (state >> 24) as usize % 40 + 1 };
        let (piece, behind) = rest.split_at(size.min(rest.len()));
        rest = behind;
        (!piece.is_empty()).then_some(piece)
    })
}

/// Whether the parser behind, having read this, waits for more of a body; `None` if it refuses it.
fn requests_end_in_body(mut bytes: &[u8]) -> Option<bool> {
    while !bytes.is_empty() {
        let mut fields = [EMPTY_HEADER; FIELDS_MAX];
        let mut request = Request::new(&mut fields);
        let Status::Complete(head) = request.parse(bytes).ok()? else { return Some(false) };
        match after_body(&bytes[head..], body_of(request.headers)?)? {
            Some(rest) => bytes = rest,
            None => return Some(true),
        }
    }
    Some(false)
}

/// Where the parser behind lets an answer end; `None` if it is not over, or refused.
fn end_of_answer(bytes: &[u8], is_to_head: bool) -> Option<usize> {
    let mut at = 0;
    loop {
        let mut fields = [EMPTY_HEADER; FIELDS_MAX];
        let mut response = Response::new(&mut fields);
        let Status::Complete(head) = response.parse(&bytes[at..]).ok()? else { return None };
        at += head;
        match response.code? {
            101 => return None,
            100..200 => {}
            204 | 304 => return Some(at),
            _ if is_to_head => return Some(at),
            _ => {
                let body = body_of(response.headers)?;
                if body == Body::None && !has(response.headers, "content-length") {
                    // Until the connection ends.
                    return None;
                }
                return Some(bytes.len() - after_body(&bytes[at..], body)??.len());
            }
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Body {
    None,
    Length(usize),
    Chunks,
}

fn has(fields: &[Header<'_>], name: &str) -> bool {
    fields.iter().any(|field| field.name.eq_ignore_ascii_case(name))
}

/// What the fields say of the body; `None` if it cannot be understood.
fn body_of(fields: &[Header<'_>]) -> Option<Body> {
    if has(fields, "transfer-encoding") {
        return Some(Body::Chunks);
    }
    let Some(length) = fields.iter().find(|field| field.name.eq_ignore_ascii_case("content-length")) else { return Some(Body::None) };
    match std::str::from_utf8(length.value).ok()?.parse().ok()? {
        0 => Some(Body::None),
        length => Some(Body::Length(length)),
    }
}

/// What follows the body; `Some(None)` if the body is not over, `None` if it is refused.
fn after_body(mut bytes: &[u8], body: Body) -> Option<Option<&[u8]>> {
    match body {
        Body::None => return Some(Some(bytes)),
        Body::Length(length) => return Some(bytes.get(length..)),
        Body::Chunks => {}
    }
    loop {
        let Status::Complete((line, size)) = httparse::parse_chunk_size(bytes).ok()? else { return Some(None) };
        bytes = &bytes[line..];
        if size == 0 {
            let mut fields = [EMPTY_HEADER; FIELDS_MAX];
            return match httparse::parse_headers(bytes, &mut fields).ok()? {
                Status::Complete((trailer, _)) => Some(Some(&bytes[trailer..])),
                Status::Partial => Some(None),
            };
        }
        let Some(rest) = usize::try_from(size).ok().and_then(|size| bytes.get(size.checked_add(2)?..)) else { return Some(None) };
        bytes = rest;
    }
}
