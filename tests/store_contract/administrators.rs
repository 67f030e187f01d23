//! Policies, tokens and the audit trail, as administrators use them.

use pushgate::config::StoreUrl;
use pushgate::logic::policy::Setting;
use pushgate::logic::policy::access::{Access, MailboxSettings, Pattern, Rule, Rules, Trait};
use pushgate::store::{AuditFilter, By, Deed, MailboxEdit, MembersEdit, MembersKind, Removal, Role, StoreError};

use crate::over_both;
use crate::scene::*;

over_both!(
    a_policy_is_made_changed_and_removed,
    two_administrators_at_once_the_second_is_told,
    what_is_refused_saves_nothing,
    a_policy_in_use_stays,
    tokens_are_made_proved_listed_and_revoked,
    the_audit_trail_tells_everything_and_only_grows,
    the_trail_says_what_was_and_what_is,
);

async fn a_policy_is_made_changed_and_removed(database: Database) {
    let store = database.open().await;
    let strict = name("Strict");
    let made = store.create_policy(&anna(), strict.clone(), settings(&[("DevicePasswordEnabled", "true")])).await.unwrap();
    assert_eq!(made.revision, 1);
    let changes = settings(&[("MinDevicePasswordLength", "6"), ("MaxInactivityTimeDeviceLock", "300")]);
    let changed = store.change_policy(&anna(), name("strict"), 1, changes).await.unwrap();
    assert_eq!((changed.revision, changed.name.as_str()), (2, "Strict"));
    assert_eq!(store.snapshot().policies.find(&strict).unwrap().policy(), &changed, "in effect when the call returns");
    store.close().await;

    let store = database.open().await;
    assert_eq!(store.snapshot().policies.find(&strict).unwrap().policy(), &changed, "and after a restart");
    store.remove_policy(&anna(), strict.clone(), 2).await.unwrap();
    assert!(store.snapshot().policies.is_empty());
    let missing = store.change_policy(&anna(), strict, 2, settings(&[])).await;
    assert!(matches!(missing, Err(StoreError::Missing(what)) if what == "policy Strict"));
}

async fn two_administrators_at_once_the_second_is_told(database: Database) {
    let store = database.open().await;
    store.create_policy(&anna(), name("Strict"), settings(&[("DevicePasswordEnabled", "true")])).await.unwrap();
    let anna = anna();
    let first = store.change_policy(&anna, name("Strict"), 1, settings(&[("MinDevicePasswordLength", "5")]));
    let second = store.change_policy(&anna, name("Strict"), 1, settings(&[("MinDevicePasswordLength", "9")]));
    let (first, second) = tokio::join!(first, second);
    first.unwrap();
    assert_conflict(second, 2);
    assert_eq!(store.snapshot().policies.find(&name("Strict")).unwrap().policy().number(Setting::MinDevicePasswordLength), Some(5));
    assert_conflict(store.remove_policy(&anna, name("Strict"), 1).await, 2);
    assert_conflict(store.set_rules(&anna, Default::default(), 7).await, 0);
    assert_conflict(store.change_mailbox(&anna, mailbox("hew"), 3, Default::default()).await, 0);
}

async fn what_is_refused_saves_nothing(database: Database) {
    let store = database.open().await;
    store.create_policy(&anna(), name("Strict"), settings(&[])).await.unwrap();
    let taken = store.create_policy(&anna(), name("STRICT"), settings(&[])).await;
    assert!(matches!(taken, Err(StoreError::Exists(_))), "{taken:?}");
    let contradictory = settings(&[("AllowCamera", "false"), ("MinDevicePasswordLength", "8")]);
    let refused = store.change_policy(&anna(), name("Strict"), 1, contradictory).await;
    assert!(matches!(&refused, Err(StoreError::Unsuitable(why)) if why.contains("MinDevicePasswordLength")), "{refused:?}");
    let policy = store.snapshot().policies.find(&name("Strict")).unwrap().policy().clone();
    assert_eq!(policy.revision, 1);
    assert!(!policy.is_set(Setting::AllowCamera));
    let trail = store.audit_trail(AuditFilter::default(), None, 10).await.unwrap();
    let outcomes: Vec<_> = trail.iter().map(|entry| (entry.act.as_str(), entry.outcome.as_str())).collect();
    assert_eq!(outcomes, [("policy change", "refused"), ("policy create", "refused"), ("policy create", "done")]);
    assert!(trail[0].detail.contains("means nothing unless"), "{}", trail[0].detail);
}

