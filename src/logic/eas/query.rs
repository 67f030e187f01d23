//! Reads both forms of the query.

use std::borrow::Cow;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use percent_encoding::percent_decode_str;

use super::{Command, DeviceId, DeviceType, Form, Parameters, PolicyKey, QueryError, Request, Version};

/// Devices pad or not, and some leave bits over.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent).with_decode_allow_trailing_bits(true),
);

/// Whether the query is name=value pairs. Base64 has no `&`, and `=` only at its end.
pub(super) fn is_plain(query: &str) -> bool {
    query.contains('&') || query.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("Cmd="))
}

/// `Cmd=…&User=…&DeviceId=…&DeviceType=…`, in any order.
pub(super) fn parse_plain(query: &str, version: Version, policy_key: Option<PolicyKey>) -> Result<Request, QueryError> {
    let mut pairs = Pairs::default();
    for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
        pairs.put(name, value)?;
    }
    let command = pairs.text("Cmd")?.ok_or(QueryError::Missing("Cmd"))?;
    let device_id = pairs.bytes("DeviceId").ok_or(QueryError::Missing("DeviceId"))?;
    let device_type = pairs.bytes("DeviceType").ok_or(QueryError::Missing("DeviceType"))?;
    Ok(Request {
        command: command.parse().map_err(|()| QueryError::UnknownCommand)?,
        device_id: DeviceId::new(&device_id).map_err(QueryError::DeviceId)?,
        device_type: DeviceType::new(&device_type).map_err(QueryError::DeviceType)?,
        version,
        user: pairs.text("User")?,
        policy_key,
        form: Form::Plain,
        parameters: Parameters {
            attachment_name: pairs.text("AttachmentName")?,
            collection_id: pairs.text("CollectionId")?,
            item_id: pairs.text("ItemId")?,
            long_id: pairs.text("LongId")?,
            occurrence: pairs.text("Occurrence")?,
            save_in_sent: pairs.text("SaveInSent")?.is_some_and(|value| value.eq_ignore_ascii_case("T")),
            accept_multipart: false,
            locale: None,
        },
    })
}

/// Parameters that are kept. Names are compared without case, so that `cmd=` beside `Cmd=` counts as given twice.
const NAMES: [&str; 10] =
    ["Cmd", "User", "DeviceId", "DeviceType", "AttachmentName", "CollectionId", "ItemId", "LongId", "Occurrence", "SaveInSent"];

/// The values of [`NAMES`], still percent-encoded.
#[derive(Default)]
struct Pairs<'a>([Option<&'a str>; NAMES.len()]);

impl<'a> Pairs<'a> {
    fn put(&mut self, name: &str, value: &'a str) -> Result<(), QueryError> {
        let name = percent_decode_str(name).decode_utf8_lossy();
        let Some(index) = NAMES.iter().position(|known| known.eq_ignore_ascii_case(&name)) else { return Ok(()) };
        match self.0[index].replace(value) {
            None => Ok(()),
            Some(_) => Err(QueryError::Repeated(NAMES[index])),
        }
    }

    fn bytes(&self, name: &'static str) -> Option<Cow<'a, [u8]>> {
        let index = NAMES.iter().position(|known| *known == name).expect("only names of the list are asked for");
        self.0[index].map(|value| percent_decode_str(value).into())
    }

    /// `+` stays a plus: it is common in addresses, and devices that mean a space write `%20`.
    fn text(&self, name: &'static str) -> Result<Option<String>, QueryError> {
        let bytes = self.bytes(name).map(Cow::into_owned);
        bytes.map(|bytes| String::from_utf8(bytes).map_err(|_| QueryError::NotText(name))).transpose()
    }
}

/// The binary layout: version, command, locale, device id, policy key, device type, then parameters.
pub(super) fn parse_base64(query: &str) -> Result<Request, QueryError> {
    let bytes = decode_base64(query).ok_or(QueryError::NotBase64)?;
    let mut fields = Fields(&bytes);
    let version = fields.byte("version")?;
    let version = Version::from_byte(version).ok_or(QueryError::UnknownVersionByte(version))?;
    let command = fields.byte("command")?;
    let command = Command::from_code(command).ok_or(QueryError::UnknownCommandCode(command))?;
    let locale = u16::from_le_bytes([fields.byte("locale")?, fields.byte("locale")?]);
    let device_id = DeviceId::new(fields.counted("device id")?).map_err(QueryError::DeviceId)?;
    let policy_key = match *fields.counted("policy key")? {
        [] => None,
        [a, b, c, d] => Some(PolicyKey(u32::from_le_bytes([a, b, c, d]))),
        ref other => return Err(QueryError::PolicyKeyLength(other.len() as u8)),
    };
    let device_type = DeviceType::new(fields.counted("device type")?).map_err(QueryError::DeviceType)?;
    let mut request = Request {
        command,
        device_id,
        device_type,
        version,
        user: None,
        policy_key,
        form: Form::Base64,
        parameters: Parameters { locale: Some(locale), ..Parameters::default() },
    };
    while !fields.0.is_empty() {
        let tag = fields.byte("parameters")?;
        put_parameter(&mut request, tag, fields.counted("parameters")?)?;
    }
    Ok(request)
}

/// A parameter of the base64 form; unknown tags are skipped.
fn put_parameter(request: &mut Request, tag: u8, value: &[u8]) -> Result<(), QueryError> {
    let parameters = &mut request.parameters;
    let (slot, name) = match tag {
        0 => (&mut parameters.attachment_name, "AttachmentName"),
        1 => (&mut parameters.collection_id, "CollectionId"),
        3 => (&mut parameters.item_id, "ItemId"),
        4 => (&mut parameters.long_id, "LongId"),
        6 => (&mut parameters.occurrence, "Occurrence"),
        7 => {
            let options = *value.first().ok_or(QueryError::EndsInside("options"))?;
            parameters.save_in_sent = options & 0x01 != 0;
            parameters.accept_multipart = options & 0x02 != 0;
            return Ok(());
        }
        8 => (&mut request.user, "User"),
        _ => return Ok(()),
    };
    let text = std::str::from_utf8(value).map_err(|_| QueryError::NotText(name))?;
    match slot.replace(text.to_owned()) {
        None => Ok(()),
        Some(_) => Err(QueryError::Repeated(name)),
    }
}

/// Accepts both alphabets, padding or none, percent-escapes or none; `+` is never a space here.
fn decode_base64(query: &str) -> Option<Vec<u8>> {
    let mut text: Vec<u8> = percent_decode_str(query).collect();
    for byte in &mut text {
        match byte {
            b'-' => *byte = b'+',
            b'_' => *byte = b'/',
            _ => {}
        }
    }
    BASE64.decode(&text).ok()
}

/// What has not been read yet.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn byte(&mut self, field: &'static str) -> Result<u8, QueryError> {
        let (byte, rest) = self.0.split_first().ok_or(QueryError::EndsInside(field))?;
        self.0 = rest;
        Ok(*byte)
    }

    /// A length byte and that many bytes.
    fn counted(&mut self, field: &'static str) -> Result<&'a [u8], QueryError> {
        let length = usize::from(self.byte(field)?);
        let (value, rest) = self.0.split_at_checked(length).ok_or(QueryError::EndsInside(field))?;
        self.0 = rest;
        Ok(value)
    }
}
