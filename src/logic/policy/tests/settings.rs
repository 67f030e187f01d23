//! The table against an independent listing of what Exchange 2007 had; reading and refusing values.

use serde_json::{Value as Json, json};

use super::super::{Changes, Kind, Problem, Setting, Value};
use super::policy;
use crate::config::limits::{APPLICATION_BYTES_MAX, APPLICATIONS_MAX};
use crate::logic::eas::Version;

/// Cmdlet parameter, default, values that are good, values that are not.
type Line = (&'static str, &'static str, &'static [&'static str], &'static [&'static str]);

const BOOL: (&[&str], &[&str]) = (&["true", "false", "$true", "Off", "1"], &["", "2", "maybe", "truee"]);

const NUMBERS_AND_WORDS: &[Line] = &[
    (
        "DevicePolicyRefreshInterval",
        "unlimited",
        &["60", "1h", "01:00:00", "31536000", "365d", "Unlimited"],
        &["59", "31536001", "0", "-1", "1.5h", "366.00:00:00", "25:00:00"],
    ),
    ("MinDevicePasswordLength", "4", &["1", "16", "none", "$null"], &["0", "17", "-1", "+4", "4.0", "", "4KB"]),
    ("MaxInactivityTimeDeviceLock", "900", &["30", "3600", "15m", "00:15:00", "1h", "unlimited"], &["29", "3601", "2h", "00:60:00"]),
    ("MaxDevicePasswordFailedAttempts", "8", &["4", "16", "unlimited"], &["3", "17", "0"]),
    ("MaxAttachmentSize", "unlimited", &["1", "4294967295", "512KB", "3 GB", "unlimited"], &["0", "4294967296", "4GB", "1.5MB", "MB"]),
    ("DevicePasswordExpiration", "unlimited", &["1", "730", "90d", "90.00:00:00", "unlimited"], &["0", "731", "36h", "90.12:00:00"]),
    ("DevicePasswordHistory", "0", &["0", "50"], &["51", "unlimited", "-1"]),
    ("MinDevicePasswordComplexCharacters", "1", &["1", "4"], &["0", "5", "none"]),
    ("AllowBluetooth", "Allow", &["Disable", "handsfreeonly", "Allow"], &["2", "On", ""]),
    ("MaxCalendarAgeFilter", "All", &["All", "TwoWeeks", "OneMonth", "ThreeMonths", "SixMonths"], &["OneDay", "4"]),
    ("MaxEmailAgeFilter", "All", &["All", "OneDay", "ThreeDays", "OneWeek", "TwoWeeks", "OneMonth"], &["SixMonths", "1"]),
    ("MaxEmailBodyTruncationSize", "unlimited", &["0", "1048576", "1MB", "unlimited"], &["1048577", "-1", "1500B"]),
    ("MaxEmailHTMLBodyTruncationSize", "unlimited", &["0", "1048576", "1MB", "unlimited"], &["1048577", "-1", "1500B"]),
    ("RequireSignedSMIMEAlgorithm", "SHA1", &["SHA1", "MD5"], &["SHA256", "0"]),
    ("RequireEncryptionSMIMEAlgorithm", "TripleDES", &["TripleDES", "DES", "RC2128bit", "RC264bit", "RC240bit"], &["AES", "0"]),
    (
        "AllowSMIMEEncryptionAlgorithmNegotiation",
        "AllowAnyAlgorithmNegotiation",
        &["BlockNegotiation", "OnlyStrongAlgorithmNegotiation", "AllowAnyAlgorithmNegotiation"],
        &["Allow", "2"],
    ),
    ("UnapprovedInROMApplicationList", "", &["", "none", "game.exe", "game.exe, chat.exe"], &["a.exe,,b.exe", "a\u{7}.exe"]),
    (
        "ApprovedApplicationList",
        "",
        &["", "da39a3ee5e6b4b0d3255bfef95601890afd80709", "2jmj7l5rSw0yVb/vlWAYkK/YBwk="],
        &["da39a3ee", "game.exe", "2jmj7l5rSw0yVb/vlWAYkK/YBwk"],
    ),
];

