//! What devices send.

use crate::case::{Case, shown, table};
use crate::recorder::Recorder;
use crate::scene::{Gateway, gateway};

/// Refused as 400 with the connection closed (`400 close`), answered with a status of ours and the connection in step behind it
/// (`405 keep`), or forwarded as exactly the bytes behind `=>`, one line a request.
const TABLE: &str = include_str!("requests.txt");

/// Asked behind whatever left the connection open.
const PROBE: &str = "GET /probe HTTP/1.1\r\nHost: localhost\r\n\r\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_has_two_readings_is_refused_and_reaches_nobody() {
    let backend = Recorder::start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    let eas = "/Microsoft-Server-ActiveSync?Cmd=Settings&User=hew&DeviceId=Raw1&DeviceType=SmartPhone";
    let words = [
        ("{post}", r"POST /x HTTP/1.1\r\nHost: localhost\r\n"),
        ("{get}", r"GET /x HTTP/1.1\r\nHost: localhost\r\n"),
        (
            "{eas}",
            &format!(r"POST {eas} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic aGV3OnRlc3Q=\r\nMS-ASProtocolVersion: 14.1\r\n"),
        ),
        ("{chunked}", r"POST /x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"),
        ("{smuggled}", r"GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        ("{us}", r"x-forwarded-for: 127.0.0.1\r\nx-forwarded-proto: https\r\nx-forwarded-host: localhost\r\n"),
    ];
    let cases = table(TABLE, &words);
    assert!(cases.len() >= 150, "{} cases", cases.len());
    // Known from here on: what is read before it is passed on asks nobody first.
    let first = &table(r"400 | first | {eas}Transfer-Encoding: chunked\r\n\r\nx", &words)[0];
    gateway.line().await.ask(first.bytes.clone()).await;
    let mut complaints = Vec::new();
    for case in &cases {
        // Whole, and then in two pieces that part it in the middle: what is refused may not depend on what arrives when.
        for is_in_pieces in [false, true] {
            let outcome = run(case, &gateway, &backend, is_in_pieces).await;
            if let Err(complaint) = outcome {
                complaints.push(format!("{} ({}): {complaint}", case.name, if is_in_pieces { "in pieces" } else { "whole" }));
            }
        }
    }
    assert!(complaints.is_empty(), "{} of {} cases:\n{}", complaints.len(), cases.len(), complaints.join("\n"));
    println!("    requests: {} cases, whole and in pieces", cases.len());
}

async fn run(case: &Case, gateway: &Gateway, backend: &Recorder, is_in_pieces: bool) -> Result<(), String> {
    let mut line = gateway.line().await;
    backend.take();
    if is_in_pieces {
        let (first, second) = case.bytes.split_at(case.bytes.len() / 2);
        line.send(first).await;
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        // It may be refused by now.
        let _ = line.try_send(second).await;
    } else {
        line.send(case.bytes.clone()).await;
    }
    let (status, after) = case.expected.split_once(' ').unwrap_or((&case.expected, ""));
    let is_to_head = case.bytes.starts_with(b"HEAD ");
    let answers = if status == "forward" { case.then.len() } else { 1 };
    let mut statuses = Vec::new();
    for _ in 0..answers {
        let answer = tokio::time::timeout(crate::scene::SOON, line.try_answer(is_to_head)).await;
        let answer = answer.map_err(|_| format!("no answer after {statuses:?}"))?;
        if answer.is_err() && is_in_pieces && after == "close" && backend.take() == case.then.concat() {
            // What it sent after the refusal resets the connection, and the refusal may be lost with it.
            return Ok(());
        }
        let answer = answer.map_err(|_| format!("closed after {statuses:?}"))?;
        statuses.push(answer.status.to_string());
    }
    let expected_status = if status == "forward" { "200" } else { status };
    if statuses.iter().any(|status| status != expected_status) {
        return Err(format!("answered {statuses:?}; the backend saw {}", shown(&backend.take())));
    }
    let mut expected: Vec<u8> = case.then.concat();
    match after {
        "close" => {
            // Sooner than any clock that closes silent connections.
            let rest =
                tokio::time::timeout(std::time::Duration::from_secs(5), line.rest()).await.map_err(|_| "the connection stays open")?;
            if !rest.is_empty() {
                return Err(format!("more behind the answer: {}", shown(&rest)));
            }
        }
        // In step: the next request is taken for what it is, and comes to the backend as that.
        _ => {
            line.send(PROBE).await;
            let answer = line.try_answer(false).await.map_err(|_| "closed before the probe".to_owned())?;
            if answer.status != 200 || answer.body != b"ok" {
                return Err(format!("the probe got {}", answer.status));
            }
            expected.extend_from_slice(
                b"GET /probe HTTP/1.1\r\nHost: localhost\r\nx-forwarded-for: 127.0.0.1\r\nx-forwarded-proto: https\r\nx-forwarded-host: localhost\r\n\r\n",
            );
        }
    }
    let seen = backend.take();
    if seen == expected {
        Ok(())
    } else {
        Err(format!("the backend saw\n      {}\n   instead of\n      {}", shown(&seen), shown(&expected)))
    }
}
