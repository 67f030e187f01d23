//! Everything but devices, as the data plane reads it: immutable, replaced as a whole.

use std::collections::{BTreeMap, HashMap};

use super::rows::{from_json, strange};
use super::sql::{Sql, SqlError};
use super::tokens::{self, Token};
use crate::logic::eas::Mailbox;
use crate::logic::policy::access::{MailboxSettings, Rules};
use crate::logic::policy::assign::{Assigned, Assignments, Because, Members};
use crate::logic::policy::{Policies, Policy, PolicyName, Prepared};

/// What an administrator said, as of one generation of the database.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// All policies, written out for every version.
    pub policies: Policies,
    /// Which policy each mailbox has.
    pub assignments: Assignments,
    /// The same as it was given: mailboxes, lists, groups, domains, the default.
    pub assigned: Assigned,
    /// Mailboxes that differ from the default in anything.
    pub mailboxes: HashMap<Mailbox, MailboxRecord>,
    /// The access rules, and what holds where none does.
    pub rules: Rules,
    /// The revision of the rules; 0 before anybody set any.
    pub rules_revision: u64,
    /// The revision of the choice of a default policy; 0 before anybody made one.
    pub default_revision: u64,
    /// Revisions of the domains that have a policy.
    pub domain_revisions: BTreeMap<String, u64>,
    /// What else there is to say of lists and groups, by kind and name.
    pub members: HashMap<(MembersKind, String), MembersRecord>,
    /// Tokens, the revoked ones too.
    pub(super) tokens: BTreeMap<String, Token>,
    pub(super) generation: u64,
}

/// What was said of one mailbox.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MailboxRecord {
    /// 0 if nothing was ever said of it.
    pub revision: u64,
    /// The policy assigned to the mailbox itself.
    pub policy: Option<PolicyName>,
    /// Its switches.
    pub settings: MailboxSettings,
}

/// What is known of a list or a group beside its policy and who is in it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MembersRecord {
    /// 0 if there is none of that name.
    pub revision: u64,
    /// Smaller counts first.
    pub rank: u32,
    /// Who says who is in it.
    pub origin: Origin,
}

/// Who says who is in a list or a group.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Origin {
    /// An administrator.
    #[default]
    Hand,
    /// The directory; see `[directory]`.
    Directory,
    /// The directory did, and no longer has it: it has no members, and keeps its policy in case it comes back.
    Gone,
}

impl Origin {
    const ALL: [Origin; 3] = [Origin::Hand, Origin::Directory, Origin::Gone];

    /// As in answers and the database.
    pub fn name(self) -> &'static str {
        match self {
            Origin::Hand => "hand",
            Origin::Directory => "directory",
            Origin::Gone => "gone",
        }
    }

    fn read(name: &str) -> Result<Self, SqlError> {
        Self::ALL.into_iter().find(|origin| origin.name() == name).ok_or_else(|| strange("where a group comes from"))
    }
}

/// A list (CSV) or a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MembersKind {
    /// Of the administrator's own making.
    List,
    /// Imported from CSV or LDAP.
    Group,
}

impl MembersKind {
    /// As in commands, answers and the database.
    pub fn name(self) -> &'static str {
        match self {
            MembersKind::List => "list",
            MembersKind::Group => "group",
        }
    }
}

impl Snapshot {
    /// The policy of a mailbox, ready to be sent, and why it has it. `None` as well if the policy it should have is gone.
    pub fn policy_of(&self, mailbox: &Mailbox) -> (Option<&Prepared>, Because) {
        let (name, because) = self.assignments.policy_of(mailbox);
        (name.and_then(|name| self.policies.find(name)).map(|policy| &**policy), because)
    }

    /// What was said of a mailbox; the default if nothing was.
    pub fn mailbox(&self, mailbox: &Mailbox) -> MailboxRecord {
        self.mailboxes.get(mailbox).cloned().unwrap_or_default()
    }

    /// What is known of a list or a group.
    pub fn members_record(&self, kind: MembersKind, name: &str) -> MembersRecord {
        self.members.get(&(kind, name.to_owned())).copied().unwrap_or_default()
    }

