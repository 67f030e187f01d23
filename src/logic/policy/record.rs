//! A policy: a name, a revision, and the settings that are not at their default.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};

use super::{Changes, PolicyName, Problem, Problems, Setting, Timestamp, Value};

/// A policy. Made and changed only through [`Changes`], so its settings never contradict each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// What it is called.
    pub name: PolicyName,
    /// 1 at first, one more with every change: an ETag, and what devices are said to have.
    pub revision: u64,
    /// When it was made or last changed.
    pub changed_at: Timestamp,
    /// What was set; the rest is at its default.
    set: BTreeMap<Setting, Value>,
}

impl Policy {
    /// A policy with every setting at its default.
    pub fn new(name: PolicyName, now: Timestamp) -> Self {
        Policy { name, revision: 1, changed_at: now, set: BTreeMap::new() }
    }

    /// As it was stored: the settings as [`Policy::set_json`] gave them.
    ///
    /// # Errors
    /// What is stored is not what this program stores.
    pub fn from_stored(name: PolicyName, revision: u64, changed_at: Timestamp, set: &Map<String, Json>) -> Result<Self, Problems> {
        let changes = Changes::parse_json(set)?;
        let policy = Policy::new(name, changed_at).with(&changes, changed_at)?;
        Ok(Policy { revision, ..policy })
    }

    /// The policy after the changes, its revision one higher if they changed anything.
    ///
    /// # Errors
    /// The settings would contradict each other; all the places at once.
    pub fn with(&self, changes: &Changes, now: Timestamp) -> Result<Self, Problems> {
        let mut set = self.set.clone();
        for (setting, value) in changes.iter() {
            match value {
                Some(value) => drop(set.insert(setting, value.clone())),
                None => drop(set.remove(&setting)),
            }
        }
        if set == self.set {
            return Ok(self.clone());
        }
        let changed = Policy { name: self.name.clone(), revision: self.revision + 1, changed_at: now, set };
        let problems = changed.contradictions();
        if problems.is_empty() { Ok(changed) } else { Err(Problems(problems)) }
    }

    /// What a setting is, set or by default.
    pub fn value(&self, setting: Setting) -> &Value {
        self.set.get(&setting).unwrap_or(&setting.definition().default)
    }

    /// Whether a yes-or-no setting is yes.
    pub fn is_on(&self, setting: Setting) -> bool {
        *self.value(setting) == Value::Bool(true)
    }

    /// A number, in the setting's unit; `None` for no limit.
    pub fn number(&self, setting: Setting) -> Option<u32> {
        match self.value(setting) {
            Value::Number(number) => Some(*number),
            _ => None,
        }
    }

    /// Whether somebody set it.
    pub fn is_set(&self, setting: Setting) -> bool {
        self.set.contains_key(&setting)
    }

    /// What was set, in the order of the table: for the store, and for reading a policy back through REST.
    pub fn set_json(&self) -> Map<String, Json> {
        self.set.iter().map(|(setting, value)| (setting.definition().key.to_owned(), value.to_json(*setting))).collect()
    }

    /// All settings, set or not.
    pub fn all_json(&self) -> Map<String, Json> {
        Setting::ALL.iter().map(|setting| (setting.definition().key.to_owned(), self.value(*setting).to_json(*setting))).collect()
    }

    /// Settings that would have no effect beside the others. Only what somebody set counts: defaults contradict nothing.
    fn contradictions(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        for (setting, value) in &self.set {
            if !demands(*setting, value) {
                continue;
            }
            for (dependent, other) in depends_on(*setting) {
                if dependent && !self.is_on(other) {
                    let value = value.to_text(*setting);
                    problems.push(Problem::Contradiction { setting: *setting, value, other, wanted: "true" });
                    break;
                }
            }
        }
        problems
    }
}

/// Whether the value asks for something, rather than for nothing in particular.
fn demands(setting: Setting, value: &Value) -> bool {
    match (setting, value) {
        // Its "yes" is the permissive one.
        (Setting::AllowSimpleDevicePassword, Value::Bool(yes)) => !yes,
        (_, Value::Bool(yes)) => *yes,
        (Setting::DevicePasswordHistory, Value::Number(number)) => *number > 0,
        (Setting::MinDevicePasswordComplexCharacters, Value::Number(number)) => *number > 1,
        (_, Value::Number(_)) => true,
        _ => false,
    }
}

/// What must be on for the setting to mean anything, the most important first.
fn depends_on(setting: Setting) -> [(bool, Setting); 4] {
    use Setting::{
        AllowHTMLEmail, AlphanumericDevicePasswordRequired, AttachmentsEnabled, DevicePasswordEnabled, MaxAttachmentSize,
        MaxEmailHTMLBodyTruncationSize, MinDevicePasswordComplexCharacters,
    };
    let needs_password = setting.definition().element.is_some_and(|element| element.needs_password);
    [
        (needs_password, DevicePasswordEnabled),
        (setting == MinDevicePasswordComplexCharacters, AlphanumericDevicePasswordRequired),
        (setting == MaxAttachmentSize, AttachmentsEnabled),
        (setting == MaxEmailHTMLBodyTruncationSize, AllowHTMLEmail),
    ]
}