const OFF: &[&str] = &[
    "AllowNonProvisionableDevices",
    "AllowExternalDeviceManagement",
    "AlphanumericDevicePasswordRequired",
    "DeviceEncryptionEnabled",
    "DevicePasswordEnabled",
    "PasswordRecoveryEnabled",
    "RequireDeviceEncryption",
    "RequireEncryptedSMIMEMessages",
    "RequireManualSyncWhenRoaming",
    "RequireSignedSMIMEMessages",
    "RequireStorageCardEncryption",
];

const ON: &[&str] = &[
    "AllowBrowser",
    "AllowCamera",
    "AllowConsumerEmail",
    "AllowDesktopSync",
    "AllowHTMLEmail",
    "AllowInternetSharing",
    "AllowIrDA",
    "AllowPOPIMAPEmail",
    "AllowRemoteDesktop",
    "AllowSMIMESoftCerts",
    "AllowSimpleDevicePassword",
    "AllowStorageCard",
    "AllowTextMessaging",
    "AllowUnsignedApplications",
    "AllowUnsignedInstallationPackages",
    "AllowWiFi",
    "AttachmentsEnabled",
    "UNCAccessEnabled",
    "WSSAccessEnabled",
];

fn lines() -> impl Iterator<Item = Line> {
    let flags = |names: &'static [&'static str], default| names.iter().map(move |name| (*name, default, BOOL.0, BOOL.1));
    flags(OFF, "false").chain(flags(ON, "true")).chain(NUMBERS_AND_WORDS.iter().copied())
}

#[test]
fn the_table_has_every_parameter_of_the_cmdlets_and_no_other() {
    let mut ours: Vec<&str> = Setting::ALL.iter().map(|setting| setting.name()).collect();
    let mut theirs: Vec<&str> = lines().map(|line| line.0).collect();
    ours.sort_unstable();
    theirs.sort_unstable();
    assert_eq!(ours, theirs);
}

#[test]
fn defaults_are_those_of_exchange() {
    for (name, default, ..) in lines() {
        let setting = Setting::find(name).unwrap();
        assert_eq!(setting.definition().default.to_text(setting), default, "{name}");
        assert!(setting.check(&setting.definition().default), "{name}");
        assert_eq!(policy(&[]).value(setting), &setting.definition().default);
    }
}

#[test]
fn good_values_are_taken_and_come_back_as_text_and_as_json() {
    for (name, _, good, _) in lines() {
        let setting = Setting::find(name).unwrap();
        for text in good {
            let value = setting.parse(text).unwrap_or_else(|problem| panic!("{name} {text:?}: {problem}")).unwrap();
            assert_eq!(setting.parse(&value.to_text(setting)), Ok(Some(value.clone())), "{name} {text}");
            assert_eq!(setting.parse_json(&value.to_json(setting)), Ok(Some(value.clone())), "{name} {text}");
        }
        assert_eq!(setting.parse(" Default "), Ok(None));
        assert_eq!(setting.parse_json(&Json::Null), Ok(None));
    }
}

#[test]
fn bad_values_are_refused_with_the_setting_and_its_range() {
    for (name, _, _, bad) in lines() {
        let setting = Setting::find(name).unwrap();
        for text in bad {
            let problem = setting.parse(text).expect_err(&format!("{name} {text:?}"));
            let message = problem.to_string();
            assert!(message.contains(name) && message.contains(&setting.definition().kind.to_string()), "{message}");
            assert!(setting.parse_json(&json!(text)).is_err(), "{name} {text:?} as JSON");
        }
        assert!(setting.parse_json(&json!({"a": 1})).is_err(), "{name}");
        assert!(setting.parse_json(&json!(1.5)).is_err(), "{name}");
    }
    let message = Setting::MinDevicePasswordLength.parse("17").unwrap_err().to_string();
    assert_eq!(message, "MinDevicePasswordLength is a whole number from 1 to 16, or none; \"17\" is not");
}

