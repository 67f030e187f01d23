//! Who may sync, and why.

use super::super::access::{
    Access, AccessError, AccessState, AccessWhy, DISCOVERY_S, DeviceAccess, MailboxSettings, Pattern, Rule, Rules, Trait, Traits, decide,
};
use super::{START, device_id, partnership};
use crate::logic::eas::{DeviceInformation, DeviceType, Version};
use crate::logic::policy::Attempt;

const PHONE: Traits<'static> = Traits {
    device_type: "SmartPhone",
    user_agent: Some("ExampleMail/1.0"),
    os: Some("ExampleOS 9.1"),
    model: Some("Model-X"),
    undescribed_s: None,
};

fn rule(about: Trait, pattern: &str, access: Access) -> Rule {
    Rule { about, pattern: Pattern::new(pattern).unwrap(), access }
}

fn by_rules(rules: Vec<Rule>, default: Access, traits: &Traits<'_>) -> (AccessState, AccessWhy) {
    decide(&MailboxSettings::default(), &device_id("abc"), None, &Rules { rules, default }, traits)
}

#[test]
fn stars_stand_for_any_text() {
    for (pattern, text, is_match) in [
        ("iPad*", "iPad2C3", true),
        ("iPad*", "ipad", true),
        ("iPad", "iPad2", false),
        ("*", "", true),
        ("*Mail*", "Apple-iPad2C3/1202.466 Mail", true),
        ("a*b*c", "a-b-b-c", true),
        ("a*b*c", "a-b-c-d", false),
        ("*.1", "OS 9.1.1", true),
        ("a?c", "abc", false),
        ("**x**", "x", true),
        ("STRASSE*", "straße", false),
        ("ÄPFEL", "äpfel", true),
    ] {
        assert_eq!(Pattern::new(pattern).unwrap().matches(text), is_match, "{pattern} {text}");
    }
    for bad in ["", "  ", "a\nb", &"x".repeat(256)] {
        assert!(Pattern::new(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn the_reason_is_stored_with_the_partnership() {
    let reasons = [
        AccessWhy::Rule(rule(Trait::Model, "Model*", Access::Block)),
        AccessWhy::Device { by: "ada".into(), at: START },
        AccessWhy::ActiveSyncOff,
    ];
    for why in reasons {
        let text = serde_json::to_string(&why).unwrap();
        assert_eq!(serde_json::from_str::<AccessWhy>(&text).unwrap(), why, "{text}");
        assert!(text.contains(r#""because":"#) && !why.to_string().is_empty(), "{text}");
    }
    assert!(serde_json::from_str::<AccessWhy>(r#"{"because":"rule","about":"model","pattern":"","access":"block"}"#).is_err());
    let settings: MailboxSettings = serde_json::from_str("{}").unwrap();
    assert_eq!(settings, MailboxSettings::default());
}

#[test]
fn lists_and_rules_are_bounded() {
    let ids = |count: usize| (0..count).map(|number| device_id(&number.to_string())).collect();
    let mailbox = |count| MailboxSettings { allowed_device_ids: ids(count), ..MailboxSettings::default() };
    assert_eq!(mailbox(1_000).check(), Ok(()));
    assert_eq!(mailbox(1_001).check(), Err(AccessError::TooManyDeviceIds));
    let rules = |count| Rules { rules: vec![rule(Trait::Model, "x", Access::Allow); count], default: Access::Allow };
    assert_eq!((rules(1_000).check(), rules(1_001).check()), (Ok(()), Err(AccessError::TooManyRules)));
}

#[test]
fn a_hostile_user_agent_costs_little() {
    let pattern = Pattern::new(&"*a".repeat(120)).unwrap();
    assert!(!pattern.matches(&format!("{}b", "a".repeat(1_000))));
}

#[test]
fn the_most_specific_rule_counts() {
    use Access::{Allow, Block, Quarantine};
    let model = rule(Trait::Model, "Model-*", Allow);
    let os = rule(Trait::Os, "ExampleOS 9*", Block);
    let agent = rule(Trait::UserAgent, "ExampleMail*", Quarantine);
    let kind = rule(Trait::DeviceType, "SmartPhone", Block);
    let mut rules = vec![kind, agent, os, model.clone()];
    assert_eq!(by_rules(rules.clone(), Block, &PHONE), (AccessState::Allowed, AccessWhy::Rule(model)));
    for expected in [AccessState::Blocked, AccessState::Quarantined, AccessState::Blocked] {
        rules.pop();
        assert_eq!(by_rules(rules.clone(), Allow, &PHONE).0, expected);
    }
    assert_eq!(by_rules(vec![], Quarantine, &PHONE), (AccessState::Quarantined, AccessWhy::Default));
    let longer = vec![rule(Trait::Model, "Model-X", Allow), rule(Trait::Model, "Model*", Block)];
    assert_eq!(by_rules(longer, Block, &PHONE).0, AccessState::Allowed);
    let tie = vec![rule(Trait::Model, "Model-X", Allow), rule(Trait::Model, "*Model-X", Block)];
    assert_eq!(by_rules(tie, Allow, &PHONE).0, AccessState::Blocked, "of two equals the stricter");
}

#[test]
fn the_mailbox_then_the_device_then_lists_then_rules() {
    let (id, other) = (device_id("abc"), device_id("def"));
    let rules = Rules { rules: vec![rule(Trait::DeviceType, "*", Access::Block)], default: Access::Allow };
    let said = DeviceAccess { access: Access::Allow, by: "ada".into(), at: START };
    let mut mailbox = MailboxSettings::default();
    let state = |mailbox: &MailboxSettings, said: Option<&DeviceAccess>| decide(mailbox, &id, said, &rules, &PHONE);
    assert_eq!(state(&mailbox, None).0, AccessState::Blocked);
    assert_eq!(state(&mailbox, Some(&said)), (AccessState::Allowed, AccessWhy::Device { by: "ada".into(), at: START }));
    mailbox.allowed_device_ids = [id.clone()].into();
    assert_eq!(state(&mailbox, None), (AccessState::Allowed, AccessWhy::AllowedDeviceIds));
    mailbox.allowed_device_ids = [other].into();
    assert_eq!(state(&mailbox, None), (AccessState::Blocked, AccessWhy::AllowedDeviceIds));
    mailbox.blocked_device_ids = [id.clone()].into();
    assert_eq!(state(&mailbox, None), (AccessState::Blocked, AccessWhy::BlockedDeviceIds));
    mailbox.active_sync_enabled = false;
    assert_eq!(state(&mailbox, Some(&said)), (AccessState::Blocked, AccessWhy::ActiveSyncOff));
}

#[test]
fn a_device_is_discovered_only_while_that_could_change_anything() {
    use Access::{Allow, Block};
    let undescribed = |known_s| Traits { os: None, model: None, undescribed_s: Some(known_s), ..PHONE };
    let models = || vec![rule(Trait::Model, "Model-X", Allow)];
    assert_eq!(by_rules(models(), Block, &undescribed(0)), (AccessState::Discovery, AccessWhy::AwaitsInformation));
    assert_eq!(by_rules(models(), Block, &undescribed(DISCOVERY_S)).0, AccessState::Blocked, "it had its time");
    assert_eq!(by_rules(models(), Allow, &undescribed(0)).0, AccessState::Allowed, "no rule could say otherwise");
    assert_eq!(by_rules(vec![rule(Trait::DeviceType, "*", Block)], Allow, &undescribed(0)).0, AccessState::Blocked);
    assert_eq!(by_rules(models(), Block, &Traits { os: None, model: None, ..PHONE }).0, AccessState::Blocked, "it has nothing to say");
}

#[test]
fn a_partnership_knows_its_traits() {
    let mut partnership = partnership();
    let kind = DeviceType::new(b"PocketPC").unwrap();
    let attempt = Attempt { version: Version::V12_1, device_type: &kind, user_agent: Some("Mail\r\n1") };
    assert!(partnership.attempted(&attempt, START.plus(5)));
    assert!(!partnership.attempted(&attempt, START.plus(9)), "nothing new but the time");
    assert_eq!(partnership.last_attempt_at, Some(START.plus(9)));
    assert!(!partnership.attempted(&attempt, START.plus(2)));
    assert_eq!(partnership.last_attempt_at, Some(START.plus(9)), "facts may come out of order");
    let traits = partnership.traits(START.plus(10));
    assert_eq!((traits.device_type, traits.user_agent, traits.undescribed_s), ("PocketPC", Some("Mail\u{FFFD}\u{FFFD}1"), Some(10)));
    partnership.informed(&DeviceInformation { os: Some("OS 1".into()), ..Default::default() }, START);
    assert_eq!((partnership.traits(START).os, partnership.traits(START).undescribed_s), (Some("OS 1"), None));
    assert_eq!(partnership.identity(), "hew@example.org\\AirSync-PocketPC-wm6dev0001");
    let long = "é".repeat(1_000);
    partnership.attempted(&Attempt { user_agent: Some(&long), ..attempt }, START);
    assert_eq!(partnership.user_agent.map(|agent| agent.len()), Some(512));
}
