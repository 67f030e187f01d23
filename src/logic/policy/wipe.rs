//! Orders to erase: requested → sent → acknowledged or failed, until cancelled.
//!
//! An order stands until somebody cancels it, or removes the partnership and says that the order may go with it: a device that comes back
//! after its acknowledgement is erased again, because it cannot be told apart from one that lied. No order takes the place of a stronger
//! one, and what a device has said is not unsaid by taking its order back.

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
    /// Taken back before the device said that it does.
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
    /// DeviceWipeSentTime: when the device first got it.
    pub sent_at: Option<Timestamp>,
    /// When it last got it after that: it had not answered, could not, or came back.
    #[serde(default)]
    pub sent_again_at: Option<Timestamp>,
    /// DeviceWipeAckTime: when the device first said that it does.
    pub acknowledged_at: Option<Timestamp>,
    /// When it last said so of an order before this one.
    #[serde(default)]
    pub acknowledged_before_at: Option<Timestamp>,
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
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WipeError {
    /// The device cannot erase an account alone.
    NeedsNewer {
        /// What it last spoke; `None` if it never said.
        version: Option<Version>,
    },
    /// The same order stands already.
    AlreadyOrdered(WipeState),
    /// The whole device is to be erased; the account alone would be less.
    Weaker {
        /// How far the standing order has come.
        state: WipeState,
        /// Who gave it.
        by: String,
        /// When.
        at: Timestamp,
    },
    /// There is no order.
    NothingToCancel,
}

impl Wipe {
    /// Orders to erase. `standing` is the device's present order, if any; `version` what it last spoke.
    ///
    /// # Errors
    /// The device cannot do it, or has been told and has not answered yet, or a stronger order stands.
    pub fn order(kind: WipeKind, standing: Option<&Wipe>, version: Option<Version>, by: &str, now: Timestamp) -> Result<Wipe, WipeError> {
        if kind == WipeKind::AccountOnly && version.is_none_or(|version| version < Version::V16_1) {
            return Err(WipeError::NeedsNewer { version });
        }
        if let Some(standing) = standing.filter(|standing| standing.kind == kind && standing.awaits_device()) {
            return Err(WipeError::AlreadyOrdered(standing.state));
        }
        // Also after an acknowledgement: the device may have lied, and would keep everything but the account.
        let stronger = standing.filter(|standing| standing.stands() && standing.kind == WipeKind::Device);
        if let Some(Wipe { state, requested_by, requested_at, .. }) = stronger.filter(|_| kind == WipeKind::AccountOnly) {
            return Err(WipeError::Weaker { state: *state, by: requested_by.clone(), at: *requested_at });
        }
        Ok(Wipe {
            kind,
            state: WipeState::Requested,
            requested_at: now,
            requested_by: by.to_owned(),
            sent_at: None,
            sent_again_at: None,
            acknowledged_at: None,
            acknowledged_before_at: standing.and_then(|before| before.acknowledged_at.or(before.acknowledged_before_at)),
            acknowledged_with_credentials: false,
            failed_at: None,
            cancelled_at: None,
            cancelled_by: None,
        })
    }

    /// Whether the device is still to be told when it comes: any order that was not taken back.
    pub fn stands(&self) -> bool {
        self.cancelled_at.is_none()
    }

    /// Whether the device has not done it yet.
    pub fn awaits_device(&self) -> bool {
        matches!(self.state, WipeState::Requested | WipeState::Sent | WipeState::Failed)
    }

    /// The device got the order.
    pub fn sent(&mut self, now: Timestamp) {
        match self.sent_at {
            Some(_) => self.sent_again_at = Some(now),
            None => self.sent_at = Some(now),
        }
        if self.state == WipeState::Requested {
            self.state = WipeState::Sent;
        }
    }

    /// Whether the device may have something to say of it: it got the order, which may have been taken back meanwhile.
    pub fn may_be_reported(&self) -> bool {
        self.sent_at.is_some()
    }

    /// The device reports: it does, or it could not. A failure after a success changes nothing: it has been erased since. That it does is
    /// noted of an order that was taken back too: it was too late for that.
    pub fn reported(&mut self, is_done: bool, with_credentials: bool, now: Timestamp) {
        if is_done {
            self.state = WipeState::Acknowledged;
            self.acknowledged_with_credentials |= with_credentials;
            self.acknowledged_at.get_or_insert(now);
        } else if !matches!(self.state, WipeState::Acknowledged | WipeState::Cancelled) {
            self.state = WipeState::Failed;
            self.failed_at = Some(now);
        }
    }

    /// Takes the order back. After an acknowledgement, which stays, that lets the erased device be set up again.
    ///
    /// # Errors
    /// It was taken back before.
    pub fn cancel(&mut self, by: &str, now: Timestamp) -> Result<(), WipeError> {
        if !self.stands() {
            return Err(WipeError::NothingToCancel);
        }
        if self.state != WipeState::Acknowledged {
            self.state = WipeState::Cancelled;
        }
        self.cancelled_at = Some(now);
        self.cancelled_by = Some(by.to_owned());
        Ok(())
    }
}

/// For people, behind "the order to erase": what and how far it came.
impl fmt::Display for Wipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.kind {
            WipeKind::Device => "the device",
            WipeKind::AccountOnly => "the account alone",
        };
        write!(f, "{what} ({}, ordered by {} at {})", self.state.name(), self.requested_by, self.requested_at)
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
            WipeError::AlreadyOrdered(WipeState::Sent) => {
                f.write_str("this wipe is already sent: the device has not said yet that it does, and is told again whenever it comes")
            }
            WipeError::AlreadyOrdered(WipeState::Failed) => {
                f.write_str("this wipe is already ordered: the device said that it could not, and is told again whenever it comes")
            }
            WipeError::AlreadyOrdered(state) => write!(f, "this wipe is already {}", state.name()),
            WipeError::Weaker { state, by, at } => write!(
                f,
                "the whole device is to be erased ({}, ordered by {by} at {at}), and erasing the account alone would be less: take that order back first, if it is meant",
                state.name()
            ),
            WipeError::NothingToCancel => f.write_str("there is no wipe to cancel"),
        }
    }
}

impl std::error::Error for WipeError {}
