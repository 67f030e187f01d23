//! Checks against a stand-in of each backend that `backend.kind` names: what the preset asks for suits it, what it answers
//! is understood, and what an operator wrote wrongly is learnt. A protocol second takes two milliseconds here.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use http::header::{AUTHORIZATION, HeaderValue};
use pushgate::config::Config;
use pushgate::gateway::backend::{Backend, CheckRequest, CheckResult, Checker, Route};
use pushgate::logic::eas::{Class, Command, FolderId, PingFolder};
use pushgate::standin::cas::{Cas, CasOptions, Fault, FaultRule, Kind};
use pushgate::standin::device::{Device, DeviceOptions};
use tokio::time::Instant;

const SECOND: Duration = Duration::from_millis(2);
const USER: &str = "hew";
const INBOX: u8 = 2;
const CALENDAR: u8 = 8;
const MAIL: u8 = 12;

/// Each kind, its name in the configuration, and the heartbeat of its checks.
const KINDS: [(Kind, &str, u32); 6] = [
    (Kind::Exchange, "exchange", 60),
    (Kind::Sogo, "sogo", 10),
    (Kind::ZPush, "z-push", 1),
    (Kind::Grommunio, "grommunio", 1),
    (Kind::Horde, "horde", 60),
    (Kind::Other, "other", 60),
];

/// A backend of a kind, a phone in step with its Inbox, and the gateway's checks on its behalf.
struct Scene {
    cas: Cas,
    phone: Device,
    inbox: FolderId,
    checker: Checker,
}

/// `written`: what the operator wrote below `[backend]` besides url and kind.
async fn scene(kind: Kind, name: &str, written: &str, edit: impl FnOnce(&mut CasOptions)) -> Scene {
    let mut options = CasOptions { kind, second: SECOND, ..CasOptions::default() };
    edit(&mut options);
    let cas = Cas::start(options).await.expect("started");
    let text = format!("[backend]\nurl = [\"{}\"]\nkind = \"{name}\"\n{written}\n", cas.url());
    let config = Config::parse(&text, std::iter::empty()).expect("a valid configuration");
    let backend = Backend::new(&config.backend, &config.limits).expect("a backend");
    let checker = Checker::new(backend, &config.backend, &config.limits);
    let mut phone = Device::new(Arc::new(DeviceOptions::new(cas.address(), None)), USER, "Presets0001");
    phone.folder_sync().await.expect("folders");
    let inbox = phone.folder_of_type(INBOX).expect("an Inbox");
    phone.sync_all(&inbox).await.expect("in step");
    Scene { cas, phone, inbox, checker }
}

impl Scene {
    async fn check(&self, folders: &[(&FolderId, Class)]) -> CheckResult {
        self.checker.check(self.request(folders), Route::from_peer(self.cas.address().ip())).await
    }

    async fn check_inbox(&self) -> CheckResult {
        self.check(&[(&self.inbox, Class::Email)]).await
    }

    fn request(&self, folders: &[(&FolderId, Class)]) -> CheckRequest {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, HeaderValue::from_static("Basic aGV3OnRlc3Q="));
        headers.insert("ms-asprotocolversion", HeaderValue::from_static("14.1"));
        let target = format!("/Microsoft-Server-ActiveSync?Cmd=Ping&User={USER}&DeviceId={}&DeviceType=X", self.phone.id());
        let folders = folders.iter().map(|(id, class)| PingFolder { id: (*id).clone(), class: *class }).collect();
        CheckRequest { target: target.parse().expect("a target"), headers, folders }
    }

    fn pings(&self) -> u64 {
        self.cas.count(Command::Ping)
    }
}

#[tokio::test]
async fn the_preset_is_the_shortest_heartbeat_that_is_accepted_at_once() {
    for (kind, name, heartbeat_s) in KINDS {
        let scene = scene(kind, name, "", |_| {}).await;
        let before = Instant::now();
        assert_eq!(scene.check_inbox().await, CheckResult::Unchanged, "{name}");
        assert!(before.elapsed() >= SECOND * heartbeat_s, "{name} answers Status 1 when the heartbeat is over");
        assert_eq!((scene.pings(), scene.checker.heartbeat_s()), (1, heartbeat_s), "{name}");
    }
}

#[tokio::test]
async fn a_change_is_found_at_once_and_found_again_until_the_device_syncs() {
    for (kind, name, _) in KINDS {
        let mut scene = scene(kind, name, "", |options| options.second = Duration::from_secs(1)).await;
        scene.cas.deliver(USER, "Inbox");
        for _ in 0..2 {
            assert_eq!(scene.check_inbox().await, CheckResult::Changed(vec![scene.inbox.clone()]), "{name}");
        }
        let inbox = scene.inbox.clone();
        scene.phone.sync_all(&inbox).await.expect("in step");
    }
}

#[tokio::test]
async fn a_heartbeat_written_too_short_is_learnt_from_status_5_and_not_tried_again() {
    for (kind, name, _) in KINDS {
        let scene = scene(kind, name, "check_heartbeat_s = 1", |_| {}).await;
        // SOGo raises it by itself, and says nothing; the others without a minimum take it as it is.
        let (pings, learnt_s) = if matches!(kind, Kind::Exchange | Kind::Horde) { (3, 60) } else { (2, 1) };
        for _ in 0..2 {
            assert_eq!(scene.check_inbox().await, CheckResult::Unchanged, "{name}");
        }
        assert_eq!((scene.pings(), scene.checker.heartbeat_s()), (pings, learnt_s), "{name}");
    }
}

