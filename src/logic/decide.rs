//! What a Ping or a hanging Sync asks for, together with what its device sent before → what to hold, or the answer that refuses it.

use crate::logic::eas::ping::PingRequest;
use crate::logic::eas::sync::SyncRequest;

/// `[ping]`: what is accepted.
#[derive(Debug, Clone, Copy)]
pub struct PingBounds {
    /// Shortest heartbeat, seconds.
    pub heartbeat_min_s: u32,
    /// Longest heartbeat, seconds.
    pub heartbeat_max_s: u32,
    /// Most folders.
    pub folders_max: usize,
}

/// Why a Ping is not held (eas-protocol: Ping statuses 3, 5 and 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PingRefusal {
    /// Neither sent nor remembered: the device must send the full Ping (3).
    MissingParameters,
    /// Out of bounds; carries the nearest heartbeat that is not (5).
    HeartbeatOutOfRange {
        /// Seconds.
        heartbeat_s: u32,
    },
    /// More folders than are watched for one device (6).
    TooManyFolders {
        /// Most folders accepted.
        max: usize,
    },
}

/// Decides a Ping: `Ok(heartbeat)` in seconds, or the refusal. `remembered` is (heartbeat, has folders) of earlier Pings.
///
/// What is refused must not be remembered: the caller stores heartbeat and folders only on `Ok`.
pub fn decide_ping(request: &PingRequest, remembered: (Option<u32>, bool), bounds: &PingBounds) -> Result<u32, PingRefusal> {
    let heartbeat_s = request.heartbeat_s.or(remembered.0).ok_or(PingRefusal::MissingParameters)?;
    let has_folders = match &request.folders {
        Some(folders) => !folders.is_empty(),
        None => remembered.1,
    };
    if heartbeat_s < bounds.heartbeat_min_s {
        return Err(PingRefusal::HeartbeatOutOfRange { heartbeat_s: bounds.heartbeat_min_s });
    }
    if heartbeat_s > bounds.heartbeat_max_s {
        return Err(PingRefusal::HeartbeatOutOfRange { heartbeat_s: bounds.heartbeat_max_s });
    }
    if !has_folders {
        return Err(PingRefusal::MissingParameters);
    }
    if request.folder_count > bounds.folders_max {
        return Err(PingRefusal::TooManyFolders { max: bounds.folders_max });
    }
    Ok(heartbeat_s)
}

/// Why a hanging Sync is neither forwarded nor held (eas-protocol: Sync statuses 4, 13, 14 and 15).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyncRefusal {
    /// Wait and HeartbeatInterval at once (4).
    TwoWaits,
    /// Empty or Partial, and the full request is not known: the device must send it (13).
    Incomplete,
    /// Out of bounds (14).
    WaitOutOfRange {
        /// The nearest that is not, in the unit the device used.
        limit: u32,
    },
    /// More collections than are watched for one device (15).
    TooManyCollections {
        /// Most collections accepted.
        max: usize,
    },
}

/// Wait is in minutes, 1 to 59.
const WAIT_MIN_MAX: u32 = 59;

/// Decides the wait of a full Sync: seconds, `None` if it wants to be answered at once, or the refusal.
pub fn decide_sync(request: &SyncRequest, bounds: &PingBounds) -> Result<Option<u32>, SyncRefusal> {
    let out_of = |value: u32, min: u32, max: u32| (!(min..=max).contains(&value)).then(|| value.clamp(min, max));
    let (limit, wait_s) = match (request.wait_min, request.heartbeat_s) {
        (None, None) => return Ok(None),
        (Some(_), Some(_)) => return Err(SyncRefusal::TwoWaits),
        (Some(minutes), None) => {
            let max = (bounds.heartbeat_max_s / 60).clamp(1, WAIT_MIN_MAX);
            let min = bounds.heartbeat_min_s.div_ceil(60).clamp(1, max);
            (out_of(minutes, min, max), minutes.saturating_mul(60))
        }
        (None, Some(seconds)) => (out_of(seconds, bounds.heartbeat_min_s, bounds.heartbeat_max_s), seconds),
    };
    match limit {
        Some(limit) => Err(SyncRefusal::WaitOutOfRange { limit }),
        None if request.collections.len() > bounds.folders_max => Err(SyncRefusal::TooManyCollections { max: bounds.folders_max }),
        None => Ok(Some(wait_s)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logic::eas::FolderId;
    use crate::logic::eas::sync::SyncCollection;

    const BOUNDS: PingBounds = PingBounds { heartbeat_min_s: 90, heartbeat_max_s: 3_540, folders_max: 2 };

    fn sync(wait_min: Option<u32>, heartbeat_s: Option<u32>, collections: usize) -> SyncRequest {
        let collection = SyncCollection::new(FolderId::new("5").expect("short"), "1");
        SyncRequest { collections: vec![collection; collections], wait_min, heartbeat_s, ..SyncRequest::default() }
    }

    #[test]
    fn a_wait_is_judged_in_the_unit_it_came_in() {
        let out = |limit| Err(SyncRefusal::WaitOutOfRange { limit });
        let cases = [
            ((None, None), Ok(None)),
            ((Some(2), None), Ok(Some(120))),
            ((Some(59), None), Ok(Some(3_540))),
            ((Some(60), None), out(59)),
            ((Some(1), None), out(2)),
            ((Some(0), None), out(2)),
            ((Some(u32::MAX), None), out(59)),
            ((None, Some(90)), Ok(Some(90))),
            ((None, Some(89)), out(90)),
            ((None, Some(3_541)), out(3_540)),
            ((Some(10), Some(600)), Err(SyncRefusal::TwoWaits)),
        ];
        for ((wait_min, heartbeat_s), expected) in cases {
            assert_eq!(decide_sync(&sync(wait_min, heartbeat_s, 1), &BOUNDS), expected, "{wait_min:?} {heartbeat_s:?}");
        }
    }

    #[test]
    fn too_many_collections_matter_only_to_a_sync_that_waits() {
        assert_eq!(decide_sync(&sync(Some(5), None, 3), &BOUNDS), Err(SyncRefusal::TooManyCollections { max: 2 }));
        assert_eq!(decide_sync(&sync(None, None, 3), &BOUNDS), Ok(None));
    }
}
