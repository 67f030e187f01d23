//! What administrators do to one device of one mailbox.

use zeroize::Zeroizing;

use super::Store;
use super::audit::{By, Deed};
use super::error::StoreError;
use super::rows::Stored;
use super::sql::params;
use super::transaction::Tx;
use crate::logic::eas::{DeviceId, Mailbox};
use crate::logic::policy::Partnership;
use crate::logic::policy::access::{Access, DeviceAccess};
use crate::logic::policy::wipe::{Wipe, WipeError, WipeKind};

/// Removals that are remembered for other processes: they hear of one within a second.
const REMOVALS_REMEMBERED: u64 = 10_000;

/// What a removal may take with it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Removal {
    /// An order to erase that stands.
    pub forget_wipe: bool,
    /// The revision that was read; `None`: whatever it is.
    pub read_revision: Option<u64>,
}

impl Store {
    /// Orders to erase a device, or this account on it. In effect for the device's next request, whichever process gets it (within a second).
    ///
    /// # Errors
    /// See [`StoreError`]; the device cannot be told, or has been.
    pub async fn order_wipe(&self, by: &By, mailbox: &Mailbox, device_id: &DeviceId, kind: WipeKind) -> Result<Stored, StoreError> {
        let actor = by.actor.clone();
        let deed = deed("wipe order", mailbox, device_id).detail(kind.name());
        self.change_device(by, deed, mailbox, device_id, move |tx, stored| {
            let partnership = &mut stored.partnership;
            let order = Wipe::order(kind, partnership.wipe.as_ref(), partnership.version, &actor, tx.now)?;
            let before = partnership.wipe.replace(order).filter(|wipe| wipe.stands() || wipe.acknowledged_at.is_some());
            tx.told = before.map(|before| format!("{}; in the place of an order to erase {before}", kind.name()));
            Ok(())
        })
        .await
    }

    /// Takes an order to erase back.
    ///
    /// # Errors
    /// See [`StoreError`]; there is none.
    pub async fn cancel_wipe(&self, by: &By, mailbox: &Mailbox, device_id: &DeviceId) -> Result<Stored, StoreError> {
        let actor = by.actor.clone();
        self.change_device(by, deed("wipe cancel", mailbox, device_id), mailbox, device_id, move |tx, stored| {
            let wipe = stored.partnership.wipe.as_mut().ok_or(WipeError::NothingToCancel)?;
            let before = wipe.to_string();
            wipe.cancel(&actor, tx.now)?;
            tx.told = Some(format!("to erase {before}"));
            Ok(())
        })
        .await
    }

