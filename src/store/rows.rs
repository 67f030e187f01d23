//! The table of devices: partnerships as rows.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::pending::Facts;
use super::sql::{Fault, Row, Sql, SqlError, Value, params};
use crate::logic::eas::{DeviceId, DeviceInformation, DeviceType, Mailbox, Version};
use crate::logic::policy::Partnership;

/// A partnership as it is stored.
#[derive(Debug, Clone)]
pub struct Stored {
    /// The partnership.
    pub partnership: Partnership,
    /// 1 at first, one more with every acknowledged change; what was merely seen does not count. An ETag.
    pub revision: u64,
    /// Its place in lists.
    pub(super) id: u64,
}

/// In the order of [`read`].
pub(super) const COLUMNS: &str = "id, revision, mailbox, device_id, device_type, user_agent, version, information, information_at, first_sync_at, \
     last_attempt_at, last_success_at, last_sync_status, last_heartbeat_s, folders_synced, provisioning, wipe, device_access, access_state, \
     access_why, recovery_password_at";

/// One device's row.
pub(super) fn load(sql: &mut dyn Sql, mailbox: &Mailbox, device_id: &DeviceId) -> Result<Option<Stored>, SqlError> {
    let statement = format!("SELECT {COLUMNS} FROM devices WHERE mailbox = ?1 AND device_id = ?2");
    sql.query(&statement, params![mailbox.as_str(), device_id.as_str()])?.first().map(read).transpose()
}

/// Many devices' rows, in the order asked for.
pub(super) fn load_many(sql: &mut dyn Sql, names: &[(&Mailbox, &DeviceId)]) -> Result<Vec<Option<Partnership>>, SqlError> {
    let statement = format!("SELECT {COLUMNS} FROM devices WHERE mailbox = ?1 AND device_id = ?2");
    let names: Vec<Vec<Value>> = names.iter().map(|(mailbox, device_id)| params![mailbox.as_str(), device_id.as_str()].to_vec()).collect();
    let one = |rows: Vec<Row>| Ok(rows.first().map(read).transpose()?.map(|stored| stored.partnership));
    sql.query_many(&statement, &names)?.into_iter().map(one).collect()
}

/// A page of all devices, by id.
pub(super) fn page_after(sql: &mut dyn Sql, id: u64, count: u64) -> Result<Vec<Stored>, SqlError> {
    let statement = format!("SELECT {COLUMNS} FROM devices WHERE id > ?1 ORDER BY id LIMIT ?2");
    sql.query(&statement, params![id, count])?.iter().map(read).collect()
}

/// Devices that changed after a generation.
pub(super) fn changed_since(sql: &mut dyn Sql, generation: u64, id: u64, count: u64) -> Result<Vec<Stored>, SqlError> {
    let statement = format!("SELECT {COLUMNS} FROM devices WHERE generation > ?1 AND id > ?2 ORDER BY id LIMIT ?3");
    sql.query(&statement, params![generation, id, count])?.iter().map(read).collect()
}

pub(super) fn read(row: &Row) -> Result<Stored, SqlError> {
    let mailbox = Mailbox::normalise(row.text(2)?, None, false).ok_or_else(|| strange("a mailbox"))?;
    let device_id = DeviceId::new(row.text(3)?.as_bytes()).map_err(|_| strange("a device id"))?;
    let device_type = DeviceType::new(row.text(4)?.as_bytes()).map_err(|_| strange("a device type"))?;
    let version = row.some_text(6)?.map(|text| text.parse::<Version>().map_err(|_| strange("a version"))).transpose()?;
    let small = |index: usize| row.some_int(index).map(|value| value.and_then(|value| u32::try_from(value).ok()));
    let partnership = Partnership {
        mailbox,
        device_id,
        device_type,
        user_agent: row.some_text(5)?.map(str::to_owned),
        version,
        information: from_json(row.text(7)?)?,
        information_at: row.some_time(8)?,
        first_sync_at: row.time(9)?,
        last_attempt_at: row.some_time(10)?,
        last_success_at: row.some_time(11)?,
        last_sync_status: small(12)?.and_then(|status| u16::try_from(status).ok()),
        last_heartbeat_s: small(13)?,
        folders_synced: small(14)?.unwrap_or(0),
        provisioning: from_json(row.text(15)?)?,
        wipe: row.some_text(16)?.map(from_json).transpose()?,
        device_access: row.some_text(17)?.map(from_json).transpose()?,
        access_state: from_json(&format!("\"{}\"", row.text(18)?))?,
        access_why: from_json(row.text(19)?)?,
        recovery_password_at: row.some_time(20)?,
    };
    Ok(Stored { partnership, revision: row.number(1)?, id: row.number(0)? })
}

/// Writes everything but what is merely seen; a new row has that too. The recovery password itself is written apart.
pub(super) fn save_many(sql: &mut dyn Sql, partnerships: &[Partnership], generation: u64) -> Result<(), SqlError> {
    const SAVE: &str = "INSERT INTO devices (mailbox, device_id, generation, revision, device_type, user_agent, version, information, \
         information_words, information_at, first_sync_at, last_attempt_at, last_success_at, last_sync_status, last_heartbeat_s, folders_synced, \
         provisioning, policy, wipe, wipe_state, device_access, access_state, access_why, recovery_password_at) \
         VALUES (?1, ?2, ?3, 1, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23) \
         ON CONFLICT (mailbox, device_id) DO UPDATE SET generation = excluded.generation, revision = devices.revision + 1, \
         device_type = excluded.device_type, user_agent = excluded.user_agent, version = excluded.version, \
         information = excluded.information, information_words = excluded.information_words, information_at = excluded.information_at, \
         provisioning = excluded.provisioning, policy = excluded.policy, wipe = excluded.wipe, wipe_state = excluded.wipe_state, \
         device_access = excluded.device_access, access_state = excluded.access_state, access_why = excluded.access_why, \
         recovery_password_at = excluded.recovery_password_at";
    let rows: Result<Vec<_>, SqlError> = partnerships.iter().map(|partnership| values(partnership, generation)).collect();
    sql.execute_many(SAVE, &rows?)
}

