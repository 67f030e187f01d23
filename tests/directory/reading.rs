//! What is read, and what becomes of it.

use pushgate::logic::policy::assign::Because;
use pushgate::logic::policy::{Changes, PolicyName};
use pushgate::store::{AuditFilter, MembersEdit, MembersKind, Origin, StoreError};

use crate::scene::{anna, eventually, scene};
use crate::slapd::{Slapd, group, person, uid};

fn tree() -> String {
    person("hew", "Hew@Example.org") + &person("anna", "anna@example.org") + &group("Sales", &[&uid("hew"), &uid("anna")])
}

#[tokio::test(flavor = "multi_thread")]
async fn the_members_of_a_group_get_its_policy() {
    let slapd = Slapd::new("", &tree());
    let scene = scene(&slapd.section()).await;
    assert_eq!(scene.read().await.error, None);
    assert_eq!(scene.members("Sales").unwrap(), ["anna@example.org", "hew@example.org"]);
    assert_eq!((scene.origin("Sales"), scene.status().groups, scene.status().mailboxes), (Origin::Directory, 1, 2));

    let name = PolicyName::new("Strict").unwrap();
    scene.store.create_policy(&anna(), name.clone(), Changes::default()).await.unwrap();
    let edit = |mailboxes| MembersEdit {
        kind: MembersKind::Group,
        name: "Sales".into(),
        rank: 3,
        policy: Some(name.clone()),
        mailboxes,
        read_revision: 1,
    };
    scene.store.put_members(&anna(), edit(None)).await.unwrap();
    let hew = pushgate::logic::eas::Mailbox::normalise("hew@example.org", None, true).unwrap();
    let because = scene.store.snapshot().policy_of(&hew).1;
    assert_eq!(because, Because::Group("Sales".into()));
    let by_hand = scene.store.put_members(&anna(), MembersEdit { read_revision: 2, ..edit(Some(vec![hew])) }).await;
    assert!(matches!(by_hand, Err(StoreError::Foreign(_))), "{by_hand:?}");
    let removed = scene.store.remove_members(&anna(), MembersKind::Group, "Sales", 2).await;
    assert!(matches!(removed, Err(StoreError::Foreign(_))), "{removed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_picked_up_and_is_in_the_audit_trail() {
    let mut slapd = Slapd::new("", &(tree() + &group("Old", &[&uid("hew")])));
    let scene = scene(&slapd.section()).await;
    scene.read().await;
    slapd.modify(&format!(
        "dn: cn=Sales,ou=Groups,dc=example,dc=org\nchangetype: modify\ndelete: member\nmember: {}\n\n\
         dn: cn=Old,ou=Groups,dc=example,dc=org\nchangetype: delete\n\n",
        uid("hew")
    ));
    eventually("the change", async || scene.members("Sales").unwrap() == ["anna@example.org"]).await;
    assert_eq!(scene.members("Old"), None, "nobody gave it a policy");
    let trail = scene.store.audit_trail(AuditFilter::default(), None, 10).await.unwrap();
    assert_eq!((trail[0].act.as_str(), trail[0].actor.as_str()), ("group read", "the directory"));
    let detail = &trail[0].detail;
    assert!(detail.starts_with("Sales: 0 added, 1 removed: -") && detail.ends_with("; Old: gone"), "{detail}");
    assert_eq!(trail.len(), 2, "a reading that changes nothing is not written: {trail:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_is_gone_keeps_its_policy_for_its_return() {
    let old = group("Old", &[&uid("hew")]);
    let mut slapd = Slapd::new("", &(tree() + &old));
    let scene = scene(&slapd.section()).await;
    scene.read().await;
    let name = PolicyName::new("Strict").unwrap();
    scene.store.create_policy(&anna(), name.clone(), Changes::default()).await.unwrap();
    let edit = MembersEdit { kind: MembersKind::Group, name: "Old".into(), rank: 0, policy: Some(name), mailboxes: None, read_revision: 1 };
    scene.store.put_members(&anna(), edit).await.unwrap();
    slapd.modify("dn: cn=Old,ou=Groups,dc=example,dc=org\nchangetype: delete\n\n");
    eventually("it is gone", async || scene.origin("Old") == Origin::Gone).await;
    assert_eq!(scene.members("Old").unwrap(), Vec::<String>::new());
    slapd.modify(&old.replacen("objectClass", "changetype: add\nobjectClass", 1));
    eventually("it is back", async || scene.origin("Old") == Origin::Directory).await;
    assert_eq!(scene.members("Old").unwrap(), ["hew@example.org"]);
    let snapshot = scene.store.snapshot();
    assert!(snapshot.assigned.groups.iter().find(|group| group.name == "Old").unwrap().policy.is_some());
}

/// More than a page, and more than the server gives at once.
#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_members_come_in_pages() {
    let names: Vec<String> = (0..2_500).map(|n| format!("user{n:04}")).collect();
    let people: String = names.iter().map(|name| person(name, &format!("{name}@example.org"))).collect();
    let members: Vec<String> = names.iter().map(|name| uid(name)).collect();
    let all = group("All", &members.iter().map(String::as_str).collect::<Vec<_>>());
    // At most 500 entries an answer, as Active Directory has 1,000; any number in pages.
    let slapd = Slapd::new("limits * size.soft=500 size.hard=500 size.pr=500 size.prtotal=unlimited", &(people + &all));
    let by_attribute = scene(&slapd.section()).await;
    assert_eq!(by_attribute.read().await.error, None);
    assert_eq!(by_attribute.members("All").unwrap().len(), 2_500);
    // The same by a search, as Active Directory is read.
    let by_search = scene(&format!("{}members_filter = \"(&(uid=user0*)(!(cn={{dn}})))\"\n", slapd.section())).await;
    assert_eq!(by_search.read().await.error, None);
    assert_eq!(by_search.members("All").unwrap().len(), 1_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn people_are_found_by_the_groups_they_say_they_are_in() {
    let of_sales =
        |person: String| format!("{}memberOf: cn=Sales,ou=Groups,dc=example,dc=org\n\n", person.trim_end_matches('\n').to_owned() + "\n");
    let people =
        of_sales(person("hew", "Hew@example.org")) + &of_sales(person("anna", "anna@example.org")) + &person("ben", "ben@example.org");
    let slapd = Slapd::new("", &(people + &group("Sales", &[&uid("ben")])));
    let scene = scene(&format!("{}members_filter = \"(memberOf={{dn}})\"\n", slapd.section())).await;
    assert_eq!(scene.read().await.error, None);
    assert_eq!(scene.members("Sales").unwrap(), ["anna@example.org", "hew@example.org"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_in_groups_and_groups_of_user_names_are_read() {
    let posix =
        "dn: cn=staff,ou=Groups,dc=example,dc=org\nobjectClass: posixGroup\ncn: staff\ngidNumber: 10\nmemberUid: Hew\nmemberUid: carl\n\n";
    let company = group("Company", &["cn=Sales,ou=Groups,dc=example,dc=org", "cn=Company,ou=Groups,dc=example,dc=org"]);
    let slapd = Slapd::new("", &(tree() + &company + posix));
    let nested = scene(&slapd.section()).await;
    assert_eq!(nested.read().await.error, None);
    assert_eq!(nested.members("Company").unwrap(), ["anna@example.org", "hew@example.org"]);
    let names = scene(&format!("{}filter = \"(objectClass=posixGroup)\"\nmember = \"memberUid\"\n", slapd.section())).await;
    assert_eq!(names.read().await.error, None);
    assert_eq!(names.members("staff").unwrap(), ["carl@example.org", "hew@example.org"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_is_asked_for_and_the_certificate_is_looked_at() {
    let slapd = Slapd::with_tls(&tree());
    let trusted = scene(&format!("{}ca = \"{}\"\n", slapd.section(), slapd.path("ca.pem").display())).await;
    assert_eq!(trusted.read().await.error, None);
    assert_eq!(trusted.members("Sales").unwrap().len(), 2);
    let stranger = scene(&slapd.section()).await;
    stranger.fails("no TLS with it").await;
    assert_eq!(stranger.members("Sales"), None);
}
