//! May this device, now, ask this? Looked at before anything of a request is forwarded or held; in memory only.
//!
//! ```text
//! request ─► find: partnership, access, policy ─► logic::policy::gate ─┬─► passes: forwarded or held; what it showed is noted
//!                                                                      ├─► Provision: answered here
//!                                                                      └─► refused: told as `signal` says
//! store ─► alarms ─► recall: what is held for a device that may no longer wait is answered
//! ```
//! * Here: what is known of who asks. * `entrance`: a request's way through. * `provision`, `settings`, `enforcing`: what is answered
//!   here, in part or as a whole. * `recall`: requests that are held. * `loops`: devices that never get anywhere. `noting`: what is seen of
//!   devices.

mod enforcing;
mod entrance;
mod loops;
mod noting;
mod provision;
mod recall;
mod settings;
mod turned_away;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use http::HeaderValue;

pub(crate) use self::entrance::Passage;
use self::loops::Loops;
pub(crate) use self::noting::offer_provision;
pub(crate) use self::recall::start as start_recalling;
use self::turned_away::AllTurnedAway;
pub use self::turned_away::TurnedAway;
use super::Looping;
use crate::logic::eas::{Command, DeviceId, DeviceType, Mailbox, Request, Version};
use crate::logic::policy::access::{self, AccessState, AccessWhy, MailboxSettings, Traits};
use crate::logic::policy::gate::{Asked, Decision, Known, decide};
use crate::logic::policy::{Attempt, Partnership, Prepared, Timestamp};
use crate::store::{self, DeviceChange, Seen, Snapshot, Store};

/// The gate of a gateway that has policies itself.
pub struct Gate {
    store: Store,
    devices_max: AtomicU32,
    loops: Loops,
    turned_away: AllTurnedAway,
}

/// Who asks, as far as the credentials say, which may be wrong.
#[derive(Clone, Copy)]
pub struct Who<'a> {
    /// Whose mailbox.
    pub mailbox: &'a Mailbox,
    /// The device, and what it asks.
    pub request: &'a Request,
    /// `User-Agent`.
    pub user_agent: Option<&'a str>,
    /// The device's address.
    pub from: IpAddr,
}

/// What is known of a device, as of one moment.
pub struct Found {
    partnership: Option<Partnership>,
    access: (AccessState, AccessWhy),
    snapshot: Arc<Snapshot>,
    others: u32,
    devices_max: u32,
}

impl Found {
    /// What is to be done about the request, with the mailbox's policy.
    pub fn decide(&self, who: &Who<'_>, policy: Option<&Prepared>, now: Timestamp) -> Decision {
        decide(&who.asked(), &self.known(policy), now)
    }

    /// The mailbox's policy.
    pub fn policy(&self, mailbox: &Mailbox) -> Option<&Prepared> {
        self.snapshot.policy_of(mailbox).0
    }

    /// An order to erase stands.
    fn is_to_be_erased(&self) -> bool {
        self.partnership.as_ref().is_some_and(Partnership::wipe_stands)
    }

    fn known<'a>(&'a self, policy: Option<&'a Prepared>) -> Known<'a> {
        Known {
            partnership: self.partnership.as_ref(),
            access: (self.access.0, &self.access.1),
            policy,
            others: self.others,
            devices_max: self.devices_max,
        }
    }
}

impl<'a> Who<'a> {
    fn attempt(&self) -> Attempt<'a> {
        Attempt { version: self.request.version, device_type: &self.request.device_type, user_agent: self.user_agent }
    }

    fn asked(&self) -> Asked {
        Asked { command: Some(self.request.command), version: self.request.version, policy_key: self.request.policy_key }
    }
}

impl Gate {
    /// For mailboxes that may have so many devices each, unless it is said of one.
    pub fn new(store: Store, devices_max: u32) -> Self {
        Gate { store, devices_max: AtomicU32::new(devices_max), loops: Loops::default(), turned_away: AllTurnedAway::default() }
    }

    /// Devices that are told to provision over and over.
    pub(crate) fn looping(&self) -> Vec<Looping> {
        self.loops.list(store::steady())
    }

    /// Devices that their mailbox has no room for, and that have not got in since.
    pub(crate) fn turned_away(&self) -> Vec<TurnedAway> {
        let mut all = self.turned_away.list(store::now());
        all.retain(|device| self.store.known(&device.mailbox, &device.device_id, &device.device_type).is_none());
        all
    }

