//! What access rules would do to the devices that are known, before anybody sets them.

use super::error::StoreError;
use super::rows;
use super::sql::{Sql, SqlError};
use super::{Snapshot, Store, now};
use crate::config::limits::RULES_FORESEEN_MAX;
use crate::logic::policy::Timestamp;
use crate::logic::policy::access::{AccessState, Rules, decide};

/// Devices read at once.
const PAGE: u64 = 2_000;

/// Devices that rules would decide otherwise than now, by what they could do then.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Foreseen {
    /// May sync then, and may not now.
    pub allowed: u64,
    /// May not then.
    pub blocked: u64,
    /// May not then, until somebody decides.
    pub quarantined: u64,
    /// Must describe themselves first.
    pub discovery: u64,
    /// There are more devices than were looked at.
    pub is_part: bool,
}

impl Store {
    /// What these rules would change.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn foresee_rules(&self, rules: Rules) -> Result<Foreseen, StoreError> {
        let snapshot = self.snapshot();
        self.read(move |sql| foresee(sql, &snapshot, &rules, now())).await
    }
}

fn foresee(sql: &mut dyn Sql, snapshot: &Snapshot, rules: &Rules, now: Timestamp) -> Result<Foreseen, SqlError> {
    let (mut foreseen, mut after, mut seen) = (Foreseen::default(), 0, 0);
    loop {
        let page = rows::page_after(sql, after, PAGE)?;
        let Some(last) = page.last() else { return Ok(foreseen) };
        after = last.id;
        for device in page.iter().map(|stored| &stored.partnership) {
            let settings = snapshot.mailbox(&device.mailbox).settings;
            let (state, _) = decide(&settings, &device.device_id, device.device_access.as_ref(), rules, &device.traits(now));
            if state != device.access_state {
                *match state {
                    AccessState::Allowed => &mut foreseen.allowed,
                    AccessState::Blocked => &mut foreseen.blocked,
                    AccessState::Quarantined => &mut foreseen.quarantined,
                    AccessState::Discovery => &mut foreseen.discovery,
                } += 1;
            }
        }
        seen += page.len();
        if seen >= RULES_FORESEEN_MAX {
            foreseen.is_part = true;
            return Ok(foreseen);
        }
    }
}
