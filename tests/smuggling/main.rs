//! Nothing is smuggled: every case of `requests.txt` and `answers.txt`, over real TLS sockets, in front of a backend that records
//! each byte it is sent.

#![expect(clippy::unwrap_used, reason = "in a test, a panic is the report")]

mod answers;
mod case;
mod recorder;
mod requests;
#[path = "../behaviour/scene/mod.rs"]
#[allow(dead_code, unused_imports, reason = "the stage of the behaviour tests, of which this needs a part")]
mod scene;
