//! May a device sync at all: ActiveSync on or off, device ids, rules by traits, the default; and why.
//!
//! Precedence is Exchange's: the mailbox's switch, then what was said of this device, then rules, then the default.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::Timestamp;
use crate::config::limits::{ACCESS_RULES_MAX, MAILBOX_DEVICE_IDS_MAX, PATTERN_BYTES_MAX};
use crate::logic::eas::DeviceId;

/// How long a device may take to describe itself when a rule needs that; Exchange waits as long.
pub const DISCOVERY_S: u64 = 14 * 60;

/// What an administrator says of devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Access {
    /// They may sync.
    #[default]
    Allow,
    /// They may not.
    Block,
    /// They may not until somebody says more.
    Quarantine,
}

/// What a device may do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccessState {
    /// It may sync.
    #[default]
    Allowed,
    /// It may not.
    Blocked,
    /// It may not until somebody decides.
    Quarantined,
    /// A rule needs to know its model or operating system; it may provision and describe itself, and nothing else.
    Discovery,
}

/// Why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "because", rename_all = "snake_case")]
pub enum AccessWhy {
    /// ActiveSync is off for the mailbox.
    ActiveSyncOff,
    /// Somebody said so of this device.
    Device {
        /// Who.
        by: String,
        /// When.
        at: Timestamp,
    },
    /// The mailbox's list of blocked device ids has it.
    BlockedDeviceIds,
    /// The mailbox's list of allowed device ids has it, or has others only.
    AllowedDeviceIds,
    /// A rule.
    Rule(Rule),
    /// Nothing else applies.
    Default,
    /// The device has not described itself yet.
    AwaitsInformation,
}

/// What is said of one device of one mailbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceAccess {
    /// What.
    pub access: Access,
    /// By whom.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

/// A mailbox's switches (`Set-CASMailbox`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MailboxSettings {
    /// ActiveSyncEnabled.
    pub active_sync_enabled: bool,
    /// ActiveSyncAllowedDeviceIDs: if there are any, no others may sync.
    pub allowed_device_ids: BTreeSet<DeviceId>,
    /// ActiveSyncBlockedDeviceIDs.
    pub blocked_device_ids: BTreeSet<DeviceId>,
    /// Most partnerships; `None`: what the gateway's configuration says.
    pub devices_max: Option<u32>,
}

impl Default for MailboxSettings {
    fn default() -> Self {
        MailboxSettings {
            active_sync_enabled: true,
            allowed_device_ids: BTreeSet::new(),
            blocked_device_ids: BTreeSet::new(),
            devices_max: None,
        }
    }
}

/// What a rule looks at; the later is the more specific.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trait {
    /// What the request says it is.
    DeviceType,
    /// The program that speaks.
    UserAgent,
    /// The operating system, from its description.
    Os,
    /// The model, from its description.
    Model,
}

/// A pattern: `*` is any text, everything else itself, in any case.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pattern(String);

/// Why a text is no pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PatternError;

/// A rule (`New-ActiveSyncDeviceAccessRule`).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Rule {
    /// What it looks at.
    pub about: Trait,
    /// Whom it means.
    pub pattern: Pattern,
    /// What it says.
    pub access: Access,
}

/// All rules, and what holds where none does.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rules {
    /// In any order: the most specific that matches counts.
    pub rules: Vec<Rule>,
    /// Where no rule matches.
    pub default: Access,
}

/// What is known of a device.
#[derive(Debug, Clone, Copy, Default)]
pub struct Traits<'a> {
    /// From the request.
    pub device_type: &'a str,
    /// From the request, or its description.
    pub user_agent: Option<&'a str>,
    /// From its description.
    pub os: Option<&'a str>,
    /// From its description.
    pub model: Option<&'a str>,
    /// For how long the device has been known without describing itself, seconds; `None` once it has.
    pub undescribed_s: Option<u64>,
}

/// What a device may do, and why.
pub fn decide(
    mailbox: &MailboxSettings,
    device_id: &DeviceId,
    device: Option<&DeviceAccess>,
    rules: &Rules,
    traits: &Traits<'_>,
) -> (AccessState, AccessWhy) {
    if !mailbox.active_sync_enabled {
        return (AccessState::Blocked, AccessWhy::ActiveSyncOff);
    }
    if let Some(said) = device {
        return (said.access.state(), AccessWhy::Device { by: said.by.clone(), at: said.at });
    }
    if mailbox.blocked_device_ids.contains(device_id) {
        return (AccessState::Blocked, AccessWhy::BlockedDeviceIds);
    }
    if !mailbox.allowed_device_ids.is_empty() {
        let is_named = mailbox.allowed_device_ids.contains(device_id);
        return (if is_named { AccessState::Allowed } else { AccessState::Blocked }, AccessWhy::AllowedDeviceIds);
    }
    rules.decide(traits)
}

/// Why access cannot be set so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccessError {
    /// More rules than are looked at.
    TooManyRules,
    /// More device ids than a mailbox may list.
    TooManyDeviceIds,
}

impl MailboxSettings {
    /// Whether the lists are short enough to be kept.
    ///
    /// # Errors
    /// Which is not.
    pub fn check(&self) -> Result<(), AccessError> {
        let longest = self.allowed_device_ids.len().max(self.blocked_device_ids.len());
        if longest <= MAILBOX_DEVICE_IDS_MAX { Ok(()) } else { Err(AccessError::TooManyDeviceIds) }
    }
}

impl Rules {
    /// Whether there are few enough of them.
    ///
    /// # Errors
    /// There are not.
    pub fn check(&self) -> Result<(), AccessError> {
        if self.rules.len() <= ACCESS_RULES_MAX { Ok(()) } else { Err(AccessError::TooManyRules) }
    }

