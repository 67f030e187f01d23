//! What administrators do to policies and access rules.

use super::Store;
use super::audit::{By, Deed};
use super::error::StoreError;
use super::refresh::decide_all_anew;
use super::rows::{from_json, to_json};
use super::sql::{Sql, SqlError, params};
use super::told;
use super::transaction::Tx;
use crate::config::limits::POLICIES_MAX;
use crate::logic::policy::access::Rules;
use crate::logic::policy::{Changes, PoliciesError, Policy, PolicyName, Setting};

impl Store {
    /// Makes a policy: the defaults and these changes.
    ///
    /// # Errors
    /// See [`StoreError`]; the name is taken, there are too many, or the settings contradict each other.
    pub async fn create_policy(&self, by: &By, name: PolicyName, changes: Changes) -> Result<Policy, StoreError> {
        let deed = Deed::new("policy create").subject(name.as_str()).detail(settings_told(&changes));
        self.act(by, deed, move |tx| {
            if find(tx, &name)?.is_some() {
                return Err(PoliciesError::Exists(name).into());
            }
            if tx.sql.query("SELECT name FROM policies", &[])?.len() >= POLICIES_MAX {
                return Err(PoliciesError::TooMany.into());
            }
            let mut policy = Policy::new(name.clone(), tx.now).with(&changes, tx.now)?;
            // A new policy is at revision 1, whatever it begins with.
            policy.revision = 1;
            save(tx, &policy)?;
            Ok(policy)
        })
        .await
    }

    /// Changes a policy that is still at `read_revision`.
    ///
    /// # Errors
    /// See [`StoreError`]; it is gone, somebody else was faster, or the settings would contradict each other.
    pub async fn change_policy(&self, by: &By, name: PolicyName, read_revision: u64, changes: Changes) -> Result<Policy, StoreError> {
        let deed = Deed::new("policy change").subject(name.as_str()).detail(settings_told(&changes));
        self.act(by, deed, move |tx| {
            let before = at_revision(tx, name, read_revision)?;
            let policy = before.with(&changes, tx.now)?;
            tx.told = Some(settings_changed(&before, &policy));
            save(tx, &policy)?;
            Ok(policy)
        })
        .await
    }

    /// Removes a policy that nothing names.
    ///
    /// # Errors
    /// See [`StoreError`]; it is gone, somebody changed it, or it is in use.
    pub async fn remove_policy(&self, by: &By, name: PolicyName, read_revision: u64) -> Result<(), StoreError> {
        let deed = Deed::new("policy remove").subject(name.as_str());
        self.act(by, deed, move |tx| {
            let policy = at_revision(tx, name, read_revision)?;
            let users = users_of(tx.sql, &policy.name)?;
            if !users.is_empty() {
                return Err(StoreError::InUse(users));
            }
            tx.touched.snapshot = true;
            tx.sql.execute("DELETE FROM policies WHERE folded = ?1", params![policy.name.folded()])?;
            Ok(())
        })
        .await
    }

    /// Chooses the policy of mailboxes that nothing else gives one; `read_revision` is [`super::Snapshot::default_revision`].
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn choose_default(&self, by: &By, policy: Option<PolicyName>, read_revision: u64) -> Result<u64, StoreError> {
        let deed = Deed::new("policy default").subject(policy.as_ref().map_or("", PolicyName::as_str));
        self.act(by, deed, move |tx| {
            let policy = policy.map(|policy| must_find(tx, policy)).transpose()?;
            let had = default_before(tx)?;
            tx.told = Some(told::change(had, policy.as_ref().map(|policy| &policy.name)));
            let folded = policy.map(|policy| policy.name.folded().to_owned());
            save_single(tx, "default_policy", read_revision, &to_json(&folded)?)
        })
        .await
    }

    /// Replaces the access rules; `read_revision` is [`super::Snapshot::rules_revision`]. The first two thousand devices are decided
    /// anew with it, all others within seconds.
    ///
    /// # Errors
    /// See [`StoreError`]; there are too many.
    pub async fn set_rules(&self, by: &By, rules: Rules, read_revision: u64) -> Result<u64, StoreError> {
        rules.check()?;
        let deed = Deed::new("access rules").detail(told::rules(&self.snapshot().rules, &rules));
        self.act(by, deed, move |tx| {
            tx.told = Some(told::rules(&rules_before(tx)?, &rules));
            let revision = save_single(tx, "access_rules", read_revision, &to_json(&rules)?)?;
            decide_all_anew(tx, &rules)?;
            Ok(revision)
        })
        .await
    }
}

/// The same with what they were.
fn settings_changed(before: &Policy, after: &Policy) -> String {
    let (old, new) = (before.set_json(), after.set_json());
    let text = |value: Option<&serde_json::Value>| value.map_or_else(|| "default".to_owned(), ToString::to_string);
    let changed = Setting::ALL.into_iter().filter_map(|setting| {
        let key = setting.definition().key;
        let (old, new) = (old.get(key), new.get(key));
        (old != new).then(|| format!("{setting} {} → {}", text(old), text(new)))
    });
    let changed: Vec<String> = changed.collect();
    if changed.is_empty() { "nothing changed".into() } else { changed.join(", ") }
}

