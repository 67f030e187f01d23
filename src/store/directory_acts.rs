//! Groups of a directory, as the last reading found them. They live in the database like groups made by hand, so that they are there
//! after a restart while the directory is away, and for every process that shares the database.

use std::collections::BTreeSet;

use super::Store;
use super::audit::{By, Deed};
use super::error::StoreError;
use super::mailbox_acts::members_revision;
use super::snapshot::{MembersKind, Origin, Snapshot};
use super::sql::{Value, params};
use super::told::added_and_removed;
use super::transaction::Tx;
use crate::logic::directory::members::Group;
use crate::logic::eas::Mailbox;

/// What became of a reading.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Taken {
    /// Groups that changed: new ones, those with other members, those that are gone.
    pub changed: usize,
    /// Names that groups made by hand have already: those stay as they are.
    pub by_hand: Vec<String>,
}

/// A group that is to be written.
struct Difference {
    name: String,
    read_revision: u64,
    added: Vec<Mailbox>,
    removed: Vec<Mailbox>,
    origin: Origin,
}

impl Store {
    /// Makes the directory's groups those that a reading found, in one transaction; what is as before is not written. A group that the
    /// directory no longer has is removed, or, if it was given a policy, kept without members.
    ///
    /// # Errors
    /// See [`StoreError`]; [`StoreError::Conflict`] if somebody changed one of the groups meanwhile: take the next reading.
    pub async fn take_groups(&self, by: &By, groups: Vec<Group>) -> Result<Taken, StoreError> {
        let (differences, by_hand) = differences(&self.snapshot(), groups);
        let changed = differences.len();
        if changed > 0 {
            let deed = Deed::new("group read").detail(told(&differences));
            self.act(by, deed, move |tx| differences.into_iter().try_for_each(|difference| write(tx, difference))).await?;
        }
        Ok(Taken { changed, by_hand })
    }
}

/// What differs from what is known, and names that are taken.
fn differences(snapshot: &Snapshot, groups: Vec<Group>) -> (Vec<Difference>, Vec<String>) {
    let (mut differences, mut by_hand, mut found) = (Vec::new(), Vec::new(), BTreeSet::new());
    for group in groups {
        let record = snapshot.members_record(MembersKind::Group, &group.name);
        if record.revision > 0 && record.origin == Origin::Hand {
            by_hand.push(group.name);
            continue;
        }
        let known = snapshot.assigned.groups.iter().find(|known| known.name == group.name);
        let before: BTreeSet<&Mailbox> = known.into_iter().flat_map(|known| &known.mailboxes).collect();
        let added: Vec<Mailbox> = group.mailboxes.iter().filter(|mailbox| !before.contains(mailbox)).cloned().collect();
        let removed: Vec<Mailbox> = before.into_iter().filter(|mailbox| !group.mailboxes.contains(*mailbox)).cloned().collect();
        found.insert(group.name.clone());
        if record.revision == 0 || record.origin != Origin::Directory || !added.is_empty() || !removed.is_empty() {
            let (name, read_revision) = (group.name, record.revision);
            differences.push(Difference { name, read_revision, added, removed, origin: Origin::Directory });
        }
    }
    for known in &snapshot.assigned.groups {
        let record = snapshot.members_record(MembersKind::Group, &known.name);
        if record.origin == Origin::Directory && !found.contains(&known.name) {
            let (name, removed) = (known.name.clone(), known.mailboxes.clone());
            differences.push(Difference { name, read_revision: record.revision, added: Vec::new(), removed, origin: Origin::Gone });
        }
    }
    (differences, by_hand)
}

/// For the audit trail.
fn told(differences: &[Difference]) -> String {
    let one = |difference: &Difference| match difference.origin {
        Origin::Gone => format!("{}: gone", difference.name),
        _ => {
            let Difference { name, added, removed, .. } = difference;
            format!("{name}: {} added, {} removed: {}", added.len(), removed.len(), added_and_removed(added, removed))
        }
    };
    differences.iter().map(one).collect::<Vec<_>>().join("; ")
}

fn write(tx: &mut Tx<'_>, difference: Difference) -> Result<(), StoreError> {
    let (kind, name) = (MembersKind::Group.name(), difference.name.as_str());
    let revision = members_revision(tx, MembersKind::Group, name)?;
    if revision != difference.read_revision {
        return Err(StoreError::Conflict { revision });
    }
    tx.touched.snapshot = true;
    if difference.origin == Origin::Gone {
        let removed = tx.sql.execute("DELETE FROM member_lists WHERE kind = ?1 AND name = ?2 AND policy IS NULL", params![kind, name])?;
        if removed > 0 {
            return Ok(());
        }
    }
    tx.sql.execute(
        "INSERT INTO member_lists (kind, name, rank, revision, policy, origin) VALUES (?1, ?2, 0, 1, NULL, ?3) \
         ON CONFLICT (kind, name) DO UPDATE SET revision = member_lists.revision + 1, origin = excluded.origin",
        params![kind, name, difference.origin.name()],
    )?;
    let rows = |mailboxes: &[Mailbox]| -> Vec<Vec<Value>> {
        mailboxes.iter().map(|mailbox| params![kind, name, mailbox.as_str()].to_vec()).collect()
    };
    tx.sql.execute_many("DELETE FROM members WHERE kind = ?1 AND name = ?2 AND mailbox = ?3", &rows(&difference.removed))?;
    tx.sql
        .execute_many("INSERT INTO members (kind, name, mailbox) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING", &rows(&difference.added))?;
    Ok(())
}
