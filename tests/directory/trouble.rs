//! Whatever goes wrong, the groups stay as they were, and it is said.

use std::io::{Read, Write};
use std::net::TcpListener;

use pushgate::logic::eas::Mailbox;
use pushgate::store::{MembersEdit, MembersKind, Origin};

use crate::scene::{anna, eventually, scene};
use crate::slapd::{PASSWORD, Slapd, group, person, uid};

fn tree() -> String {
    person("hew", "hew@example.org") + &group("Sales", &[&uid("hew")])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_leaves_its_groups_and_is_read_again_when_it_is_back() {
    let mut slapd = Slapd::new("", &tree());
    let mut scene = scene(&slapd.section()).await;
    scene.read().await;
    slapd.kill();
    scene.fails("no connection").await;
    assert_eq!(scene.members("Sales").unwrap(), ["hew@example.org"]);
    let trouble = scene.status().trouble().unwrap();
    assert!(trouble.starts_with("The directory cannot be read since") && !trouble.contains("127.0.0.1"), "{trouble}");
    // Started anew while it is away: the groups are in the store.
    scene.start();
    scene.fails("no connection").await;
    assert_eq!((scene.members("Sales").unwrap().len(), scene.origin("Sales")), (1, Origin::Directory));
    slapd.start();
    eventually("it is read again", async || scene.status().error.is_none() && scene.status().read_at.is_some()).await;
    assert_eq!(scene.status().trouble(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_said_without_the_password() {
    let slapd = Slapd::new("", &tree());
    let scene = scene(&slapd.section().replace(PASSWORD, "hush")).await;
    let error = scene.read().await.error.unwrap();
    assert_eq!(error, "it does not take directory.bind_dn with this password");
    assert_eq!(scene.members("Sales"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_cut_off_does_not_count() {
    let people: String = (0..60).map(|n| person(&format!("u{n}"), &format!("u{n}@example.org"))).collect();
    let slapd = Slapd::new("limits * size.soft=50 size.hard=50 size.prtotal=50", &(tree() + &people));
    let scene = scene(&slapd.section()).await;
    let error = scene.read().await.error.unwrap();
    assert!(error.contains("LDAP result 4"), "{error}");
    assert_eq!(scene.members("Sales"), None);
}

/// A right that was taken away, a place that was renamed: nobody loses a policy by that.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_without_groups_or_members_does_not_count() {
    let mut slapd = Slapd::new("", &tree());
    let scene = scene(&slapd.section()).await;
    scene.read().await;
    slapd.modify("dn: uid=hew,ou=People,dc=example,dc=org\nchangetype: modify\ndelete: mail\n\n");
    scene.fails("no group has any member").await;
    slapd.modify("dn: cn=Sales,ou=Groups,dc=example,dc=org\nchangetype: delete\n\n");
    scene.fails("there is no group").await;
    assert_eq!(scene.members("Sales").unwrap(), ["hew@example.org"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_names_are_left_out_and_the_rest_is_taken() {
    // In LDIF, two colons are base64: a name with a line break, one with a slash, one that is a filter, a mail that is none.
    let line_break = "dn:: Y249YQpiLG91PUdyb3VwcyxkYz1leGFtcGxlLGRjPW9yZw==\nobjectClass: groupOfNames\ncn:: YQpi\nmember: uid=hew,ou=People,dc=example,dc=org\n\n";
    let filter = group("x)(objectClass=*", &[&uid("hew")]);
    let long = group(&"long".repeat(20), &[&uid("hew")]);
    let bad_mail = "dn: uid=bad,ou=People,dc=example,dc=org\nobjectClass: inetOrgPerson\nuid: bad\ncn: bad\nsn: bad\nmail: @\n\n";
    let strangers = group("Strangers", &[&uid("hew"), &uid("bad"), &uid("nobody"), "cn=Smith\\, J\\C3\\BCrgen,dc=example,dc=org"]);
    let tree = tree() + line_break + &filter + &long + bad_mail + &strangers + &group("a/b", &[&uid("hew")]);
    let slapd = Slapd::new("", &tree);
    let scene = scene(&format!("{}members_filter = \"\"\n", slapd.section())).await;
    assert_eq!(scene.read().await.error, None);
    assert_eq!(scene.members("Sales").unwrap(), ["hew@example.org"]);
    assert_eq!(scene.members("x)(objectClass=*").unwrap(), ["hew@example.org"], "an odd name is a name");
    assert_eq!(scene.members("Strangers").unwrap(), ["hew@example.org"]);
    assert_eq!(scene.status().strangers, 3);
    assert_eq!(scene.status().skipped.len(), 3, "{:?}", scene.status().skipped);
    // A name that means something in a filter is escaped when people are searched for by it.
    let by_search = crate::scene::scene(&format!("{}members_filter = \"(!(memberOf={{dn}}))\"\n", slapd.section())).await;
    assert_eq!(by_search.read().await.error, None);
    assert!(by_search.members("x)(objectClass=*").is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_made_by_hand_stays_what_it_is() {
    let mut slapd = Slapd::new("", "");
    let scene = scene(&slapd.section()).await;
    scene.fails("there is no group").await;
    let mailboxes = Some(vec![Mailbox::normalise("boss@example.org", None, true).unwrap()]);
    let edit = MembersEdit { kind: MembersKind::Group, name: "Sales".into(), rank: 0, policy: None, mailboxes, read_revision: 0 };
    scene.store.put_members(&anna(), edit).await.unwrap();
    slapd.modify(
        &tree()
            .replace("objectClass: inetOrgPerson", "changetype: add\nobjectClass: inetOrgPerson")
            .replace("objectClass: groupOfNames", "changetype: add\nobjectClass: groupOfNames"),
    );
    eventually("it is read", async || scene.status().error.is_none() && scene.status().read_at.is_some()).await;
    assert_eq!(scene.members("Sales").unwrap(), ["boss@example.org"]);
    assert_eq!(scene.status().skipped, ["Sales"]);
}

/// What such a server sends would take the stack, memory or the process.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_speaks_no_ldap_harms_nothing() {
    let mut deep = b"\x04\x00".to_vec();
    while deep.len() < 60_000 {
        deep = [&[0x30, 0x82, (deep.len() >> 8) as u8, deep.len() as u8][..], &deep].concat();
    }
    let deep = [&[0x30, 0x82, ((deep.len() + 3) >> 8) as u8, (deep.len() + 3) as u8, 2, 1, 1][..], &deep].concat();
    for answer in
        [b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(), b"\x30\x84\xff\xff\xff\xff".to_vec(), b"\x30\x03\x02\x01\x01".to_vec(), deep]
    {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            while let Ok((mut stream, _)) = listener.accept() {
                let _ = stream.read(&mut [0; 1_024]);
                let _ = stream.write_all(&answer);
                let _ = stream.read(&mut [0; 1_024]);
            }
        });
        let section = "starttls = false\nbind_dn = \"cn=a\"\npassword = \"b\"\nbase = \"dc=x\"\nrefresh_s = 1\n";
        let scene = scene(&format!("[directory]\nurl = \"ldap://127.0.0.1:{port}\"\n{section}")).await;
        let error = scene.read().await.error.unwrap();
        assert!(error.contains("no LDAP"), "{error}");
    }
}