#[test]
fn a_json_number_is_no_flag_and_a_flag_no_number() {
    assert!(Setting::AllowCamera.parse_json(&json!(1)).is_err());
    assert!(Setting::MinDevicePasswordLength.parse_json(&json!(true)).is_err());
    assert!(Setting::MinDevicePasswordLength.parse_json(&json!(["4"])).is_err());
    assert!(Setting::UnapprovedInROMApplicationList.parse_json(&json!(["a.exe", 1])).is_err());
    assert_eq!(Setting::MaxInactivityTimeDeviceLock.parse_json(&json!("15m")), Ok(Some(Value::Number(900))));
}

#[test]
fn lists_are_bounded() {
    let setting = Setting::UnapprovedInROMApplicationList;
    let names = |count, length| setting.parse_json(&json!(vec!["a".repeat(length); count]));
    assert!(names(APPLICATIONS_MAX, APPLICATION_BYTES_MAX).is_ok());
    assert!(names(APPLICATIONS_MAX + 1, 1).is_err());
    assert!(names(1, APPLICATION_BYTES_MAX + 1).is_err());
}

#[test]
fn units_are_converted_once() {
    for (setting, text, number) in [
        (Setting::MaxInactivityTimeDeviceLock, "00:02:30", 150),
        (Setting::DevicePasswordExpiration, "30.00:00:00", 30),
        (Setting::DevicePasswordExpiration, "48h", 2),
        (Setting::MaxAttachmentSize, "10mb", 10 << 20),
        (Setting::MaxEmailBodyTruncationSize, "2MB", 2_048),
        (Setting::DevicePolicyRefreshInterval, "1.00:00:00", 86_400),
    ] {
        assert_eq!(setting.parse(text), Ok(Some(Value::Number(number))), "{setting} {text}");
    }
}

#[test]
fn a_setting_is_found_by_either_name_in_any_case() {
    for setting in Setting::ALL {
        let definition = setting.definition();
        assert_eq!(definition.setting, setting);
        assert_eq!(Setting::find(&definition.name.to_uppercase()), Some(setting));
        assert_eq!(Setting::find(&definition.key.replace('_', "-")), Some(setting));
        assert!(!definition.doc.is_empty() && definition.doc.ends_with('.'), "{setting}");
        if let Kind::Number { unit, .. } = definition.kind {
            let suffix = match unit {
                super::super::Unit::Count => "",
                super::super::Unit::Seconds => "_s",
                super::super::Unit::Days => "_days",
                super::super::Unit::Bytes => "_bytes",
                super::super::Unit::Kilobytes => "_kb",
            };
            assert!(definition.key.ends_with(suffix), "{}", definition.key);
        }
    }
}

#[test]
fn all_problems_are_named_at_once() {
    let given = [
        ("MinDevicePasswordLength", "17"),
        ("DevicePasswordHistroy", "2"),
        ("colour", "blue"),
        ("AllowCamera", "x"),
        ("allow_camera", "no"),
    ];
    let problems = Changes::parse(given).unwrap_err();
    let text = problems.to_string();
    assert_eq!(problems.0.len(), 4, "{text}");
    assert!(text.contains("did you mean DevicePasswordHistory?"), "{text}");
    assert!(text.contains("there is no setting \"colour\""), "{text}");
    assert_eq!(Changes::parse([("AllowWiFi", "no"), ("allow_wifi", "no")]).unwrap_err().0, [Problem::Twice(Setting::AllowWiFi)]);
}

#[test]
fn a_bad_value_is_shown_cut_and_without_control_characters() {
    let message = Setting::AllowCamera.parse(&"\u{1b}[31m".repeat(100)).unwrap_err().to_string();
    assert!(message.len() < 200 && !message.contains('\u{1b}'), "{message}");
}

#[test]
fn settings_say_which_version_knows_them_first() {
    let since =
        |version| Setting::ALL.into_iter().filter(|setting| setting.definition().element.is_some_and(|e| e.since == version)).count();
    assert_eq!((since(Version::V12_0), since(Version::V12_1)), (13, 30));
    assert_eq!(Setting::ALL.iter().filter(|setting| setting.definition().element.is_none()).count(), 5);
}
