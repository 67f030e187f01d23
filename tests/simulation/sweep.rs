//! Many seeds in a row, with all guards or without one.

use pushgate::logic::hold::guards::Guards;

use crate::world::{Stats, run};

/// A window through which a wake could get lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Window {
    SyncToPing,
    CheckToRegistration,
    DeadConnection,
    Restart,
    ListReplaced,
    NotLearnt,
    Outrun,
    FullInbox,
}

#[allow(dead_code, reason = "the runner names windows, the tests know theirs")]
impl Window {
    pub const ALL: [Window; 8] = [
        Window::SyncToPing,
        Window::CheckToRegistration,
        Window::DeadConnection,
        Window::Restart,
        Window::ListReplaced,
        Window::NotLearnt,
        Window::Outrun,
        Window::FullInbox,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Window::SyncToPing => "sync-to-ping",
            Window::CheckToRegistration => "check-to-registration",
            Window::DeadConnection => "dead-connection",
            Window::Restart => "restart",
            Window::ListReplaced => "list-replaced",
            Window::NotLearnt => "not-learnt",
            Window::Outrun => "outrun",
            Window::FullInbox => "full-inbox",
        }
    }

    pub fn named(name: &str) -> Option<Window> {
        Window::ALL.into_iter().find(|window| window.name() == name)
    }

    fn without(window: Option<Window>) -> Guards {
        let mut guards = Guards::default();
        match window {
            None => {}
            Some(Window::SyncToPing) => guards.sync_to_ping = false,
            Some(Window::CheckToRegistration) => guards.check_to_registration = false,
            Some(Window::DeadConnection) => guards.dead_connection = false,
            Some(Window::Restart) => guards.restart = false,
            Some(Window::ListReplaced) => guards.list_replaced = false,
            Some(Window::NotLearnt) => guards.not_learnt = false,
            Some(Window::Outrun) => guards.outrun = false,
            Some(Window::FullInbox) => guards.full_inbox = false,
        }
        guards
    }
}

/// Plays `count` seeds; stops at the first that fails, and says how to play it again.
pub fn sweep(from: u64, count: u64, window: Option<Window>, is_traced: bool) -> Result<Stats, String> {
    let mut total = Stats::default();
    for seed in from..from + count {
        let stats = run(seed, Window::without(window), is_traced).map_err(|error| {
            let without = window.map_or_else(String::new, |window| format!(" --window {}", window.name()));
            format!("seed {seed}: {error}\n  again: cargo sim -- --seed {seed}{without}")
        })?;
        total.add(&stats);
    }
    Ok(total)
}