#[tokio::test]
async fn a_heartbeat_over_the_maximum_is_learnt_though_sogo_says_so_only_at_its_end() {
    for (kind, name, _) in KINDS {
        let is_sogo = kind == Kind::Sogo;
        let max_s = if is_sogo { 10 } else { 70 };
        let scene = scene(kind, name, "check_heartbeat_s = 900", |options| options.heartbeat_max_s = Some(max_s)).await;
        let before = Instant::now();
        assert_eq!(scene.check_inbox().await, CheckResult::Unchanged, "{name}");
        assert_eq!((scene.pings(), scene.checker.heartbeat_s()), (2, max_s), "{name}");
        assert!(before.elapsed() >= SECOND * if is_sogo { 2 * max_s } else { max_s }, "{name}");
    }
}

#[tokio::test]
async fn a_change_during_a_check_over_sogos_maximum_is_a_change_and_teaches_nothing() {
    let scene = scene(Kind::Sogo, "sogo", "check_heartbeat_s = 900", |options| {
        (options.second, options.poll_s) = (Duration::from_millis(20), Some(5));
    })
    .await;
    let (found, ()) = tokio::join!(scene.check_inbox(), async {
        while scene.pings() == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        scene.cas.deliver(USER, "Inbox");
    });
    assert_eq!((found, scene.checker.heartbeat_s()), (CheckResult::Changed(vec![scene.inbox.clone()]), 900));
}

#[tokio::test]
async fn a_new_folder_is_noticed_by_those_that_look_at_the_hierarchy() {
    for (kind, name, _) in KINDS {
        let scene = scene(kind, name, "", |_| {}).await;
        scene.cas.create_folder(USER, "Work", MAIL);
        let expected = match kind {
            Kind::Sogo | Kind::Horde => CheckResult::Unchanged,
            _ => CheckResult::Hierarchy,
        };
        assert_eq!(scene.check_inbox().await, expected, "{name}");
    }
}

#[tokio::test]
async fn a_watched_folder_that_is_gone_is_noticed_by_all_but_sogo() {
    for (kind, name, _) in KINDS {
        let mut scene = scene(kind, name, "", |_| {}).await;
        scene.cas.create_folder(USER, "Work", MAIL);
        scene.phone.folder_sync().await.expect("folders");
        let work = scene.phone.folder_of_type(MAIL).expect("the new folder");
        scene.phone.sync_all(&work).await.expect("in step");
        let both = [(&scene.inbox, Class::Email), (&work, Class::Email)];
        assert_eq!(scene.check(&both).await, CheckResult::Unchanged, "{name}");
        assert!(scene.cas.remove_folder(USER, "Work"));
        let expected = if kind == Kind::Sogo { CheckResult::Unchanged } else { CheckResult::Hierarchy };
        assert_eq!(scene.check(&both).await, expected, "{name}");
    }
}

#[tokio::test]
async fn a_folder_that_was_never_synchronised_counts_as_changed_or_is_passed_over() {
    for (kind, name, _) in KINDS {
        let scene = scene(kind, name, "", |_| {}).await;
        let calendar = scene.phone.folder_of_type(CALENDAR).expect("a calendar");
        let expected = match kind {
            Kind::Sogo | Kind::Horde => CheckResult::Unchanged,
            _ => CheckResult::Changed(vec![calendar.clone()]),
        };
        assert_eq!(scene.check(&[(&scene.inbox, Class::Email), (&calendar, Class::Calendar)]).await, expected, "{name}");
    }
}

#[tokio::test]
async fn a_check_that_a_ping_of_the_device_itself_ends_is_not_taken_for_news() {
    for (kind, name, _) in KINDS {
        let scene = scene(kind, name, "check_heartbeat_s = 60", |options| {
            (options.second, options.heartbeat_max_s, options.poll_s) = (Duration::from_millis(20), Some(3_540), Some(1));
        })
        .await;
        let mut newer = Device::new(Arc::new(DeviceOptions::new(scene.cas.address(), None)), USER, scene.phone.id());
        let (ended, ()) = tokio::join!(scene.check_inbox(), async {
            while scene.pings() == 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            let folders = [scene.inbox.clone()];
            // Held beyond the check; whether it is answered does not matter here.
            let ping = newer.ping(Some(61), Some(&folders), Duration::from_millis(500), || {});
            let _ = tokio::time::timeout(Duration::from_millis(500), ping).await;
        });
        // It looked when it began, and says so with Status 1; but Horde ends it without a word.
        let expected = if kind == Kind::Horde { CheckResult::Failed } else { CheckResult::Unchanged };
        assert_eq!(ended, expected, "{name}");
    }
}

#[tokio::test]
async fn a_wrong_password_and_a_backend_that_is_overloaded_are_told_apart() {
    for (kind, name, _) in KINDS {
        let scene = scene(kind, name, "", |_| {}).await;
        let mut request = scene.request(&[(&scene.inbox, Class::Email)]);
        request.headers.insert(AUTHORIZATION, HeaderValue::from_static("Basic aGV3Ondyb25n"));
        let route = Route::from_peer(scene.cas.address().ip());
        assert_eq!(scene.checker.check(request, route).await, CheckResult::Refused(http::StatusCode::UNAUTHORIZED), "{name}");
        scene.cas.set_faults(vec![FaultRule { command: None, times: None, fault: Fault::Status(503) }]);
        assert_eq!(scene.check_inbox().await, CheckResult::Down, "{name}");
    }
}
