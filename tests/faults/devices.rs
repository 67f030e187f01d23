//! Many devices that live by themselves, and the mail they are to learn of.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pushgate::logic::eas::Class;
use pushgate::standin::cas::Cas;
use pushgate::standin::device::{Behaviour, Device, DeviceOptions};
use pushgate::standin::tally::Tally;
use pushgate::standin::tls::{Trust, client_config};
use tokio::task::JoinSet;

use crate::process::Process;

/// Pause between two devices at the beginning.
const BETWEEN_DEVICES: Duration = Duration::from_millis(2);

/// Devices of one user each; they stop when this is dropped.
pub struct Devices {
    pub tally: Arc<Tally>,
    _running: JoinSet<()>,
}

impl Devices {
    /// Starts so many; they watch the Inbox.
    pub async fn start(count: usize, gateway: &Process) -> Devices {
        Devices::start_at(gateway.https, "FAULT", count, gateway).await
    }

    /// As [`Devices::start`], of devices that connect to something before the gateway, and whose ids begin otherwise.
    pub async fn start_at(target: SocketAddr, id: &str, count: usize, gateway: &Process) -> Devices {
        let tally = Arc::new(Tally::new(count));
        let tls = client_config(Trust::Root(gateway.certificate.certificate.clone()), true).unwrap();
        let options = Arc::new(DeviceOptions::new(target, Some(tls)));
        let behaviour = Arc::new(Behaviour {
            classes: [Class::Email].into_iter().collect(),
            folders_max: 1,
            backoff: (Duration::from_millis(200), Duration::from_secs(2)),
            ..Behaviour::default()
        });
        let mut running = JoinSet::new();
        for number in 0..count {
            let device = Device::new(options.clone(), &user(number), &format!("{id}{number:08}"));
            let (behaviour, tally) = (behaviour.clone(), tally.clone());
            running.spawn(async move { behaviour.run(device, number, tally).await });
            tokio::time::sleep(BETWEEN_DEVICES).await;
        }
        Devices { tally, _running: running }
    }

    /// Puts a mail into the Inboxes of these devices; nobody is notified.
    pub fn deliver(&self, cas: &Cas, numbers: impl Iterator<Item = usize>) -> usize {
        numbers.map(|number| self.tally.delivered(cas.deliver(&user(number), "Inbox"), number)).count()
    }

    /// Waits until that is so; the seconds it took.
    pub async fn wait(&self, what: &str, most: Duration, is_so: impl AsyncFn() -> bool) -> f64 {
        let began = Instant::now();
        while !is_so().await {
            let (held, missing) = (self.tally.held(), self.tally.missing());
            let errors = (self.tally.errors(), self.tally.first_error());
            assert!(began.elapsed() < most, "{what}: not within {most:?}; {held} held, {missing} mails missing, errors {errors:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        began.elapsed().as_secs_f64()
    }
}

/// The user of a device.
pub fn user(number: usize) -> String {
    format!("user{}", number + 1)
}

/// The mailbox of a device.
pub fn mailbox(number: usize) -> String {
    format!("{}@example.org", user(number))
}
