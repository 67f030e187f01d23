//! Which header fields may cross, and which we write ourselves.

use std::net::IpAddr;

use http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_LENGTH, EXPECT, Entry, HOST, HeaderMap, HeaderName, HeaderValue, TE, TRAILER, TRANSFER_ENCODING,
    UPGRADE, WWW_AUTHENTICATE,
};

use super::Route;

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const HOP_BY_HOP: [HeaderName; 6] = [CONNECTION, KEEP_ALIVE, TE, TRAILER, TRANSFER_ENCODING, UPGRADE];

/// Says to a backend who the device is; believed only when we wrote it. Dropped unless a trusted proxy sent it.
const IDENTITY: [HeaderName; 3] =
    [HeaderName::from_static("forwarded"), HeaderName::from_static("x-real-ip"), HeaderName::from_static("x-client-ip")];

/// Turns the fields of a device's request into those for a backend.
pub(super) fn to_backend(headers: &mut HeaderMap, route: &Route, backend_host: &HeaderValue) {
    let is_http10_without_host = !headers.contains_key(HOST);
    remove_hop_by_hop(headers);
    // hyper answers it towards the device; the backend must not be asked a second time.
    headers.remove(EXPECT);
    remove_misspelt(headers);
    remove_by_prefix(headers, "x-webobjects-");
    if !route.trusts_forwarded {
        IDENTITY.iter().for_each(|name| drop(headers.remove(name)));
    }
    let forwarded_for = forwarded_for(headers, route);
    headers.insert(X_FORWARDED_FOR, forwarded_for);
    headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static("https"));
    if is_http10_without_host {
        headers.insert(HOST, backend_host.clone());
    }
    let host = headers.get(HOST).cloned().unwrap_or_else(|| backend_host.clone());
    headers.insert(X_FORWARDED_HOST, host);
}

/// Turns the fields of a backend's answer into those for a device.
pub(super) fn to_device(headers: &mut HeaderMap) {
    remove_hop_by_hop(headers);
    remove_connection_bound_challenges(headers);
}

/// NTLM and Negotiate authenticate a connection instead of a request. Connections to backends are shared
/// between devices, so such a connection would lend one user's identity to the next.
pub(super) fn is_connection_bound(headers: &HeaderMap) -> bool {
    headers.get_all(AUTHORIZATION).iter().any(is_connection_bound_scheme)
}

/// Offering them to a device would only make it try what cannot succeed; kept when there is nothing else to say.
fn remove_connection_bound_challenges(headers: &mut HeaderMap) {
    let is_other = |value: &&HeaderValue| !is_connection_bound_scheme(value);
    let kept: Vec<HeaderValue> = headers.get_all(WWW_AUTHENTICATE).iter().filter(is_other).cloned().collect();
    if kept.is_empty() {
        return;
    }
    headers.remove(WWW_AUTHENTICATE);
    for value in kept {
        headers.append(WWW_AUTHENTICATE, value);
    }
}

fn is_connection_bound_scheme(value: &HeaderValue) -> bool {
    let scheme = value.as_bytes().split(|byte| matches!(byte, b' ' | b',')).next().unwrap_or_default();
    scheme.eq_ignore_ascii_case(b"ntlm") || scheme.eq_ignore_ascii_case(b"negotiate")
}

/// RFC 9110 §7.6.1. What frames or routes the message stays even if `Connection` lists it: a device could otherwise
/// make us forget a length or the host.
fn remove_hop_by_hop(headers: &mut HeaderMap) {
    if headers.contains_key(TRANSFER_ENCODING) {
        // The length of a chunked message is a lie or a trap (RFC 9112 §6.3); alone it would become the truth.
        headers.remove(CONTENT_LENGTH);
    }
    let listed: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .flat_map(|value| value.as_bytes().split(|&byte| byte == b','))
        .filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok())
        .filter(|name| *name != HOST && *name != CONTENT_LENGTH && *name != AUTHORIZATION)
        .collect();
    for name in listed.iter().chain(&HOP_BY_HOP) {
        headers.remove(name);
    }
    // Also plain "Proxy", which CGI turns into HTTP_PROXY.
    remove_by_prefix(headers, "proxy");
}

/// Programs behind CGI or WSGI cannot tell `X_Forwarded_For` from `X-Forwarded-For`: what could be mistaken for a field that we
/// removed or wrote does not pass. (nginx and Apache drop such names, too.)
fn remove_misspelt(headers: &mut HeaderMap) {
    let is_plain = |name: &&HeaderName| name.as_str().bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let names: Vec<HeaderName> = headers.keys().filter(|name| !is_plain(name)).cloned().collect();
    for name in names {
        headers.remove(name);
    }
}

/// `x-webobjects-remote-user` tells SOGo to believe a name without a password; the web server it expects in front
/// of it removes such fields, so we must.
fn remove_by_prefix(headers: &mut HeaderMap, prefix: &str) {
    let names: Vec<HeaderName> = headers.keys().filter(|name| name.as_str().starts_with(prefix)).cloned().collect();
    for name in names {
        if let Entry::Occupied(entry) = headers.entry(name) {
            entry.remove_entry_mult();
        }
    }
}

