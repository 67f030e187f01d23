//! Partnerships for people: one in full, or lists, filtered and a page at a time. Straight from the database, by the reading thread.

use super::Store;
use super::error::StoreError;
use super::rows::{self, Stored};
use super::sql::{Sql, SqlError, Value, params};
use crate::config::limits::LISTED_MAX;
use crate::logic::eas::{DeviceId, Mailbox};
use crate::logic::policy::access::AccessState;
use crate::logic::policy::wipe::WipeState;
use crate::logic::policy::{PolicyName, Timestamp};

/// Which partnerships; every field narrows.
#[derive(Debug, Clone, Default)]
pub struct DeviceFilter {
    /// Of this mailbox.
    pub mailbox: Option<Mailbox>,
    /// Of this device, in any mailbox.
    pub device_id: Option<DeviceId>,
    /// In this access state.
    pub access_state: Option<AccessState>,
    /// Whose last order to erase came so far.
    pub wipe_state: Option<WipeState>,
    /// That acknowledged this policy last.
    pub policy: Option<PolicyName>,
    /// Not seen since then.
    pub last_seen_before: Option<Timestamp>,
    /// That have this in their mailbox, id, type, user agent or description, in any case; `*` is any text.
    pub search: Option<String>,
    /// One of these.
    pub among: Option<Vec<(Mailbox, DeviceId)>>,
}

/// A page of a list.
#[derive(Debug, Clone)]
pub struct DevicePage {
    /// In the order they were first seen.
    pub devices: Vec<Stored>,
    /// What to give as `after` for the next page; `None`: this was the last.
    pub next: Option<u64>,
}

impl Store {
    /// One partnership in full; up to `store.flush_s` behind in what is merely seen.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn device(&self, mailbox: &Mailbox, device_id: &DeviceId) -> Result<Option<Stored>, StoreError> {
        let (mailbox, device_id) = (mailbox.clone(), device_id.clone());
        self.read(move |sql| rows::load(sql, &mailbox, &device_id)).await
    }

    /// At most `count` partnerships (and at most a thousand), from behind `after` (0: from the first).
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn devices(&self, filter: DeviceFilter, after: u64, count: usize) -> Result<DevicePage, StoreError> {
        let count = count.clamp(1, LISTED_MAX);
        self.read(move |sql| list(sql, &filter, after, count)).await
    }
}

fn list(sql: &mut dyn Sql, filter: &DeviceFilter, after: u64, count: usize) -> Result<DevicePage, SqlError> {
    let mut statement = format!("SELECT {} FROM devices WHERE id > ?1", rows::COLUMNS);
    let mut values = vec![Value::from(after)];
    let mut narrow = |condition: &str, value: Option<Value>| {
        if let Some(value) = value {
            values.push(value);
            statement += &format!(" AND {}", condition.replace("{}", &format!("?{}", values.len())));
        }
    };
    narrow("mailbox = {}", filter.mailbox.as_ref().map(|mailbox| Value::from(mailbox.as_str())));
    narrow("device_id = {}", filter.device_id.as_ref().map(|device_id| Value::from(device_id.as_str())));
    // Said twice, because the index of the few that are not allowed is chosen by these words.
    let few = filter.access_state.is_some_and(|state| state != AccessState::Allowed);
    narrow(if few { "access_state <> 'allowed' AND access_state = {}" } else { "access_state = {}" }, filter.access_state.map(|state| Value::from(state.name())));
    narrow("wipe_state = {}", filter.wipe_state.map(|state| Value::from(state.name())));
    narrow("policy = {}", filter.policy.as_ref().map(|policy| Value::from(policy.folded())));
    narrow("coalesce(last_attempt_at, first_sync_at) < {}", filter.last_seen_before.map(Value::from));
    narrow(
        "lower(mailbox || ' ' || device_id || ' ' || device_type || ' ' || coalesce(user_agent, '') || ' ' || information_words) LIKE {} ESCAPE '!'",
        filter.search.as_deref().filter(|search| !search.is_empty()).map(|search| Value::from(pattern(search))),
    );
    if let Some(among) = &filter.among {
        // Numbers of our own, and there may be more of them than a statement takes parameters; 0 is nobody's.
        let ids: Vec<String> = ids(sql, among)?.iter().chain(&[0]).map(u64::to_string).collect();
        statement += &format!(" AND id IN ({})", ids.join(", "));
    }
    // One more than asked for says whether there is a next page.
    statement += &format!(" ORDER BY id LIMIT {}", count + 1);
    let mut devices: Vec<Stored> = sql.query(&statement, &values)?.iter().map(rows::read).collect::<Result<_, _>>()?;
    let has_more = devices.len() > count;
    devices.truncate(count);
    let next = devices.last().map(|last| last.id).filter(|_| has_more);
    Ok(DevicePage { devices, next })
}

/// The ids of those that are there.
fn ids(sql: &mut dyn Sql, among: &[(Mailbox, DeviceId)]) -> Result<Vec<u64>, SqlError> {
    let names: Vec<Vec<Value>> = among.iter().map(|(mailbox, device_id)| params![mailbox.as_str(), device_id.as_str()].to_vec()).collect();
    let found = sql.query_many("SELECT id FROM devices WHERE mailbox = ?1 AND device_id = ?2", &names)?;
    found.iter().flatten().map(|row| row.number(0)).collect()
}

/// A LIKE pattern: stars are any text, all else is itself, in lower case, anywhere.
fn pattern(search: &str) -> String {
    let mut pattern = String::from("%");
    for character in search.to_lowercase().chars() {
        match character {
            '*' => pattern.push('%'),
            '%' | '_' | '!' => pattern.extend(['!', character]),
            other => pattern.push(other),
        }
    }
    pattern.push('%');
    pattern
}
