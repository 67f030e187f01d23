//! What administrators do to one device of one mailbox.

use zeroize::Zeroizing;

use super::Store;
use super::audit::{By, Deed};
use super::error::StoreError;
use super::rows::Stored;
use super::sql::params;
use super::transaction::Tx;
use crate::logic::eas::{DeviceId, Mailbox};
use crate::logic::policy::access::{Access, DeviceAccess};
use crate::logic::policy::wipe::{Wipe, WipeError, WipeKind};

/// Removals that are remembered for other processes: they hear of one within a second.
const REMOVALS_REMEMBERED: u64 = 10_000;

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
            partnership.wipe = Some(Wipe::order(kind, partnership.wipe.as_ref(), partnership.version, &actor, tx.now)?);
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
            Ok(wipe.cancel(&actor, tx.now)?)
        })
        .await
    }

    /// Allows, blocks or quarantines this very device; `None` leaves it to the mailbox and the rules again.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn set_device_access(
        &self,
        by: &By,
        mailbox: &Mailbox,
        device_id: &DeviceId,
        access: Option<Access>,
    ) -> Result<Stored, StoreError> {
        let actor = by.actor.clone();
        let said = match access {
            Some(Access::Allow) => "allow",
            Some(Access::Block) => "block",
            Some(Access::Quarantine) => "quarantine",
            None => "by the rules",
        };
        let deed = deed("device access", mailbox, device_id).detail(said);
        self.change_device(by, deed, mailbox, device_id, move |tx, stored| {
            stored.partnership.device_access = access.map(|access| DeviceAccess { access, by: actor, at: tx.now });
            tx.decide_by_snapshot(&mut stored.partnership);
            Ok(())
        })
        .await
    }

    /// Removes a partnership; a device that syncs again makes a new one. An order to erase goes with it.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn remove_device(&self, by: &By, mailbox: &Mailbox, device_id: &DeviceId) -> Result<(), StoreError> {
        let deed = deed("device remove", mailbox, device_id);
        let (mailbox, device_id) = (mailbox.clone(), device_id.clone());
        self.act(by, deed, move |tx| {
            tx.device(&mailbox, &device_id)?;
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

fn deed(act: &'static str, mailbox: &Mailbox, device_id: &DeviceId) -> Deed {
    Deed::new(act).mailbox(mailbox).device(device_id)
}
