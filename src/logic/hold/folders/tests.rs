//! The table against its obvious version: whole paths instead of hashes, lists of numbers instead of two.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::logic::eas::FolderId;
use crate::logic::eas::folder_sync::{Folder, FolderChange, FolderType};

const COVERAGE: Coverage = Coverage {
    covered: ClassSet::ALL,
    covers_hierarchy: true,
    epoch: 0,
    trust: Duration::from_secs(1_000),
    poll: Duration::from_secs(300),
    settle: Duration::from_secs(5),
};

fn view(now_s: u32) -> View<'static> {
    View { coverage: &COVERAGE, guards: Guards::default(), now_s, spread: 0 }
}

/// A folder as a person would note it down.
#[derive(Debug, Clone, Default)]
struct Row {
    /// From the root; not known, or lost when something above was renamed.
    path: Option<Vec<String>>,
    is_nested: bool,
    kind: u8,
    class: Option<Class>,
    is_watched: bool,
    is_gone: bool,
    /// Numbers of the changes put down to it, since it is known for sure what is.
    changes: Vec<u64>,
    /// Only proofs from here on count.
    from: u64,
    proofs: Vec<u64>,
}

impl Row {
    fn new(last: u64) -> Self {
        Row { from: last, ..Row::default() }
    }

    fn fresh(&self) -> u64 {
        self.proofs.iter().copied().chain([self.from]).max().unwrap_or_default()
    }

    fn is_dirty(&self) -> bool {
        !self.is_gone && self.changes.iter().any(|number| *number > self.fresh())
    }

    fn start_over(&mut self, last: u64) {
        self.from = self.fresh().max(last);
        self.proofs.clear();
    }
}

/// The slow, obvious version.
#[derive(Debug, Default)]
struct Oracle(BTreeMap<String, Row>);

impl Oracle {
    fn place(&mut self, folder: &Folder, last: u64) {
        let is_root = folder.parent.as_str() == "0";
        let above =
            if is_root { Some(Vec::new()) } else { self.0.get(folder.parent.as_str()).filter(|r| !r.is_gone).and_then(|r| r.path.clone()) };
        let path = above.map(|mut path| {
            path.push(folder.name.clone());
            path
        });
        let row = self.0.entry(folder.id.as_str().to_owned()).or_insert_with(|| Row::new(last));
        if std::mem::take(&mut row.is_gone) {
            row.start_over(last);
        }
        let kind = if folder.kind == FolderType::UNSAID { FolderType(row.kind) } else { folder.kind };
        let is_renamed = row.path.is_some() && row.path != path;
        let is_other = row.kind != 0 && row.kind != kind.0;
        let is_other = is_other || (row.class.is_some() && kind.class().is_some() && row.class != kind.class());
        (row.path, row.kind, row.is_nested) = (path, kind.0, !is_root);
        row.class = kind.class().or(row.class);
        if is_renamed || is_other {
            row.start_over(last);
        }
    }

    fn learn(&mut self, is_full: bool, changes: &[FolderChange], last: u64) {
        let listed: Vec<&str> =
            changes.iter().filter_map(|c| if let FolderChange::Add(f) = c { Some(f.id.as_str()) } else { None }).collect();
        if is_full {
            let lost: Vec<String> = self.0.keys().filter(|id| !listed.contains(&id.as_str())).cloned().collect();
            lost.iter().for_each(|id| self.delete(id));
        }
        for change in changes {
            match change {
                FolderChange::Add(folder) => self.place(folder, last),
                FolderChange::Update(folder) => {
                    let before = self.0.get(folder.id.as_str()).and_then(|row| row.path.clone());
                    self.place(folder, last);
                    if before.is_some() && before != self.0[folder.id.as_str()].path {
                        let below = self.0.iter_mut().filter(|(id, row)| row.is_nested && id.as_str() != folder.id.as_str());
                        for row in below.map(|(_, row)| row).filter(|row| row.path.is_some()) {
                            row.path = None;
                            row.start_over(last);
                        }
                    }
                }
                FolderChange::Delete(id) => self.delete(id.as_str()),
            }
        }
        // Those listed before what they are in.
        for _ in 0..changes.len() {
            for change in changes {
                if let FolderChange::Add(folder) | FolderChange::Update(folder) = change
                    && self.0.get(folder.id.as_str()).is_some_and(|row| row.path.is_none() && !row.is_gone)
                {
                    self.place(folder, last);
                }
            }
        }
    }

