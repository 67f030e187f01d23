//! What can go wrong, by whose fault it is.

use std::fmt;

use super::sql::{Fault, SqlError};
use crate::logic::policy::access::AccessError;
use crate::logic::policy::wipe::WipeError;
use crate::logic::policy::{PoliciesError, Problems};

/// Why the store did not open. One sentence that says what to do.
#[derive(Debug)]
pub enum OpenError {
    /// The database cannot be used; what of it, and what it said.
    Database(String),
    /// It belongs to a newer pushgate.
    Newer {
        /// Its version.
        found: usize,
        /// The newest this program knows.
        known: usize,
    },
    /// A step towards this program's tables failed and was taken back.
    Migration {
        /// Which, from 1.
        step: usize,
        /// What the database said.
        message: String,
    },
    /// The key of the recovery passwords.
    Key(String),
}

/// Why something was not done. Nothing of it was saved, unless it says otherwise.
#[derive(Debug)]
pub enum StoreError {
    /// The database is away, or full, or too slow: HTTP 503.
    Unavailable(String),
    /// The connection broke while the database was saving: it may have been saved. HTTP 503.
    Uncertain(String),
    /// Somebody else changed it since it was read: HTTP 412.
    Conflict {
        /// Its revision now.
        revision: u64,
    },
    /// There is no such thing: HTTP 404. What was looked for, such as `policy Strict`.
    Missing(String),
    /// It is there already: HTTP 409.
    Exists(String),
    /// It cannot be removed while something names it: HTTP 409. What does.
    InUse(Vec<String>),
    /// It is the directory's: HTTP 409. What, such as `group Sales`.
    Foreign(String),
    /// Something stands in the way that must not be lost unsaid, such as an order to erase: HTTP 409. A sentence.
    InTheWay(String),
    /// A limit of the store: HTTP 409. A sentence.
    Full(String),
    /// What was asked makes no sense: HTTP 422. A sentence for the administrator.
    Unsuitable(String),
    /// The database refuses the statement itself: a defect of pushgate, or somebody changed the tables. HTTP 500.
    Broken(String),
    /// A recovery password that this key file cannot open. HTTP 409.
    Unreadable,
}

impl OpenError {
    pub(super) fn database(what: &str, error: &SqlError) -> Self {
        OpenError::Database(format!("{what}: {error}"))
    }
}

impl From<SqlError> for OpenError {
    fn from(error: SqlError) -> Self {
        OpenError::Database(error.to_string())
    }
}

impl StoreError {
    /// Whether it is the database's fault: the same may succeed later.
    pub fn is_passing(&self) -> bool {
        matches!(self, StoreError::Unavailable(_) | StoreError::Uncertain(_))
    }

    /// One word, for the audit trail.
    pub fn outcome(&self) -> &'static str {
        match self {
            StoreError::Unavailable(_) | StoreError::Uncertain(_) | StoreError::Broken(_) | StoreError::Unreadable => "failed",
            StoreError::Conflict { .. } => "conflict",
            _ => "refused",
        }
    }
}

impl From<SqlError> for StoreError {
    fn from(error: SqlError) -> Self {
        match error.fault {
            Fault::Lost => StoreError::Unavailable(format!("the database is away: {error}")),
            Fault::Busy => StoreError::Unavailable(format!("the database cannot do it now: {error}")),
            Fault::Refused => StoreError::Broken(error.message),
        }
    }
}

impl From<WipeError> for StoreError {
    fn from(error: WipeError) -> Self {
        match error {
            WipeError::Weaker { .. } => StoreError::InTheWay(error.to_string()),
            WipeError::NeedsNewer { .. } | WipeError::AlreadyOrdered(_) | WipeError::NothingToCancel => {
                StoreError::Unsuitable(error.to_string())
            }
        }
    }
}

impl From<AccessError> for StoreError {
    fn from(error: AccessError) -> Self {
        StoreError::Full(error.to_string())
    }
}

impl From<Problems> for StoreError {
    fn from(problems: Problems) -> Self {
        StoreError::Unsuitable(problems.to_string())
    }
}

impl From<PoliciesError> for StoreError {
    fn from(error: PoliciesError) -> Self {
        match error {
            PoliciesError::Exists(name) => StoreError::Exists(format!("policy {name}")),
            PoliciesError::Missing(name) => StoreError::Missing(format!("policy {name}")),
            PoliciesError::TooMany => StoreError::Full(error.to_string()),
            PoliciesError::Changed { revision } => StoreError::Conflict { revision },
        }
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OpenError::Database(message) => write!(f, "store.url: the database cannot be used: {message}"),
            OpenError::Newer { found, known } => write!(
                f,
                "store.url: the database is at version {found}, and this pushgate knows versions up to {known}: start the newer pushgate that made it, or restore the copy from before"
            ),
            OpenError::Migration { step, message } => {
                write!(f, "store.url: step {step} of making the tables failed, and the database is as it was before: {message}")
            }
            OpenError::Key(message) => write!(f, "store.key_file: {message}"),
        }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StoreError::Unavailable(message) => write!(f, "nothing was saved: {message}"),
            StoreError::Uncertain(message) => write!(f, "it may or may not have been saved, look again: {message}"),
            StoreError::Conflict { revision } => write!(f, "somebody changed it meanwhile: it is at revision {revision} now; read it again"),
            StoreError::Broken(message) => write!(f, "nothing was saved, because the database refuses it: {message}"),
            StoreError::Missing(what) => write!(f, "there is no {what}"),
            StoreError::Exists(what) => write!(f, "there is {what} already"),
            StoreError::Foreign(what) => {
                write!(f, "{what} comes from the directory: who is in it is changed there; its policy and rank are changed here")
            }
            StoreError::InUse(by) => write!(f, "it is in use by {}", by.join(", ")),
            StoreError::InTheWay(message) | StoreError::Full(message) | StoreError::Unsuitable(message) => f.write_str(message),
            StoreError::Unreadable => f.write_str(
                "this recovery password was stored under another key: restore the store.key_file it was stored with; others are not affected",
            ),
        }
    }
}

impl std::error::Error for OpenError {}
impl std::error::Error for StoreError {}
