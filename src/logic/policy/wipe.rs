//! Orders to erase: requested → sent → acknowledged or failed, until cancelled.
//!
//! An order stands until somebody cancels it or removes the partnership: a device that comes back after its acknowledgement is
//! erased again, because it cannot be told apart from one that lied.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Timestamp;
use crate::logic::eas::Version;

/// What is erased.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WipeKind {
    /// The whole device.
    Device,
    /// Only this account's data; from 16.1.
    AccountOnly,
}

/// How far an order has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WipeState {
    /// Ordered; the device has not come yet.
    Requested,
    /// The device got the order.
    Sent,
    /// The device says that it erases itself.
    Acknowledged,
    /// The device says that it could not; it is told again.
    Failed,
    /// Taken back.
    Cancelled,
}

/// An order, with who and when. Names are those of administrators' tokens, as the audit trail has them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wipe {
    /// What is erased.
    pub kind: WipeKind,
    /// How far it has come.
    pub state: WipeState,
    /// DeviceWipeRequestTime.
    pub requested_at: Timestamp,
    /// LastDeviceWipeRequestor.
    pub requested_by: String,
    /// DeviceWipeSentTime: when the device last got it.
    pub sent_at: Option<Timestamp>,
    /// DeviceWipeAckTime: when the device first said that it does.
    pub acknowledged_at: Option<Timestamp>,
    /// Whether the acknowledgement came with credentials that were good. Without, anybody who knows the device id may have sent it.
    pub acknowledged_with_credentials: bool,
    /// When the device last said that it could not.
    pub failed_at: Option<Timestamp>,
    /// When it was taken back.
    pub cancelled_at: Option<Timestamp>,
    /// By whom.
    pub cancelled_by: Option<String>,
}

/// Why an order is not given or not taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WipeError {
    /// The device cannot erase an account alone.
    NeedsNewer {
        /// What it last spoke; `None` if it never said.
        version: Option<Version>,
    },
    /// The same order stands already.
    AlreadyOrdered(WipeState),
    /// There is no order.
    NothingToCancel,
}

impl Wipe {
    /// Orders to erase. `standing` is the device's present order, if any; `version` what it last spoke.
    ///
    /// # Errors
    /// The device cannot do it, or has been told and has not answered yet.
    pub fn order(kind: WipeKind, standing: Option<&Wipe>, version: Option<Version>, by: &str, now: Timestamp) -> Result<Wipe, WipeError> {
        if kind == WipeKind::AccountOnly && version.is_none_or(|version| version < Version::V16_1) {
            return Err(WipeError::NeedsNewer { version });
        }
        if let Some(standing) = standing.filter(|standing| standing.kind == kind && standing.awaits_device()) {
            return Err(WipeError::AlreadyOrdered(standing.state));
        }
        Ok(Wipe {
            kind,
            state: WipeState::Requested,
            requested_at: now,
            requested_by: by.to_owned(),
            sent_at: None,
            acknowledged_at: None,
            acknowledged_with_credentials: false,
            failed_at: None,
            cancelled_at: None,
            cancelled_by: None,
        })
    }

    /// Whether the device is still to be told when it comes: any order that was not taken back.
    pub fn stands(&self) -> bool {
        self.state != WipeState::Cancelled
    }

    /// Whether the device has not done it yet.
    pub fn awaits_device(&self) -> bool {
        matches!(self.state, WipeState::Requested | WipeState::Sent | WipeState::Failed)
    }

    /// The device got the order.
    pub fn sent(&mut self, now: Timestamp) {
        self.sent_at = Some(now);
        if self.state == WipeState::Requested {
            self.state = WipeState::Sent;
        }
    }

    /// The device reports: it does, or it could not. A failure after a success changes nothing: it has been erased since.
    pub fn reported(&mut self, is_done: bool, with_credentials: bool, now: Timestamp) {
        if is_done {
            self.state = WipeState::Acknowledged;
            self.acknowledged_with_credentials |= with_credentials;
            self.acknowledged_at.get_or_insert(now);
        } else if self.state != WipeState::Acknowledged {
            self.state = WipeState::Failed;
            self.failed_at = Some(now);
        }
    }

    /// Takes the order back. After an acknowledgement, that lets the erased device be set up again.
    ///
    /// # Errors
    /// It was taken back before.
    pub fn cancel(&mut self, by: &str, now: Timestamp) -> Result<(), WipeError> {
        if !self.stands() {
            return Err(WipeError::NothingToCancel);
        }
        self.state = WipeState::Cancelled;
        self.cancelled_at = Some(now);
        self.cancelled_by = Some(by.to_owned());
        Ok(())
    }
}

impl WipeKind {
    /// As in commands and answers.
    pub fn name(self) -> &'static str {
        match self {
            WipeKind::Device => "device",
            WipeKind::AccountOnly => "account_only",
        }
    }
}

impl WipeState {
    /// As in commands and answers.
    pub fn name(self) -> &'static str {
        match self {
            WipeState::Requested => "requested",
            WipeState::Sent => "sent",
            WipeState::Acknowledged => "acknowledged",
            WipeState::Failed => "failed",
            WipeState::Cancelled => "cancelled",
        }
    }
}

impl fmt::Display for WipeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WipeError::NeedsNewer { version: Some(version) } => write!(
                f,
                "an account-only wipe needs a device that speaks 16.1 or later; this one speaks {version}: wipe the whole device, or block it"
            ),
            WipeError::NeedsNewer { version: None } => {
                f.write_str("an account-only wipe needs a device that speaks 16.1 or later, and this one has not said what it speaks")
            }
            WipeError::AlreadyOrdered(state) => write!(f, "this wipe is already {}", state.name()),
            WipeError::NothingToCancel => f.write_str("there is no wipe to cancel"),
        }
    }
}

impl std::error::Error for WipeError {}
