//! The query of a request, as devices write it in either form.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::logic::eas::{Command, Version};

/// What stays as it is in a value of the plain form.
const VALUE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// The device's language: English.
const LOCALE: u16 = 0x0409;

/// What goes into a query.
#[derive(Debug, Clone, Copy)]
pub(super) struct Query<'a> {
    pub(super) command: Command,
    pub(super) user: &'a str,
    pub(super) device_id: &'a str,
    pub(super) device_type: &'a str,
    pub(super) version: Version,
    pub(super) policy_key: Option<u32>,
    /// AttachmentName, for GetAttachment.
    pub(super) attachment: Option<&'a str>,
}

impl Query<'_> {
    /// `Cmd=…&User=…&DeviceId=…&DeviceType=…`.
    pub(super) fn plain(&self) -> String {
        let escape = |value| utf8_percent_encode(value, VALUE);
        let (user, id, kind) = (escape(self.user), escape(self.device_id), escape(self.device_type));
        let attachment = self.attachment.map(|name| format!("&AttachmentName={}", escape(name))).unwrap_or_default();
        format!("Cmd={}&User={user}&DeviceId={id}&DeviceType={kind}{attachment}", self.command)
    }

    /// The packed form; `None` if version or command have none. The user goes without saying: it is in the credentials.
    pub(super) fn base64(&self) -> Option<String> {
        let version = match self.version {
            Version::V2_5 | Version::V12_0 => return None,
            Version::V12_1 => 121,
            Version::V14_0 => 140,
            Version::V14_1 => 141,
            Version::V16_0 => 160,
            Version::V16_1 => 161,
        };
        let mut bytes = vec![version, self.command.code()?];
        bytes.extend(LOCALE.to_le_bytes());
        put_counted(&mut bytes, self.device_id.as_bytes());
        match self.policy_key {
            Some(key) => put_counted(&mut bytes, &key.to_le_bytes()),
            None => bytes.push(0),
        }
        put_counted(&mut bytes, self.device_type.as_bytes());
        if let Some(name) = self.attachment {
            bytes.push(0);
            put_counted(&mut bytes, name.as_bytes());
        }
        Some(BASE64.encode(bytes))
    }
}

fn put_counted(bytes: &mut Vec<u8>, value: &[u8]) {
    let length = u8::try_from(value.len()).unwrap_or(u8::MAX);
    bytes.push(length);
    bytes.extend_from_slice(&value[..usize::from(length)]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logic::eas::{Form, Request};

    #[test]
    fn both_forms_are_read_back_as_written() {
        let query = Query {
            command: Command::GetAttachment,
            user: "EXAMPLE\\hew",
            device_id: "Standin01",
            device_type: "SmartPhone",
            version: Version::V14_1,
            policy_key: Some(3_942_919_513),
            attachment: Some("5:17:0"),
        };
        let plain = Request::parse(&query.plain(), Some("14.1"), Some("3942919513")).unwrap();
        let packed = Request::parse(&query.base64().unwrap(), None, None).unwrap();
        assert_eq!((plain.form, packed.form), (Form::Plain, Form::Base64));
        assert_eq!(plain.user.as_deref(), Some("EXAMPLE\\hew"));
        for request in [plain, packed] {
            assert_eq!(request.command, Command::GetAttachment);
            assert_eq!(request.device_id.as_str(), "standin01");
            assert_eq!(request.version, Version::V14_1);
            assert_eq!(request.policy_key.map(|key| key.0), Some(3_942_919_513));
            assert_eq!(request.parameters.attachment_name.as_deref(), Some("5:17:0"));
        }
        assert_eq!(Query { version: Version::V12_0, ..query }.base64(), None);
    }
}
