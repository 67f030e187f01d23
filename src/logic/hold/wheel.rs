//! A hierarchical timer wheel threaded through the slots: one timer a slot, no allocation, O(1) to set and clear.
//!
//! Five levels of 64 buckets; a level-n bucket spans 64ⁿ ticks. A timer sits at the level of the highest six-bit digit in
//! which its deadline differs from now, and moves down as that digit is reached. A timer fires when its tick begins.

const LEVELS: usize = 6;
const BITS: u32 = 6;
const BUCKETS: usize = 1 << BITS;
const NONE: u32 = u32::MAX;

/// A timer's place in the wheel; one lives in every slot.
#[derive(Debug, Clone, Copy)]
pub struct Link {
    previous: u32,
    next: u32,
    deadline: u32,
    /// level * 64 + bucket, or `UNSET`.
    bucket: u16,
}

const UNSET: u16 = u16::MAX;

impl Default for Link {
    fn default() -> Self {
        Link { previous: NONE, next: NONE, deadline: 0, bucket: UNSET }
    }
}

impl Link {
    /// The tick this timer is set for.
    pub fn deadline(&self) -> Option<u32> {
        (self.bucket != UNSET).then_some(self.deadline)
    }
}

/// Where the links live: the slab, indexed like it.
pub trait Links {
    /// The link of a slot that is in use.
    fn link(&mut self, index: u32) -> &mut Link;
}

/// The wheel itself: heads of the bucket lists and which of them are not empty.
pub struct Wheel {
    now: u32,
    heads: Box<[[u32; BUCKETS]; LEVELS]>,
    occupied: [u64; LEVELS],
    len: usize,
}

impl Default for Wheel {
    fn default() -> Self {
        Wheel { now: 0, heads: Box::new([[NONE; BUCKETS]; LEVELS]), occupied: [0; LEVELS], len: 0 }
    }
}

impl Wheel {
    /// Timers set.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether no timer is set.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Sets (or moves) the timer of a slot; a deadline in the past fires at the next `advance`.
    pub fn set(&mut self, links: &mut impl Links, index: u32, deadline: u32) {
        self.clear(links, index);
        self.insert(links, index, deadline);
    }

    /// Clears the timer of a slot, if set.
    pub fn clear(&mut self, links: &mut impl Links, index: u32) {
        let Link { previous, next, bucket, .. } = *links.link(index);
        if bucket == UNSET {
            return;
        }
        let (level, slot) = (bucket as usize / BUCKETS, bucket as usize % BUCKETS);
        if previous == NONE {
            self.heads[level][slot] = next;
        } else {
            links.link(previous).next = next;
        }
        if next != NONE {
            links.link(next).previous = previous;
        }
        if self.heads[level][slot] == NONE {
            self.occupied[level] &= !(1 << slot);
        }
        *links.link(index) = Link::default();
        self.len -= 1;
    }

    /// The tick at which `advance` has something to do: a timer fires or moves down a level.
    pub fn next_tick(&self) -> Option<u32> {
        (0..LEVELS).find_map(|level| {
            let shift = BITS * level as u32;
            let digit = (self.now >> shift) as usize % BUCKETS;
            // At level 0 the bucket of the present tick may still hold timers that were due on arrival.
            let from = if level == 0 { digit } else { digit + 1 };
            let ahead = if from >= BUCKETS { 0 } else { self.occupied[level] & (u64::MAX << from) };
            let base = u64::from(self.now) >> (shift + BITS) << (shift + BITS);
            (ahead != 0).then(|| (base + (u64::from(ahead.trailing_zeros()) << shift)) as u32)
        })
    }

    /// Moves to `now`, calling `fire` for at most `max` timers whose tick has begun. Returns whether more are due.
    pub fn advance(&mut self, links: &mut impl Links, now: u32, max: usize, fired: &mut Vec<u32>) -> bool {
        let mut left = max;
        while let Some(next) = self.next_tick().filter(|next| *next <= now) {
            self.enter(links, next);
            let bucket = next as usize % BUCKETS;
            while self.heads[0][bucket] != NONE {
                if left == 0 {
                    return true;
                }
                left -= 1;
                let index = self.heads[0][bucket];
                self.clear(links, index);
                fired.push(index);
            }
        }
        self.enter(links, now.max(self.now));
        false
    }

