//! How a hold ends → the bytes of the HTTP answer. The only file, beside `policy::signal` for refusals, that knows both HTTP status
//! and EAS status.

use std::io::Write;

use super::decide::{PingRefusal, SyncRefusal};
use super::eas::ping::{PingAnswer, encode_changes};
use super::eas::sync::SyncAnswer;
use super::eas::{Command, status};
use super::hold::Outcome;

/// The WBXML media type every EAS client accepts.
pub const WBXML_TYPE: &str = "application/vnd.ms-sync.wbxml";

/// The head of a Ping's answer, up to its length; the type is [`WBXML_TYPE`].
const TYPED: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/vnd.ms-sync.wbxml\r\nContent-Length: ";

/// `Strict-Transport-Security` of our own answers: whoever looks in with a browser does not come back without TLS.
pub const HTTPS_ONLY: &str = "max-age=31536000";

/// Seconds a device is asked to stay away when there is no room for its Ping.
pub const RETRY_AFTER_S: u32 = 300;

impl Outcome {
    /// Label of metrics and logs.
    pub fn label(&self) -> &'static str {
        match self {
            Outcome::Expired => "expired",
            Outcome::Changed(_) => "changed",
            Outcome::Refused(PingRefusal::MissingParameters) => "missing_parameters",
            Outcome::Refused(PingRefusal::HeartbeatOutOfRange { .. }) => "heartbeat_out_of_range",
            Outcome::Refused(PingRefusal::TooManyFolders { .. }) => "too_many_folders",
            Outcome::HierarchyChanged => "hierarchy_changed",
            Outcome::VerdictLost => "verdict_lost",
            Outcome::Replaced => "replaced",
            Outcome::Drained => "drained",
            Outcome::Overloaded => "overloaded",
        }
    }

    /// Whether the connection closes with the answer.
    pub fn closes(&self) -> bool {
        matches!(self, Outcome::Drained | Outcome::Replaced)
    }

    /// The Ping status that stands for it; `None`: no EAS answer but an HTTP refusal.
    fn encode_into(&self, body: &mut Vec<u8>) -> bool {
        let answer = match self {
            Outcome::Changed(folders) => {
                encode_changes(folders.iter().map(|id| id.as_str()), body);
                return true;
            }
            Outcome::Expired | Outcome::VerdictLost | Outcome::Replaced | Outcome::Drained => PingAnswer::Expired,
            Outcome::Refused(PingRefusal::MissingParameters) => PingAnswer::MissingParameters,
            Outcome::Refused(PingRefusal::HeartbeatOutOfRange { heartbeat_s }) => {
                PingAnswer::HeartbeatOutOfRange { heartbeat_s: *heartbeat_s }
            }
            Outcome::Refused(PingRefusal::TooManyFolders { max }) => PingAnswer::TooManyFolders { max: *max as u32 },
            Outcome::HierarchyChanged => PingAnswer::HierarchyChanged,
            Outcome::Overloaded => return false,
        };
        answer.encode_into(body);
        true
    }
}

impl SyncRefusal {
    /// Label of metrics.
    pub fn label(self) -> &'static str {
        match self {
            SyncRefusal::TwoWaits => "two_waits",
            SyncRefusal::Incomplete => "incomplete",
            SyncRefusal::WaitOutOfRange { .. } => "wait_out_of_range",
            SyncRefusal::TooManyCollections { .. } => "too_many_collections",
        }
    }

    /// The body that says so.
    pub fn encode(self) -> Vec<u8> {
        let (status, limit) = match self {
            SyncRefusal::TwoWaits => (4, None),
            SyncRefusal::Incomplete => (13, None),
            SyncRefusal::WaitOutOfRange { limit } => (14, Some(limit)),
            SyncRefusal::TooManyCollections { max } => (15, u32::try_from(max).ok()),
        };
        SyncAnswer { status: Some(status), limit, ..SyncAnswer::default() }.encode()
    }
}

/// Sync's status for "the folder list changed".
const SYNC_HIERARCHY_CHANGED: u16 = 12;

/// Writes the answer to a held Ping into `out`, all of it; `date` is the value of the Date header, `body` is scratch space.
pub fn write_answer(outcome: &Outcome, closes: bool, date: &str, body: &mut Vec<u8>, out: &mut Vec<u8>) {
    body.clear();
    let is_answer = outcome.encode_into(body);
    write_http(is_answer, closes, date, body, out);
}

/// The same for a hanging Sync. A change is not among its outcomes: its answer is the backend's. "Nothing changed" is an empty body.
pub fn write_sync_answer(outcome: &Outcome, closes: bool, date: &str, body: &mut Vec<u8>, out: &mut Vec<u8>) {
    body.clear();
    if *outcome == Outcome::HierarchyChanged {
        body.extend(status::answer(Command::Sync, SYNC_HIERARCHY_CHANGED).unwrap_or_default());
    }
    write_http(*outcome != Outcome::Overloaded, closes, date, body, out);
}

