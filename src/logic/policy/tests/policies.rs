//! Changing policies: contradictions, revisions, and nothing half-saved.

use super::super::{Changes, Policies, PoliciesError, Policy, PolicyName, Problem, Setting, Value};
use super::{START, policy};

fn problems(settings: &[(&str, &str)]) -> Vec<(Setting, Setting)> {
    let policy = Policy::new(PolicyName::new("Strict").unwrap(), START);
    let contradictions = policy.with(&Changes::parse(settings.iter().copied()).unwrap(), START).err().map(|problems| problems.0);
    let pair = |problem| match problem {
        Problem::Contradiction { setting, other, .. } => (setting, other),
        other => panic!("{other}"),
    };
    contradictions.unwrap_or_default().into_iter().map(pair).collect()
}

#[test]
fn what_would_have_no_effect_is_refused() {
    use Setting::{AllowHTMLEmail, AlphanumericDevicePasswordRequired, AttachmentsEnabled, DevicePasswordEnabled};
    for (settings, other) in [
        (&[("MinDevicePasswordLength", "6")][..], DevicePasswordEnabled),
        (&[("MinDevicePasswordLength", "4")], DevicePasswordEnabled),
        (&[("MaxInactivityTimeDeviceLock", "60")], DevicePasswordEnabled),
        (&[("MaxDevicePasswordFailedAttempts", "5")], DevicePasswordEnabled),
        (&[("AlphanumericDevicePasswordRequired", "true")], DevicePasswordEnabled),
        (&[("PasswordRecoveryEnabled", "true")], DevicePasswordEnabled),
        (&[("AllowSimpleDevicePassword", "false")], DevicePasswordEnabled),
        (&[("DevicePasswordExpiration", "90")], DevicePasswordEnabled),
        (&[("DevicePasswordHistory", "3")], DevicePasswordEnabled),
        (&[("MinDevicePasswordComplexCharacters", "3"), ("DevicePasswordEnabled", "true")], AlphanumericDevicePasswordRequired),
        (&[("MaxAttachmentSize", "1MB"), ("AttachmentsEnabled", "false")], AttachmentsEnabled),
        (&[("MaxEmailHTMLBodyTruncationSize", "10"), ("AllowHTMLEmail", "no")], AllowHTMLEmail),
    ] {
        let setting = Setting::find(settings[0].0).unwrap();
        assert_eq!(problems(settings), [(setting, other)], "{settings:?}");
    }
}

#[test]
fn what_asks_for_nothing_contradicts_nothing() {
    for settings in [
        &[("AllowSimpleDevicePassword", "true")][..],
        &[("MinDevicePasswordLength", "none"), ("MaxInactivityTimeDeviceLock", "unlimited"), ("DevicePasswordHistory", "0")],
        &[("MinDevicePasswordComplexCharacters", "1"), ("DevicePasswordEnabled", "true")],
        &[("AttachmentsEnabled", "false"), ("MaxAttachmentSize", "unlimited")],
        &[("DevicePasswordEnabled", "false")],
        &[
            ("DevicePasswordEnabled", "true"),
            ("AlphanumericDevicePasswordRequired", "true"),
            ("MinDevicePasswordComplexCharacters", "3"),
            ("MinDevicePasswordLength", "8"),
        ],
    ] {
        assert_eq!(problems(settings), [], "{settings:?}");
    }
}

#[test]
fn all_contradictions_are_named_and_the_policy_stays_as_it_was() {
    let before = policy(&[("DevicePasswordEnabled", "true"), ("MinDevicePasswordLength", "6"), ("DevicePasswordHistory", "5")]);
    let changes = Changes::parse([("DevicePasswordEnabled", "false"), ("AllowCamera", "false")]).unwrap();
    let problems = before.with(&changes, START.plus(1)).unwrap_err();
    assert_eq!(problems.0.len(), 2);
    let text = problems.to_string();
    assert!(text.contains("MinDevicePasswordLength is 6, which means nothing unless DevicePasswordEnabled is true"), "{text}");
    assert!(before.is_on(Setting::AllowCamera) && before.revision == 2);

    let both =
        Changes::parse([("DevicePasswordEnabled", "false"), ("MinDevicePasswordLength", "default"), ("DevicePasswordHistory", "default")]);
    assert_eq!(before.with(&both.unwrap(), START).unwrap().number(Setting::MinDevicePasswordLength), Some(4));
}

#[test]
fn a_revision_counts_changes_that_change_something() {
    let before = policy(&[("AllowCamera", "false")]);
    let again = before.with(&Changes::new().with(Setting::AllowCamera, Some(Value::Bool(false))), START.plus(9)).unwrap();
    assert_eq!(again, before);
    let after = before.with(&Changes::new().with(Setting::AllowCamera, None), START.plus(9)).unwrap();
    assert_eq!((after.revision, after.changed_at), (before.revision + 1, START.plus(9)));
    assert!(!after.is_set(Setting::AllowCamera));
}

#[test]
fn a_policy_comes_back_from_the_store() {
    let before = policy(&[
        ("DevicePasswordEnabled", "true"),
        ("MinDevicePasswordLength", "none"),
        ("MaxEmailAgeFilter", "OneWeek"),
        ("UnapprovedInROMApplicationList", "a.exe,b.exe"),
        ("MaxAttachmentSize", "1MB"),
    ]);
    let stored = before.set_json();
    assert_eq!(serde_json::to_string(&stored["unapproved_in_rom_application_list"]).unwrap(), r#"["a.exe","b.exe"]"#);
    assert_eq!(Policy::from_stored(before.name.clone(), before.revision, before.changed_at, &stored), Ok(before.clone()));
    assert_eq!(before.all_json().len(), Setting::ALL.len());
    let mut damaged = stored;
    damaged.insert("max_attachment_size_bytes".into(), "much".into());
    assert!(Policy::from_stored(before.name, 1, START, &damaged).is_err());
}

#[test]
fn the_second_of_two_administrators_is_told() {
    let first = policy(&[("AllowCamera", "false")]);
    let mut policies = Policies::new([first.clone()]);
    let change = |setting| first.with(&Changes::new().with(setting, Some(Value::Bool(false))), START).unwrap();
    assert_eq!(policies.replace(change(Setting::AllowWiFi), first.revision), Ok(()));
    let late = policies.replace(change(Setting::AllowIrDA), first.revision);
    assert_eq!(late, Err(PoliciesError::Changed { revision: first.revision + 1 }));
    let stored = policies.find(&first.name).unwrap().policy();
    assert!(!stored.is_on(Setting::AllowWiFi) && stored.is_on(Setting::AllowIrDA));
    assert_eq!(policies.add(first.clone()), Err(PoliciesError::Exists(first.name.clone())));
    assert!(policies.remove(&first.name).is_ok() && policies.is_empty());
    assert_eq!(policies.remove(&first.name), Err(PoliciesError::Missing(first.name)));
}
