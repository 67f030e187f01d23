//! What backends answer.

use crate::case::{Case, shown, table};
use crate::recorder::Recorder;
use crate::scene::{Gateway, gateway};

/// `502`: not passed on. `cut`: begun, and then the device's connection ends without the answer's end. `200`, `204`, …: passed on.
/// Afterwards another device asks for something else, twice, and gets exactly that, whatever was left on the backend's connection.
const TABLE: &str = include_str!("answers.txt");

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unclear_answer_never_becomes_somebody_elses() {
    let backend = Recorder::start().await;
    let gateway = gateway().behind(backend.url()).set("backend.answer_timeout_s", 2).set("limits.body_idle_s", 2).start().await;
    let words = [("{ok}", r"HTTP/1.1 200 OK\r\n"), ("{evil}", r"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")];
    let cases = table(TABLE, &words);
    assert!(cases.len() >= 40, "{} cases", cases.len());
    let mut complaints = Vec::new();
    for case in &cases {
        if let Err(complaint) = run(case, &gateway, &backend).await {
            complaints.push(format!("{}: {complaint}", case.name));
        }
    }
    assert!(complaints.is_empty(), "{} of {} cases:\n{}", complaints.len(), cases.len(), complaints.join("\n"));
    println!("    answers: {} cases, {} connections to the backend", cases.len(), backend.connections());
}

async fn run(case: &Case, gateway: &Gateway, backend: &Recorder) -> Result<(), String> {
    let (method, name) = case.name.split_once(' ').unwrap();
    assert!(["GET", "HEAD", "POST"].contains(&method), "{name} begins with a method");
    backend.answer_with(&case.bytes);
    let mut line = gateway.line().await;
    let body = if method == "POST" { "Content-Length: 1\r\n\r\nx" } else { "\r\n" };
    line.send(format!("{method} /x HTTP/1.1\r\nHost: localhost\r\n{body}")).await;
    let answer = line.try_answer(method == "HEAD").await;
    let found = match &answer {
        Ok(answer) => answer.status.to_string(),
        Err(_) => "cut".to_owned(),
    };
    if found != case.expected {
        return Err(format!("{found}, {:?}", answer.map(|answer| shown(&answer.body))));
    }
    if let (Ok(answer), Some(expected)) = (&answer, case.then.first())
        && answer.body != *expected
    {
        return Err(format!("the body is {}", shown(&answer.body)));
    }
    for number in 0..2 {
        let mut other = gateway.line().await;
        let next = other.ask(format!("GET /next{number} HTTP/1.1\r\nHost: localhost\r\n\r\n")).await;
        if next.status != 200 || next.body != b"ok" {
            return Err(format!("somebody else got {} {}", next.status, shown(&next.body)));
        }
    }
    Ok(())
}