/// In the order of the statement above.
fn values(p: &Partnership, generation: u64) -> Result<Vec<Value>, SqlError> {
    let applied = p.provisioning.applied.as_ref().map(|applied| applied.document.policy.folded().to_owned());
    Ok(params![
        p.mailbox.as_str(),
        p.device_id.as_str(),
        generation,
        p.device_type.as_str(),
        p.user_agent.as_deref(),
        p.version.map(|version| version.to_string()),
        to_json(&p.information)?,
        words(&p.information),
        p.information_at,
        p.first_sync_at,
        p.last_attempt_at,
        p.last_success_at,
        p.last_sync_status,
        p.last_heartbeat_s,
        p.folders_synced,
        to_json(&p.provisioning)?,
        applied,
        p.wipe.as_ref().map(to_json).transpose()?,
        p.wipe.as_ref().map(|wipe| wipe.state.name()),
        p.device_access.as_ref().map(to_json).transpose()?,
        p.access_state.name(),
        to_json(&p.access_why)?,
        p.recovery_password_at,
    ]
    .to_vec())
}

/// Stores, or deletes, the sealed password of a device that has a row.
pub(super) fn save_password(sql: &mut dyn Sql, mailbox: &Mailbox, device_id: &DeviceId, sealed: Option<Vec<u8>>) -> Result<(), SqlError> {
    let statement = "UPDATE devices SET recovery_password = ?3 WHERE mailbox = ?1 AND device_id = ?2";
    sql.execute(statement, params![mailbox.as_str(), device_id.as_str(), sealed]).map(drop)
}

/// Writes what was seen of many devices; one that nobody knows yet gets a row.
pub(super) fn save_facts(sql: &mut dyn Sql, facts: &[Facts], generation: u64) -> Result<(), SqlError> {
    // NULL leaves what is there. A time never goes back: another process may have seen the device later.
    const SAVE: &str = "INSERT INTO devices (mailbox, device_id, generation, revision, device_type, user_agent, version, information, \
         information_words, first_sync_at, last_attempt_at, last_success_at, last_sync_status, last_heartbeat_s, folders_synced, provisioning, \
         access_state, access_why) VALUES (?1, ?2, ?3, 1, ?4, ?5, ?6, '{}', '', ?7, ?8, ?9, ?10, ?11, coalesce(CAST(?12 AS BIGINT), 0), '{}', \
         'allowed', '{\"because\":\"default\"}') \
         ON CONFLICT (mailbox, device_id) DO UPDATE SET device_type = excluded.device_type, \
         user_agent = coalesce(excluded.user_agent, devices.user_agent), version = excluded.version, \
         last_attempt_at = CASE WHEN devices.last_attempt_at > excluded.last_attempt_at THEN devices.last_attempt_at \
         ELSE excluded.last_attempt_at END, \
         last_success_at = CASE WHEN devices.last_success_at > excluded.last_success_at THEN devices.last_success_at \
         ELSE coalesce(excluded.last_success_at, devices.last_success_at) END, \
         last_sync_status = CASE WHEN CAST(?13 AS BIGINT) = 1 THEN excluded.last_sync_status ELSE devices.last_sync_status END, \
         last_heartbeat_s = coalesce(excluded.last_heartbeat_s, devices.last_heartbeat_s), \
         folders_synced = coalesce(CAST(?12 AS BIGINT), devices.folders_synced)";
    let rows: Vec<Vec<Value>> = facts
        .iter()
        .map(|f| {
            params![
                f.mailbox.as_str(),
                f.device_id.as_str(),
                generation,
                f.device_type.as_str(),
                f.user_agent.as_deref(),
                f.version.to_string(),
                f.first_at,
                f.attempt_at,
                f.success_at,
                f.sync_status.flatten(),
                f.heartbeat_s,
                f.folders,
                u32::from(f.sync_status.is_some()),
            ]
            .to_vec()
        })
        .collect();
    sql.execute_many(SAVE, &rows)
}

/// What people search for, in lower case.
fn words(information: &DeviceInformation) -> String {
    let fields = [
        &information.model,
        &information.imei,
        &information.friendly_name,
        &information.os,
        &information.os_language,
        &information.phone_number,
        &information.user_agent,
        &information.mobile_operator,
    ];
    let texts: Vec<_> = fields.into_iter().flatten().map(|text| text.to_lowercase()).collect();
    texts.join(" ")
}

pub(super) fn to_json<T: Serialize>(value: &T) -> Result<String, SqlError> {
    serde_json::to_string(value).map_err(|_| strange("a value"))
}

pub(super) fn from_json<T: DeserializeOwned>(text: &str) -> Result<T, SqlError> {
    serde_json::from_str(text).map_err(|_| strange("JSON"))
}

pub(super) fn strange(what: &str) -> SqlError {
    SqlError {
        fault: Fault::Refused,
        message: format!("{what} in the database is not as pushgate writes it: the database was changed by hand"),
    }
}
