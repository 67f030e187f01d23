//! What each version gets, byte for byte, against bytes put together here by hand.

use super::super::document::{self, DocumentHash};
use super::super::{Changes, Policy, Setting, Timestamp};
use super::{START, policy};
use crate::logic::eas::Version;
use crate::logic::eas::provision::{PolicyAnswer, PolicyData, PolicyType, ProvisionAnswer};

/// Token of page 14, what an untouched setting of a policy that requires a password says, and a change: setting, text, wire.
type Line = (u8, &'static str, &'static str, &'static str, &'static str);

/// Tokens and numbers are those of the specification (MS-ASWBXML 2.1.2.1.15, MS-ASPROV 2.2.2), not of the tables under test.
const FROM_12_0: &[Line] = &[
    (0x0F, "0", "AlphanumericDevicePasswordRequired", "true", "1"),
    (0x11, "0", "PasswordRecoveryEnabled", "true", "1"),
    (0x10, "0", "DeviceEncryptionEnabled", "true", "1"),
    (0x13, "1", "AttachmentsEnabled", "false", "0"),
    (0x14, "4", "MinDevicePasswordLength", "16", "16"),
    (0x15, "900", "MaxInactivityTimeDeviceLock", "1h", "3600"),
    (0x16, "8", "MaxDevicePasswordFailedAttempts", "4", "4"),
    (0x17, "", "MaxAttachmentSize", "10MB", "10485760"),
    (0x18, "1", "AllowSimpleDevicePassword", "false", "0"),
    (0x19, "", "DevicePasswordExpiration", "90d", "90"),
    (0x1A, "0", "DevicePasswordHistory", "5", "5"),
];

const FROM_12_1: &[Line] = &[
    (0x1B, "1", "AllowStorageCard", "false", "0"),
    (0x1C, "1", "AllowCamera", "false", "0"),
    (0x1D, "0", "RequireDeviceEncryption", "true", "1"),
    (0x1E, "1", "AllowUnsignedApplications", "false", "0"),
    (0x1F, "1", "AllowUnsignedInstallationPackages", "false", "0"),
    (0x20, "1", "MinDevicePasswordComplexCharacters", "1", "1"),
    (0x21, "1", "AllowWiFi", "false", "0"),
    (0x22, "1", "AllowTextMessaging", "false", "0"),
    (0x23, "1", "AllowPOPIMAPEmail", "false", "0"),
    (0x24, "2", "AllowBluetooth", "HandsfreeOnly", "1"),
    (0x25, "1", "AllowIrDA", "false", "0"),
    (0x26, "0", "RequireManualSyncWhenRoaming", "true", "1"),
    (0x27, "1", "AllowDesktopSync", "false", "0"),
    (0x28, "0", "MaxCalendarAgeFilter", "SixMonths", "7"),
    (0x29, "1", "AllowHTMLEmail", "false", "0"),
    (0x2A, "0", "MaxEmailAgeFilter", "OneMonth", "5"),
    (0x2B, "-1", "MaxEmailBodyTruncationSize", "500", "500"),
    (0x2C, "-1", "MaxEmailHTMLBodyTruncationSize", "0", "0"),
    (0x2D, "0", "RequireSignedSMIMEMessages", "true", "1"),
    (0x2E, "0", "RequireEncryptedSMIMEMessages", "true", "1"),
    (0x2F, "0", "RequireSignedSMIMEAlgorithm", "MD5", "1"),
    (0x30, "0", "RequireEncryptionSMIMEAlgorithm", "RC240bit", "4"),
    (0x31, "2", "AllowSMIMEEncryptionAlgorithmNegotiation", "BlockNegotiation", "0"),
    (0x32, "1", "AllowSMIMESoftCerts", "false", "0"),
    (0x33, "1", "AllowBrowser", "false", "0"),
    (0x34, "1", "AllowConsumerEmail", "false", "0"),
    (0x35, "1", "AllowRemoteDesktop", "false", "0"),
    (0x36, "1", "AllowInternetSharing", "false", "0"),
    (0x37, "", "UnapprovedInROMApplicationList", "none", ""),
    (0x39, "", "ApprovedApplicationList", "none", ""),
];

/// An element with a text, as bytes.
fn element(token: u8, text: &str) -> Vec<u8> {
    match text {
        "" => vec![token],
        _ => [&[token | 0x40, 0x03], text.as_bytes(), &[0x00, 0x01]].concat(),
    }
}

/// The document of a policy that requires a password, with one setting's text replaced.
fn expected(version: Version, changed: Option<(u8, &str)>) -> Vec<u8> {
    let mut bytes = vec![0x4D];
    bytes.extend(element(0x0E, "1"));
    let later = if version >= Version::V12_1 { FROM_12_1 } else { &[] };
    for (token, text, ..) in FROM_12_0.iter().chain(later) {
        let text = changed.filter(|(changed, _)| changed == token).map_or(*text, |(_, text)| text);
        bytes.extend(element(*token, text));
    }
    bytes.push(0x01);
    bytes
}