/// The chain of a trusted proxy with our peer at its end, or our peer alone.
fn forwarded_for(headers: &HeaderMap, route: &Route) -> HeaderValue {
    let mut chain = Vec::new();
    if route.trusts_forwarded {
        for value in headers.get_all(X_FORWARDED_FOR) {
            chain.extend_from_slice(value.as_bytes());
            chain.extend_from_slice(b", ");
        }
    }
    chain.extend_from_slice(plain_address(route.peer).to_string().as_bytes());
    HeaderValue::from_bytes(&chain).expect("header values joined by a comma, and an address")
}

/// `::ffff:192.0.2.1`, as a dual-stack listener sees it, is 192.0.2.1 to everybody else.
fn plain_address(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in fields {
            map.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        map
    }

    fn to_backend_from(fields: &[(&'static str, &'static str)], trusts_forwarded: bool) -> HeaderMap {
        let mut map = headers(fields);
        let route = Route { trusts_forwarded, ..Route::from_peer("::ffff:192.0.2.7".parse().expect("address")) };
        to_backend(&mut map, &route, &HeaderValue::from_static("cas.example.org"));
        map
    }

    #[test]
    fn what_belongs_to_one_hop_stays_there() {
        let map = to_backend_from(
            &[
                ("host", "mail.example.org"),
                ("connection", "keep-alive, X-Private ,, content-length,host"),
                ("x-private", "1"),
                ("keep-alive", "timeout=5"),
                ("proxy-authorization", "Basic eDp5"),
                ("proxy-connection", "keep-alive"),
                ("proxy", "http://evil.example"),
                ("te", "trailers"),
                ("trailer", "X-Sum"),
                ("upgrade", "h2c"),
                ("expect", "100-continue"),
                ("content-length", "3"),
                ("cookie", "a=b; c=d"),
                ("ms-asprotocolversion", "14.1"),
            ],
            false,
        );
        let mut names: Vec<_> = map.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(
            names,
            ["content-length", "cookie", "host", "ms-asprotocolversion", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"]
        );
        assert_eq!((&map["host"], &map["x-forwarded-host"]), (&map["x-forwarded-host"], &HeaderValue::from_static("mail.example.org")));
    }

    #[test]
    fn a_length_beside_chunks_is_dropped() {
        let both = [("transfer-encoding", "chunked"), ("content-length", "3")];
        assert!(!to_backend_from(&both, false).contains_key("content-length"));
        let mut answer = headers(&both);
        to_device(&mut answer);
        assert!(answer.is_empty());
    }

    #[test]
    fn a_device_cannot_say_who_it_is() {
        let forged = [
            ("x-forwarded-for", "203.0.113.9"),
            ("x-real-ip", "203.0.113.9"),
            ("forwarded", "for=203.0.113.9"),
            ("x-webobjects-remote-user", "boss"),
            ("x-forwarded-proto", "http"),
            ("x-forwarded-host", "evil.example"),
            ("x_forwarded_for", "203.0.113.9"),
            ("x.forwarded.for", "203.0.113.9"),
            ("x_webobjects_remote_user", "boss"),
        ];
        let map = to_backend_from(&forged, false);
        assert_eq!(map["x-forwarded-for"], "192.0.2.7");
        assert_eq!(map["x-forwarded-proto"], "https");
        assert_eq!(map["x-forwarded-host"], "cas.example.org");
        assert!(map.keys().all(|name| !name.as_str().contains(['_', '.'])));
        assert!(!map.contains_key("x-real-ip") && !map.contains_key("forwarded") && !map.contains_key("x-webobjects-remote-user"));
    }

    #[test]
    fn a_trusted_proxy_speaks_for_its_device() {
        let map = to_backend_from(&[("x-forwarded-for", "203.0.113.9"), ("x-forwarded-for", "198.51.100.2")], true);
        assert_eq!(map["x-forwarded-for"], "203.0.113.9, 198.51.100.2, 192.0.2.7");
        assert_eq!(map.get_all("x-forwarded-for").iter().count(), 1);
    }

    #[test]
    fn schemes_that_authenticate_a_connection_are_not_offered_beside_basic() {
        let mut map = headers(&[
            ("www-authenticate", "Negotiate"),
            ("www-authenticate", "NTLM"),
            ("www-authenticate", "Basic realm=\"mail\""),
            ("set-cookie", "a=1"),
            ("set-cookie", "b=2"),
            ("connection", "close"),
        ]);
        to_device(&mut map);
        let challenges: Vec<_> = map.get_all("www-authenticate").iter().collect();
        assert_eq!(challenges, ["Basic realm=\"mail\""]);
        assert_eq!(map.get_all("set-cookie").iter().count(), 2);
        assert!(!map.contains_key("connection"));
        assert!(is_connection_bound(&headers(&[("authorization", "NTLM TlRMTVNTUAAB")])));
        assert!(!is_connection_bound(&headers(&[("authorization", "Basic aGV3Ong=")])));
    }
}
