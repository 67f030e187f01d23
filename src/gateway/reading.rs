//! What a request says in its head, and whether its body is what it says.

use http::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, EXPECT, HOST, HeaderName};
use http::{HeaderMap, Method, StatusCode, Version, request};
use percent_encoding::percent_decode_str;

use super::exchange::Answer;
use super::own::{plain, wbxml};
use crate::logic::eas::{BodyError, Command, Request as EasRequest, Root, root_command, status};

/// Where EAS lives on every server, at the top or, at SOGo's own port, below /SOGo.
const EAS_NAME: &str = "Microsoft-Server-ActiveSync";

/// Headers that an EAS request has once. Given twice, a backend may read the other one: a body that we took for mail, or a
/// password that we then believe of somebody else.
const SINGLE: [HeaderName; 6] = [
    AUTHORIZATION,
    CONTENT_TYPE,
    CONTENT_ENCODING,
    HOST,
    HeaderName::from_static("ms-asprotocolversion"),
    HeaderName::from_static("x-ms-policykey"),
];

/// What a head may not say, whatever it is about; its framing was checked before (`logic::http`). Where a backend could act on another
/// host, another path or another body than we do, nobody is asked.
pub(super) fn check_head(head: &request::Parts, has_body: bool) -> Result<(), (StatusCode, &'static str)> {
    let bad = |sentence| Err((StatusCode::BAD_REQUEST, sentence));
    let mut hosts = head.headers.get_all(HOST).iter();
    let host = hosts.next();
    if hosts.next().is_some() {
        return bad("The header host is there twice.");
    }
    match host {
        None if head.version != Version::HTTP_10 => return bad("There is no Host."),
        Some(host) if !is_host(host.as_bytes()) => return bad("The Host is none."),
        _ => {}
    }
    // A target with a host of its own, as proxies are asked (RFC 9112 §3.2.2): only where nobody can mistake it.
    if let Some(authority) = head.uri.authority().filter(|_| head.method != Method::CONNECT) {
        let is_ours = matches!(head.uri.scheme_str(), Some("https" | "http"));
        if !is_ours || host.is_none_or(|host| !host.as_bytes().eq_ignore_ascii_case(authority.as_str().as_bytes())) {
            return bad("The target and Host name different hosts.");
        }
    }
    if head.method == Method::TRACE {
        return Err((StatusCode::METHOD_NOT_ALLOWED, "TRACE is not offered."));
    }
    // Servers that do not expect one leave it unread, and take it for the next request.
    if has_body && (head.method == Method::GET || head.method == Method::HEAD) {
        return bad("This method has no body.");
    }
    let mut expectations = head.headers.get_all(EXPECT).iter();
    if expectations.any(|expected| !expected.as_bytes().eq_ignore_ascii_case(b"100-continue")) {
        return Err((StatusCode::EXPECTATION_FAILED, "This expectation cannot be met."));
    }
    Ok(())
}

/// A name or an address, and perhaps a port.
fn is_host(host: &[u8]) -> bool {
    let (name, port) = match host.iter().rposition(|&byte| byte == b':') {
        Some(colon) if !host[colon..].contains(&b']') => (&host[..colon], &host[colon + 1..]),
        _ => (host, &b""[..]),
    };
    let is_name = match name {
        [b'[', address @ .., b']'] => std::str::from_utf8(address).is_ok_and(|address| address.parse::<std::net::Ipv6Addr>().is_ok()),
        name => !name.is_empty() && name.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(byte)),
    };
    is_name && port.len() <= 5 && port.iter().all(u8::is_ascii_digit)
}

/// Servers also know the path with percent signs, more slashes, or something behind it: a command must not pass by unseen
/// because it is spelt that way.
pub(super) fn is_eas_path(path: &str) -> bool {
    let path = percent_decode_str(path).decode_utf8_lossy();
    let mut segments = path.split(['/', '\\']).filter(|segment| !segment.is_empty() && *segment != ".");
    segments.any(|segment| segment.split(';').next().is_some_and(|name| name.trim().eq_ignore_ascii_case(EAS_NAME)))
}

pub(super) fn parse_request(head: &request::Parts) -> Result<EasRequest, String> {
    if let Some(name) = SINGLE.iter().find(|name| head.headers.get_all(*name).iter().count() > 1) {
        return Err(format!("The header {name} is there twice."));
    }
    let header = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok());
    let query = head.uri.query().unwrap_or_default();
    EasRequest::parse(query, header("MS-ASProtocolVersion"), header("X-MS-PolicyKey")).map_err(|error| format!("{error}."))
}

/// Raw MIME, as SendMail and its kin up to 12.1 send it, has no root to look at.
pub(super) fn may_be_mime(headers: &HeaderMap, request: &EasRequest) -> bool {
    let sends_mail = matches!(request.command, Command::SendMail | Command::SmartForward | Command::SmartReply);
    let is_rfc822 = headers.get(CONTENT_TYPE).is_some_and(|value| value.as_bytes().to_ascii_lowercase().starts_with(b"message/rfc822"));
    sends_mail && is_rfc822 && !request.version.has_common_statuses()
}

/// Begins as WBXML does, which no message can: whatever its type says, a backend may read it as a command.
pub(super) fn is_wbxml(body: &[u8]) -> bool {
    body.first().is_some_and(|&version| version < 0x09)
}

/// A body must be the command that the query says, because backends act on the body. The error is an EAS status.
pub(super) fn check_root(first: &[u8], request: &EasRequest) -> Result<(), u16> {
    match root_command(first) {
        Ok(Root::Empty) => Ok(()),
        Ok(Root::Command(command)) if command == request.command => Ok(()),
        Ok(_) => Err(status::INVALID_XML),
        Err(_) => Err(status::INVALID_WBXML),
    }
}

/// Up to 12.1 HTTP 400; from 14.0 the command's own Status (eas-protocol: 2.3).
pub(super) fn refuse_body(request: &EasRequest, code: u16) -> Answer {
    match status::answer(request.command, code).filter(|_| request.version.has_common_statuses()) {
        Some(body) => wbxml(body),
        None => plain(StatusCode::BAD_REQUEST, "The body is not what the command wants."),
    }
}

/// The same for a body that could not be read.
pub(super) fn refuse_malformed(request: &EasRequest, error: &BodyError) -> Answer {
    refuse_body(request, if matches!(error, BodyError::Wbxml(_)) { status::INVALID_WBXML } else { status::INVALID_XML })
}
