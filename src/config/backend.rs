//! `[backend]`: what follows from the kind of server, and addresses.

use std::path::PathBuf;

use super::values::Values;
use super::{Backend, BackendKind, Resolve, seconds, some_text};

/// A device in doubt costs one request: no backend notices so few.
const RESOLVE_PER_S_MIN: u32 = 20;

pub(super) fn build(v: &mut Values) -> Backend {
    let kind = match v.text("backend", "kind").as_str() {
        "exchange" => BackendKind::Exchange,
        "sogo" => BackendKind::Sogo,
        "z-push" => BackendKind::ZPush,
        "grommunio" => BackendKind::Grommunio,
        "horde" => BackendKind::Horde,
        _ => BackendKind::Other,
    };
    let preset_heartbeat_s = match kind {
        BackendKind::Sogo => 10,
        BackendKind::ZPush | BackendKind::Grommunio => 1,
        BackendKind::Exchange | BackendKind::Horde | BackendKind::Other => 60,
    };
    // What a server of the usual size bears for minutes, and more than its devices ask for on a busy day.
    let preset_per_s: u32 = match kind {
        BackendKind::Sogo | BackendKind::Horde => 200,
        BackendKind::ZPush => 300,
        BackendKind::Grommunio => 500,
        BackendKind::Exchange => 1_000,
        BackendKind::Other => 0,
    };
    let check_heartbeat_s = v.int("backend", "check_heartbeat_s");
    let url = backend_urls(v);
    let requests_per_s = match v.int("backend", "requests_per_s") {
        0 => preset_per_s * url.len() as u32,
        written => written,
    };
    // After a restart everybody is in doubt: as fast as the rate leaves room for, since until then changes may go untold.
    let resolve_per_s = match v.int("backend", "resolve_per_s") {
        0 => (requests_per_s / 4).max(RESOLVE_PER_S_MIN),
        written => written,
    };
    Backend {
        url,
        kind,
        ca: some_text(v, "backend", "ca").map(PathBuf::from),
        resolve: if v.text("backend", "resolve") == "check" { Resolve::Check } else { Resolve::Sync },
        resolve_per_s,
        check_heartbeat_s: if v.is_written("backend", "check_heartbeat_s") { check_heartbeat_s } else { preset_heartbeat_s },
        checks_max: v.int("backend", "checks_max"),
        poll_interval: seconds(v, "backend", "poll_interval_s"),
        connect_timeout: seconds(v, "backend", "connect_timeout_s"),
        answer_timeout: seconds(v, "backend", "answer_timeout_s"),
        connections_max: v.int("backend", "connections_max"),
        requests_per_s,
        down: seconds(v, "backend", "down_s"),
    }
}

fn backend_urls(v: &mut Values) -> Vec<http::Uri> {
    let written = v.texts("backend", "url");
    let mut urls = Vec::with_capacity(written.len());
    for text in &written {
        let uri = text.parse::<http::Uri>().ok();
        let usable =
            uri.filter(|u| matches!(u.scheme_str(), Some("http" | "https")) && u.authority().is_some() && matches!(u.path(), "" | "/"));
        match usable {
            // Not repeated: it may be a password.
            _ if text.contains('@') => v.problem("backend.url", "has a user or a password before the host: devices bring their own"),
            Some(uri) => urls.push(uri),
            None => v.problem("backend.url", format!("\"{text}\" is not http(s)://host[:port] without a path")),
        }
    }
    if written.is_empty() {
        v.problem("backend.url", "is empty: name at least one backend");
    }
    urls
}
