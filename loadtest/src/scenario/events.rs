//! What happens to devices: networks that cut connections, and moments at which something happens to all.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::devices::even;
use super::keys::Keys;

/// `[[networks]]`: a share of the devices, behind something that cuts connections on which nothing moves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Network {
    pub name: String,
    /// Percent of all devices.
    pub share: f64,
    pub cut_after_s: f64,
    pub how: Manner,
}

/// How a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Manner {
    /// Both sides are told.
    Fin,
    /// Both sides are told, rudely.
    Rst,
    /// Nobody is told: what is sent is gone.
    Silent,
}

/// `[[events]]`
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Event {
    pub when: When,
    pub what: Happening,
    /// A storm: everybody connects again within this.
    pub within_s: f64,
    /// A wake of all: the mails are delivered so long before the server is told; 0: each just before.
    pub mail_before_s: f64,
    /// A wake of all: from now on woken devices fetch within this, each after a time of its own; 0: at once.
    pub fetch_within_s: f64,
}

/// When something happens.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// So many seconds from the beginning.
    At(f64),
    /// When all devices have been held for so many seconds, every earlier event of this kind being over.
    Held(f64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Happening {
    /// All devices lose their connections and connect again.
    Storm,
    /// One change for every device, at once.
    WakeAll,
}

impl Network {
    pub(super) fn of(mut keys: Keys) -> Option<Network> {
        let (name, share) = (keys.take("name"), keys.take_positive("share"));
        let (cut_after_s, how) = (keys.take_positive("cut_after_s"), keys.take("how"));
        let (name, share) = (keys.must("name", name), keys.must("share", share));
        let (cut_after_s, how) = (keys.must("cut_after_s", cut_after_s), keys.must("how", how));
        Some(Network { name: name?, share: share?, cut_after_s: cut_after_s?, how: how? })
    }

    /// The index of a device's network.
    pub fn of_device(networks: &[Network], device: usize) -> Option<usize> {
        // Another number than that of the kinds, so that every network has devices of every kind.
        let place = even(device, std::f64::consts::SQRT_2) * 100.0;
        let mut end = 0.0;
        networks.iter().position(|network| {
            end += network.share;
            place < end
        })
    }

    pub fn cut_after(&self) -> Duration {
        Duration::from_secs_f64(self.cut_after_s)
    }
}

impl Event {
    pub(super) fn of(mut keys: Keys) -> Option<Event> {
        let (at_s, held_s, what) = (keys.take_positive("at_s"), keys.take_positive("held_s"), keys.take("what"));
        let when = match (at_s, held_s) {
            (Some(at_s), None) => Some(When::At(at_s)),
            (None, Some(held_s)) => Some(When::Held(held_s)),
            _ => {
                keys.problem("at_s", "or held_s: one of them");
                None
            }
        };
        let what = keys.must("what", what);
        let within_s = keys.take_not_negative("within_s").unwrap_or(0.0);
        let mail_before_s = keys.take_positive("mail_before_s").unwrap_or(0.0);
        if at_s.or(held_s).is_some_and(|after_s| mail_before_s >= after_s) {
            keys.problem("mail_before_s", "is before the beginning");
        }
        let fetch_within_s = keys.take_not_negative("fetch_within_s").unwrap_or(0.0);
        Some(Event { when: when?, what: what?, within_s, mail_before_s, fetch_within_s })
    }
}