    /// Reads everything.
    pub(super) fn load(sql: &mut dyn Sql, generation: u64) -> Result<Self, SqlError> {
        let mut this = Snapshot { generation, ..Snapshot::default() };
        let names = this.load_policies(sql)?;
        let named =
            |folded: Option<&str>| folded.map(|folded| names.get(folded).cloned().ok_or_else(|| strange("a policy's name"))).transpose();
        for row in sql.query("SELECT mailbox, revision, policy, settings FROM mailboxes ORDER BY mailbox", &[])? {
            let mailbox = mailbox(row.text(0)?)?;
            let policy = named(row.some_text(2)?)?;
            if let Some(policy) = &policy {
                this.assigned.direct.insert(mailbox.clone(), policy.clone());
            }
            let record = MailboxRecord { revision: row.number(1)?, policy, settings: from_json(row.text(3)?)? };
            this.mailboxes.insert(mailbox, record);
        }
        for row in sql.query("SELECT domain, policy, revision FROM domains ORDER BY domain", &[])? {
            this.domain_revisions.insert(row.text(0)?.to_owned(), row.number(2)?);
            if let Some(policy) = named(row.some_text(1)?)? {
                this.assigned.domains.insert(row.text(0)?.to_owned(), policy);
            }
        }
        let members = this.load_members(sql, &named)?;
        (this.assigned.lists, this.assigned.groups) = members;
        for row in sql.query("SELECT name, revision, value FROM singles", &[])? {
            match row.text(0)? {
                "access_rules" => (this.rules_revision, this.rules) = (row.number(1)?, from_json(row.text(2)?)?),
                "default_policy" => {
                    let folded: Option<String> = from_json(row.text(2)?)?;
                    (this.default_revision, this.assigned.default) = (row.number(1)?, named(folded.as_deref())?);
                }
                // Of a newer program that shares the database and kept the version of the tables.
                _ => {}
            }
        }
        this.tokens = tokens::load(sql)?;
        this.assignments = Assignments::new(&this.assigned);
        Ok(this)
    }

    /// The policies; gives the names by their folded form.
    fn load_policies(&mut self, sql: &mut dyn Sql) -> Result<HashMap<String, PolicyName>, SqlError> {
        let mut policies = Vec::new();
        for row in sql.query("SELECT name, revision, changed_at, settings FROM policies ORDER BY folded", &[])? {
            let name = PolicyName::new(row.text(0)?).map_err(|_| strange("a policy's name"))?;
            let settings = from_json(row.text(3)?)?;
            let policy = Policy::from_stored(name, row.number(1)?, row.time(2)?, &settings).map_err(|_| strange("a policy"))?;
            policies.push(policy);
        }
        let names = policies.iter().map(|policy| (policy.name.folded().to_owned(), policy.name.clone())).collect();
        self.policies = Policies::new(policies);
        Ok(names)
    }

    /// Lists and groups, each in the administrator's order.
    fn load_members<N>(&mut self, sql: &mut dyn Sql, named: &N) -> Result<(Vec<Members>, Vec<Members>), SqlError>
    where
        N: Fn(Option<&str>) -> Result<Option<PolicyName>, SqlError>,
    {
        let mut of: HashMap<(String, String), Vec<Mailbox>> = HashMap::new();
        for row in sql.query("SELECT kind, name, mailbox FROM members", &[])? {
            of.entry((row.text(0)?.to_owned(), row.text(1)?.to_owned())).or_default().push(mailbox(row.text(2)?)?);
        }
        let (mut lists, mut groups) = (Vec::new(), Vec::new());
        for row in sql.query("SELECT kind, name, policy, revision, rank, origin FROM member_lists ORDER BY rank, name", &[])? {
            let (kind, name) = (row.text(0)?.to_owned(), row.text(1)?.to_owned());
            let kind_of = if kind == "list" { MembersKind::List } else { MembersKind::Group };
            let rank = row.number(4)?.try_into().map_err(|_| strange("a rank"))?;
            let record = MembersRecord { revision: row.number(3)?, rank, origin: Origin::read(row.text(5)?)? };
            self.members.insert((kind_of, name.clone()), record);
            let mut mailboxes = of.remove(&(kind, name.clone())).unwrap_or_default();
            // Databases have orders of their own.
            mailboxes.sort_unstable();
            let members = Members { name, policy: named(row.some_text(2)?)?, mailboxes };
            if kind_of == MembersKind::List { lists.push(members) } else { groups.push(members) }
        }
        Ok((lists, groups))
    }
}

fn mailbox(text: &str) -> Result<Mailbox, SqlError> {
    Mailbox::normalise(text, None, false).ok_or_else(|| strange("a mailbox"))
}
