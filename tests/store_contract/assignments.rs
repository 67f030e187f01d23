//! Which policy a mailbox has: by itself, by list, group, domain, default; stored and read back.

use pushgate::logic::policy::assign::Because;
use pushgate::store::{AuditFilter, MailboxEdit, MembersEdit, MembersKind, Snapshot, StoreError};

use crate::over_both;
use crate::scene::*;

over_both!(the_most_specific_assignment_wins, lists_are_replaced_as_a_whole, many_mailboxes_are_assigned_at_once_or_not_at_all);

fn why(snapshot: &Snapshot, who: &str) -> (Option<String>, Because) {
    let (policy, because) = snapshot.policy_of(&mailbox(who));
    (policy.map(|policy| policy.policy().name.to_string()), because)
}

fn members(kind: MembersKind, called: &str, rank: u32, policy: &str, who: &[&str]) -> MembersEdit {
    let mailboxes = who.iter().map(|who| mailbox(who)).collect();
    MembersEdit { kind, name: called.into(), rank, policy: Some(name(policy)), mailboxes: Some(mailboxes), read_revision: 0 }
}

async fn the_most_specific_assignment_wins(database: Database) {
    let store = database.open().await;
    for policy in ["P1", "P2", "P3", "P4", "P5"] {
        store.create_policy(&anna(), name(policy), settings(&[])).await.unwrap();
    }
    store.choose_default(&anna(), Some(name("P1")), 0).await.unwrap();
    store.assign_domain(&anna(), ("example.org".into(), Some(name("P2"))), None).await.unwrap();
    store.put_members(&anna(), members(MembersKind::Group, "Sales", 2, "P3", &["b", "c", "d", "d"])).await.unwrap();
    store.put_members(&anna(), members(MembersKind::Group, "All", 1, "P4", &["d"])).await.unwrap();
    store.put_members(&anna(), members(MembersKind::List, "pilots", 1, "p4", &["c"])).await.unwrap();
    let own = MailboxEdit { policy: Some(Some(name("P5"))), ..Default::default() };
    store.change_mailbox(&anna(), mailbox("b"), 0, own).await.unwrap();
    for store in [store.clone(), database.open().await] {
        let snapshot = store.snapshot();
        assert_eq!(why(&snapshot, "x@other.org"), (Some("P1".into()), Because::Default));
        assert_eq!(why(&snapshot, "a"), (Some("P2".into()), Because::Domain("example.org".into())));
        assert_eq!(why(&snapshot, "d"), (Some("P4".into()), Because::Group("All".into())), "the smaller rank");
        assert_eq!(why(&snapshot, "c"), (Some("P4".into()), Because::List("pilots".into())));
        assert_eq!(why(&snapshot, "b"), (Some("P5".into()), Because::Mailbox));
    }
}

async fn lists_are_replaced_as_a_whole(database: Database) {
    let store = database.open().await;
    store.create_policy(&anna(), name("P"), settings(&[])).await.unwrap();
    let first = members(MembersKind::List, "pilots", 1, "P", &["a", "b"]);
    assert_eq!(store.put_members(&anna(), first.clone()).await.unwrap(), 1);
    assert_conflict(store.put_members(&anna(), first).await, 1);
    let second = MembersEdit { read_revision: 1, ..members(MembersKind::List, "pilots", 1, "P", &["b", "c"]) };
    assert_eq!(store.put_members(&anna(), second).await.unwrap(), 2);
    assert_eq!(store.snapshot().assigned.lists[0].mailboxes, [mailbox("b"), mailbox("c")]);
    assert_conflict(store.remove_members(&anna(), MembersKind::List, "pilots", 1).await, 2);
    store.remove_members(&anna(), MembersKind::List, "pilots", 2).await.unwrap();
    assert_eq!(why(&store.snapshot(), "b").1, Because::Nothing);
    let gone = store.remove_members(&anna(), MembersKind::Group, "pilots", 2).await;
    assert!(matches!(gone, Err(StoreError::Missing(_))));
}

async fn many_mailboxes_are_assigned_at_once_or_not_at_all(database: Database) {
    let store = database.open().await;
    store.create_policy(&anna(), name("P"), settings(&[])).await.unwrap();
    let all = |policy: &str| (0..1_000).map(|n| (mailbox(&format!("u{n}")), Some(name(policy)))).collect::<Vec<_>>();
    assert_eq!(store.assign_mailboxes(&anna(), all("p")).await.unwrap(), 1_000);
    assert_eq!(store.snapshot().mailboxes.len(), 1_000);
    let mut bad = all("P");
    bad.iter_mut().for_each(|(_, policy)| *policy = None);
    bad.push((mailbox("last"), Some(name("missing"))));
    assert!(matches!(store.assign_mailboxes(&anna(), bad).await, Err(StoreError::Missing(_))));
    assert_eq!(why(&store.snapshot(), "u7"), (Some("P".into()), Because::Mailbox));
    assert_eq!(store.snapshot().mailbox(&mailbox("u7")).revision, 1);
    let mut next = all("P")[..10].to_vec();
    next[7].1 = None;
    assert_eq!(store.assign_mailboxes(&anna(), next).await.unwrap(), 10);
    let of = async |who: &str| {
        let filter = AuditFilter { mailbox: Some(mailbox(who)), ..Default::default() };
        store.audit_trail(filter, None, 9).await.unwrap().into_iter().map(|entry| entry.detail).collect::<Vec<_>>()
    };
    assert_eq!(of("u7").await, ["policy P → none, by a file", "policy none → P, by a file"]);
    assert_eq!(of("u8").await, ["policy none → P, by a file"], "what did not change is not entered");
    let newest = store.audit_trail(AuditFilter::default(), None, 1).await.unwrap().remove(0);
    assert_eq!(newest.detail, "a file of 10 mailboxes; 1 have another policy than before");
}
