//! Policies as an independent reader sees them: libwbxml's `wbxml2xml` decodes what a device of each version would get.

use std::io::Write as _;
use std::process::{Command, Stdio};

use pushgate::logic::eas::provision::{PolicyRequest, PolicyType, ProvisionRequest};
use pushgate::logic::eas::{DeviceId, DeviceInformation, DeviceType, Mailbox, Version};
use pushgate::logic::policy::provisioning::{Context, Reply, answer};
use pushgate::logic::policy::{Changes, Kind, Partnership, Policy, PolicyName, Prepared, Setting, Timestamp, Value, settings_reference};

const NOW: Timestamp = Timestamp(1_795_379_000);

/// What libwbxml makes of a document.
fn xml(wbxml: &[u8]) -> String {
    let mut reader = Command::new("wbxml2xml")
        .args(["-m", "0", "-l", "ACTIVESYNC", "-o", "-", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("wbxml2xml (Debian: apt-get install libwbxml2-utils)");
    reader.stdin.take().unwrap().write_all(wbxml).unwrap();
    let output = reader.wait_with_output().unwrap();
    assert!(output.status.success(), "wbxml2xml refuses {wbxml:02x?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The first answer of an exchange with a device of this version.
fn first_answer(policy: &Policy, version: Version) -> Vec<u8> {
    let mailbox = Mailbox::normalise("hew@example.org", None, true).unwrap();
    let partnership = Partnership::new(mailbox, DeviceId::new(b"x").unwrap(), DeviceType::new(b"SmartPhone").unwrap(), NOW);
    let policy_type = if version == Version::V2_5 { PolicyType::WapXml } else { PolicyType::Wbxml };
    let request = ProvisionRequest {
        device_information: (version >= Version::V14_1).then(DeviceInformation::default),
        policy: Some(PolicyRequest { policy_type, policy_key: None, status: None }),
        ..Default::default()
    };
    let prepared = Prepared::new(policy.clone());
    let context = Context { version, policy: Some(&prepared), now: NOW, random: 1_307_199_584 };
    match answer(&request, &partnership, &context).reply {
        Reply::Answer(answer) => answer.encode(),
        Reply::Refuse(refusal) => panic!("{refusal:?}"),
    }
}

/// A policy that requires a password, with one setting more.
fn policy(setting: Setting, value: &Value) -> Policy {
    let mut changes = Changes::new().with(Setting::DevicePasswordEnabled, Some(Value::Bool(true)));
    if setting == Setting::MinDevicePasswordComplexCharacters {
        changes = changes.with(Setting::AlphanumericDevicePasswordRequired, Some(Value::Bool(true)));
    }
    let changes = changes.with(setting, Some(value.clone()));
    let plain = Policy::new(PolicyName::new("Any").unwrap(), NOW);
    plain.with(&changes, NOW).unwrap_or_else(|problems| panic!("{problems}"))
}

/// Values at the ends of a setting's range, with what is to be read.
fn ends(setting: Setting) -> Vec<(Value, String)> {
    let no_limit = if setting.name().contains("TruncationSize") { "-1" } else { "" };
    match setting.definition().kind {
        // Without a password there is nothing else to see; that one is looked at below.
        Kind::Bool if setting == Setting::DevicePasswordEnabled => vec![(Value::Bool(true), "1".into())],
        Kind::Bool => vec![(Value::Bool(false), "0".into()), (Value::Bool(true), "1".into())],
        Kind::Number { min, max, no_limit: open, .. } => {
            let ends = [min, max].map(|number| (Value::Number(number), number.to_string()));
            let open = open.map(|_| (Value::NoLimit, no_limit.to_owned()));
            ends.into_iter().chain(open).collect()
        }
        Kind::Choice(words) => words.iter().map(|(word, code)| (Value::Choice(word), code.to_string())).collect(),
        Kind::Names => vec![(Value::List(vec!["a&b.exe".into(), "é.exe".into()]), list("ApplicationName", &["a&amp;b.exe", "é.exe"]))],
        Kind::Hashes => vec![(Value::List(vec!["0f".repeat(20)]), list("Hash", &[&"0f".repeat(20)]))],
    }
}

fn list(name: &str, entries: &[&str]) -> String {
    entries.iter().map(|entry| format!("<{name}>{entry}</{name}>")).collect()
}

/// libwbxml knows this token by its name in 12.0.
fn name_in_libwbxml(setting: Setting) -> &'static str {
    match setting {
        Setting::RequireStorageCardEncryption => "DeviceEncryptionEnabled",
        _ => setting.name(),
    }
}

#[test]
fn every_setting_in_every_version_is_read_by_libwbxml() {
    let mut read = 0;
    for setting in Setting::ALL {
        for (value, text) in ends(setting) {
            let policy = policy(setting, &value);
            for version in Version::ALL.into_iter().filter(|version| *version != Version::V2_5) {
                let xml = xml(&first_answer(&policy, version));
                let name = name_in_libwbxml(setting);
                let expected = if text.is_empty() { format!("<{name}/>") } else { format!("<{name}>{text}</{name}>") };
                let is_known = setting.definition().element.is_some_and(|element| version >= element.since);
                assert_eq!(xml.matches(&expected).count(), usize::from(is_known), "{version} {setting} {text:?}: {xml}");
                assert_eq!(xml.contains(&format!("<{name}")), is_known, "{version} {setting}: {xml}");
                assert!(xml.contains("<DevicePasswordEnabled>1</DevicePasswordEnabled>"), "{xml}");
                assert!(xml.contains("<PolicyKey>1307199584</PolicyKey>"), "{xml}");
                read += 1;
            }
        }
    }
    assert!(read > 500, "{read} documents");
}

#[test]
fn version_2_5_is_read_by_libwbxml_as_a_text() {
    let xml = xml(&first_answer(&policy(Setting::MinDevicePasswordLength, &Value::Number(6)), Version::V2_5));
    assert!(xml.contains("<PolicyType>MS-WAP-Provisioning-XML</PolicyType>"), "{xml}");
    assert!(xml.contains("&lt;parm name=&quot;MinimumPasswordLength&quot; value=&quot;6&quot;/&gt;"), "{xml}");
}

#[test]
fn no_password_is_read_as_none() {
    let plain = Policy::new(PolicyName::new("Any").unwrap(), NOW);
    let xml = xml(&first_answer(&plain, Version::V12_0));
    assert!(xml.contains("<DevicePasswordEnabled>0</DevicePasswordEnabled>") && !xml.contains("MinDevicePasswordLength"), "{xml}");
}

#[test]
fn the_checked_in_reference_is_the_generated_one() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/policy-settings.md");
    if std::env::var_os("PUSHGATE_BLESS").is_some() {
        std::fs::write(path, settings_reference()).unwrap();
    }
    let checked_in = std::fs::read_to_string(path).unwrap();
    assert_eq!(checked_in, settings_reference(), "run PUSHGATE_BLESS=1 cargo test --test codec reference");
}
