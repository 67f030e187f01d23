//! The same devices without a gateway: the backend holds their Pings.

use crate::cost::{BEFORE_S, Backend, Cost, DAY_S, DEVICE_MS, DEVICES, HEARTBEAT_S, MAILS, NOTICE_MS, Random, SYNC_MS};

const MS: u64 = 1_000;
const SECOND: u64 = 1_000_000;

/// One day. `longest_s`: the longest Ping that the backend holds.
pub fn day(backend: Backend, longest_s: u32) -> Cost {
    let mut random = Random(1);
    let mut cost = Cost { mails: (DEVICES * MAILS) as f64, ..Cost::default() };
    for _ in 0..DEVICES {
        let mails = random.mail_times();
        let comes = random.below(u64::from(HEARTBEAT_S) * SECOND);
        live(backend, HEARTBEAT_S.min(longest_s), &mails, comes, &mut cost);
    }
    cost.per_device()
}

/// One device: Ping, what is new, Ping.
fn live(backend: Backend, heartbeat_s: u32, mails: &[u64], comes: u64, cost: &mut Cost) {
    let (begins, ends) = (u64::from(BEFORE_S) * SECOND, u64::from(BEFORE_S + DAY_S) * SECOND);
    let (mut now, mut synced) = (comes, 0);
    while now < ends {
        let counts = if now >= begins { 1.0 } else { 0.0 };
        cost.pings += counts;
        cost.answered_pings += counts;
        let over = now + u64::from(heartbeat_s) * SECOND;
        let noticed = mails.get(synced).map(|&at| notices(backend, now, at)).filter(|&at| at <= over);
        let answered = noticed.unwrap_or(over);
        cost.held_s += answered.min(ends).saturating_sub(now.max(begins)) as f64 / SECOND as f64;
        now = answered + DEVICE_MS * MS;
        if noticed.is_some() {
            cost.syncs += counts;
            synced = mails.partition_point(|&at| at <= now);
            now += (SYNC_MS + DEVICE_MS) * MS;
        }
    }
}

/// When a Ping that came at `began` notices a mail of `at`.
fn notices(backend: Backend, began: u64, at: u64) -> u64 {
    match backend.looks_every_s().map(|s| s * SECOND) {
        None => (at + NOTICE_MS * MS).max(began),
        Some(every) => began + at.saturating_sub(began).div_ceil(every) * every,
    }
}