    /// Moves the clock to a tick not beyond the next occupied one, and brings that tick's timers down to level 0.
    fn enter(&mut self, links: &mut impl Links, tick: u32) {
        let before = self.now;
        self.now = tick;
        for level in (1..LEVELS).rev() {
            let shift = BITS * level as u32;
            if before >> shift == tick >> shift {
                continue;
            }
            let bucket = (tick >> shift) as usize % BUCKETS;
            while self.heads[level][bucket] != NONE {
                let index = self.heads[level][bucket];
                let deadline = links.link(index).deadline;
                self.clear(links, index);
                self.insert(links, index, deadline);
            }
        }
    }

    fn insert(&mut self, links: &mut impl Links, index: u32, deadline: u32) {
        let deadline = deadline.max(self.now);
        let differs = deadline ^ self.now;
        let level = if differs == 0 { 0 } else { (31 - differs.leading_zeros()) / BITS } as usize;
        let bucket = (deadline >> (BITS * level as u32)) as usize % BUCKETS;
        let head = self.heads[level][bucket];
        *links.link(index) = Link { previous: NONE, next: head, deadline, bucket: (level * BUCKETS + bucket) as u16 };
        if head != NONE {
            links.link(head).previous = index;
        }
        self.heads[level][bucket] = index;
        self.occupied[level] |= 1 << bucket;
        self.len += 1;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    impl Links for Vec<Link> {
        fn link(&mut self, index: u32) -> &mut Link {
            &mut self[index as usize]
        }
    }

    /// The slow, obvious version: index → deadline.
    #[derive(Default)]
    struct Oracle(BTreeMap<u32, u32>);

    impl Oracle {
        fn due(&mut self, now: u32) -> Vec<u32> {
            let due: Vec<u32> = self.0.iter().filter(|(_, d)| **d <= now).map(|(i, _)| *i).collect();
            self.0.retain(|index, _| !due.contains(index));
            due
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_obvious_version(steps in proptest::collection::vec((0u8..4, 0u32..40, prop_oneof![0u32..70, 0u32..5_000, 0u32..300_000, 0u32..40_000_000]), 1..300)) {
            let (mut wheel, mut links, mut oracle, mut now) = (Wheel::default(), vec![Link::default(); 40], Oracle::default(), 0u32);
            for (what, index, amount) in steps {
                match what {
                    0 | 1 => {
                        let deadline = now + amount;
                        wheel.set(&mut links, index, deadline);
                        oracle.0.insert(index, deadline);
                    }
                    2 => {
                        wheel.clear(&mut links, index);
                        oracle.0.remove(&index);
                    }
                    _ => {
                        now += amount;
                        let mut fired = Vec::new();
                        while wheel.advance(&mut links, now, 7, &mut fired) {}
                        fired.sort_unstable();
                        prop_assert_eq!(fired, oracle.due(now));
                    }
                }
                prop_assert_eq!(wheel.len(), oracle.0.len());
                let earliest = oracle.0.values().min().copied();
                match (wheel.next_tick(), earliest) {
                    (None, None) => {}
                    (Some(next), Some(earliest)) => prop_assert!(next <= earliest.max(now), "woke too late: {} > {}", next, earliest),
                    other => prop_assert!(false, "{:?}", other),
                }
            }
        }
    }

    #[test]
    fn never_wakes_more_often_than_once_a_level() {
        let (mut wheel, mut links) = (Wheel::default(), vec![Link::default(); 1]);
        wheel.set(&mut links, 0, 216_000);
        let (mut wakes, mut fired) = (0, Vec::new());
        while let Some(next) = wheel.next_tick() {
            wheel.advance(&mut links, next, 10, &mut fired);
            wakes += 1;
        }
        assert!(fired == [0] && wakes <= LEVELS, "{wakes} wakes");
    }
}
