//! Devices that are turned away because their mailbox has as many as it may: there is no partnership to show that, so it is
//! remembered here, for a day, for whoever looks why a new phone does not sync.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::Who;
use crate::config::limits::{TURNED_AWAY_MAX, TURNED_AWAY_PER_MAILBOX_MAX};
use crate::logic::eas::{DeviceId, DeviceType, Mailbox};
use crate::logic::policy::Timestamp;

/// For so long after its last try.
const KEPT_S: u64 = 24 * 3_600;

/// A device that its mailbox has no room for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TurnedAway {
    /// Whose.
    pub mailbox: Mailbox,
    /// Which.
    pub device_id: DeviceId,
    /// What it says it is.
    pub device_type: DeviceType,
    /// Since when it tries.
    pub since: Timestamp,
    /// When it last did.
    pub last_at: Timestamp,
    /// How often.
    pub count: u32,
}

/// By mailbox.
#[derive(Default)]
struct All {
    of: HashMap<Mailbox, Vec<TurnedAway>>,
    count: usize,
    swept_at: Timestamp,
}

/// See the module. Bounded: where there is no room, a device is turned away all the same. Of a mailbox, those that tried last.
#[derive(Default)]
pub(super) struct AllTurnedAway(Mutex<All>);

impl AllTurnedAway {
    /// One more try, with good credentials.
    pub(super) fn note(&self, who: &Who<'_>, now: Timestamp) {
        let mut all = self.lock();
        let device_id = &who.request.device_id;
        if let Some(known) = all.of.get_mut(who.mailbox).and_then(|of| of.iter_mut().find(|device| device.device_id == *device_id)) {
            (known.last_at, known.count) = (now, known.count.saturating_add(1));
            return;
        }
        // In a storm, not for every one of them.
        if all.count >= TURNED_AWAY_MAX && now > all.swept_at {
            all.sweep(now);
        }
        let device_type = who.request.device_type.clone();
        let device =
            TurnedAway { mailbox: who.mailbox.clone(), device_id: device_id.clone(), device_type, since: now, last_at: now, count: 1 };
        if all.insert(device) {
            let device_type = &who.request.device_type;
            tracing::info!(mailbox = %who.mailbox, device = %device_id, %device_type, "turned away: its mailbox has as many devices as it may");
        }
    }

    /// Those that tried within a day, the last first.
    pub(super) fn list(&self, now: Timestamp) -> Vec<TurnedAway> {
        let mut all: Vec<TurnedAway> =
            self.lock().of.values().flatten().filter(|device| now.since(device.last_at) < KEPT_S).cloned().collect();
        all.sort_by_key(|device| std::cmp::Reverse(device.last_at));
        all
    }

    fn lock(&self) -> MutexGuard<'_, All> {
        // Nothing is done under this lock that could panic half-way.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl All {
    /// Whether there was room.
    fn insert(&mut self, device: TurnedAway) -> bool {
        let has_room = self.count < TURNED_AWAY_MAX;
        match self.of.get_mut(&device.mailbox) {
            Some(of) if of.len() >= TURNED_AWAY_PER_MAILBOX_MAX => {
                let Some(longest_ago) = of.iter_mut().min_by_key(|device| device.last_at) else { return false };
                *longest_ago = device;
                return true;
            }
            Some(of) if has_room => of.push(device),
            None if has_room => {
                self.of.insert(device.mailbox.clone(), vec![device]);
            }
            _ => return false,
        }
        self.count += 1;
        true
    }

    /// Forgets those whose day is over.
    fn sweep(&mut self, now: Timestamp) {
        self.of.retain(|_, of| {
            of.retain(|device| now.since(device.last_at) < KEPT_S);
            !of.is_empty()
        });
        self.count = self.of.values().map(Vec::len).sum();
        self.swept_at = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(mailbox: &str, number: usize, last_at: u64) -> TurnedAway {
        let (mailbox, device_type) = (Mailbox::normalise(mailbox, None, true), DeviceType::new(b"Phone"));
        TurnedAway {
            mailbox: mailbox.expect("a name"),
            device_id: DeviceId::new(format!("d{number}").as_bytes()).expect("an id"),
            device_type: device_type.expect("a type"),
            since: Timestamp(last_at),
            last_at: Timestamp(last_at),
            count: 1,
        }
    }

    #[test]
    fn one_mailbox_does_not_take_the_room_of_others_and_room_comes_back() {
        let mut all = All::default();
        for number in 0..100 {
            assert!(all.insert(device("hew", number, number as u64)));
        }
        assert_eq!(all.count, TURNED_AWAY_PER_MAILBOX_MAX);
        assert!(all.of.values().flatten().all(|device| device.last_at.0 >= 80), "those that tried last");
        for number in 0.. {
            if !all.insert(device(&format!("user{number}"), 0, 100)) {
                break;
            }
        }
        assert_eq!(all.count, TURNED_AWAY_MAX);
        all.sweep(Timestamp(99 + KEPT_S));
        assert_eq!(all.count, TURNED_AWAY_MAX - TURNED_AWAY_PER_MAILBOX_MAX, "of the first mailbox the day is over");
        assert!(all.insert(device("anna", 0, 101)));
    }
}
