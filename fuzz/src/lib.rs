//! What the fuzzer plays: any bytes in, a panic out if a promise does not hold.
//!
//! One function for each target. `fuzz_targets/` hands them a fuzzer's bytes, `tests/fuzz.rs` the seeds and the inputs that once
//! broke a promise; so a case that was found stays found without a fuzzer. Where a promise is about something that is not public,
//! the library has the entry point beside it (`pushgate::logic::eas::fuzz`, `pushgate::gateway::tls::fuzzing`, …).

pub mod choices;
pub mod http_head;
pub mod ldap;
pub mod lot;
pub mod migrations;
pub mod notifications;
pub mod query;
pub mod record_open;
pub mod wbxml;

/// A target: its name, as of its folders of seeds and regressions, and what plays an input.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const TARGETS: &[Target] = &[
    ("http_head", http_head::play),
    ("ldap", ldap::play),
    ("lot", lot::play),
    ("migrations", migrations::play),
    ("notifications", notifications::play),
    ("proxy_protocol", pushgate::gateway::proxy_protocol::fuzz),
    ("query", query::play),
    ("record_open", record_open::play),
    ("wbxml", wbxml::play),
];