    fn delete(&mut self, id: &str) {
        let Some(row) = self.0.remove(id) else { return };
        if row.is_watched {
            let row = Row { is_watched: true, is_gone: true, class: row.class, from: row.fresh(), ..Row::default() };
            self.0.insert(id.to_owned(), row);
        }
    }

    fn watch(&mut self, ids: &[(String, Class)], last: u64) {
        self.0.retain(|_, row| !row.is_gone);
        self.0.values_mut().for_each(|row| row.is_watched = false);
        for (id, class) in ids {
            let row = self.0.entry(id.clone()).or_insert_with(|| Row::new(last));
            row.is_watched = true;
            row.class = row.class.or(Some(*class));
        }
    }

    fn mark(&mut self, scope: &Scope, is_complete: bool, number: u64) {
        let is_named = |id: &str, row: &Row| match scope {
            Scope::FolderName(name) => row.path.as_ref().is_some_and(|path| path.join("/") == **name),
            Scope::FolderId(named) => named.as_str() == id,
            _ => false,
        };
        let is_found = self.0.iter().any(|(id, row)| !row.is_gone && is_named(id, row));
        for (id, row) in self.0.iter_mut().filter(|(_, row)| !row.is_gone) {
            let may_be_mail = row.class.is_none_or(|class| class == Class::Email);
            let is_hit = match scope {
                Scope::Mailbox => true,
                Scope::Class(class) => row.class.is_none_or(|c| c == *class),
                Scope::FolderName(_) => is_named(id, row) || (may_be_mail && (!is_found || row.path.is_none())),
                Scope::FolderId(_) => is_named(id, row) || (!is_found && !is_complete),
                Scope::Hierarchy => false,
            };
            if is_hit {
                row.changes.push(number);
            }
        }
    }

    fn dirty(&self) -> Vec<String> {
        self.0.iter().filter(|(_, row)| row.is_watched && row.is_dirty()).map(|(id, _)| id.clone()).collect()
    }

    fn unproven(&self) -> Vec<String> {
        let is_unproven = |row: &Row| row.is_watched && !row.is_gone && row.proofs.is_empty();
        self.0.iter().filter(|(_, row)| is_unproven(row)).map(|(id, _)| id.clone()).collect()
    }
}

#[derive(Debug, Clone)]
enum Step {
    Learn {
        is_full: bool,
        changes: Vec<FolderChange>,
    },
    Watch(Vec<(String, Class)>),
    Mark(Scope),
    /// As of a number read so many changes ago.
    Prove {
        id: String,
        age: u64,
    },
    ProveWatched,
}

fn id() -> impl Strategy<Value = String> {
    (1u8..8).prop_map(|number| number.to_string())
}

fn folder() -> impl Strategy<Value = Folder> {
    let name = prop_oneof![Just("A"), Just("B"), Just("C")];
    let parent = prop_oneof![3 => Just("0".to_owned()), 1 => id()];
    (id(), parent, name, prop_oneof![3 => Just(12u8), 1 => Just(8), 1 => Just(18), 1 => Just(0)]).prop_map(|(id, parent, name, kind)| {
        Folder { id: FolderId::new(&id).unwrap(), parent: FolderId::new(&parent).unwrap(), name: name.to_owned(), kind: FolderType(kind) }
    })
}

fn step() -> impl Strategy<Value = Step> {
    let change = prop_oneof![
        2 => folder().prop_map(FolderChange::Add),
        2 => folder().prop_map(FolderChange::Update),
        1 => id().prop_map(|id| FolderChange::Delete(FolderId::new(&id).unwrap())),
    ];
    let full = proptest::collection::btree_map(id(), folder(), 0..6).prop_map(|folders| {
        let added = folders.into_iter().map(|(id, folder)| FolderChange::Add(Folder { id: FolderId::new(&id).unwrap(), ..folder }));
        Step::Learn { is_full: true, changes: added.collect() }
    });
    let name = prop_oneof![Just("A"), Just("B"), Just("A/B"), Just("B/A"), Just("nowhere")];
    let scope = prop_oneof![
        Just(Scope::Mailbox),
        Just(Scope::Class(Class::Email)),
        Just(Scope::Class(Class::Calendar)),
        name.prop_map(|name| Scope::FolderName(name.into())),
        id().prop_map(|id| Scope::FolderId(FolderId::new(&id).unwrap())),
    ];
    let watch = proptest::collection::btree_map(id(), prop_oneof![Just(Class::Email), Just(Class::Calendar)], 1..5);
    prop_oneof![
        1 => full,
        2 => proptest::collection::vec(change, 1..4).prop_map(|changes| Step::Learn { is_full: false, changes: once_each(changes) }),
        2 => watch.prop_map(|ids| Step::Watch(ids.into_iter().collect())),
        4 => scope.prop_map(Step::Mark),
        3 => (id(), 0u64..4).prop_map(|(id, age)| Step::Prove { id, age }),
        1 => Just(Step::ProveWatched),
    ]
}

