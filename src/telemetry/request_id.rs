//! The mark that joins all log lines of one request.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// Lower-case Crockford alphabet: no i, l, o, u, so that it can be read out over the telephone.
pub(super) const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// Bits of the random start: seven characters, so that two processes seldom share a range.
const START_BITS: u32 = 35;

/// Unique in the process; written in 7 or 8 characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestId(u64);

impl RequestId {
    /// The next one.
    pub fn next() -> RequestId {
        static NEXT: LazyLock<AtomicU64> = LazyLock::new(|| AtomicU64::new(random_start()));
        RequestId(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// Between a quarter and a half of the range: always seven characters, far from an eighth. The standard library seeds its
/// hashers with the system's randomness; that is enough for a mark that protects nothing.
fn random_start() -> u64 {
    let random = RandomState::new().hash_one(std::process::id());
    (1 << (START_BITS - 2)) | (random >> (64 - (START_BITS - 2)))
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0; 13];
        let (mut rest, mut at) = (self.0, text.len());
        while rest > 0 || at == text.len() {
            at -= 1;
            text[at] = ALPHABET[(rest & 31) as usize];
            rest >>= 5;
        }
        text[at..].iter().try_for_each(|byte| fmt::Write::write_char(f, char::from(*byte)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_short_and_differ() {
        let ids: Vec<String> = (0..1_000).map(|_| RequestId::next().to_string()).collect();
        assert!(ids.iter().all(|id| id.len() == 7), "{ids:?}");
        assert_eq!(ids.iter().collect::<std::collections::HashSet<_>>().len(), ids.len());
    }

    #[test]
    fn every_number_can_be_written() {
        assert_eq!(RequestId(0).to_string(), "0");
        assert_eq!(RequestId(31).to_string(), "z");
        assert_eq!(RequestId(32).to_string(), "10");
        assert_eq!(RequestId(u64::MAX).to_string(), "fzzzzzzzzzzzz");
    }
}