    /// The configuration changed.
    pub(crate) fn allow_devices(&self, devices_max: u32) {
        self.devices_max.store(devices_max, Ordering::Relaxed);
    }

    /// See [`Store::alarm_count`]. To be read before a request is looked at.
    pub(crate) fn alarm_count(&self) -> u64 {
        self.store.alarm_count()
    }

    /// Looks it up; never waits.
    pub fn find(&self, who: &Who<'_>) -> Found {
        let snapshot = self.store.snapshot();
        let Request { device_id, device_type, .. } = who.request;
        match self.store.known(who.mailbox, device_id, device_type) {
            Some(mut partnership) => {
                let access = (partnership.access_state, std::mem::replace(&mut partnership.access_why, AccessWhy::Default));
                Found { access, partnership: Some(partnership), snapshot, others: 0, devices_max: 0 }
            }
            // Nobody has said yet what this one may do.
            None => {
                let settings = snapshot.mailboxes.get(who.mailbox).map(|record| &record.settings);
                let traits =
                    Traits { device_type: device_type.as_str(), user_agent: who.user_agent, undescribed_s: Some(0), ..Traits::default() };
                let default = MailboxSettings::default();
                let access = access::decide(settings.unwrap_or(&default), device_id, None, &snapshot.rules, &traits);
                let devices_max =
                    settings.and_then(|settings| settings.devices_max).unwrap_or_else(|| self.devices_max.load(Ordering::Relaxed));
                Found { access, partnership: None, others: self.store.devices_of(who.mailbox), devices_max, snapshot }
            }
        }
    }

    /// What the backend's good answer, or a held Ping, shows of a device. The first makes its partnership. Never waits.
    pub fn note(&self, who: &Who<'_>, seen: Seen) {
        let Request { device_id, device_type, .. } = who.request;
        if self.store.known(who.mailbox, device_id, device_type).is_none() {
            let beginning = beginning(who, &self.find(who));
            self.store.change(who.mailbox, device_id, device_type, beginning);
        }
        self.store.note(who.mailbox, device_id, &who.attempt(), seen);
    }

    /// The device described itself, and the backend took it as well.
    fn inform(&self, who: &Who<'_>, changes: Vec<DeviceChange>) {
        self.store.change(who.mailbox, &who.request.device_id, &who.request.device_type, changes);
    }

    /// Whether a Ping that is held for this device, if there is one, may go on waiting.
    fn may_wait(&self, mailbox: &Mailbox, device_id: &DeviceId) -> bool {
        let device_type = DeviceType::new(b"any").expect("it is short");
        // Whatever was removed makes itself known with its next request.
        let Some(partnership) = self.store.known(mailbox, device_id, &device_type) else { return false };
        let snapshot = self.store.snapshot();
        // As it was provisioned: what it spoke since is not kept where this is looked up.
        let version = partnership.provisioning.applied.as_ref().map_or(Version::V14_1, |applied| applied.document.version);
        let asked = Asked { command: Some(Command::Ping), version, policy_key: None };
        let known = Known {
            access: (partnership.access_state, &partnership.access_why),
            policy: snapshot.policy_of(mailbox).0,
            others: 0,
            devices_max: 0,
            partnership: Some(&partnership),
        };
        decide(&asked, &known, store::now()) == Decision::Pass
    }

    fn now(&self) -> Timestamp {
        store::now()
    }

    /// For the waits of those who loop.
    fn steady(&self) -> Timestamp {
        store::steady()
    }
}

/// What makes a partnership, if there is none.
fn beginning(who: &Who<'_>, found: &Found) -> Vec<DeviceChange> {
    if found.partnership.is_some() {
        return Vec::new();
    }
    let Attempt { version, user_agent, .. } = who.attempt();
    let (state, why) = found.access.clone();
    vec![DeviceChange::Seen { version, user_agent: user_agent.map(str::to_owned) }, DeviceChange::Access { state, why }]
}

/// A `User-Agent` as text; `None` if it is not.
pub(crate) fn agent(value: Option<&HeaderValue>) -> Option<&str> {
    value.and_then(|value| value.to_str().ok())
}
