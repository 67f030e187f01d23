//! Requests that are held for devices which may no longer wait: answered "the folder list changed" (Ping Status 7, Sync Status 12),
//! on which a device sends a FolderSync and is told the rest.
//!
//! A Ping that passed the gate a moment before and is held a moment after is not missed: whoever held it looks at the count of alarms
//! once more ([`Gateway::look_again`]).

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::oneshot;

use crate::config::limits::HELD_PAGE;
use crate::gateway::Gateway;
use crate::gateway::lots::{Fact, Note};
use crate::logic::eas::{DeviceId, Mailbox};
use crate::store::Alarm;

/// Listens for as long as there is a gateway.
pub(crate) fn start(gateway: &Arc<Gateway>) {
    let Some(gate) = &gateway.gate else { return };
    let (alarms, everyone) = (gate.store.alarms(), Arc::new(Notify::new()));
    gateway.runtime.spawn(listen(Arc::downgrade(gateway), alarms, everyone.clone()));
    gateway.runtime.spawn(look_at_everyone(Arc::downgrade(gateway), everyone));
}

async fn listen(gateway: Weak<Gateway>, mut alarms: Receiver<Alarm>, everyone: Arc<Notify>) {
    loop {
        let alarm = alarms.recv().await;
        let Some(gateway) = gateway.upgrade() else { break };
        match alarm {
            Ok(Alarm::Device(mailbox, device_id)) => drop(gateway.look_again(&mailbox, &device_id).await),
            Ok(Alarm::Everyone) | Err(RecvError::Lagged(_)) => everyone.notify_one(),
            Err(RecvError::Closed) => break,
        }
    }
    // The other one finds no gateway.
    everyone.notify_one();
}

/// One look at a time. What changes meanwhile is looked at afterwards.
async fn look_at_everyone(gateway: Weak<Gateway>, everyone: Arc<Notify>) {
    loop {
        everyone.notified().await;
        let Some(gateway) = gateway.upgrade() else { return };
        let recalled = gateway.look_at_all().await;
        tracing::debug!(recalled, "held requests were looked at: policies changed");
    }
}

impl Gateway {
    /// Answers what is held for a device, if it may no longer wait; whether it may not.
    pub(crate) async fn look_again(&self, mailbox: &Mailbox, device_id: &DeviceId) -> bool {
        let must_leave = self.gate.as_ref().is_some_and(|gate| !gate.may_wait(mailbox, device_id));
        if must_leave {
            self.lots.learn(self.lots.home(mailbox), mailbox.clone(), device_id.clone(), Fact::Recalled).await;
        }
        must_leave
    }

    /// The same for everything held, a page at a time. All of them come back to fetch their policy, so they are told at the pace at
    /// which devices are told to Sync. Gives how many were.
    async fn look_at_all(&self) -> u32 {
        let mut told = 0;
        for lot in 0..self.lots.count() {
            let mut from = Some(0);
            while let Some(first) = from {
                let (reply, page) = oneshot::channel();
                self.lots.send(lot, Note::Holding { from: first, count: HELD_PAGE, reply }).await;
                // A lot that does not answer is leaving.
                let Ok((devices, next)) = page.await else { return told };
                from = next;
                for (mailbox, device_id) in devices {
                    if self.look_again(&mailbox, &device_id).await {
                        told += 1;
                        tokio::time::sleep(Duration::from_secs(1) / self.config.backend.resolve_per_s).await;
                    }
                }
            }
        }
        told
    }
}
