//! Who is here how often: connections of strangers by their address, and requests by their device.
//!
//! A carrier may have tens of thousands of phones behind one address. So an address is only charged for connections whose
//! credentials the backend has not accepted; whoever is known is charged by the device.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::backend::Credentials;
use crate::config::Limits;
use crate::config::limits::{COUNTED_DEVICES_MAX, DEVICE_BURST_S};
use crate::logic::eas::{DeviceId, Mailbox};
use crate::telemetry::metrics::SHED_TOTAL;

/// Counts; cheap to clone.
#[derive(Clone)]
pub(super) struct Crowd(Arc<Inner>);

struct Inner {
    strangers: Mutex<HashMap<IpAddr, usize>>,
    /// By a keyed hash of mailbox, device and credentials. Two that share one share their allowance.
    devices: Mutex<Devices>,
    hasher: RandomState,
    started: Instant,
}

struct Devices {
    of: HashMap<u64, Allowance>,
    /// With as many entries those are dropped that are not needed.
    room: usize,
    swept_at: Duration,
}

/// What a device may do.
#[derive(Clone, Copy)]
struct Allowance {
    /// Milliseconds since the start, when the last request of it came.
    at_ms: u64,
    /// Requests it may make at once, in thousandths.
    left: u32,
    under_way: u32,
}

/// A stranger's connection; uncounted when dropped.
pub struct Stranger {
    crowd: Crowd,
    address: IpAddr,
}

/// A device's request; uncounted when dropped.
pub(super) struct Turn {
    crowd: Crowd,
    device: u64,
}

/// So many devices are counted without a look at who is not needed any more.
const ROOM_MIN: usize = 1_024;
/// A device has all of its allowance again.
const RESTED: Duration = Duration::from_secs(DEVICE_BURST_S as u64);
/// Once there is no more room to be made, all devices that are counted are looked at no more often than this.
const SWEEP_EVERY: Duration = Duration::from_secs(1);
/// Seconds after which a device may try again.
pub(super) const RETRY_AFTER_S: u32 = 10;

impl Crowd {
    pub(super) fn new() -> Self {
        Crowd(Arc::new(Inner {
            strangers: Mutex::default(),
            devices: Mutex::new(Devices { of: HashMap::new(), room: ROOM_MIN, swept_at: Duration::ZERO }),
            hasher: RandomState::new(),
            started: Instant::now(),
        }))
    }

    /// Another connection from there; `None` when there are too many.
    pub(super) fn meet(&self, limits: &Limits, address: IpAddr) -> Option<Stranger> {
        let address = site(address);
        let mut strangers = self.strangers();
        let count = strangers.get(&address).copied().unwrap_or(0);
        if count >= limits.strangers_per_address_max {
            metrics::counter!(SHED_TOTAL.name, "limit" => "strangers_per_address_max").increment(1);
            return None;
        }
        strangers.insert(address, count + 1);
        drop(strangers);
        Some(Stranger { crowd: self.clone(), address })
    }

    /// Another request of a device; `None` when it makes too many. Whoever only claims to be it, with other credentials, uses up
    /// nothing of its allowance.
    pub(super) fn take_turn(&self, limits: &Limits, (mailbox, device): (&Mailbox, &DeviceId), credentials: &Credentials) -> Option<Turn> {
        let authorization = credentials.authorization().as_bytes();
        self.take_turn_at(limits, self.0.hasher.hash_one((mailbox, device, authorization)), self.0.started.elapsed())
    }

    fn take_turn_at(&self, limits: &Limits, device: u64, now: Duration) -> Option<Turn> {
        let full = limits.device_requests_per_s.saturating_mul(DEVICE_BURST_S * 1_000);
        let now_ms = now.as_millis() as u64;
        let mut devices = self.devices();
        if devices.is_due(now) {
            devices.make_room(now);
        }
        if devices.of.len() >= devices.room && !devices.of.contains_key(&device) && !devices.make_room(now) {
            // Nobody is turned away for want of an entry.
            return Some(Turn { crowd: self.clone(), device });
        }
        let allowance = devices.of.entry(device).or_insert(Allowance { at_ms: now_ms, left: full, under_way: 0 });
        let earned = now_ms.saturating_sub(allowance.at_ms).saturating_mul(u64::from(limits.device_requests_per_s));
        let left = u64::from(allowance.left).saturating_add(earned).min(u64::from(full));
        (allowance.left, allowance.at_ms) = (left as u32, now_ms);
        let limit = match () {
            () if allowance.under_way >= limits.device_requests_max => "device_requests_max",
            () if allowance.left < 1_000 => "device_requests_per_s",
            () => {
                allowance.left -= 1_000;
                allowance.under_way += 1;
                return Some(Turn { crowd: self.clone(), device });
            }
        };
        metrics::counter!(SHED_TOTAL.name, "limit" => limit).increment(1);
        None
    }

