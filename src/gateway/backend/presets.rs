//! Where backends differ from each other and from the specification.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::Uri;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::uri::PathAndQuery;
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::config::BackendKind;
use crate::logic::eas::{Form, Request, Version};

pub(super) const MS_AS_PROTOCOL_VERSION: HeaderName = HeaderName::from_static("ms-asprotocolversion");
pub(super) const X_MS_POLICY_KEY: HeaderName = HeaderName::from_static("x-ms-policykey");
const EAS_PATH: &str = "/Microsoft-Server-ActiveSync";

/// Makes a request what this kind of backend needs it to be.
///
/// SOGo reads the version of a base64 query by integer division (14.1 becomes 14.0) unless the header says it;
/// devices leave the header out, as the specification has it.
pub(super) fn adjust(kind: BackendKind, target: &PathAndQuery, headers: &mut HeaderMap) {
    if kind != BackendKind::Sogo || headers.contains_key(MS_AS_PROTOCOL_VERSION) {
        return;
    }
    let request = target.query().and_then(|query| Request::parse(query, None, None).ok());
    if let Some(Request { form: Form::Base64, version, .. }) = request {
        headers.insert(MS_AS_PROTOCOL_VERSION, HeaderValue::from_static(version.name()));
    }
}

/// Where to ask with OPTIONS whether a backend accepts a user.
///
/// No device is named: Horde creates or changes a device's record on an OPTIONS that names one, and would take a
/// version announcement of ours for the device's. Z-Push and grommunio demand a `User` in the query instead.
pub(super) fn options_target(kind: BackendKind, user: Option<&str>) -> Uri {
    let query = match (kind, user) {
        (BackendKind::ZPush | BackendKind::Grommunio, Some(user)) => {
            format!("{EAS_PATH}?Cmd=OPTIONS&User={}", utf8_percent_encode(user, NON_ALPHANUMERIC))
        }
        _ => EAS_PATH.to_owned(),
    };
    query.parse().unwrap_or_else(|_| Uri::from_static(EAS_PATH))
}

/// Asks for the user's own addresses: Settings, UserInformation, Get.
///
/// The question for backends that answer OPTIONS to anybody (SOGo's handler of it looks at no password; nor do some web
/// servers in front of a backend). It needs a password everywhere, changes nothing, and costs a fraction of a second. The
/// other candidates do harm: a Ping without a body is held for the last heartbeat where one is remembered,
/// FolderSync with key 0 resets the device on Z-Push, and any Ping ends the device's own on SOGo.
pub(super) const SETTINGS_BODY: &[u8] = &[0x03, 0x01, 0x6A, 0x00, 0x00, 0x12, 0x45, 0x5D, 0x07, 0x01, 0x01];
const SETTINGS_CODE: u8 = 17;

/// The device's own request line with Settings as its command, in the form it had: another form would make
/// another device of it on three backends. `None` if it is not a readable EAS request.
pub(super) fn settings_target(target: &PathAndQuery) -> Option<Uri> {
    let query = target.query()?;
    let request = Request::parse(query, Some(Version::V14_1.name()), None).ok()?;
    let query = match request.form {
        Form::Plain => {
            let is_kept = |pair: &&str| {
                let name = pair.split('=').next().unwrap_or_default();
                ["user", "deviceid", "devicetype"].iter().any(|kept| name.eq_ignore_ascii_case(kept))
            };
            query.split('&').filter(is_kept).fold("Cmd=Settings".to_owned(), |query, pair| query + "&" + pair)
        }
        Form::Base64 => settings_base64(query)?,
    };
    format!("{}?{query}", target.path()).parse().ok()
}

/// Version, command, locale (2), then device id, policy key and device type, each behind its length. Parameters are cut off.
fn settings_base64(query: &str) -> Option<String> {
    let text: Vec<u8> = percent_decode_str(query)
        .filter(|&byte| byte != b'=')
        .map(|byte| match byte {
            b'-' => b'+',
            b'_' => b'/',
            other => other,
        })
        .collect();
    let mut bytes = base64::prelude::BASE64_STANDARD_NO_PAD.decode(text).ok()?;
    *bytes.get_mut(1)? = SETTINGS_CODE;
    let mut end = 4;
    for _field in 0..3 {
        end += 1 + usize::from(*bytes.get(end)?);
    }
    bytes.truncate(end);
    Some(BASE64_STANDARD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    const Q2: &str = "eRIJBApXTTZERVYwMDAxBGBI6k0IUG9ja2V0UEM=";
    const Q4: &str = "eQMJBApXTTZERVYwMDAxBGBI6k0IUG9ja2V0UEMBATUDBDU6MTcHAQE=";

    fn target(query: &str) -> PathAndQuery {
        format!("{EAS_PATH}?{query}").parse().expect("target")
    }

    fn version(kind: BackendKind, query: &str) -> Option<String> {
        let mut headers = HeaderMap::new();
        adjust(kind, &target(query), &mut headers);
        headers.get(MS_AS_PROTOCOL_VERSION).map(|value| value.to_str().expect("ASCII").to_owned())
    }

    #[test]
    fn sogo_is_told_the_version_of_a_base64_query() {
        assert_eq!(version(BackendKind::Sogo, "jAAJBAp2MTQwRGV2aWNlAApTbWFydFBob25l").as_deref(), Some("14.0"));
        assert_eq!(version(BackendKind::Sogo, Q2).as_deref(), Some("12.1"));
        assert_eq!(version(BackendKind::Sogo, "jRMHBBC3okweXw1Oj5pmwP%2fuABEiBFktBOsKRXhhbXBsZVRhYgcBAg==").as_deref(), Some("14.1"));
        assert_eq!(version(BackendKind::ZPush, Q2), None);
    }

    #[test]
    fn plain_and_broken_queries_are_left_alone() {
        for query in ["Cmd=Ping&User=hew&DeviceId=a&DeviceType=b", "Cmd=Ping", "", "?", "%", "jA", "AAAA"] {
            assert_eq!(version(BackendKind::Sogo, query), None, "{query}");
        }
    }

    #[test]
    fn a_settings_request_comes_from_the_same_device() {
        let plain = settings_target(&target("DeviceId=A%2B1&Cmd=SmartReply&User=EX%5Chew&DeviceType=X&ItemId=5")).expect("EAS");
        assert_eq!(plain.to_string(), format!("{EAS_PATH}?Cmd=Settings&DeviceId=A%2B1&User=EX%5Chew&DeviceType=X"));
        let of = |query: &str| Request::parse(query, None, None).expect("a query");
        for query in [Q2, Q4] {
            let settings = settings_target(&target(query)).expect("EAS");
            let (before, after) = (of(query), of(settings.query().expect("a query")));
            assert_eq!(after.command.to_string(), "Settings");
            assert_eq!((after.device_id, after.device_type, after.policy_key), (before.device_id, before.device_type, before.policy_key));
            assert_eq!((after.version, after.parameters.item_id), (before.version, None));
        }
        assert_eq!(settings_target(&target("nonsense")), None);
        assert_eq!(settings_target(&EAS_PATH.parse().expect("path")), None);
    }

    #[test]
    fn options_name_a_user_only_where_they_must() {
        assert_eq!(
            options_target(BackendKind::ZPush, Some("EX\\jürgen & co")).to_string(),
            format!("{EAS_PATH}?Cmd=OPTIONS&User=EX%5Cj%C3%BCrgen%20%26%20co")
        );
        assert_eq!(options_target(BackendKind::Horde, Some("hew")), EAS_PATH);
    }
}
