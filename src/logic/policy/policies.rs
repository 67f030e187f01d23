//! All policies as the data plane reads them: each written out for every version once, not once a request.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::document::{self, Document, DocumentHash};
use super::{Policy, PolicyName, Setting};
use crate::config::limits::POLICIES_MAX;
use crate::logic::eas::Version;

/// A policy with its documents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prepared {
    policy: Policy,
    /// By version; those that are alike are one.
    documents: [Arc<Document>; Version::ALL.len()],
}

impl Prepared {
    /// Writes the documents.
    pub fn new(policy: Policy) -> Self {
        let mut last: Option<Arc<Document>> = None;
        let documents = Version::ALL.map(|version| {
            let document = document::write(&policy, version);
            let same = last.take().filter(|last| **last == document);
            last.insert(same.unwrap_or_else(|| Arc::new(document))).clone()
        });
        Prepared { policy, documents }
    }

    /// The policy.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// What a device of this version gets.
    pub fn document(&self, version: Version) -> &Document {
        &self.documents[version as usize]
    }

    /// The hash of that.
    pub fn hash(&self, version: Version) -> DocumentHash {
        self.document(version).hash
    }

    /// Whether a yes-or-no setting is yes.
    pub fn is_on(&self, setting: Setting) -> bool {
        self.policy.is_on(setting)
    }
}

/// The policies of an organisation, one of which may be the default. (Which one a mailbox has: `assign`.)
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policies(BTreeMap<PolicyName, Arc<Prepared>>);

/// Why the set of policies cannot be changed so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PoliciesError {
    /// The name is taken.
    Exists(PolicyName),
    /// There is no such policy.
    Missing(PolicyName),
    /// There are as many as there may be.
    TooMany,
    /// It changed since it was read.
    Changed {
        /// What it is now.
        revision: u64,
    },
}

impl Policies {
    /// Out of stored policies.
    pub fn new(policies: impl IntoIterator<Item = Policy>) -> Self {
        Policies(policies.into_iter().map(|policy| (policy.name.clone(), Arc::new(Prepared::new(policy)))).collect())
    }

    /// One of them.
    pub fn find(&self, name: &PolicyName) -> Option<&Arc<Prepared>> {
        self.0.get(name)
    }

    /// All, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Prepared>> {
        self.0.values()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds a policy.
    ///
    /// # Errors
    /// The name is taken, or there are too many.
    pub fn add(&mut self, policy: Policy) -> Result<(), PoliciesError> {
        if self.0.contains_key(&policy.name) {
            return Err(PoliciesError::Exists(policy.name));
        }
        if self.0.len() >= POLICIES_MAX {
            return Err(PoliciesError::TooMany);
        }
        self.0.insert(policy.name.clone(), Arc::new(Prepared::new(policy)));
        Ok(())
    }

    /// Puts a changed policy in the place of the one that had `read_revision` when it was read.
    ///
    /// # Errors
    /// It is gone, or somebody else was faster.
    pub fn replace(&mut self, policy: Policy, read_revision: u64) -> Result<(), PoliciesError> {
        let Some(present) = self.0.get_mut(&policy.name) else { return Err(PoliciesError::Missing(policy.name)) };
        if present.policy.revision != read_revision {
            return Err(PoliciesError::Changed { revision: present.policy.revision });
        }
        *present = Arc::new(Prepared::new(policy));
        Ok(())
    }

    /// Takes a policy out. Whether anything still names it is `assign`'s to say.
    ///
    /// # Errors
    /// There is none of that name.
    pub fn remove(&mut self, name: &PolicyName) -> Result<Arc<Prepared>, PoliciesError> {
        self.0.remove(name).ok_or_else(|| PoliciesError::Missing(name.clone()))
    }
}

impl fmt::Display for PoliciesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PoliciesError::Exists(name) => write!(f, "there is a policy {name} already"),
            PoliciesError::Missing(name) => write!(f, "there is no policy {name}"),
            PoliciesError::TooMany => write!(f, "there are {POLICIES_MAX} policies, which is the limit"),
            PoliciesError::Changed { revision } => {
                write!(f, "somebody changed this policy: it is at revision {revision} now; read it again")
            }
        }
    }
}

impl std::error::Error for PoliciesError {}
