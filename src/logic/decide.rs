//! What a Ping asks for, together with what its device sent before → what to hold, or the answer that refuses it.

use crate::logic::eas::ping::PingRequest;

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
