//! The exchange, step by step.

use super::super::Prepared;
use super::super::provisioning::{Application, Context, Due, Fact, Outcome, Reply, answer};
use super::super::signal::Refusal;
use super::{START, partnership, policy, prepared};
use crate::logic::eas::provision::{PolicyAnswer, PolicyRequest, PolicyType, ProvisionAnswer, ProvisionRequest};
use crate::logic::eas::{DeviceInformation, PolicyKey, Version};
use crate::logic::policy::{Changes, Partnership, Timestamp};

const PASSWORD: &[(&str, &str)] = &[("DevicePasswordEnabled", "true")];

fn kind(version: Version) -> PolicyType {
    if version == Version::V2_5 { PolicyType::WapXml } else { PolicyType::Wbxml }
}

/// First step.
fn ask(version: Version) -> ProvisionRequest {
    let information = DeviceInformation { model: Some("Model-X".into()), ..Default::default() };
    ProvisionRequest {
        device_information: (version >= Version::V14_1).then_some(information),
        policy: Some(PolicyRequest { policy_type: kind(version), policy_key: None, status: None }),
        ..Default::default()
    }
}

/// Second step.
fn acknowledge(version: Version, key: PolicyKey, status: u16) -> ProvisionRequest {
    let policy = PolicyRequest { policy_type: kind(version), policy_key: Some(key), status: Some(status) };
    ProvisionRequest { policy: Some(policy), ..Default::default() }
}

fn context<'a>(version: Version, policy: &'a Prepared, random: u32) -> Context<'a> {
    Context { version, policy: Some(policy), now: START, random }
}

fn said(outcome: &Outcome) -> &ProvisionAnswer {
    match &outcome.reply {
        Reply::Answer(answer) => answer,
        Reply::Refuse(refusal) => panic!("{refusal:?}"),
    }
}

fn word(outcome: &Outcome) -> &PolicyAnswer {
    said(outcome).policy.as_ref().expect("a Policy")
}

fn provisioned(version: Version, policy: &Prepared, status: u16) -> Outcome {
    let first = answer(&ask(version), &partnership(), &context(version, policy, 100));
    let key = word(&first).policy_key.expect("a temporary key");
    answer(&acknowledge(version, key, status), &first.partnership, &context(version, policy, 200))
}

#[test]
fn a_policy_is_handed_over_in_two_steps() {
    let policy = prepared(PASSWORD);
    for version in Version::ALL {
        let first = answer(&ask(version), &partnership(), &context(version, &policy, 100));
        let given = word(&first);
        assert_eq!((said(&first).status, given.status, given.policy_key), (1, 1, Some(PolicyKey(100))), "{version}");
        assert_eq!(given.data.as_ref(), Some(&policy.document(version).data), "{version}");
        assert_eq!(said(&first).device_information, (version >= Version::V14_1).then_some(1));
        assert_eq!(first.partnership.provisioning.due(&policy, version, START), Some(Due::Never));

        let second = answer(&acknowledge(version, PolicyKey(100), 1), &first.partnership, &context(version, &policy, 100));
        let given = word(&second);
        assert_eq!((given.status, &given.data), (1, &None), "{version}");
        let key = given.policy_key.expect("a final key");
        assert_ne!(key, PolicyKey(100), "{version}: the final key is another, whatever the random number");
        assert!(second.partnership.provisioning.is_final(key));
        assert_eq!(second.partnership.provisioning.due(&policy, version, START), None);
        assert_eq!(second.facts, [Fact::Acknowledged { application: Application::AppliedInFull }]);
        let applied = second.partnership.provisioning.applied.expect("applied");
        assert_eq!((applied.document.policy.as_str(), applied.document.revision, applied.document.version), ("Strict", 2, version));
    }
}

#[test]
fn the_answers_are_the_bytes_of_the_protocol_reference() {
    let policy = prepared(&[PASSWORD[0], ("PasswordRecoveryEnabled", "true")]);
    let read = |bytes: &[u8]| ProvisionRequest::parse(bytes).unwrap();
    let first = read(include_bytes!("../../../../tests/vectors/15-provision-req-phase1-12x.wbxml"));
    let first = answer(&first, &partnership(), &context(Version::V12_0, &policy, 1_307_199_584));
    assert_eq!(said(&first).encode(), include_bytes!("../../../../tests/vectors/17-provision-resp-phase1.wbxml"));
    let second = read(include_bytes!("../../../../tests/vectors/18-provision-req-phase2-ack.wbxml"));
    let second = answer(&second, &first.partnership, &context(Version::V12_0, &policy, 3_942_919_513));
    assert_eq!(said(&second).encode(), include_bytes!("../../../../tests/vectors/19-provision-resp-phase2-final.wbxml"));
    let nothing = Context { version: Version::V12_0, policy: None, now: START, random: 1 };
    let none = answer(&ask(Version::V12_0), &partnership(), &nothing);
    assert_eq!(said(&none).encode(), include_bytes!("../../../../tests/vectors/25-provision-resp-no-policy-sogo.wbxml"));
}

