//! Groups as a directory has them → groups of mailboxes.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::Dn;
use crate::logic::eas::{Mailbox, Naming};

/// A group as it was read.
#[derive(Debug, Clone)]
pub struct GroupEntry {
    /// Its entry.
    pub dn: Dn,
    /// What it is to be called; `None`: it cannot be a group here, but its members are members of the groups around it.
    pub name: Option<String>,
    /// Who is in it.
    pub members: Vec<Member>,
}

/// A member as it was read.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Member {
    /// An entry: a person, or another group, whose members are then members too.
    Entry(Dn),
    /// A mailbox by name, already one name (`memberUid`, or found by a search).
    Mailbox(Mailbox),
}

/// A group of mailboxes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// Who is in it, groups inside it included; sorted.
    pub mailboxes: BTreeSet<Mailbox>,
}

/// What came of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resolved {
    /// By name.
    pub groups: Vec<Group>,
    /// Members that are neither a known group nor a person with a mailbox: contacts, computers, people who left.
    pub strangers: usize,
}

/// More memberships than there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooMany;

/// A member's value: the name of an entry, or a user name as `memberUid` has it. `None` for what is neither.
pub fn member(value: &str, naming: &Naming) -> Option<Member> {
    match Dn::parse(value) {
        Some(dn) => Some(Member::Entry(dn)),
        None if value.contains('=') => None,
        None => naming.mailbox(value).map(Member::Mailbox),
    }
}

/// Entries that are looked for among people: members that are no group.
pub fn wanted(groups: &[GroupEntry]) -> HashSet<&Dn> {
    let known: HashSet<&Dn> = groups.iter().map(|group| &group.dn).collect();
    let entries = groups.iter().flat_map(|group| &group.members).filter_map(|member| match member {
        Member::Entry(dn) => Some(dn),
        Member::Mailbox(_) => None,
    });
    entries.filter(|dn| !known.contains(dn)).collect()
}

/// Puts groups and people together. `people` are the mailboxes of entries. A group inside a group inside itself is no trouble.
///
/// # Errors
/// If there are more than `memberships_max` in all groups together: groups inside groups can multiply.
pub fn resolve(groups: &[GroupEntry], people: &HashMap<Dn, Vec<Mailbox>>, memberships_max: usize) -> Result<Resolved, TooMany> {
    let by_dn: HashMap<&Dn, &GroupEntry> = groups.iter().map(|group| (&group.dn, group)).collect();
    let (mut resolved, mut left, mut strangers) = (Vec::with_capacity(groups.len()), memberships_max, HashSet::new());
    for (group, name) in groups.iter().filter_map(|group| Some((group, group.name.as_ref()?))) {
        let (mut mailboxes, mut seen, mut open) = (BTreeSet::new(), HashSet::from([&group.dn]), vec![group]);
        while let Some(inner) = open.pop() {
            for member in &inner.members {
                match member {
                    Member::Mailbox(mailbox) => {
                        mailboxes.insert(mailbox.clone());
                    }
                    Member::Entry(dn) => match (people.get(dn), by_dn.get(dn)) {
                        (Some(found), _) => mailboxes.extend(found.iter().cloned()),
                        (None, Some(group)) if seen.insert(dn) => open.push(group),
                        (None, Some(_)) => {}
                        (None, None) => {
                            strangers.insert(dn);
                        }
                    },
                }
                if mailboxes.len() > left {
                    return Err(TooMany);
                }
            }
        }
        left -= mailboxes.len();
        resolved.push(Group { name: name.clone(), mailboxes });
    }
    resolved.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(Resolved { groups: resolved, strangers: strangers.len() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dn(text: &str) -> Dn {
        Dn::parse(text).expect("a name")
    }

    fn mailbox(name: &str) -> Mailbox {
        Mailbox::normalise(name, None, true).expect("a mailbox")
    }

    fn group(name: &str, members: &[&str]) -> GroupEntry {
        let naming = Naming { default_domain: Some("example.org".into()), ..Naming::default() };
        let members = members.iter().filter_map(|value| member(value, &naming)).collect();
        GroupEntry { dn: dn(&format!("cn={name},dc=x")), name: Some(name.into()), members }
    }

    fn people(names: &[&str]) -> HashMap<Dn, Vec<Mailbox>> {
        names.iter().map(|name| (dn(&format!("uid={name},dc=x")), vec![mailbox(&format!("{name}@example.org"))])).collect()
    }

    fn names(group: &Group) -> Vec<&str> {
        group.mailboxes.iter().map(Mailbox::as_str).collect()
    }

    #[test]
    fn members_are_people_names_and_the_members_of_groups_inside() {
        let groups = [group("b", &["UID=Anna,DC=x", "cn=a,dc=x"]), group("a", &["uid=ben,dc=x", "carl", "cn=b,dc=x", "uid=gone,dc=x"])];
        let resolved = resolve(&groups, &people(&["anna", "ben", "dora"]), 10).expect("few");
        let everybody = ["anna@example.org", "ben@example.org", "carl@example.org"];
        assert_eq!(
            resolved.groups.iter().map(|group| (group.name.as_str(), names(group))).collect::<Vec<_>>(),
            [("a", everybody.to_vec()), ("b", everybody.to_vec())]
        );
        assert_eq!(resolved.strangers, 1);
        assert_eq!(wanted(&groups).len(), 3);
    }

    #[test]
    fn a_group_without_a_name_of_its_own_still_brings_its_members() {
        let nameless = GroupEntry { name: None, ..group("sales", &["uid=ben,dc=x"]) };
        let groups = [group("all", &["uid=anna,dc=x", "cn=sales,dc=x"]), nameless];
        let resolved = resolve(&groups, &people(&["anna", "ben"]), 10).expect("few");
        assert_eq!(resolved.groups.iter().map(names).collect::<Vec<_>>(), [["anna@example.org", "ben@example.org"]]);
        assert_eq!(resolved.strangers, 0);
    }

    #[test]
    fn what_is_neither_an_entry_nor_a_name_is_left_out() {
        let naming = Naming::default();
        for value in ["cn=a\\", "", " ", "=x", "a\nb"] {
            assert_eq!(member(value, &naming), None, "{value:?}");
        }
    }

    #[test]
    fn groups_that_multiply_are_refused() {
        let all: Vec<String> = (0..10).map(|n| format!("u{n}")).collect();
        let mut groups = vec![group("g0", &all.iter().map(String::as_str).collect::<Vec<_>>())];
        groups.extend((1..10).map(|n| group(&format!("g{n}"), &[&format!("cn=g{},dc=x", n - 1)])));
        assert_eq!(resolve(&groups, &HashMap::new(), 99), Err(TooMany));
        assert_eq!(resolve(&groups, &HashMap::new(), 100).map(|resolved| resolved.groups.len()), Ok(10));
    }
}
