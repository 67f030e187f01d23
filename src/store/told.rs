//! What an act changed, in words for the audit trail: what was → what is, with names, and as much of a long list as an entry holds.

use std::collections::BTreeSet;
use std::fmt::{Display, Write as _};

use super::snapshot::MailboxRecord;
use crate::logic::policy::access::{Access, MailboxSettings, Rule, Rules};

/// Names of one list that are told; the rest are counted.
const NAMES_MAX: usize = 50;

/// A list or a group, as far as it is told.
#[derive(Debug, Default, PartialEq)]
pub(super) struct MembersSaid {
    pub(super) rank: u32,
    pub(super) policy: Option<String>,
    pub(super) mailboxes: BTreeSet<String>,
}

/// `Lax → Strict`.
pub(super) fn change(before: Option<impl Display>, after: Option<impl Display>) -> String {
    let text = |value: Option<String>| value.unwrap_or_else(|| "none".into());
    format!("{} → {}", text(before.map(|value| value.to_string())), text(after.map(|value| value.to_string())))
}

/// What changed about a mailbox.
pub(super) fn mailbox(before: &MailboxRecord, after: &MailboxRecord) -> String {
    let mut told = Vec::new();
    if before.policy != after.policy {
        told.push(format!("policy {}", change(before.policy.as_ref(), after.policy.as_ref())));
    }
    let (old, new): (&MailboxSettings, &MailboxSettings) = (&before.settings, &after.settings);
    if old.active_sync_enabled != new.active_sync_enabled {
        let word = |is_on: bool| Some(if is_on { "on" } else { "off" });
        told.push(format!("ActiveSync {}", change(word(old.active_sync_enabled), word(new.active_sync_enabled))));
    }
    told.extend(difference("allowed devices", &old.allowed_device_ids, &new.allowed_device_ids));
    told.extend(difference("blocked devices", &old.blocked_device_ids, &new.blocked_device_ids));
    if old.devices_max != new.devices_max {
        let word = |most: Option<u32>| Some(most.map_or_else(|| "as configured".to_owned(), |most| most.to_string()));
        told.push(format!("devices at most {}", change(word(old.devices_max), word(new.devices_max))));
    }
    together(told)
}

/// What changed about a list or a group.
pub(super) fn members(before: &MembersSaid, after: &MembersSaid) -> String {
    let mut told = Vec::new();
    if before.policy != after.policy {
        told.push(format!("policy {}", change(before.policy.as_ref(), after.policy.as_ref())));
    }
    if before.rank != after.rank {
        told.push(format!("rank {}", change(Some(before.rank), Some(after.rank))));
    }
    if before.mailboxes.len() != after.mailboxes.len() {
        told.push(format!("{} mailboxes", change(Some(before.mailboxes.len()), Some(after.mailboxes.len()))));
    }
    told.extend(difference("members", &before.mailboxes, &after.mailboxes));
    together(told)
}

/// What changed about the access rules.
pub(super) fn rules(before: &Rules, after: &Rules) -> String {
    let text = |rules: &Rules| -> BTreeSet<String> { rules.rules.iter().map(rule).collect() };
    let mut told = Vec::new();
    if before.default != after.default {
        told.push(format!("other devices {}", change(Some(Access::name(before.default)), Some(Access::name(after.default)))));
    }
    told.extend(difference("rules", &text(before), &text(after)));
    together(told)
}

fn rule(rule: &Rule) -> String {
    format!("[{} {}: {}]", rule.about, rule.pattern.as_str(), rule.access.name())
}

/// `members +anna, -hew`; `None` if they are alike.
fn difference<T: Ord + Display>(what: &str, before: &BTreeSet<T>, after: &BTreeSet<T>) -> Option<String> {
    let told = added_and_removed(after.difference(before), before.difference(after));
    (!told.is_empty()).then(|| format!("{what} {told}"))
}

/// `+anna, -hew`; nothing if there are none.
pub(super) fn added_and_removed<T: Display>(added: impl IntoIterator<Item = T>, removed: impl IntoIterator<Item = T>) -> String {
    let added = added.into_iter().map(|name| format!("+{name}"));
    let changed: Vec<String> = added.chain(removed.into_iter().map(|name| format!("-{name}"))).collect();
    let mut told = changed[..changed.len().min(NAMES_MAX)].join(", ");
    if changed.len() > NAMES_MAX {
        let _ = write!(told, " and {} more", changed.len() - NAMES_MAX);
    }
    told
}

fn together(told: Vec<String>) -> String {
    if told.is_empty() { "nothing changed".into() } else { told.join("; ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logic::policy::access::{Pattern, Trait};

    #[test]
    fn rules_are_told_by_what_they_say() {
        let rule = |pattern: &str, access| Rule { about: Trait::Model, pattern: Pattern::new(pattern).unwrap(), access };
        let before = Rules { rules: vec![rule("iPad*", Access::Block)], default: Access::Allow };
        let after = Rules { rules: vec![rule("iPad*", Access::Allow)], default: Access::Quarantine };
        assert_eq!(rules(&before, &after), "other devices allow → quarantine; rules +[model iPad*: allow], -[model iPad*: block]");
        assert_eq!(rules(&after, &after), "nothing changed");
    }

    #[test]
    fn of_a_long_list_the_rest_is_counted() {
        let mailboxes = (0..60).map(|number| format!("u{number:02}")).collect();
        let after = MembersSaid { rank: 0, policy: Some("Strict".into()), mailboxes };
        let told = members(&MembersSaid::default(), &after);
        assert!(told.starts_with("policy none → Strict; 0 → 60 mailboxes; members +u00, +u01"), "{told}");
        assert!(told.ends_with("+u49 and 10 more"), "{told}");
    }
}
