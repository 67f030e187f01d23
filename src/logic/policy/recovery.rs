//! The recovery password (MS-ASCMD Settings/DevicePassword): who may store one, and what the device is told. The password itself goes
//! to the store, encrypted, and nowhere else; what else the request asks is forwarded without it.

use super::{Prepared, Setting};
use crate::logic::eas::settings::{RecoveryPassword, SettingsRequest};

/// Characters of a recovery password; the specification's maximum.
pub const CHARS_MAX: usize = 255;

/// DevicePassword/Status.
mod device_password {
    pub(super) const OK: u16 = 1;
    pub(super) const TOO_LONG: u16 = 5;
    pub(super) const DENIED_BY_POLICY: u16 = 7;
}

/// What to do about a recovery password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recovery {
    /// Store it, then say so.
    Store(RecoveryPassword),
    /// Delete what is stored, then say so.
    Clear,
    /// Say why not.
    Refuse {
        /// DevicePassword/Status.
        status: u16,
    },
}

/// Decides the recovery password of a Settings request; `None` if it has none. Without a policy the gateway keeps none.
pub fn decide(request: &SettingsRequest, policy: Option<&Prepared>) -> Option<Recovery> {
    let password = request.device_password.as_ref()?;
    if password.reveal().is_empty() {
        return Some(Recovery::Clear);
    }
    let is_allowed = policy.is_some_and(|policy| policy.is_on(Setting::PasswordRecoveryEnabled));
    Some(if !is_allowed {
        Recovery::Refuse { status: device_password::DENIED_BY_POLICY }
    } else if password.reveal().chars().count() > CHARS_MAX {
        Recovery::Refuse { status: device_password::TOO_LONG }
    } else {
        Recovery::Store(password.clone())
    })
}

impl Recovery {
    /// DevicePassword/Status once it is done.
    pub fn status(&self) -> u16 {
        match self {
            Recovery::Store(_) | Recovery::Clear => device_password::OK,
            Recovery::Refuse { status } => *status,
        }
    }
}