#[test]
fn a_key_is_never_nought() {
    let first = answer(&ask(Version::V12_0), &partnership(), &context(Version::V12_0, &prepared(&[]), 0));
    assert_eq!(word(&first).policy_key, Some(PolicyKey(1)));
    let first = answer(&ask(Version::V12_0), &first.partnership, &context(Version::V12_0, &prepared(PASSWORD), u32::MAX));
    assert_eq!(word(&first).policy_key, Some(PolicyKey(u32::MAX)));
}

#[test]
fn a_step_that_is_repeated_is_answered_alike() {
    let policy = prepared(PASSWORD);
    let version = Version::V14_0;
    let first = answer(&ask(version), &partnership(), &context(version, &policy, 100));
    let again = answer(&ask(version), &first.partnership, &context(version, &policy, 101));
    assert_eq!(word(&first), word(&again));
    let second = answer(&acknowledge(version, PolicyKey(100), 1), &again.partnership, &context(version, &policy, 200));
    let repeated = answer(&acknowledge(version, PolicyKey(100), 1), &second.partnership, &context(version, &policy, 300));
    assert_eq!(word(&second), word(&repeated));
    assert_eq!(second.partnership, repeated.partnership);
}

#[test]
fn a_wrong_key_is_not_believed() {
    let policy = prepared(PASSWORD);
    let version = Version::V12_1;
    let first = answer(&ask(version), &partnership(), &context(version, &policy, 100));
    for key in [0, 101, u32::MAX] {
        let wrong = answer(&acknowledge(version, PolicyKey(key), 1), &first.partnership, &context(version, &policy, 200));
        assert_eq!((word(&wrong).status, word(&wrong).policy_key), (5, None));
        assert_eq!((&wrong.partnership, &wrong.facts[..]), (&first.partnership, &[Fact::WrongKey][..]));
    }
    let done = provisioned(version, &policy, 1);
    let wrong = answer(&acknowledge(version, PolicyKey(7), 1), &done.partnership, &context(version, &policy, 300));
    assert_eq!(word(&wrong).status, 5);
    assert!(wrong.partnership.provisioning.is_final(PolicyKey(200)), "what it had it keeps");
}

#[test]
fn what_a_device_cannot_apply_counts_as_the_policy_says() {
    let strict = prepared(PASSWORD);
    let lax = prepared(&[PASSWORD[0], ("AllowNonProvisionableDevices", "true")]);
    let managed = prepared(&[PASSWORD[0], ("AllowExternalDeviceManagement", "true")]);
    use Application::{ExternallyManaged, NotApplied, PartiallyApplied};
    for (status, application, refusal) in [
        (2, PartiallyApplied, Refusal::NotFullyProvisionable),
        (3, NotApplied, Refusal::NotFullyProvisionable),
        (4, ExternallyManaged, Refusal::ExternallyManaged),
    ] {
        let refused = provisioned(Version::V14_1, &strict, status);
        assert_eq!(refused.reply, Reply::Refuse(refusal));
        assert_eq!(refused.facts, [Fact::NotProvisionable { application }]);
        assert_eq!(refused.partnership.provisioning.application(), application, "the administrator sees it");
        assert_eq!(refused.partnership.provisioning.applied, None);
        let good = if application == ExternallyManaged { &managed } else { &lax };
        let taken = provisioned(Version::V14_1, good, status);
        assert_eq!(word(&taken).policy_key, Some(PolicyKey(200)));
        assert_eq!(taken.partnership.provisioning.application(), application);
        assert_eq!(taken.partnership.provisioning.due(good, Version::V14_1, START), None);
        // Where it is no longer good enough, it has to try again.
        assert_eq!(taken.partnership.provisioning.due(&strict, Version::V14_1, START), Some(Due::Changed));
    }
    let nonsense = provisioned(Version::V14_1, &lax, 9);
    assert_eq!((said(&nonsense).status, nonsense.partnership.provisioning.applied), (2, None));
}