/// What stands between `<Data>` and `</Data>`.
fn sent(policy: &Policy, version: Version) -> Vec<u8> {
    let document = document::write(policy, version);
    let answer = PolicyAnswer { policy_type: document.policy_type, status: 1, policy_key: None, data: Some(document.data) };
    let bytes = ProvisionAnswer { status: 1, policy: Some(answer), ..Default::default() }.encode();
    let start = bytes.iter().position(|byte| *byte == 0x4A).expect("Data") + 1;
    // Data, Policy, Policies and Provision end.
    bytes[start..bytes.len() - 4].to_vec()
}

const WBXML: [Version; 6] = [Version::V12_0, Version::V12_1, Version::V14_0, Version::V14_1, Version::V16_0, Version::V16_1];

#[test]
fn every_setting_in_every_version_is_the_bytes_of_the_specification() {
    let base = [("DevicePasswordEnabled", "true")];
    for version in WBXML {
        assert_eq!(sent(&policy(&base), version), expected(version, None), "{version}");
        for (token, _, name, text, wire) in FROM_12_0.iter().chain(FROM_12_1) {
            let changed = policy(&[base[0], (name, text)]);
            assert_eq!(sent(&changed, version), expected(version, Some((*token, wire))), "{version} {name} {text}");
        }
    }
}

#[test]
fn what_is_unlimited_is_said_to_be() {
    let base = ("DevicePasswordEnabled", "true");
    for (token, name, text) in
        [(0x14, "MinDevicePasswordLength", ""), (0x15, "MaxInactivityTimeDeviceLock", ""), (0x16, "MaxDevicePasswordFailedAttempts", "")]
    {
        let open = policy(&[base, (name, "unlimited")]);
        assert_eq!(sent(&open, Version::V14_1), expected(Version::V14_1, Some((token, text))), "{name}");
    }
}

#[test]
fn complex_characters_and_the_second_name_of_card_encryption() {
    let base = ("DevicePasswordEnabled", "true");
    let complex = policy(&[base, ("AlphanumericDevicePasswordRequired", "true"), ("MinDevicePasswordComplexCharacters", "4")]);
    let bytes = sent(&complex, Version::V16_1);
    assert!(bytes.windows(5).any(|window| window == element(0x20, "4")));
    let card = |names: &[(&str, &str)]| sent(&policy(&[&[base], names].concat()), Version::V12_0);
    let either = expected(Version::V12_0, Some((0x10, "1")));
    assert_eq!(card(&[("RequireStorageCardEncryption", "true")]), either);
    assert_eq!(card(&[("RequireStorageCardEncryption", "true"), ("DeviceEncryptionEnabled", "true")]), either);
}

#[test]
fn lists_of_programs() {
    let hash = "da39a3ee5e6b4b0d3255bfef95601890afd80709";
    let listed = policy(&[("UnapprovedInROMApplicationList", "game.exe,chat.exe"), ("ApprovedApplicationList", hash)]);
    let bytes = sent(&listed, Version::V12_1);
    let tail = [vec![0x77], element(0x38, "game.exe"), element(0x38, "chat.exe"), vec![0x01, 0x79], element(0x3A, hash), vec![0x01, 0x01]];
    assert!(bytes.ends_with(&tail.concat()), "{bytes:02x?}");
    assert_eq!(sent(&listed, Version::V12_0), sent(&policy(&[]), Version::V12_0));
}

#[test]
fn without_a_password_nothing_is_said_of_it() {
    let bytes = sent(&policy(&[]), Version::V12_0);
    let expected = [vec![0x4D], element(0x0E, "0"), element(0x10, "0"), element(0x13, "1"), element(0x17, ""), vec![0x01]];
    assert_eq!(bytes, expected.concat());
}

#[test]
fn the_example_of_the_protocol_reference_comes_out() {
    let answer = ProvisionAnswer::parse(include_bytes!("../../../../tests/vectors/17-provision-resp-phase1.wbxml")).unwrap();
    let example = answer.policy.unwrap().data.unwrap();
    let same = policy(&[("DevicePasswordEnabled", "true"), ("PasswordRecoveryEnabled", "true")]);
    assert_eq!(document::write(&same, Version::V12_0).data, example);
}

fn wap(settings: &[(&str, &str)]) -> String {
    let document = document::write(&policy(settings), Version::V2_5);
    assert_eq!(document.policy_type, PolicyType::WapXml);
    match document.data {
        PolicyData::WapXml(xml) => xml,
        PolicyData::Document(document) => panic!("{document:?}"),
    }
}