/// In pieces: this runs for every wake, and one `write!` of it all takes several times as long.
fn write_http(is_answer: bool, closes: bool, date: &str, body: &[u8], out: &mut Vec<u8>) {
    out.clear();
    out.extend_from_slice(match (is_answer, body.is_empty()) {
        (true, false) => TYPED.as_bytes(),
        // An empty body has no type.
        (true, true) => b"HTTP/1.1 200 OK\r\nContent-Length: ",
        (false, _) => b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: ",
    });
    let _ = write!(out, "{}", if is_answer { body.len() } else { 0 });
    out.extend_from_slice(b"\r\nDate: ");
    out.extend_from_slice(date.as_bytes());
    if is_answer {
        out.extend_from_slice(b"\r\nCache-Control: private");
    } else {
        let _ = write!(out, "\r\nRetry-After: {RETRY_AFTER_S}");
    }
    out.extend_from_slice(b"\r\nStrict-Transport-Security: ");
    out.extend_from_slice(HTTPS_ONLY.as_bytes());
    out.extend_from_slice(if closes { b"\r\nConnection: close\r\n\r\n" } else { b"\r\n\r\n" });
    out.extend_from_slice(body);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logic::eas::FolderId;

    fn written(outcome: &Outcome) -> (String, Vec<u8>) {
        let (mut body, mut out) = (Vec::new(), Vec::new());
        write_answer(outcome, outcome.closes(), "Thu, 01 Jan 1970 00:00:00 GMT", &mut body, &mut out);
        let head_end = out.windows(4).position(|w| w == b"\r\n\r\n").expect("a head") + 4;
        (String::from_utf8(out[..head_end].to_vec()).expect("ASCII"), out[head_end..].to_vec())
    }

    #[test]
    fn every_outcome_is_a_complete_answer_with_its_status() {
        let changed = Outcome::Changed(vec![FolderId::new("5").expect("short")]);
        let cases = [
            (Outcome::Expired, 1),
            (changed, 2),
            (Outcome::Refused(PingRefusal::MissingParameters), 3),
            (Outcome::Refused(PingRefusal::HeartbeatOutOfRange { heartbeat_s: 60 }), 5),
            (Outcome::Refused(PingRefusal::TooManyFolders { max: 200 }), 6),
            (Outcome::HierarchyChanged, 7),
            (Outcome::VerdictLost, 1),
            (Outcome::Replaced, 1),
            (Outcome::Drained, 1),
        ];
        for (outcome, status) in cases {
            let (head, body) = written(&outcome);
            assert_eq!(PingAnswer::parse(&body).expect("WBXML").status(), status, "{outcome:?}");
            assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())), "{head}");
            assert_eq!(head.contains("Connection: close"), outcome.closes(), "{outcome:?}");
        }
    }

    #[test]
    fn a_hanging_sync_ends_with_an_empty_body_or_a_status() {
        let written = |outcome: &Outcome| {
            let (mut body, mut out) = (vec![1], vec![2]);
            write_sync_answer(outcome, outcome.closes(), "Thu, 01 Jan 1970 00:00:00 GMT", &mut body, &mut out);
            let head_end = out.windows(4).position(|w| w == b"\r\n\r\n").expect("a head") + 4;
            (String::from_utf8(out[..head_end].to_vec()).expect("ASCII"), out[head_end..].to_vec())
        };
        for outcome in [Outcome::Expired, Outcome::Replaced, Outcome::Drained] {
            let (head, body) = written(&outcome);
            assert!(head.starts_with("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n"), "{head}");
            assert_eq!((body.len(), head.contains("Connection: close")), (0, outcome.closes()));
        }
        let (_, body) = written(&Outcome::HierarchyChanged);
        assert_eq!(SyncAnswer::parse(&body).map(|answer| answer.status), Ok(Some(12)));
        assert!(written(&Outcome::Overloaded).0.starts_with("HTTP/1.1 503 "));
    }

    #[test]
    fn a_refused_sync_names_what_is_legal() {
        let cases = [
            (SyncRefusal::TwoWaits, 4, None),
            (SyncRefusal::Incomplete, 13, None),
            (SyncRefusal::WaitOutOfRange { limit: 59 }, 14, Some(59)),
            (SyncRefusal::TooManyCollections { max: 200 }, 15, Some(200)),
        ];
        for (refusal, status, limit) in cases {
            let answer = SyncAnswer::parse(&refusal.encode()).expect("WBXML");
            assert_eq!((answer.status, answer.limit), (Some(status), limit));
        }
    }

    #[test]
    fn no_room_is_an_http_refusal_that_devices_respect() {
        let (head, body) = written(&Outcome::Overloaded);
        assert!(head.starts_with("HTTP/1.1 503 ") && head.contains("Retry-After: 300") && body.is_empty(), "{head}");
    }
}
