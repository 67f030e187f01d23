//! Which policy a mailbox has.

use super::super::PolicyName;
use super::super::assign::{Assigned, Assignments, Because, Members};
use super::mailbox;

fn name(name: &str) -> PolicyName {
    PolicyName::new(name).unwrap()
}

fn members(name: &str, policy: Option<&str>, mailboxes: &[&str]) -> Members {
    Members { name: name.into(), policy: policy.map(self::name), mailboxes: mailboxes.iter().map(|address| mailbox(address)).collect() }
}

fn assigned() -> Assigned {
    Assigned {
        direct: [(mailbox("a@x.org"), name("Direct"))].into(),
        lists: vec![members("pilots", Some("List"), &["a@x.org", "b@x.org"]), members("later", Some("Later"), &["b@x.org"])],
        groups: vec![
            members("sales", Some("Group"), &["a@x.org", "b@x.org", "c@x.org", "c@y.org"]),
            members("all", Some("All"), &["c@x.org", "d@x.org"]),
            members("nothing", None, &["e@x.org"]),
        ],
        domains: [("x.org".to_owned(), name("Domain"))].into(),
        default: Some(name("Default")),
    }
}

#[test]
fn the_most_specific_assignment_wins_and_says_why() {
    let assignments = Assignments::new(&assigned());
    for (address, policy, because) in [
        ("a@x.org", "Direct", Because::Mailbox),
        ("b@x.org", "List", Because::List("pilots".into())),
        ("c@x.org", "Group", Because::Group("sales".into())),
        ("c@y.org", "Group", Because::Group("sales".into())),
        ("d@x.org", "All", Because::Group("all".into())),
        ("e@x.org", "Domain", Because::Domain("x.org".into())),
        ("e@sub.x.org", "Default", Because::Default),
        ("bare", "Default", Because::Default),
    ] {
        assert_eq!(assignments.policy_of(&mailbox(address)), (Some(&name(policy)), because), "{address}");
    }
    assert_eq!(Assignments::default().policy_of(&mailbox("a@x.org")), (None, Because::Nothing));
}

#[test]
fn what_names_a_policy_is_known_before_it_is_removed() {
    assert_eq!(assigned().users_of(&name("direct")), ["1 mailbox"]);
    assert_eq!(assigned().users_of(&name("Domain")), ["domain x.org"]);
    assert_eq!(assigned().users_of(&name("Later")), ["list later"]);
    assert_eq!(assigned().users_of(&name("All")), ["group all"]);
    assert_eq!(assigned().users_of(&name("default")), ["all mailboxes without another: it is the default"]);
    assert!(assigned().users_of(&name("Unused")).is_empty());
}