async fn a_policy_in_use_stays(database: Database) {
    let store = database.open().await;
    store.create_policy(&anna(), name("Strict"), settings(&[])).await.unwrap();
    store.assign_domain(&anna(), ("Example.ORG".into(), Some(name("strict"))), None).await.unwrap();
    store.choose_default(&anna(), Some(name("strict")), 0).await.unwrap();
    match store.remove_policy(&anna(), name("Strict"), 1).await {
        Err(StoreError::InUse(by)) => assert_eq!(by, ["domain example.org", "all mailboxes without another: it is the default"]),
        other => panic!("{other:?}"),
    }
    store.assign_domain(&anna(), ("example.org".into(), None), None).await.unwrap();
    store.choose_default(&anna(), None, 1).await.unwrap();
    store.remove_policy(&anna(), name("Strict"), 1).await.unwrap();
}

async fn tokens_are_made_proved_listed_and_revoked(database: Database) {
    let store = database.open().await;
    let made = store.make_token(&anna(), "help desk script", Role::Helpdesk).await.unwrap();
    for _ in 0..2 {
        let used = store.prove_token(&made.token).await.unwrap();
        assert_eq!((used.name.as_str(), used.role), ("help desk script", Role::Helpdesk));
    }
    let twice = store.make_token(&anna(), "Help Desk script", Role::Viewer).await;
    assert!(matches!(twice, Err(StoreError::Exists(_))), "the trail knows people by this name: {twice:?}");
    for taken in ["token file", "The Device", "the directory"] {
        assert!(matches!(store.make_token(&anna(), taken, Role::Viewer).await, Err(StoreError::Unsuitable(_))), "{taken}");
    }
    let mut wrong = made.token.to_string();
    let last = if wrong.pop() == Some('A') { 'B' } else { 'A' };
    wrong.push(last);
    for bad in [wrong.as_str(), "", "pgt_", "pgt_0123456789abcdef_x", &made.token[..made.token.len() - 1]] {
        assert_eq!(store.prove_token(bad).await, None, "{bad}");
    }
    let listed = async || store.tokens().await.unwrap().remove(0);
    assert!(!format!("{made:?} {:?}", listed().await).contains(&made.token[21..]), "no secret is printed");
    eventually("its last use is listed", async || listed().await.last_used_at.is_some()).await;
    store.close().await;

    let store = database.open().await;
    assert!(store.prove_token(&made.token).await.is_some(), "after a restart");
    store.revoke_token(&anna(), &made.id).await.unwrap();
    assert_eq!(store.prove_token(&made.token).await, None, "at once");
    let listed = store.tokens().await.unwrap().remove(0);
    assert_eq!((listed.made_by.as_str(), listed.revoked_by.as_deref()), ("anna", Some("anna")));
    assert!(matches!(store.revoke_token(&anna(), &made.id).await, Err(StoreError::Missing(_))));
    let again = store.make_token(&anna(), "help desk script", Role::Viewer).await.unwrap();
    let by = By { token: Some(again.id.clone()), ..anna() };
    store.audit_refused(&by, Deed::new("not allowed").subject("GET /v1/tokens")).await.unwrap();
    let entry = store.audit_trail(AuditFilter::default(), None, 1).await.unwrap().remove(0);
    assert_eq!((entry.act.as_str(), entry.outcome.as_str(), entry.token), ("not allowed", "refused", Some(again.id)));
}