/// Servers name a folder once in an answer.
fn once_each(mut changes: Vec<FolderChange>) -> Vec<FolderChange> {
    let mut named = std::collections::BTreeSet::new();
    changes.retain(|change| match change {
        FolderChange::Add(folder) | FolderChange::Update(folder) => named.insert(folder.id.clone()),
        FolderChange::Delete(id) => named.insert(id.clone()),
    });
    changes
}

/// A parent chain that bites its own tail has no path worth comparing; no server sends one.
fn is_sane(changes: &[FolderChange]) -> bool {
    changes.iter().all(|change| match change {
        FolderChange::Add(folder) | FolderChange::Update(folder) => {
            folder.parent.as_str() == "0" || folder.parent.as_str() < folder.id.as_str()
        }
        FolderChange::Delete(_) => true,
    })
}

proptest! {
    #[test]
    fn agrees_with_the_obvious_version(steps in proptest::collection::vec(step(), 1..60)) {
        let (mut table, mut oracle, mut last, mut is_complete) = (FolderTable::default(), Oracle::default(), 1u64, false);
        let now = view(100);
        let brings_much = SyncTraits { brought: 255, ..SyncTraits::default() };
        for step in steps {
            match step {
                Step::Learn { changes, .. } if !is_sane(&changes) => continue,
                Step::Learn { is_full, changes } => {
                    table.learn(is_full, &changes, last);
                    oracle.learn(is_full, &changes, last);
                    is_complete |= is_full;
                }
                Step::Watch(ids) => {
                    table.watch(ids.iter().map(|(id, class)| (id.as_str(), Some(*class))), last, &now);
                    oracle.watch(&ids, last);
                }
                Step::Mark(scope) => {
                    last += 1;
                    let path = if let Scope::FolderName(name) = &scope { Some(PathMatch::new(name)) } else { None };
                    table.mark(&scope, path.as_ref(), last, &now);
                    oracle.mark(&scope, is_complete, last);
                }
                Step::Prove { id, age } => {
                    let number = last.saturating_sub(age);
                    table.prove(&id, AsOf { number, at: Moment(100_000_000) }, brings_much, &now);
                    if let Some(row) = oracle.0.get_mut(&id).filter(|row| number >= row.fresh()) {
                        row.proofs.push(number);
                    }
                }
                Step::ProveWatched => {
                    // As a check that finds nothing, but without its doubts: these have a test of their own.
                    for id in oracle.dirty().into_iter().chain(oracle.unproven()) {
                        table.prove(&id, AsOf { number: last, at: Moment(100_000_000) }, brings_much, &now);
                        oracle.0.get_mut(&id).unwrap().proofs.push(last);
                    }
                }
            }
            let mut dirty: Vec<String> = table.dirty(&now).map(str::to_owned).collect();
            dirty.sort_unstable();
            prop_assert_eq!(&dirty, &oracle.dirty());
            let mut in_doubt: Vec<String> = table.in_doubt(&now).map(str::to_owned).collect();
            in_doubt.sort_unstable();
            prop_assert_eq!(&in_doubt, &oracle.unproven());
            let is_clean = matches!(table.standing(&now), Standing::Clean { .. });
            prop_assert_eq!(is_clean, dirty.is_empty() && in_doubt.is_empty());
        }
    }
}

#[test]
fn an_entry_stays_within_its_budget() {
    assert!(size_of::<Entry>() <= 32, "a folder takes {} bytes and its id", size_of::<Entry>());
}

#[test]
fn a_full_table_never_drops_what_is_watched() {
    let mut table = FolderTable::default();
    let ids: Vec<String> = (0..crate::config::limits::TABLE_FOLDERS_MAX).map(|number| format!("w{number}")).collect();
    table.watch(ids.iter().map(|id| (id.as_str(), Some(Class::Email))), 1, &view(1));
    table.expect(["another"].into_iter(), 1);
    assert_eq!(table.watched().count(), ids.len());
}

