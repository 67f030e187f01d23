use super::*;

/// The outcome must not depend on the pieces in which bytes come; gives the first fault.
fn request(bytes: &[u8]) -> Option<Fault> {
    let whole = RequestFraming::default().pass(bytes).err();
    let mut framing = RequestFraming::default();
    let mut single = None;
    for (at, byte) in bytes.iter().enumerate() {
        if let Err(refused) = framing.pass(std::slice::from_ref(byte)) {
            single = Some(Refused { good: at + refused.good, fault: refused.fault });
            break;
        }
    }
    assert_eq!(whole.map(|refused| refused.fault), single.map(|refused| refused.fault), "{:?}", String::from_utf8_lossy(bytes));
    whole.map(|refused| refused.fault)
}

fn answers(exchanges: &[(&str, &str)]) -> Result<AnswerFraming, Refused> {
    let mut framing = AnswerFraming::default();
    for (request, answer) in exchanges {
        framing.note_sent(request.as_bytes());
        for byte in answer.as_bytes() {
            framing.pass(std::slice::from_ref(byte))?;
        }
    }
    Ok(framing)
}

fn answer(bytes: &str) -> Option<Fault> {
    answers(&[("GET / HTTP/1.1\r\n\r\n", bytes)]).err().map(|refused| refused.fault)
}

#[test]
fn requests_in_a_row_are_followed_to_their_ends() {
    let row = "\r\nPOST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc\r\nGET /b HTTP/1.1\r\n\r\n\
               POST /c HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\n3\r\nGET\r\n0A;x=y\r\n0123456789\r\n0\r\n\r\nGET /d HTTP/1.0\r\n\r\n";
    assert_eq!(request(row.as_bytes()), None);
    assert_eq!(request(format!("{row}X").as_bytes()), None);
    assert_eq!(request(format!("{row}X\r\n").as_bytes()), Some(Fault::FirstLine));
}

#[test]
fn what_is_good_ends_before_the_line_that_is_not() {
    let head = "POST /a HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4";
    let refused = RequestFraming::default().pass(format!("{head}\r\n\r\nabcd").as_bytes()).unwrap_err();
    assert_eq!(refused, Refused { good: head.len() + 1, fault: Fault::Length });
    let bare = RequestFraming::default().pass(b"GET / HTTP/1.1\r\nHost: x\n\nGET /b HTTP/1.1\r\n\r\n").unwrap_err();
    assert_eq!(bare, Refused { good: 23, fault: Fault::BareLineEnd });
}

#[test]
fn an_answer_is_followed_and_the_next_one_must_be_asked_for() {
    let get = "GET / HTTP/1.1\r\n\r\n";
    let plain = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    let chunked = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\n2  \r\nok\r\n0\r\nX-Sum: 1\r\n\r\n";
    assert!(!answers(&[(get, plain), (get, chunked), (get, plain)]).unwrap().is_final());
    assert_eq!(answer(&format!("{plain}H")), Some(Fault::Unasked));
    assert_eq!(answer(&format!("{chunked}H")), Some(Fault::Unasked));
    let head = answers(&[("HEAD / HTTP/1.1\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 200\r\n\r\n")]).unwrap();
    assert!(head.is_final());
    assert_eq!(answer("HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\n"), Some(Fault::Unasked));
}

#[test]
fn a_storm_of_interim_answers_ends() {
    assert_eq!(answer(&"HTTP/1.1 103 Early Hints\r\n\r\n".repeat(16)), None);
    assert_eq!(answer(&"HTTP/1.1 103 Early Hints\r\n\r\n".repeat(17)), Some(Fault::InterimAnswers));
}

#[test]
fn sizes_and_lengths_have_an_end() {
    let chunked = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(request(format!("{chunked}{}", "0".repeat(300)).as_bytes()), Some(Fault::Chunk));
    // As long as a line may be, and one more; whole or byte by byte (`request` looks at both).
    let extended = |bytes: usize| format!("{chunked}1;{}\r\na\r\n0\r\n\r\n", "x".repeat(bytes - 2));
    assert_eq!((request(extended(256).as_bytes()), request(extended(257).as_bytes())), (None, Some(Fault::Chunk)));
    assert_eq!(request(format!("{chunked}FFFFFFFFFFFFF\r\n").as_bytes()), Some(Fault::Chunk));
    assert_eq!(request(b"POST / HTTP/1.1\r\nContent-Length: 9999999999999999\r\n\r\n"), Some(Fault::Length));
    let trailers = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n{}", "a: b\r\n".repeat(2_000));
    assert_eq!(answer(&trailers), Some(Fault::Trailer));
}

proptest::proptest! {
    #[test]
    fn no_bytes_break_it(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..600)) {
        let _ = RequestFraming::default().pass(&bytes);
        let mut answers = AnswerFraming::default();
        answers.note_sent(b"GET ");
        if let Err(refused) = answers.pass(&bytes) {
            assert!(refused.good < bytes.len());
        }
    }
}