    /// What the rules and the default say.
    fn decide(&self, traits: &Traits<'_>) -> (AccessState, AccessWhy) {
        let matching = self.rules.iter().filter(|rule| traits.of(rule.about).is_some_and(|text| rule.pattern.matches(text)));
        let best = matching.max_by(|a, b| a.weight().cmp(&b.weight()));
        if traits.undescribed_s.is_some_and(|known_s| known_s < DISCOVERY_S) {
            // A rule about what the device has yet to say could count for more.
            let could_win = |rule: &&Rule| rule.about >= Trait::Os && best.is_none_or(|best| rule.weight() > best.weight());
            let differs = |rule: &Rule| rule.access != best.map_or(self.default, |best| best.access);
            if self.rules.iter().filter(could_win).any(differs) {
                return (AccessState::Discovery, AccessWhy::AwaitsInformation);
            }
        }
        match best {
            Some(rule) => (rule.access.state(), AccessWhy::Rule(rule.clone())),
            None => (self.default.state(), AccessWhy::Default),
        }
    }
}

impl Rule {
    /// The heavier counts: the more specific trait, then the longer pattern, then the stricter word.
    fn weight(&self) -> (Trait, usize, u8) {
        let strictness = match self.access {
            Access::Allow => 0,
            Access::Quarantine => 1,
            Access::Block => 2,
        };
        (self.about, self.pattern.0.chars().filter(|character| *character != '*').count(), strictness)
    }
}

impl<'a> Traits<'a> {
    fn of(&self, about: Trait) -> Option<&'a str> {
        match about {
            Trait::DeviceType => Some(self.device_type),
            Trait::UserAgent => self.user_agent,
            Trait::Os => self.os,
            Trait::Model => self.model,
        }
    }
}

impl Access {
    /// As in commands and answers.
    pub fn name(self) -> &'static str {
        match self {
            Access::Allow => "allow",
            Access::Block => "block",
            Access::Quarantine => "quarantine",
        }
    }

    /// What the device may do then.
    pub fn state(self) -> AccessState {
        match self {
            Access::Allow => AccessState::Allowed,
            Access::Block => AccessState::Blocked,
            Access::Quarantine => AccessState::Quarantined,
        }
    }
}

impl AccessState {
    /// As in commands and answers.
    pub fn name(self) -> &'static str {
        match self {
            AccessState::Allowed => "allowed",
            AccessState::Blocked => "blocked",
            AccessState::Quarantined => "quarantined",
            AccessState::Discovery => "discovery",
        }
    }
}

impl Pattern {
    /// From what a person typed.
    ///
    /// # Errors
    /// Empty, too long, or with control characters.
    pub fn new(text: &str) -> Result<Self, PatternError> {
        let text = text.trim();
        let is_good = (1..=PATTERN_BYTES_MAX).contains(&text.len()) && !text.contains(char::is_control);
        is_good.then(|| Pattern(text.to_owned())).ok_or(PatternError)
    }

    /// The pattern as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the whole text is as the pattern says. Takes at most |pattern| × |text| steps, whatever either is.
    pub fn matches(&self, text: &str) -> bool {
        let pattern: Vec<char> = self.0.chars().flat_map(char::to_lowercase).collect();
        let text: Vec<char> = text.chars().flat_map(char::to_lowercase).collect();
        let (mut at, mut in_text) = (0, 0);
        // The last star, and the text it has taken so far ends here: only the last one ever needs to take more.
        let mut star: Option<(usize, usize)> = None;
        while in_text < text.len() {
            if pattern.get(at) == Some(&'*') {
                star = Some((at, in_text));
                at += 1;
            } else if pattern.get(at) == Some(&text[in_text]) {
                (at, in_text) = (at + 1, in_text + 1);
            } else if let Some((star_at, taken)) = star {
                star = Some((star_at, taken + 1));
                (at, in_text) = (star_at + 1, taken + 1);
            } else {
                return false;
            }
        }
        pattern[at..].iter().all(|character| *character == '*')
    }
}

impl TryFrom<String> for Pattern {
    type Error = PatternError;

    fn try_from(text: String) -> Result<Self, PatternError> {
        Pattern::new(&text)
    }
}

impl From<Pattern> for String {
    fn from(pattern: Pattern) -> String {
        pattern.0
    }
}

impl fmt::Display for PatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a pattern has 1 to {PATTERN_BYTES_MAX} bytes and no control characters; * stands for any text")
    }
}

impl std::error::Error for PatternError {}

impl fmt::Display for AccessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AccessError::TooManyRules => write!(f, "there can be {ACCESS_RULES_MAX} access rules"),
            AccessError::TooManyDeviceIds => write!(f, "a mailbox can list {MAILBOX_DEVICE_IDS_MAX} device ids"),
        }
    }
}

impl std::error::Error for AccessError {}

impl fmt::Display for Trait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Trait::DeviceType => "device type",
            Trait::UserAgent => "user agent",
            Trait::Os => "operating system",
            Trait::Model => "model",
        })
    }
}

/// For people: "the rule for model iPad*".
impl fmt::Display for AccessWhy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AccessWhy::ActiveSyncOff => f.write_str("ActiveSync is off for this mailbox"),
            AccessWhy::Device { by, at } => write!(f, "{by} said so of this device at {at}"),
            AccessWhy::BlockedDeviceIds => f.write_str("the mailbox's blocked device ids"),
            AccessWhy::AllowedDeviceIds => f.write_str("the mailbox's allowed device ids"),
            AccessWhy::Rule(rule) => write!(f, "the rule for {} {}", rule.about, rule.pattern.as_str()),
            AccessWhy::Default => f.write_str("the default"),
            AccessWhy::AwaitsInformation => f.write_str("the device has not described itself yet"),
        }
    }
}