async fn the_trail_says_what_was_and_what_is(database: Database) {
    let store = database.open().await;
    let newest = async || store.audit_trail(AuditFilter::default(), None, 1).await.unwrap().remove(0).detail;
    store.create_policy(&anna(), name("Lax"), settings(&[("DevicePasswordEnabled", "true")])).await.unwrap();
    store.create_policy(&anna(), name("Strict"), settings(&[])).await.unwrap();
    store.change_policy(&anna(), name("Lax"), 1, settings(&[("MinDevicePasswordLength", "6")])).await.unwrap();
    assert_eq!(newest().await, "MinDevicePasswordLength default → 6");
    store.choose_default(&anna(), Some(name("lax")), 0).await.unwrap();
    assert_eq!(newest().await, "none → Lax");
    store.assign_domain(&anna(), ("example.org".into(), Some(name("lax"))), None).await.unwrap();
    store.assign_domain(&anna(), ("example.org".into(), Some(name("Strict"))), None).await.unwrap();
    assert_eq!(newest().await, "policy Lax → Strict");
    let rule = |pattern: &str| Rule { about: Trait::Model, pattern: Pattern::new(pattern).unwrap(), access: Access::Block };
    store.set_rules(&anna(), Rules { rules: vec![rule("a*"), rule("b*")], default: Access::Allow }, 0).await.unwrap();
    store.set_rules(&anna(), Rules { rules: vec![rule("b*")], default: Access::Quarantine }, 1).await.unwrap();
    assert_eq!(newest().await, "other devices allow → quarantine; rules -[model a*: block]");
    let settings = MailboxSettings { active_sync_enabled: false, blocked_device_ids: [device_id("lost1")].into(), ..Default::default() };
    let edit = MailboxEdit { policy: Some(Some(name("strict"))), settings: Some(settings) };
    store.change_mailbox(&anna(), mailbox("hew"), 0, edit).await.unwrap();
    assert_eq!(newest().await, "policy none → Strict; ActiveSync on → off; blocked devices +lost1");
    let group = |who: &[&str], read_revision| MembersEdit {
        kind: MembersKind::Group,
        name: "Sales".into(),
        rank: 0,
        policy: None,
        mailboxes: Some(who.iter().map(|who| mailbox(who)).collect()),
        read_revision,
    };
    store.put_members(&anna(), group(&["a", "b"], 0)).await.unwrap();
    store.put_members(&anna(), group(&["b", "c"], 1)).await.unwrap();
    assert_eq!(newest().await, "members +c@example.org, -a@example.org");
    store.remove_members(&anna(), MembersKind::Group, "Sales", 2).await.unwrap();
    assert_eq!(newest().await, "2 → 0 mailboxes; members -b@example.org, -c@example.org");
}

async fn the_audit_trail_tells_everything_and_only_grows(database: Database) {
    let store = database.open().await;
    let hew = mailbox("hew");
    let device = comes(&store, &hew, "abc").await;
    for round in 0..7 {
        let detail = format!("round {round}");
        store.audit(&anna(), Deed::new("drain").detail(detail)).await.unwrap();
    }
    store.remove_device(&anna(), &hew, &device, Removal::default()).await.unwrap();
    let all = store.audit_trail(AuditFilter::default(), None, 100).await.unwrap();
    assert_eq!(all.len(), 8);
    assert_eq!((all[0].act.as_str(), all[0].actor.as_str(), all[0].source.as_str()), ("device remove", "anna", "192.0.2.7"));
    assert_eq!((all[0].mailbox.as_deref(), all[0].device_id.as_deref()), (Some("hew@example.org"), Some("abc")));
    let page = store.audit_trail(AuditFilter::default(), Some(all[2].id), 3).await.unwrap();
    assert_eq!(page, all[3..6], "a page begins behind the last one");
    let of_hew = AuditFilter { mailbox: Some(hew), ..Default::default() };
    assert_eq!(store.audit_trail(of_hew, None, 100).await.unwrap(), all[..1]);
    let of_bert = AuditFilter { actor: Some("bert".into()), ..Default::default() };
    assert_eq!(store.audit_trail(of_bert, None, 100).await.unwrap(), []);
    let later = AuditFilter { since: Some(all[0].at.plus(3_600)), ..Default::default() };
    assert_eq!(store.audit_trail(later, None, 100).await.unwrap(), []);

    let own = match &database.url {
        StoreUrl::Sqlite(_) => {
            "INSERT OR REPLACE INTO audit SELECT id, at, 'nobody', source, act, NULL, NULL, NULL, outcome, '', NULL FROM audit"
        }
        StoreUrl::Postgres(_) => "TRUNCATE audit",
    };
    for tampering in ["UPDATE audit SET actor = 'nobody'", "DELETE FROM audit WHERE id = 1", own] {
        let refused = database.by_hand(tampering).unwrap_err();
        assert!(refused.contains("the audit trail is append-only"), "{tampering}: {refused}");
    }
    assert_eq!(store.audit_trail(AuditFilter::default(), None, 100).await.unwrap(), all);
}
