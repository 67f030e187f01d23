//! What is written, seen by a writer of the test's own.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::{Registry, fmt};

use super::repeats::REPEATS;
use super::{begin_debug_log, debug_log_of, end_debug_log, lines, put_in_force, wanted};
use crate::config::Config;
use crate::config::limits::LOG_REPEATS_MAX;
use crate::logic::eas::Mailbox;

#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("sound").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What is logged while `act` runs, with these settings.
fn logged(settings: &str, act: impl FnOnce()) -> String {
    // The settings are those of the process: one test at a time.
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let config = |text: &str| Config::parse(text, std::iter::empty()).expect("valid").log;
    let written = Written::default();
    let writer = written.clone();
    let layer = fmt::layer::<Registry>().with_writer(move || writer.clone()).with_ansi(false);
    let layer = layer.fmt_fields(lines::SpanFields).event_format(lines::Lines).with_filter(wanted::Wanted);
    put_in_force(&config(settings));
    REPEATS.end_window();
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), act);
    put_in_force(&config(""));
    let bytes = std::mem::take(&mut *written.0.lock().expect("sound"));
    String::from_utf8(bytes).expect("text")
}

fn mailbox(name: &str) -> Mailbox {
    Mailbox::normalise(name, None, true).expect("a mailbox")
}

/// An exchange, as the gateway tells of it.
fn exchange(mailbox: &str) {
    let span = tracing::debug_span!("exchange", id = "x1", peer = "192.0.2.7:4711", mailbox = tracing::field::Empty);
    span.in_scope(|| {
        tracing::debug!("before anybody knows whose it is");
        tracing::Span::current().record("mailbox", mailbox);
        tracing::debug!(device = "phone1", status = 200_u16, "request of it");
    });
    tracing::debug!(mailbox, held_s = 9_u64, "waits in a lot");
}

#[test]
fn libraries_are_never_louder_than_warnings() {
    let log = logged("log.level = \"trace\"", || {
        tracing::info!(target: "hyper::proto", "of a library");
        tracing::warn!(target: "hyper::proto", "of a library that warns");
        tracing::trace!("ours");
    });
    assert!(log.contains("hyper::proto: of a library that warns") && log.contains("ours") && !log.contains("of a library\n"), "{log}");
    let log = logged("log.level = \"error\"", || tracing::warn!(target: "hyper::proto", "of a library that warns"));
    assert_eq!(log, "");
}

#[test]
fn a_line_that_repeats_is_counted_instead_of_written() {
    let log = logged("", || {
        let say = |times: u32| (0..times).for_each(|_| tracing::warn!("again and again"));
        say(LOG_REPEATS_MAX + 7);
        tracing::warn!("something else");
        super::end_window();
        say(3);
    });
    assert_eq!(log.matches("again and again").count(), LOG_REPEATS_MAX as usize + 3, "a new window began");
    assert_eq!(log.matches("something else").count(), 1);
    assert!(log.contains("left_out=7") && log.contains("place=\"pushgate::telemetry::log::tests:"), "{log}");
    let log = logged("log.level = \"debug\"", || (0..1_000).for_each(|_| tracing::debug!("all of it")));
    assert_eq!(log.matches("all of it").count(), 1_000, "whoever asks for debugging wants all");
}

#[test]
fn fields_stand_behind_the_message_and_spans_in_front() {
    let log = logged("log.level = \"debug\"", || exchange("hew@example.org"));
    let lines: Vec<&str> = log.lines().map(|line| line.split_once("DEBUG ").expect("a level").1).collect();
    assert_eq!(
        lines,
        [
            "exchange{id=x1 peer=192.0.2.7:4711}: pushgate::telemetry::log::tests: before anybody knows whose it is",
            "exchange{id=x1 peer=192.0.2.7:4711 mailbox=hew@example.org}: pushgate::telemetry::log::tests: request of it device=\"phone1\" status=200",
            "pushgate::telemetry::log::tests: waits in a lot mailbox=\"hew@example.org\" held_s=9",
        ]
    );
}

#[test]
fn json_has_the_same_with_pseudonyms() {
    let settings = "log = { level = \"debug\", format = \"json\", redact = \"hash\" }";
    let log = logged(settings, || exchange("hew@example.org"));
    let lines: Vec<serde_json::Value> = log.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert!(log.starts_with("{\"timestamp\":\"20"), "{log}");
    assert_eq!((lines.len(), &lines[1]["message"], &lines[1]["status"]), (3, &"request of it".into(), &200.into()));
    let (of_span, of_line) = (&lines[1]["span"]["mailbox"], &lines[2]["mailbox"]);
    assert!(of_span == of_line && of_span.as_str().expect("text").starts_with("m-"), "{log}");
    assert!(lines[1]["device"].as_str().expect("text").starts_with("d-"));
    let peer = lines[0]["span"]["peer"].as_str().expect("text");
    assert!(peer.starts_with("a-") && peer.ends_with(":4711"), "{peer}");
    for name in ["hew", "phone1", "192.0.2.7"] {
        assert!(!log.contains(name), "{log}");
    }
}

#[test]
fn nobody_begins_a_line_of_their_own() {
    let log = logged("", || tracing::info!(to = "a\n2026 INFO forged", policy = %"b\n\u{1b}[2J", "hello {}", "there\nforged"));
    assert_eq!(log.lines().count(), 1, "{log}");
    assert!(!log.contains('\u{1b}'), "{log}");
}

#[test]
fn a_debug_log_is_of_one_mailbox_whatever_the_level() {
    let (hew, long) = (mailbox("hew-debugged@example.org"), Duration::from_secs(60));
    let log = logged("log.level = \"info\"", || {
        exchange(hew.as_str());
        begin_debug_log(&hew, long).expect("there is room");
        exchange(hew.as_str());
        exchange("anna@example.org");
        assert!(debug_log_of(&hew).is_some());
        assert!(end_debug_log(&hew) && !end_debug_log(&hew));
        exchange(hew.as_str());
    });
    assert_eq!(log.matches("debugging=true").count(), 2, "{log}");
    assert!(log.contains("request of it") && log.contains("waits in a lot"), "{log}");
    assert!(!log.contains("anna") && !log.contains("before anybody knows"), "{log}");
}

#[test]
fn a_debug_log_ends_with_its_time() {
    let hew = mailbox("hew-timed@example.org");
    let log = logged("", || {
        begin_debug_log(&hew, Duration::ZERO).expect("there is room");
        exchange(hew.as_str());
        assert_eq!(debug_log_of(&hew), None);
        super::end_window();
    });
    assert!(!log.contains("debugging=true") && log.contains("ends: its time is over"), "{log}");
}