/// The name of the default policy, as the database has it now.
fn default_before(tx: &mut Tx<'_>) -> Result<Option<PolicyName>, StoreError> {
    let rows = tx.sql.query("SELECT value FROM singles WHERE name = 'default_policy'", &[])?;
    let folded: Option<String> = rows.first().map_or(Ok(None), |row| from_json(row.text(0)?))?;
    let name = folded.and_then(|folded| PolicyName::new(&folded).ok());
    Ok(name.map(|name| find(tx, &name)).transpose()?.flatten().map(|policy| policy.name))
}

/// As the database has them now.
fn rules_before(tx: &mut Tx<'_>) -> Result<Rules, StoreError> {
    let rows = tx.sql.query("SELECT value FROM singles WHERE name = 'access_rules'", &[])?;
    Ok(rows.first().map_or(Ok(Rules::default()), |row| from_json(row.text(0)?))?)
}

/// For the audit trail: which settings, and what they became.
fn settings_told(changes: &Changes) -> String {
    let texts = changes.iter().map(|(setting, value)| match value {
        Some(value) => format!("{setting}={}", value.to_text(setting)),
        None => format!("{setting}=default"),
    });
    texts.collect::<Vec<_>>().join(", ")
}

fn find(tx: &mut Tx<'_>, name: &PolicyName) -> Result<Option<Policy>, StoreError> {
    let statement = "SELECT name, revision, changed_at, settings FROM policies WHERE folded = ?1";
    let rows = tx.sql.query(statement, params![name.folded()])?;
    let Some(row) = rows.first() else { return Ok(None) };
    let name = PolicyName::new(row.text(0)?).map_err(|_| super::rows::strange("a policy's name"))?;
    Ok(Some(Policy::from_stored(name, row.number(1)?, row.time(2)?, &from_json(row.text(3)?)?)?))
}

/// A policy that something is to name.
pub(super) fn must_find(tx: &mut Tx<'_>, name: PolicyName) -> Result<Policy, StoreError> {
    find(tx, &name)?.ok_or_else(|| PoliciesError::Missing(name).into())
}

fn at_revision(tx: &mut Tx<'_>, name: PolicyName, read_revision: u64) -> Result<Policy, StoreError> {
    let policy = must_find(tx, name)?;
    if policy.revision == read_revision { Ok(policy) } else { Err(StoreError::Conflict { revision: policy.revision }) }
}

fn save(tx: &mut Tx<'_>, policy: &Policy) -> Result<(), StoreError> {
    tx.touched.snapshot = true;
    tx.sql.execute(
        "INSERT INTO policies (folded, name, revision, changed_at, settings) VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (folded) DO UPDATE \
         SET revision = excluded.revision, changed_at = excluded.changed_at, settings = excluded.settings",
        params![policy.name.folded(), policy.name.as_str(), policy.revision, policy.changed_at, to_json(&policy.set_json())?],
    )?;
    Ok(())
}

/// What names a policy, by kind.
fn users_of(sql: &mut dyn Sql, name: &PolicyName) -> Result<Vec<String>, SqlError> {
    let mut users = Vec::new();
    let rows = sql.query("SELECT count(*) FROM mailboxes WHERE policy = ?1", params![name.folded()])?;
    match rows.first().map_or(Ok(0), |row| row.number(0))? {
        0 => {}
        count => users.push(format!("{count} mailbox{}", if count == 1 { "" } else { "es" })),
    }
    for row in sql.query("SELECT kind, name FROM member_lists WHERE policy = ?1 ORDER BY kind, name", params![name.folded()])? {
        users.push(format!("{} {}", row.text(0)?, row.text(1)?));
    }
    for row in sql.query("SELECT domain FROM domains WHERE policy = ?1 ORDER BY domain", params![name.folded()])? {
        users.push(format!("domain {}", row.text(0)?));
    }
    let default = to_json(&Some(name.folded()))?;
    if !sql.query("SELECT name FROM singles WHERE name = 'default_policy' AND value = ?1", params![default])?.is_empty() {
        users.push("all mailboxes without another: it is the default".into());
    }
    Ok(users)
}

/// Sets what there is one of, if it still has the revision it had when it was read; its new revision.
fn save_single(tx: &mut Tx<'_>, name: &str, read_revision: u64, value: &str) -> Result<u64, StoreError> {
    let rows = tx.sql.query("SELECT revision FROM singles WHERE name = ?1", params![name])?;
    let revision = rows.first().map_or(Ok(0), |row| row.number(0))?;
    if revision != read_revision {
        return Err(StoreError::Conflict { revision });
    }
    tx.touched.snapshot = true;
    tx.sql.execute(
        "INSERT INTO singles (name, revision, value) VALUES (?1, ?2, ?3) ON CONFLICT (name) DO UPDATE SET revision = excluded.revision, \
         value = excluded.value",
        params![name, revision + 1, value],
    )?;
    Ok(revision + 1)
}