#[test]
fn the_policy_type_is_that_of_the_version() {
    let policy = prepared(PASSWORD);
    for (version, other) in [(Version::V2_5, Version::V12_0), (Version::V12_0, Version::V2_5), (Version::V16_1, Version::V2_5)] {
        let asked = ask(other);
        let outcome = answer(&asked, &partnership(), &context(version, &policy, 100));
        assert_eq!((word(&outcome).status, word(&outcome).policy_key), (3, None));
        assert_eq!(word(&outcome).policy_type, kind(other));
    }
    let mut strange = ask(Version::V12_0);
    strange.policy.as_mut().unwrap().policy_type = PolicyType::Other("MS-Unknown".into());
    let outcome = answer(&strange, &partnership(), &context(Version::V12_0, &policy, 100));
    assert_eq!(word(&outcome).status, 3);
}

#[test]
fn a_device_of_14_1_is_told_once_to_describe_itself() {
    let policy = prepared(PASSWORD);
    let mut silent = ask(Version::V14_1);
    silent.device_information = None;
    let first = answer(&silent, &partnership(), &context(Version::V14_1, &policy, 100));
    assert_eq!((&first.reply, &first.facts[..]), (&Reply::Refuse(Refusal::InformationRequired), &[Fact::ToldToDescribe][..]));
    let second = answer(&silent, &first.partnership, &context(Version::V14_1, &policy, 100));
    assert_eq!(word(&second).policy_key, Some(PolicyKey(100)), "a device that never does is not kept out for it");
    let old = answer(&silent, &partnership(), &context(Version::V14_0, &policy, 100));
    assert_eq!(word(&old).policy_key, Some(PolicyKey(100)));
}

#[test]
fn a_description_is_taken_in_parts_and_deleted_by_an_empty_one() {
    let mut partnership = partnership();
    let part = |model: Option<&str>, os: Option<&str>| DeviceInformation {
        model: model.map(Into::into),
        os: os.map(Into::into),
        ..Default::default()
    };
    partnership.informed(&part(Some("Model-X"), None), START);
    partnership.informed(&part(None, Some("OS 9")), START.plus(5));
    assert_eq!(partnership.information, part(Some("Model-X"), Some("OS 9")));
    partnership.informed(&part(None, None), START.plus(9));
    assert_eq!((partnership.information, partnership.information_at), (part(None, None), Some(START.plus(9))));
}

#[test]
fn a_changed_policy_and_an_old_one_are_due() {
    let before = policy(&[PASSWORD[0], ("DevicePolicyRefreshInterval", "1h")]);
    let prepared = Prepared::new(before.clone());
    let state = provisioned(Version::V12_1, &prepared, 1).partnership.provisioning;
    assert_eq!(state.due(&prepared, Version::V12_1, START.plus(3_599)), None);
    assert_eq!(state.due(&prepared, Version::V12_1, START.plus(3_600)), Some(Due::Refresh));
    assert_eq!(state.due(&prepared, Version::V12_1, Timestamp(0)), None, "a clock that was set back");
    let change = |name, text| Prepared::new(before.with(&Changes::parse([(name, text)]).unwrap(), START).unwrap());
    assert_eq!(state.due(&change("AllowCamera", "no"), Version::V12_1, START), Some(Due::Changed));
    assert_eq!(state.due(&change("UNCAccessEnabled", "no"), Version::V12_1, START), None);
}

#[test]
fn a_device_that_learns_a_newer_version_gets_what_that_knows() {
    let policy = prepared(PASSWORD);
    let state = provisioned(Version::V12_0, &policy, 1).partnership.provisioning;
    assert_eq!(state.due(&policy, Version::V12_1, START), Some(Due::Changed));
    let state = provisioned(Version::V12_1, &policy, 1).partnership.provisioning;
    assert_eq!(state.due(&policy, Version::V16_1, START), None, "the same document");
    for version in Version::ALL {
        assert_eq!(state.due(&policy, version, START), None, "{version}: one that speaks two in turns is left alone");
    }
}

#[test]
fn a_partnership_survives_its_storage() {
    let mut partnership = provisioned(Version::V14_1, &prepared(PASSWORD), 1).partnership;
    partnership.wipe = Some(super::super::wipe::Wipe::order(super::super::wipe::WipeKind::Device, None, None, "ada", START).unwrap());
    let text = serde_json::to_string(&partnership).unwrap();
    assert_eq!(serde_json::from_str::<Partnership>(&text).unwrap(), partnership);
    assert!(text.contains(r#""application":"AppliedInFull""#) && text.contains(r#""state":"requested""#), "{text}");
}