#[test]
fn a_folder_made_anew_under_its_old_id_is_watched_again() {
    let mut table = FolderTable::default();
    let inbox =
        |id: &str| Folder { id: FolderId::new(id).unwrap(), parent: FolderId::new("0").unwrap(), name: "A".into(), kind: FolderType(12) };
    table.watch([("5", Some(Class::Email))].into_iter(), 1, &view(1));
    table.learn(false, &[FolderChange::Delete(FolderId::new("5").unwrap())], 1);
    assert!(matches!(table.standing(&view(1)), Standing::Clean { .. }), "what is gone is in nobody's way");
    table.learn(false, &[FolderChange::Add(inbox("5"))], 1);
    assert!(table.mark(&Scope::FolderName("A".into()), Some(&PathMatch::new("A")), 2, &view(1)));
}

#[test]
fn swapped_names_leave_both_folders_in_doubt() {
    let mut table = FolderTable::default();
    let named = |id: &str, name: &str| Folder {
        id: FolderId::new(id).unwrap(),
        parent: FolderId::new("0").unwrap(),
        name: name.into(),
        kind: FolderType(12),
    };
    table.learn(true, &[FolderChange::Add(named("5", "A")), FolderChange::Add(named("6", "B"))], 1);
    table.watch([("5", Some(Class::Email)), ("6", Some(Class::Email))].into_iter(), 1, &view(1));
    table.prove_watched(AsOf { number: 1, at: Moment(1_000_000) }, &view(1));
    table.learn(false, &[FolderChange::Update(named("5", "B")), FolderChange::Update(named("6", "A"))], 2);
    assert_eq!(table.in_doubt(&view(1)).collect::<Vec<_>>(), ["5", "6"]);
}

#[test]
fn the_child_of_the_inbox_is_not_taken_for_its_namesake_under_the_root() {
    let mut table = FolderTable::default();
    let folder = |id: &str, parent: &str, name: &str, kind: u8| {
        FolderChange::Add(Folder {
            id: FolderId::new(id).unwrap(),
            parent: FolderId::new(parent).unwrap(),
            name: name.into(),
            kind: FolderType(kind),
        })
    };
    // The child comes first: its path is found once its parent is known.
    table.learn(true, &[folder("7", "1", "Work", 12), folder("1", "0", "Posteingang", 2), folder("8", "0", "Work", 12)], 1);
    table.watch([("7", Some(Class::Email)), ("1", Some(Class::Email))].into_iter(), 1, &view(1));
    table.prove_watched(AsOf { number: 1, at: Moment(1_000_000) }, &view(1));
    table.mark(&Scope::FolderName("INBOX/Work".into()), Some(&PathMatch::new("INBOX/Work")), 2, &view(1));
    assert_eq!(table.dirty(&view(1)).collect::<Vec<_>>(), ["7"]);
}

#[test]
fn what_is_below_a_shared_namespace_is_somebody_elses_until_it_moves_away() {
    let mut table = FolderTable::default();
    let folder = |id: &str, parent: &str, name: &str, kind| Folder {
        id: FolderId::new(id).expect("short"),
        parent: FolderId::new(parent).expect("short"),
        name: name.into(),
        kind: FolderType(kind),
    };
    // Listed before their parents, as some servers do.
    let listed = [("9", "8", "Team", 12), ("8", "7", "anna", 12), ("7", "0", "Shared", 12), ("5", "0", "Work", 12)];
    let add = |(id, parent, name, kind)| FolderChange::Add(folder(id, parent, name, kind));
    table.learn(true, &listed.map(add), 1);
    let is_covered = |table: &mut FolderTable, id: &'static str| {
        table.watch([(id, None)].into_iter(), 1, &view(1));
        table.is_covered(&COVERAGE)
    };
    assert_eq!(["9", "8", "7", "5"].map(|id| is_covered(&mut table, id)), [false, false, false, true]);
    table.learn(false, &[FolderChange::Update(folder("9", "5", "Team", 12))], 2);
    assert_eq!(["9", "8"].map(|id| is_covered(&mut table, id)), [true, false]);
    table.learn(true, &[add(("7", "0", "Public", 5))], 3);
    assert!(is_covered(&mut table, "7"), "a Sent folder is one's own whatever it is called");
}
