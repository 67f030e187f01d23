//! The steps of devices that do not get anywhere, for as long as they keep trying.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::config::limits::LOOPING_DEVICES_MAX;
use crate::gateway::{Looping, repeats};
use crate::logic::eas::{DeviceId, Mailbox};
use crate::logic::policy::Timestamp;
use crate::logic::policy::loops::Steps;
use crate::logic::repeats::Kind;

/// Steps by device.
#[derive(Default)]
struct All {
    steps: HashMap<(Mailbox, DeviceId), Steps>,
    swept_at: Timestamp,
}

/// See the module. Bounded: where there is no room, a device is told once more without being counted.
#[derive(Default)]
pub(super) struct Loops {
    all: Mutex<All>,
    /// So that those who pass need not look.
    len: AtomicUsize,
}

impl Loops {
    /// Looks at a device's steps, or takes one.
    pub(super) fn step<T>(&self, (mailbox, device_id): (&Mailbox, &DeviceId), now: Timestamp, take: impl FnOnce(&mut Steps) -> T) -> T {
        let mut all = self.lock();
        // In a storm, not for every one of them.
        if all.steps.len() >= LOOPING_DEVICES_MAX && now > all.swept_at {
            all.steps.retain(|_, steps| !steps.is_over(now));
            all.swept_at = now;
        }
        let key = (mailbox.clone(), device_id.clone());
        let has_room = all.steps.len() < LOOPING_DEVICES_MAX;
        let done = match all.steps.get_mut(&key) {
            Some(steps) => {
                let was_looping = steps.looping_since(now).is_some();
                let done = take(steps);
                if !was_looping && steps.looping_since(now).is_some() {
                    repeats::warn(mailbox, device_id, Kind::Provisioning);
                }
                done
            }
            None => {
                let mut steps = Steps::default();
                let done = take(&mut steps);
                if has_room {
                    all.steps.insert(key, steps);
                }
                done
            }
        };
        self.len.store(all.steps.len(), Ordering::Relaxed);
        done
    }

    /// The device got somewhere.
    pub(super) fn passed(&self, mailbox: &Mailbox, device_id: &DeviceId) {
        if self.len.load(Ordering::Relaxed) == 0 {
            return;
        }
        let mut all = self.lock();
        all.steps.remove(&(mailbox.clone(), device_id.clone()));
        self.len.store(all.steps.len(), Ordering::Relaxed);
    }

    pub(super) fn list(&self, now: Timestamp) -> Vec<Looping> {
        let all = self.lock();
        let looping = all.steps.iter().filter_map(|((mailbox, device_id), steps)| {
            let since = steps.looping_since(now)?;
            let kind = Kind::Provisioning;
            Some(Looping { mailbox: mailbox.clone(), device_id: device_id.clone(), kind, since, count: steps.count })
        });
        looping.collect()
    }

    fn lock(&self) -> MutexGuard<'_, All> {
        // Nothing is done under this lock that could panic half-way.
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
