//! A policy as a device of each version gets it (MS-ASPROV 2.2.2.28), and the hash of just that.
//!
//! The hash is what tells that a device must fetch its policy again. It covers the bytes that are sent, so a setting that the
//! device's version does not know cannot make it fetch for ever, and one that only the gateway sees to bothers nobody.

use std::fmt;
use std::fmt::Write as _;

use aws_lc_rs::digest::{SHA256, digest};

use super::setting::Kind;
use super::{Policy, Setting, Value};
use crate::logic::eas::Version;
use crate::logic::eas::provision::{PolicyAnswer, PolicyData, PolicyType, ProvisionAnswer};
use crate::logic::eas::provision_doc::{DocValue, ProvisionDoc};

/// What a device gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// How it is written.
    pub policy_type: PolicyType,
    /// What is written.
    pub data: PolicyData,
    /// The hash of it.
    pub hash: DocumentHash,
}

/// Says which document a device has: 64 bits of SHA-256, shown as 16 hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DocumentHash(pub u64);

/// Writes a policy for a version.
pub fn write(policy: &Policy, version: Version) -> Document {
    let policy_type = policy_type(version);
    let data = match version {
        Version::V2_5 => PolicyData::WapXml(wap_xml(policy)),
        _ => PolicyData::Document(elements(policy, version)),
    };
    let hash = hash(&policy_type, &data);
    Document { policy_type, data, hash }
}

/// How a policy is written for this version; a device that asks for another is told so.
pub fn policy_type(version: Version) -> PolicyType {
    if version == Version::V2_5 { PolicyType::WapXml } else { PolicyType::Wbxml }
}

/// The hash of the answer that carries the document, without what differs from one device to the next.
fn hash(policy_type: &PolicyType, data: &PolicyData) -> DocumentHash {
    let policy = PolicyAnswer { policy_type: policy_type.clone(), status: 1, policy_key: None, data: Some(data.clone()) };
    let bytes = ProvisionAnswer { status: 1, policy: Some(policy), ..Default::default() }.encode();
    let digest = digest(&SHA256, &bytes);
    let mut first = [0; 8];
    first.copy_from_slice(&digest.as_ref()[..8]);
    DocumentHash(u64::from_be_bytes(first))
}

/// The elements, every one the version knows: what is left out would not take back an earlier policy's.
///
/// Except what a password must be like while none is required: the device ignores it, and a change of it is no reason to bother anyone.
fn elements(policy: &Policy, version: Version) -> ProvisionDoc {
    let requires_password = policy.is_on(Setting::DevicePasswordEnabled);
    let mut document = ProvisionDoc::default();
    for setting in Setting::ALL {
        let Some(element) = setting.definition().element else { continue };
        if version < element.since || element.needs_password && !requires_password {
            continue;
        }
        if setting == Setting::RequireStorageCardEncryption {
            // 12.0's DeviceEncryptionEnabled has the same token, and stands there already.
            continue;
        }
        let value = match setting {
            Setting::DeviceEncryptionEnabled => Value::Bool(policy.is_on(setting) || policy.is_on(Setting::RequireStorageCardEncryption)),
            _ => policy.value(setting).clone(),
        };
        document.0.push((element.tag, on_the_wire(setting, element.no_limit, value)));
    }
    document
}

fn on_the_wire(setting: Setting, no_limit: &str, value: Value) -> DocValue {
    match value {
        Value::Bool(value) => DocValue::Text(u8::from(value).to_string()),
        Value::Number(number) => DocValue::Text(number.to_string()),
        Value::NoLimit => DocValue::Text(no_limit.to_owned()),
        Value::Choice(word) => DocValue::Text(code(setting, word).to_string()),
        Value::List(entries) => DocValue::List(entries),
    }
}

/// The number that stands for a word.
fn code(setting: Setting, word: &str) -> u32 {
    let Kind::Choice(words) = setting.definition().kind else { return 0 };
    words.iter().find(|(known, _)| *known == word).map_or(0, |(_, code)| *code)
}

/// The registry folder of Windows Mobile's lock (LASSD) and what lies below it.
const LASSD: &str = r"HKLM\Comm\Security\Policy\LASSD";
/// Below it: when the device locks itself.
const LOCK: &str = r"HKLM\Comm\Security\Policy\LASSD\AE\{50C13377-C66D-400C-889E-C316FC4AB374}";
/// Below it: what the password is like.
const PASSWORD: &str = r"HKLM\Comm\Security\Policy\LASSD\LAP\lap_pw";

/// 2.5's form: what the password must be like, and nothing else.
fn wap_xml(policy: &Policy) -> String {
    let requires_password = policy.is_on(Setting::DevicePasswordEnabled);
    let mut xml = String::from(r#"<wap-provisioningdoc><characteristic type="SecurityPolicy">"#);
    // Security policy 4131 says whether the device may go without a lock.
    parameter(&mut xml, "4131", u32::from(!requires_password));
    xml.push_str("</characteristic>");
    if requires_password {
        xml.push_str(r#"<characteristic type="Registry">"#);
        // Minutes; a part of one counts less, because a lock that comes too late is no lock.
        let lock_min = policy.number(Setting::MaxInactivityTimeDeviceLock).map(|seconds| (seconds / 60).max(1));
        let lock = [("AEFrequencyType", Some(u32::from(lock_min.is_some()))), ("AEFrequencyValue", lock_min)];
        characteristic(&mut xml, LOCK, &lock);
        let attempts = policy.number(Setting::MaxDevicePasswordFailedAttempts);
        characteristic(&mut xml, LASSD, &[("DeviceWipeThreshold", attempts)]);
        // After half of them the device makes sure that a person is typing.
        characteristic(&mut xml, LASSD, &[("CodewordFrequency", attempts.map(|attempts| attempts / 2))]);
        characteristic(&mut xml, PASSWORD, &[("MinimumPasswordLength", policy.number(Setting::MinDevicePasswordLength))]);
        // 0: letters and digits, 1: digits, 2: anything.
        let complexity = if policy.is_on(Setting::AlphanumericDevicePasswordRequired) { 0 } else { 2 };
        characteristic(&mut xml, PASSWORD, &[("PasswordComplexity", Some(complexity))]);
        xml.push_str("</characteristic>");
    }
    xml.push_str("</wap-provisioningdoc>");
    xml
}

/// A characteristic with those of the parameters that have a value; none at all without.
fn characteristic(xml: &mut String, kind: &str, parameters: &[(&str, Option<u32>)]) {
    if parameters.iter().all(|(_, value)| value.is_none()) {
        return;
    }
    let _ = write!(xml, r#"<characteristic type="{kind}">"#);
    for (name, value) in parameters {
        if let Some(value) = value {
            parameter(xml, name, *value);
        }
    }
    xml.push_str("</characteristic>");
}

fn parameter(xml: &mut String, name: &str, value: u32) {
    let _ = write!(xml, r#"<parm name="{name}" value="{value}"/>"#);
}

impl DocumentHash {
    /// From 16 hex digits.
    pub fn from_text(text: &str) -> Option<Self> {
        let is_hex = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_hex.then(|| u64::from_str_radix(text, 16).ok()).flatten().map(DocumentHash)
    }
}

impl fmt::Display for DocumentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}