    /// Allows, blocks or quarantines this very device; `None` leaves it to the mailbox and the rules again. Only if it is still at
    /// `read_revision`, if one is given.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn set_device_access(
        &self,
        by: &By,
        mailbox: &Mailbox,
        device_id: &DeviceId,
        access: Option<Access>,
        read_revision: Option<u64>,
    ) -> Result<Stored, StoreError> {
        let actor = by.actor.clone();
        let word = |access: Option<Access>| access.map_or("by the rules", Access::name);
        let deed = deed("device access", mailbox, device_id).detail(word(access));
        self.change_device(by, deed, mailbox, device_id, move |tx, stored| {
            at_revision(stored, read_revision)?;
            let said = access.map(|access| DeviceAccess { access, by: actor, at: tx.now });
            let before = std::mem::replace(&mut stored.partnership.device_access, said);
            tx.told = Some(format!("{} → {}", word(before.map(|before| before.access)), word(access)));
            tx.decide_by_snapshot(&mut stored.partnership);
            Ok(())
        })
        .await
    }

    /// Removes a partnership; a device that syncs again makes a new one. What was said of the device goes with it: whether it may sync,
    /// and, only if `removal` says so, an order to erase.
    ///
    /// # Errors
    /// See [`StoreError`]; it is to be erased.
    pub async fn remove_device(&self, by: &By, mailbox: &Mailbox, device_id: &DeviceId, removal: Removal) -> Result<(), StoreError> {
        let deed = deed("device remove", mailbox, device_id);
        let (mailbox, device_id) = (mailbox.clone(), device_id.clone());
        self.act(by, deed, move |tx| {
            let stored = tx.device(&mailbox, &device_id)?;
            at_revision(&stored, removal.read_revision)?;
            let partnership = stored.partnership;
            if let Some(wipe) = partnership.wipe.as_ref().filter(|wipe| wipe.stands() && !removal.forget_wipe) {
                return Err(StoreError::InTheWay(format!(
                    "an order stands to erase {wipe}, and would be forgotten: take it back first, or say that it may be forgotten"
                )));
            }
            tx.told = Some(forgotten(&partnership));
            let (names, generation) = ((mailbox.as_str(), device_id.as_str()), tx.generation);
            tx.sql.execute("DELETE FROM devices WHERE mailbox = ?1 AND device_id = ?2", params![names.0, names.1])?;
            let note = "INSERT INTO removed_devices (generation, mailbox, device_id) VALUES (?1, ?2, ?3)";
            tx.sql.execute(note, params![generation, names.0, names.1])?;
            let since = generation.saturating_sub(REMOVALS_REMEMBERED);
            if tx.sql.execute("DELETE FROM removed_devices WHERE generation <= ?1", params![since])? > 0 {
                tx.sql.execute("UPDATE store_state SET removals_since = ?1 WHERE id = 1", params![since])?;
            }
            tx.touched.removed.push((mailbox, device_id));
            Ok(())
        })
        .await
    }

    /// Shows a device's recovery password. That somebody looked is entered before it is shown.
    ///
    /// # Errors
    /// See [`StoreError`]; there is none, or it was stored under another key.
    pub async fn show_recovery_password(&self, by: &By, mailbox: &Mailbox, device_id: &DeviceId) -> Result<Zeroizing<String>, StoreError> {
        let deed = deed("recovery password show", mailbox, device_id);
        let (mailbox, device_id) = (mailbox.clone(), device_id.clone());
        self.act(by, deed, move |tx| {
            let statement = "SELECT recovery_password FROM devices WHERE mailbox = ?1 AND device_id = ?2";
            let rows = tx.sql.query(statement, params![mailbox.as_str(), device_id.as_str()])?;
            let sealed = rows.first().map(|row| row.some_bytes(0)).transpose()?.flatten();
            let missing = || StoreError::Missing(format!("recovery password of {mailbox} with device {device_id}"));
            tx.key.open(&mailbox, &device_id, sealed.ok_or_else(missing)?).map_err(|_| StoreError::Unreadable)
        })
        .await
    }

    /// Loads, changes and saves one partnership; as it is then.
    async fn change_device(
        &self,
        by: &By,
        deed: Deed,
        mailbox: &Mailbox,
        device_id: &DeviceId,
        change: impl FnOnce(&mut Tx<'_>, &mut Stored) -> Result<(), StoreError> + Send + 'static,
    ) -> Result<Stored, StoreError> {
        let (mailbox, device_id) = (mailbox.clone(), device_id.clone());
        self.act(by, deed, move |tx| {
            let mut stored = tx.device(&mailbox, &device_id)?;
            change(tx, &mut stored)?;
            tx.save(stored.partnership.clone())?;
            stored.revision += 1;
            Ok(stored)
        })
        .await
    }
}

fn at_revision(stored: &Stored, read_revision: Option<u64>) -> Result<(), StoreError> {
    let is_stale = read_revision.is_some_and(|read| read != stored.revision);
    if is_stale { Err(StoreError::Conflict { revision: stored.revision }) } else { Ok(()) }
}

/// What goes with a partnership, for the audit trail.
fn forgotten(partnership: &Partnership) -> String {
    let mut told = format!("a {}", partnership.device_type);
    if let Some(wipe) = partnership.wipe.as_ref().filter(|wipe| wipe.stands()) {
        told += &format!("; forgotten: an order to erase {wipe}");
    }
    if let Some(said) = &partnership.device_access {
        told += &format!("; forgotten: {} by {} at {}", said.access.name(), said.by, said.at);
    }
    told
}

fn deed(act: &'static str, mailbox: &Mailbox, device_id: &DeviceId) -> Deed {
    Deed::new(act).mailbox(mailbox).device(device_id)
}
