//! Canaries over a real socket and through commands, from delivery to belief.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::timeout;

use super::standin_lmtp::{Manner, StandinLmtp};
use super::supervisor::{CanaryFate, SourceView};
use super::{ChangeSink, Intake, Overloaded, Source, Supervisor, Woken};
use crate::config::{CanaryWay, Config};
use crate::logic::eas::Class;
use crate::logic::hold::MailboxChange;
use crate::logic::source::Covered;

/// Between two canaries, and until one is missing. Real time, because sockets are; long enough for a busy machine.
const EVERY: Duration = Duration::from_millis(500);
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Default)]
struct Sink(Mutex<Vec<MailboxChange>>);

impl ChangeSink for Sink {
    fn changed(&self, _source: Source, changes: Vec<MailboxChange>) -> Result<Woken, Overloaded> {
        self.0.lock().expect("sound").extend(changes);
        Ok(Woken::default())
    }
}

/// A mail server that notifies as Dovecot does, unless it is told not to; and a supervisor that watches it.
struct Scene {
    server: StandinLmtp,
    notifies: Arc<AtomicBool>,
    tells_subject: Arc<AtomicBool>,
    sink: Arc<Sink>,
    supervisor: Arc<Supervisor>,
    covered: watch::Receiver<Covered>,
    running: AbortHandle,
}

impl Drop for Scene {
    fn drop(&mut self) {
        self.running.abort();
    }
}

impl Scene {
    async fn start() -> Scene {
        let config = Config::parse("[notify.canary]\nmailbox = \"canary@example.org\"\n", std::iter::empty()).expect("valid");
        let (mut notify, mailboxes) = (config.notify, config.mailbox);
        let (notifies, tells_subject) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicBool::new(true)));
        let sink = Arc::new(Sink::default());
        let intake: Arc<Mutex<Option<Intake>>> = Arc::default();
        let (taken_by, is_on, with_subject) = (intake.clone(), notifies.clone(), tells_subject.clone());
        let server = StandinLmtp::start(Manner::Good, move |message| {
            let subject = message.lines().find_map(|line| line.strip_prefix("Subject: ")).expect("a subject");
            let subject = if with_subject.load(Ordering::SeqCst) { format!(",\"subject\":\"{subject}\"") } else { String::new() };
            let body = format!(
                r#"{{"user":"canary@example.org","event":"messageNew","folder":"INBOX","imap-uidvalidity":1,"imap-uid":1{subject}}}"#
            );
            if let (true, Some(intake)) = (is_on.load(Ordering::SeqCst), &*taken_by.lock().expect("sound")) {
                intake.take(Source::Dovecot, body.as_bytes()).expect("taken");
            }
        })
        .await;
        let canary = notify.canary.as_mut().expect("on");
        canary.way = CanaryWay::Lmtp(server.address());
        (canary.every, canary.late) = (EVERY, EVERY);
        let supervisor = Arc::new(Supervisor::new(&notify));
        *intake.lock().expect("sound") = Some(Intake::new(sink.clone(), &mailboxes, &notify, supervisor.clone()));
        let covered = supervisor.subscribe();
        let running = tokio::spawn(supervisor.clone().run()).abort_handle();
        Scene { server, notifies, tells_subject, sink, supervisor, covered, running }
    }

    fn dovecot(&self) -> SourceView {
        self.supervisor.sources().into_iter().find(|view| view.source == Source::Dovecot).expect("on")
    }

    /// Waits until the last canary met this fate.
    async fn fate(&self, fate: CanaryFate) {
        let seen = async {
            while self.dovecot().canary != Some(fate) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(PATIENCE, seen).await.unwrap_or_else(|_| panic!("not {fate:?} but {:?}", self.dovecot()));
    }

    async fn covered(&mut self, is_meant: impl FnMut(&Covered) -> bool) -> Covered {
        *timeout(PATIENCE, self.covered.wait_for(is_meant)).await.expect("in time").expect("running")
    }
}

#[tokio::test]
async fn a_canary_that_comes_back_measures_the_feed_and_reaches_no_lot() {
    let scene = Scene::start().await;
    scene.fate(CanaryFate::InTime).await;
    let view = scene.dovecot();
    assert!(view.is_believed && view.epochs == 0 && view.heard.is_some(), "{view:?}");
    assert!(view.feed.is_some_and(|feed| feed < EVERY), "{view:?}");
    assert!(scene.sink.0.lock().expect("sound").is_empty());
    assert!(scene.server.messages()[0].contains("\r\nSubject: pushgate canary "));
}

#[tokio::test]
async fn a_missing_canary_uncovers_and_its_return_begins_a_new_epoch() {
    for tells_subject in [true, false] {
        let mut scene = Scene::start().await;
        scene.tells_subject.store(tells_subject, Ordering::SeqCst);
        scene.fate(CanaryFate::InTime).await;
        scene.notifies.store(false, Ordering::SeqCst);
        let lost = scene.covered(|covered| !covered.classes.contains(Class::Email)).await;
        assert_eq!(lost.epochs, 0);
        let view = scene.dovecot();
        assert!(!view.is_believed && view.canary == Some(CanaryFate::Missing), "{view:?}");
        scene.notifies.store(true, Ordering::SeqCst);
        let back = scene.covered(|covered| covered.classes.contains(Class::Email)).await;
        assert_eq!((back.epochs, back.is_lasting), (1, true));
    }
}

#[tokio::test]
async fn a_canary_that_cannot_be_delivered_says_nothing_of_the_source() {
    let mut scene = Scene::start().await;
    scene.fate(CanaryFate::InTime).await;
    for manner in [Manner::RefusesRecipient, Manner::Garbage, Manner::HangsUp] {
        scene.server.set(manner);
        scene.fate(CanaryFate::Undeliverable).await;
        assert!(scene.dovecot().is_believed, "{manner:?}");
        scene.server.set(Manner::Good);
        scene.fate(CanaryFate::InTime).await;
    }
    assert!(scene.covered(|_| true).await.classes.contains(Class::Email));
}

#[tokio::test]
async fn canaries_of_others_prove_nothing() {
    let scene = Scene::start().await;
    scene.fate(CanaryFate::InTime).await;
    scene.notifies.store(false, Ordering::SeqCst);
    scene.fate(CanaryFate::Missing).await;
    let subjects = ["pushgate canary 0000000000000001-1", "pushgate canary ", "pushgate canary x-y", "pushgate canary -"];
    scene.supervisor.canary_heard(Source::Dovecot, &subjects.map(str::to_owned));
    scene.supervisor.canary_heard(Source::Webhook, &[]);
    assert!(!scene.dovecot().is_believed);
}