    fn strangers(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.0.strangers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn devices(&self) -> MutexGuard<'_, Devices> {
        self.0.devices.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Devices {
    /// There are more entries than few, and those of the last look may have rested: a crowd that came at once is not kept until the next.
    fn is_due(&self, now: Duration) -> bool {
        self.of.len() > ROOM_MIN && now >= self.swept_at + RESTED
    }

    /// Lets go of devices that rested for so long that they have all of their allowance again. Whether there is room now for one more.
    fn make_room(&mut self, now: Duration) -> bool {
        // In a storm of strangers not for each of them.
        if self.room < COUNTED_DEVICES_MAX || now >= self.swept_at + SWEEP_EVERY {
            let rested_ms = RESTED.as_millis() as u64;
            self.of.retain(|_, allowance| allowance.under_way > 0 || allowance.at_ms + rested_ms > now.as_millis() as u64);
            // As much again, so that few are looked at often.
            self.room = (2 * self.of.len()).clamp(ROOM_MIN, COUNTED_DEVICES_MAX);
            self.of.shrink_to(self.room);
            self.swept_at = now;
        }
        self.of.len() < self.room
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        let mut strangers = self.crowd.strangers();
        if let Some(count) = strangers.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                strangers.remove(&self.address);
            }
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(allowance) = self.crowd.devices().of.get_mut(&self.device) {
            allowance.under_way = allowance.under_way.saturating_sub(1);
        }
    }
}

/// An IPv6 customer has a whole /64.
fn site(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> Limits {
        let text = "[limits]\nstrangers_per_address_max = 2\ndevice_requests_max = 3\ndevice_requests_per_s = 1\n";
        crate::config::Config::parse(text, std::iter::empty()).expect("a configuration").limits
    }

    #[test]
    fn an_ipv6_site_is_one_address_and_leaves_nothing_behind() {
        let (crowd, limits) = (Crowd::new(), limits());
        let meet = |address: &str| crowd.meet(&limits, address.parse().expect("an address"));
        let (first, second) = (meet("2001:db8::1"), meet("2001:db8::2:1"));
        assert!(first.is_some() && second.is_some() && meet("2001:db8::3").is_none());
        assert!(meet("2001:db8:0:1::1").is_some() && meet("192.0.2.1").is_some());
        drop(first);
        assert!(meet("2001:db8::4").is_some());
        drop(second);
        assert!(crowd.strangers().is_empty());
    }

    #[test]
    fn a_device_may_come_in_a_burst_and_then_at_its_pace() {
        let (crowd, limits) = (Crowd::new(), limits());
        let turn = |at: u64| crowd.take_turn_at(&limits, 7, Duration::from_millis(at)).is_some();
        assert_eq!((0..20).filter(|_| turn(0)).count(), 10);
        assert!(!turn(900) && turn(1_900) && !turn(1_950));
        assert!(crowd.take_turn_at(&limits, 8, Duration::ZERO).is_some(), "another device");
        assert_eq!((0..20).filter(|_| turn(3_600_000)).count(), 10, "a long rest is worth a burst and no more");
    }

    #[test]
    fn a_full_table_is_looked_through_once_a_second_and_turns_nobody_away() {
        let (crowd, limits) = (Crowd::new(), limits());
        let turn = |device: usize, at: u64| crowd.take_turn_at(&limits, device as u64, Duration::from_secs(at)).is_some();
        assert!((0..COUNTED_DEVICES_MAX).all(|device| turn(device, 100)));
        assert!(turn(COUNTED_DEVICES_MAX, 100), "uncounted");
        assert_eq!(crowd.devices().swept_at, Duration::from_secs(100));
        assert!(turn(COUNTED_DEVICES_MAX + 1, 100 + u64::from(DEVICE_BURST_S)));
        assert_eq!(crowd.devices().of.len(), 1, "all the others have rested");
    }

    #[test]
    fn devices_that_rest_leave_no_table_behind() {
        let (crowd, limits) = (Crowd::new(), limits());
        let turn = |device: u64| crowd.take_turn_at(&limits, device, Duration::from_millis(device)).is_some();
        assert!((0..100_000).all(turn));
        // A thousand a second, each for ten seconds.
        let devices = crowd.devices();
        assert!((10_000..=20_000).contains(&devices.of.len()) && devices.of.capacity() < 60_000, "{}", devices.of.capacity());
    }

    #[test]
    fn nor_does_a_crowd_that_came_at_once() {
        let (crowd, limits) = (Crowd::new(), limits());
        let turn = |device: u64, at: u64| crowd.take_turn_at(&limits, device, Duration::from_secs(at)).is_some();
        assert!((0..100_000).all(|device| turn(device, 1)));
        assert!(crowd.devices().of.len() == 100_000);
        assert!(turn(5, 11));
        let devices = crowd.devices();
        assert!(devices.of.len() == 1 && devices.of.capacity() <= 2 * ROOM_MIN, "{}", devices.of.capacity());
    }

    #[test]
    fn only_so_many_requests_of_a_device_are_under_way() {
        let (crowd, limits) = (Crowd::new(), limits());
        let turn = || crowd.take_turn_at(&limits, 7, Duration::ZERO);
        let mut held: Vec<_> = (0..4).map(|_| turn()).collect();
        assert!(held[..3].iter().all(Option::is_some) && held[3].is_none());
        held.clear();
        assert!(turn().is_some());
    }
}
