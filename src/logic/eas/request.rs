//! The request line's query (MS-ASHTTP 2.2.1.1.1), in both forms, as one value.

use std::fmt;

use super::{Command, DeviceId, DeviceType, IdError, PolicyKey, Version, query};

/// What a device says about itself and what it wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// What to do.
    pub command: Command,
    /// The gateway's key of the device.
    pub device_id: DeviceId,
    /// What kind of device.
    pub device_type: DeviceType,
    /// Protocol version; 2.5 when a plain query comes without a version header.
    pub version: Version,
    /// The `User` parameter. Not an identity: that is the `Authorization` header.
    pub user: Option<String>,
    /// The policy key sent along, if any; 0 is sent before there is one.
    pub policy_key: Option<PolicyKey>,
    /// Which form the query had.
    pub form: Form,
    /// Parameters of some commands.
    pub parameters: Parameters,
}

/// The two forms of a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// `Cmd=…&User=…`.
    Plain,
    /// One base64 value; 12.1 and later.
    Base64,
}

/// Parameters of some commands; unknown ones are not kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parameters {
    /// GetAttachment: which.
    pub attachment_name: Option<String>,
    /// SmartForward, SmartReply: the folder of the original.
    pub collection_id: Option<String>,
    /// SmartForward, SmartReply: the original.
    pub item_id: Option<String>,
    /// SmartForward, SmartReply: the original, found by a search.
    pub long_id: Option<String>,
    /// SmartForward, SmartReply: which occurrence of a recurring item.
    pub occurrence: Option<String>,
    /// SendMail, SmartForward, SmartReply: keep a copy.
    pub save_in_sent: bool,
    /// ItemOperations: the answer may be multipart. In the plain form that is a header (`MS-ASAcceptMultiPart`), not a parameter.
    pub accept_multipart: bool,
    /// Base64 form: the device's language as LCID.
    pub locale: Option<u16>,
}

/// What is wrong with a query; the device's fault, HTTP 400 (501 for an unknown command).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueryError {
    /// No query at all.
    Empty,
    /// A parameter that every request needs.
    Missing(&'static str),
    /// A parameter given twice; servers disagree on which one counts.
    Repeated(&'static str),
    /// A parameter that is not UTF-8.
    NotText(&'static str),
    /// The device id is unusable.
    DeviceId(IdError),
    /// The device type is unusable.
    DeviceType(IdError),
    /// A command name nobody knows.
    UnknownCommand,
    /// A command code nobody knows.
    UnknownCommandCode(u8),
    /// A version header nobody knows.
    UnknownVersion,
    /// A version byte nobody knows.
    UnknownVersionByte(u8),
    /// Neither `Cmd=…` nor base64.
    NotBase64,
    /// The base64 form ends inside this field.
    EndsInside(&'static str),
    /// The policy key's length is neither 0 nor 4.
    PolicyKeyLength(u8),
}

impl Request {
    /// Reads a query, `query` being what follows the `?`; the headers are `MS-ASProtocolVersion` and `X-MS-PolicyKey`.
    ///
    /// In the base64 form the query's own version wins over the header, and so does its policy key.
    ///
    /// # Errors
    /// See [`QueryError`].
    pub fn parse(query: &str, version_header: Option<&str>, policy_key_header: Option<&str>) -> Result<Request, QueryError> {
        if query.is_empty() {
            return Err(QueryError::Empty);
        }
        let header_key = policy_key_header.and_then(PolicyKey::from_text);
        if query::is_plain(query) {
            let version = match version_header.map(str::trim) {
                None | Some("") => Version::V2_5,
                Some(text) => text.parse().map_err(|()| QueryError::UnknownVersion)?,
            };
            query::parse_plain(query, version, header_key)
        } else {
            let mut request = query::parse_base64(query)?;
            request.policy_key = request.policy_key.or(header_key);
            Ok(request)
        }
    }
}

impl fmt::Display for QueryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            QueryError::Empty => f.write_str("the request has no query"),
            QueryError::Missing(name) => write!(f, "the query has no {name}"),
            QueryError::Repeated(name) => write!(f, "the query has more than one {name}"),
            QueryError::NotText(name) => write!(f, "{name} is not UTF-8"),
            QueryError::DeviceId(error) => write!(f, "DeviceId {error}"),
            QueryError::DeviceType(error) => write!(f, "DeviceType {error}"),
            QueryError::UnknownCommand => f.write_str("Cmd is not a known command"),
            QueryError::UnknownCommandCode(code) => write!(f, "command code {code} is not known"),
            QueryError::UnknownVersion => f.write_str("MS-ASProtocolVersion is not a known version"),
            QueryError::UnknownVersionByte(byte) => write!(f, "version byte {byte} is not known in the base64 query"),
            QueryError::NotBase64 => f.write_str("the query is neither Cmd=… nor base64"),
            QueryError::EndsInside(field) => write!(f, "the base64 query ends inside its {field}"),
            QueryError::PolicyKeyLength(length) => write!(f, "the base64 query's policy key has {length} bytes; 0 or 4 are possible"),
        }
    }
}

impl std::error::Error for QueryError {}
