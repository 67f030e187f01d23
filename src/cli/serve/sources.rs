//! Where sources meet the rest: the supervisor → the lots, and what people are shown of it.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::watch;

use crate::admin::{ClassStatus, SourceStatus};
use crate::config::{self, limits::PROVEN_TRUST};
use crate::gateway::Gateway;
use crate::logic::source::Covered;
use crate::notify::supervisor::{CanaryFate, ClassView, SourceView};
use crate::notify::{Source, Supervisor};

/// Tells the lots what the sources cover, now and whenever it changes, for ever. Of several changes at once only the last
/// matters; a new epoch in any of them begins one.
pub(super) async fn tell_lots(gateway: Arc<Gateway>, mut covered: watch::Receiver<Covered>) {
    let trust = gateway.config.notify.trust;
    let (mut epochs, mut epoch) = (0, 0);
    loop {
        let Covered { classes, hierarchy, is_lasting, epochs: begun } = *covered.borrow_and_update();
        if begun > epochs {
            // Above every number read so far: whatever was proven up to now rests on a source that had a gap.
            (epochs, epoch) = (begun, gateway.lots.next_number());
        }
        gateway.cover((classes, hierarchy), if is_lasting { trust.max(PROVEN_TRUST) } else { trust }, epoch).await;
        if covered.changed().await.is_err() {
            return;
        }
    }
}

/// Sources, as `/v1/status` shows them.
pub(super) fn source_statuses(supervisor: &Supervisor) -> Vec<SourceStatus> {
    let status = |view: SourceView| SourceStatus {
        source: view.source.label().to_owned(),
        believed: view.is_believed,
        since_s: view.since.as_secs(),
        heard_s: view.heard.map(|ago| ago.as_secs()),
        canary: view.canary.map(|fate| fate_label(fate).to_owned()),
        feed_ms: view.feed.map(|feed| feed.as_secs_f64() * 1_000.0),
        epochs: view.epochs,
    };
    supervisor.sources().into_iter().map(status).collect()
}

/// Classes, as `/v1/status` shows them.
pub(super) fn class_statuses(supervisor: &Supervisor, poll: Duration) -> Vec<ClassStatus> {
    let status = |view: ClassView| ClassStatus {
        class: view.class.name().to_owned(),
        polled_every_s: view.pushed_by.is_empty().then_some(poll.as_secs()),
        pushed_by: view.pushed_by.iter().map(|source| source.label().to_owned()).collect(),
    };
    supervisor.classes().into_iter().map(status).collect()
}

/// One sentence for each source whose failure makes classes slower.
pub(super) fn polled(supervisor: &Supervisor, now: SystemTime) -> Vec<String> {
    let classes = supervisor.classes();
    let failed = supervisor.sources().into_iter().filter(|source| !source.is_believed);
    let sentence = |source: SourceView| {
        let is_slower = |class: &&ClassView| class.pushed_by.is_empty() && class.failed.contains(&source.source);
        let slower: Vec<&str> = classes.iter().filter(is_slower).map(|class| class.class.name()).collect();
        (!slower.is_empty()).then(|| polled_sentence(&slower, source.source, now - source.since))
    };
    failed.filter_map(sentence).collect()
}

fn polled_sentence(classes: &[&str], source: Source, since: SystemTime) -> String {
    let verb = if classes.len() == 1 { "is" } else { "are" };
    let since = httpdate::fmt_http_date(since);
    format!("{} {verb} polled: the canary of {} is missing since {since}.", classes.join(", "), source.label())
}

/// What waits to be cleared up, when it is more than can be at once: for a check, or for a turn to be told to Sync.
pub(super) fn backlog(in_doubt: usize, checks_waiting: usize, checks_running: usize, config: &config::Backend) -> Vec<String> {
    let turns_waiting = in_doubt.saturating_sub(checks_waiting + checks_running);
    let checks = (checks_waiting > config.checks_max)
        .then(|| format!("{checks_waiting} devices wait for a check; backend.checks_max allows {} at once.", config.checks_max));
    let turns = (turns_waiting > config.resolve_per_s as usize).then(|| {
        format!("{turns_waiting} devices wait to be told to Sync; backend.resolve_per_s allows {} a second.", config.resolve_per_s)
    });
    checks.into_iter().chain(turns).collect()
}

/// The line in front of the backend, when it is more than a second long.
pub(super) fn line(waiting: usize, per_s: u32) -> Option<String> {
    let sentence = || format!("{waiting} requests wait for the backend; backend.requests_per_s allows {per_s} a second.");
    (per_s > 0 && waiting > per_s as usize).then(sentence)
}

/// The backend answers no checks, and is asked one at a time with this pause.
pub(super) fn failing_checks(pause: Duration) -> Option<String> {
    let sentence = format!("The backend answers no checks; it is asked again every {} s, one check at a time.", pause.as_secs());
    (!pause.is_zero()).then_some(sentence)
}

fn fate_label(fate: CanaryFate) -> &'static str {
    match fate {
        CanaryFate::Awaited => "awaited",
        CanaryFate::InTime => "in_time",
        CanaryFate::Missing => "missing",
        CanaryFate::Undeliverable => "undeliverable",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readiness_says_what_is_slower_and_why() {
        let since = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_000_000);
        assert_eq!(
            polled_sentence(&["Email"], Source::Dovecot, since),
            "Email is polled: the canary of dovecot is missing since Wed, 18 Nov 2026 11:06:40 GMT."
        );
        assert!(polled_sentence(&["Email", "Notes"], Source::Webhook, since).starts_with("Email, Notes are polled: the canary of webhook"));
    }

    #[test]
    fn readiness_says_what_waits_when_it_is_more_than_a_moments_work() {
        let config = config::Config::parse("", std::iter::empty()).expect("defaults").backend;
        assert_eq!(backlog(4 + 4 + 20, 4, 4, &config), Vec::<String>::new());
        let told = backlog(5 + 4 + 21, 5, 4, &config);
        assert_eq!(told[0], "5 devices wait for a check; backend.checks_max allows 4 at once.");
        assert_eq!(line(200, 200), None);
        assert_eq!(line(201, 200).as_deref(), Some("201 requests wait for the backend; backend.requests_per_s allows 200 a second."));
        assert_eq!(told[1], "21 devices wait to be told to Sync; backend.resolve_per_s allows 20 a second.");
    }
}