#[test]
fn version_2_5_gets_registry_keys() {
    let none = r#"<wap-provisioningdoc><characteristic type="SecurityPolicy"><parm name="4131" value="1"/></characteristic></wap-provisioningdoc>"#;
    assert_eq!(wap(&[]), none);
    assert_eq!(wap(&[("AllowCamera", "false")]), none);
    let strict = [
        ("DevicePasswordEnabled", "true"),
        ("AlphanumericDevicePasswordRequired", "true"),
        ("MinDevicePasswordLength", "6"),
        ("MaxInactivityTimeDeviceLock", "90"),
    ];
    let expected = concat!(
        r#"<wap-provisioningdoc><characteristic type="SecurityPolicy"><parm name="4131" value="0"/></characteristic>"#,
        r#"<characteristic type="Registry">"#,
        r#"<characteristic type="HKLM\Comm\Security\Policy\LASSD\AE\{50C13377-C66D-400C-889E-C316FC4AB374}">"#,
        r#"<parm name="AEFrequencyType" value="1"/><parm name="AEFrequencyValue" value="1"/></characteristic>"#,
        r#"<characteristic type="HKLM\Comm\Security\Policy\LASSD"><parm name="DeviceWipeThreshold" value="8"/></characteristic>"#,
        r#"<characteristic type="HKLM\Comm\Security\Policy\LASSD"><parm name="CodewordFrequency" value="4"/></characteristic>"#,
        r#"<characteristic type="HKLM\Comm\Security\Policy\LASSD\LAP\lap_pw"><parm name="MinimumPasswordLength" value="6"/></characteristic>"#,
        r#"<characteristic type="HKLM\Comm\Security\Policy\LASSD\LAP\lap_pw"><parm name="PasswordComplexity" value="0"/></characteristic>"#,
        r#"</characteristic></wap-provisioningdoc>"#,
    );
    assert_eq!(wap(&strict), expected);
    let lax = wap(&[
        ("DevicePasswordEnabled", "true"),
        ("MaxInactivityTimeDeviceLock", "unlimited"),
        ("MaxDevicePasswordFailedAttempts", "unlimited"),
        ("MinDevicePasswordLength", "none"),
    ]);
    assert!(lax.contains(r#""AEFrequencyType" value="0""#) && lax.contains(r#""PasswordComplexity" value="2""#), "{lax}");
    assert!(!lax.contains("AEFrequencyValue") && !lax.contains("DeviceWipeThreshold") && !lax.contains("MinimumPasswordLength"), "{lax}");
}

#[test]
fn the_hash_changes_with_what_is_sent_and_with_nothing_else() {
    let base = policy(&[("DevicePasswordEnabled", "true")]);
    for (_, default, name, text, wire) in FROM_12_0.iter().chain(FROM_12_1) {
        let changed = base.with(&Changes::parse([(*name, *text)]).unwrap(), START.plus(5)).unwrap();
        for version in Version::ALL {
            let knows = version >= Setting::find(name).unwrap().definition().element.unwrap().since;
            let is_same = document::write(&changed, version).hash == document::write(&base, version).hash;
            if version == Version::V2_5 {
                let has_key = ["Alphanumeric", "MinDevicePasswordLength", "MaxInactivity", "MaxDevicePasswordFailed"];
                assert_eq!(is_same, !has_key.iter().any(|key| name.starts_with(key)), "{name} 2.5");
            } else {
                assert_eq!(is_same, !knows || default == wire, "{name} {version}");
            }
        }
    }
}

#[test]
fn settings_that_only_the_gateway_sees_to_change_no_document() {
    let base = policy(&[]);
    for (name, text) in [
        ("UNCAccessEnabled", "no"),
        ("WSSAccessEnabled", "no"),
        ("DevicePolicyRefreshInterval", "1h"),
        ("AllowNonProvisionableDevices", "yes"),
    ] {
        let changed = base.with(&Changes::parse([(name, text)]).unwrap(), Timestamp(0)).unwrap();
        assert!(Version::ALL.iter().all(|version| document::write(&changed, *version) == document::write(&base, *version)), "{name}");
    }
}

#[test]
fn hashes_are_the_same_in_every_release() {
    // Kept in databases: if these change, every device provisions once more.
    let hashes = [Version::V2_5, Version::V12_0, Version::V12_1].map(|version| document::write(&policy(&[]), version).hash.to_string());
    assert_eq!(hashes, ["ff347367caf1214a", "f9c801b9818daa66", "05ee819c2d1115ba"]);
    assert_eq!(document::write(&policy(&[]), Version::V16_1).hash, document::write(&policy(&[]), Version::V12_1).hash);
    assert_eq!(DocumentHash::from_text("00000000000000ff"), Some(DocumentHash(255)));
    assert_eq!(DocumentHash::from_text("ff"), None);
}
