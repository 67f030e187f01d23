//! What goes wrong, and how a device lives with it.

use std::sync::Mutex;
use std::time::Duration;

use super::*;
use crate::logic::eas::{ClassSet, Command};
use crate::standin::cas::{Fault, FaultRule, ItemId};
use crate::standin::device::{Behaviour, DeviceError, Event, Observer};
use crate::standin::tls::{ThrowAway, Trust, client_config, server_config};

fn all(fault: Fault) -> Vec<FaultRule> {
    vec![FaultRule { command: None, times: None, fault }]
}

#[tokio::test]
async fn faults_are_what_they_say_and_end_when_switched_off() {
    let cas = cas(Kind::Other, |_| {}).await;
    let mut device = device(&cas);
    cas.set_faults(all(Fault::Status(500)));
    assert!(matches!(device.folder_sync().await, Err(DeviceError::Http(500))));
    cas.set_faults(all(Fault::CloseMidAnswer));
    assert!(matches!(device.folder_sync().await, Err(DeviceError::Broken(_))));
    cas.set_faults(all(Fault::LieAboutLength(10)));
    assert!(matches!(device.folder_sync().await, Err(DeviceError::Broken(_))));
    cas.set_faults(all(Fault::Delay(SECOND * 5)));
    let before = tokio::time::Instant::now();
    device.folder_sync().await.unwrap();
    assert!(before.elapsed() >= SECOND * 5);
    cas.set_faults(all(Fault::Hang));
    assert!(tokio::time::timeout(SECOND * 5, device.folder_sync()).await.is_err());
    cas.set_faults(Vec::new());
    assert_eq!(device.folder_sync().await.unwrap().status, 1);
}

#[tokio::test]
async fn a_fault_can_hit_one_command_a_number_of_times() {
    let cas = cas(Kind::Other, |_| {}).await;
    let mut device = device(&cas);
    cas.set_faults(vec![FaultRule { command: Some(Command::FolderSync), times: Some(2), fault: Fault::Status(503) }]);
    device.options().await.unwrap();
    for _ in 0..2 {
        assert!(matches!(device.folder_sync().await, Err(DeviceError::Http(503))));
    }
    device.folder_sync().await.unwrap();
}

#[tokio::test]
async fn a_refusing_server_resets_new_connections() {
    let cas = cas(Kind::Other, |_| {}).await;
    cas.refuse_connections(true);
    assert!(matches!(device(&cas).options().await, Err(DeviceError::Broken(_) | DeviceError::Connect(_))));
    cas.refuse_connections(false);
    assert!(device(&cas).options().await.is_ok());
}

#[tokio::test]
async fn no_answer_in_time_is_a_timeout() {
    let cas = cas(Kind::Other, |_| {}).await;
    let mut device = another_device(&cas, "hew", "Standin0001", |options| options.answer_timeout = SECOND * 2);
    cas.set_faults(all(Fault::Hang));
    assert!(matches!(device.folder_sync().await, Err(DeviceError::Timeout)));
    assert!(!device.is_connected());
}

/// Notes what a device did.
#[derive(Default)]
struct Diary(Mutex<Vec<String>>);

impl Observer for Diary {
    fn note(&self, _: usize, event: Event<'_>) {
        let line = match event {
            Event::Connected => "connected".to_owned(),
            Event::PingSent => "sent".to_owned(),
            Event::Held => "held".to_owned(),
            Event::PingAnswered { status, .. } => format!("answered {status}"),
            Event::Fetched(ItemId(item)) => format!("fetched {item}"),
            Event::Failed(error) => format!("failed {}", error.label()),
            Event::Connecting | Event::Exchanged(_) | Event::InStep { .. } => return,
        };
        self.0.lock().unwrap().push(line);
    }
}

impl Diary {
    fn count(&self, line: &str) -> usize {
        self.0.lock().unwrap().iter().filter(|found| *found == line).count()
    }
}

/// A CAS that speaks TLS, and its certificate.
async fn secured_cas() -> (Cas, ThrowAway) {
    let made = ThrowAway::new(&["localhost"]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    std::fs::write(&certificate, &made.certificate_pem).unwrap();
    std::fs::write(&key, &made.key_pem).unwrap();
    let cas = cas(Kind::Other, |options| options.tls = Some(server_config(&certificate, &key).unwrap())).await;
    assert!(cas.url().starts_with("https://"));
    (cas, made)
}

#[tokio::test]
async fn a_device_speaks_tls_and_believes_only_its_root() {
    let (cas, made) = secured_cas().await;
    let address = cas.address();
    let device = |trust| {
        let config = client_config(trust, false).unwrap();
        Device::new(Arc::new(DeviceOptions::new(address, Some(config))), "hew", "Standin0001")
    };
    assert!(device(Trust::Root(made.certificate)).options().await.is_ok());
    assert!(device(Trust::Anybody).options().await.is_ok());
    let stranger = ThrowAway::new(&["localhost"]).unwrap();
    assert!(matches!(device(Trust::Root(stranger.certificate)).options().await, Err(DeviceError::Tls(_))));
}

#[tokio::test]
async fn a_device_lives_through_wakes_expiry_and_lost_connections() {
    let (cas, made) = secured_cas().await;
    let address = cas.address();
    let options = DeviceOptions::new(address, Some(client_config(Trust::Root(made.certificate), false).unwrap()));
    let device = Device::new(Arc::new(options), "hew", "Standin0001");
    let diary = Arc::new(Diary::default());
    let behaviour = Behaviour {
        heartbeat_s: 20,
        classes: ClassSet::ALL,
        backoff: (Duration::from_millis(5), Duration::from_millis(5)),
        ..Behaviour::default()
    };
    let observer = diary.clone();
    let running = tokio::spawn(async move { behaviour.run(device, 0, observer).await });
    until("holding", || diary.count("held") == 1).await;
    let item = cas.deliver("hew", "Inbox");
    until("fetching", || diary.count(&format!("fetched {}", item.0)) == 1).await;
    assert_eq!(diary.count("answered 2"), 1);
    until("expiry", || diary.count("answered 1") == 1).await;
    // The network goes away while the next Ping is held; mail comes meanwhile.
    cas.set_faults(vec![FaultRule { command: Some(Command::Ping), times: Some(1), fault: Fault::CloseMidAnswer }]);
    until("a break", || diary.count("failed broken") >= 1).await;
    let item = cas.deliver("hew", "Calendar");
    until("catching up", || diary.count(&format!("fetched {}", item.0)) == 1).await;
    running.abort();
    assert!(diary.count("connected") >= 2);
    assert_eq!((cas.options_count(), cas.count(Command::FolderSync)), (1, 1), "a lost connection is no reason to begin anew");
}
