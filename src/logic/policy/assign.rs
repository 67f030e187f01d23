//! Which policy a mailbox has, and why: the most specific assignment wins.
//!
//! Most specific first: the mailbox itself, a list (CSV) it is on, a group it is in, its domain, the default policy. Of several
//! lists or groups the first in the administrator's order counts.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use serde::{Deserialize, Serialize};

use super::PolicyName;
use crate::logic::eas::Mailbox;

/// A list or a group: mailboxes under a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Members {
    /// The list's or group's name.
    pub name: String,
    /// The policy its members have; `None` for a group that only exists.
    pub policy: Option<PolicyName>,
    /// Who is on it, sorted.
    pub mailboxes: Vec<Mailbox>,
}

/// What an administrator assigned, as it is stored.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Assigned {
    /// Of mailboxes.
    pub direct: BTreeMap<Mailbox, PolicyName>,
    /// Of lists, the most important first.
    pub lists: Vec<Members>,
    /// Of groups, the most important first.
    pub groups: Vec<Members>,
    /// Of domains, in lower case.
    pub domains: BTreeMap<String, PolicyName>,
    /// The default policy.
    pub default: Option<PolicyName>,
}

/// Why a mailbox has its policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "because", content = "of", rename_all = "snake_case")]
pub enum Because {
    /// It was assigned to the mailbox.
    Mailbox,
    /// To a list.
    List(String),
    /// To a group.
    Group(String),
    /// To its domain.
    Domain(String),
    /// It is the default policy.
    Default,
    /// Nothing applies: the mailbox has none.
    Nothing,
}

/// [`Assigned`], made ready to be asked for every request: one look-up each.
#[derive(Debug, Clone, Default)]
pub struct Assignments {
    mailboxes: HashMap<Mailbox, (PolicyName, Because)>,
    domains: BTreeMap<String, PolicyName>,
    default: Option<PolicyName>,
}

impl Assignments {
    /// Resolves lists and groups.
    pub fn new(assigned: &Assigned) -> Self {
        let mut mailboxes = HashMap::new();
        // The least specific first, so that the more specific ones overwrite it.
        for group in assigned.groups.iter().rev() {
            put(&mut mailboxes, group, Because::Group(group.name.clone()));
        }
        for list in assigned.lists.iter().rev() {
            put(&mut mailboxes, list, Because::List(list.name.clone()));
        }
        for (mailbox, policy) in &assigned.direct {
            mailboxes.insert(mailbox.clone(), (policy.clone(), Because::Mailbox));
        }
        Assignments { mailboxes, domains: assigned.domains.clone(), default: assigned.default.clone() }
    }

    /// The mailbox's policy and the reason.
    pub fn policy_of(&self, mailbox: &Mailbox) -> (Option<&PolicyName>, Because) {
        if let Some((policy, because)) = self.mailboxes.get(mailbox) {
            return (Some(policy), because.clone());
        }
        let domain = mailbox.as_str().rsplit_once('@').map(|(_, domain)| domain.to_lowercase());
        if let Some((domain, policy)) = domain.and_then(|domain| self.domains.get_key_value(&domain)) {
            return (Some(policy), Because::Domain(domain.clone()));
        }
        match &self.default {
            Some(policy) => (Some(policy), Because::Default),
            None => (None, Because::Nothing),
        }
    }
}

fn put(mailboxes: &mut HashMap<Mailbox, (PolicyName, Because)>, members: &Members, because: Because) {
    let Some(policy) = &members.policy else { return };
    for mailbox in &members.mailboxes {
        mailboxes.insert(mailbox.clone(), (policy.clone(), because.clone()));
    }
}

/// Whether a list or a group may be called so: 1 to 64 characters beside spaces around them, no control character, no slash.
pub fn is_name(text: &str) -> bool {
    !text.trim().is_empty() && text.chars().count() <= 64 && !text.contains(|c: char| c.is_control() || c == '/')
}

impl Members {
    /// Whether a mailbox is on it; [`Self::mailboxes`] is sorted.
    pub fn has(&self, mailbox: &Mailbox) -> bool {
        self.mailboxes.binary_search(mailbox).is_ok()
    }
}

impl Assigned {
    /// Whether anything names this policy, and what: the reason why it cannot be removed.
    pub fn users_of(&self, policy: &PolicyName) -> Vec<String> {
        let named = |members: &Members| members.policy.as_ref() == Some(policy);
        let direct = self.direct.values().filter(|name| *name == policy).count();
        let mut users = Vec::new();
        if direct > 0 {
            users.push(format!("{direct} mailbox{}", if direct == 1 { "" } else { "es" }));
        }
        users.extend(self.lists.iter().filter(|list| named(list)).map(|list| format!("list {}", list.name)));
        users.extend(self.groups.iter().filter(|group| named(group)).map(|group| format!("group {}", group.name)));
        users.extend(self.domains.iter().filter(|(_, name)| *name == policy).map(|(domain, _)| format!("domain {domain}")));
        if self.default.as_ref() == Some(policy) {
            users.push("all mailboxes without another: it is the default".into());
        }
        users
    }
}

/// For people: "assigned to group Sales".
impl fmt::Display for Because {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Because::Mailbox => f.write_str("assigned to the mailbox"),
            Because::List(name) => write!(f, "assigned to list {name}"),
            Because::Group(name) => write!(f, "assigned to group {name}"),
            Because::Domain(domain) => write!(f, "assigned to domain {domain}"),
            Because::Default => f.write_str("the default policy"),
            Because::Nothing => f.write_str("no policy is assigned and none is the default"),
        }
    }
}
