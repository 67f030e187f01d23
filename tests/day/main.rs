//! What a day of 1,000 devices costs the backend, counted: the table of `docs/backend-requests.md`.
//!
//! `cargo test --release --test day -- --nocapture` prints it, `PUSHGATE_BLESS=1` in front of that writes it anew.
//!
//! Real: the lot with all that decides in it (`logic::hold`, `logic::decide`), driven by hand through the day. Modelled:
//! devices (`cost`: how they behave), the gateway around the lot and the backend (`world`), and the same devices without a
//! gateway (`alone`). Nothing waits: a day takes seconds.

#![expect(clippy::unwrap_used, reason = "in a test, a panic is the report")]

mod alone;
mod cost;
mod table;
mod world;

use cost::{Backend, HEARTBEAT_S, Setting};

/// Where the table lives.
const DOCUMENT: &str = "docs/backend-requests.md";

#[test]
fn the_table_is_what_a_day_costs() {
    let table = table::render();
    println!("{table}");
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(DOCUMENT);
    let text = std::fs::read_to_string(&path).unwrap();
    let renewed = table::replace(&text, &table);
    if std::env::var_os("PUSHGATE_BLESS").is_some() {
        std::fs::write(&path, &renewed).unwrap();
    }
    assert!(text == renewed || std::env::var_os("PUSHGATE_BLESS").is_some(), "{DOCUMENT} is out of date; renew it with PUSHGATE_BLESS=1");
}

/// With a source that proves itself and a remembered verdict, only what happens costs anything: a Sync for each mail.
#[test]
fn a_ping_in_step_costs_no_backend_request() {
    let cost = world::day(Backend::Sogo, false, Setting::Lasting);
    let pings = cost.answered_pings;
    assert!(pings > 86_400.0 / f64::from(HEARTBEAT_S), "{pings} Pings a device");
    assert_eq!((cost.pings, cost.options, cost.other), (0.0, 0.0, 0.0));
    assert_eq!(cost.syncs, cost.mails, "one Sync a mail, none for a Ping");
}
