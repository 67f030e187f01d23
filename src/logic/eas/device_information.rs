//! DeviceInformation (MS-ASCMD 2.2.3.45): what a device tells about itself, in Settings or, from 14.1, in Provision.

use serde::{Deserialize, Serialize};

use crate::logic::wbxml::{Content, Tag, Writer, settings as tags};

/// Characters kept of one field; the specification's maximum.
const FIELD_CHARS_MAX: usize = 1_024;

/// The fields, all optional and unchecked: anything a device likes to say. An empty `Set` (all `None`) deletes what was known.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DeviceInformation {
    /// Model name.
    pub model: Option<String>,
    /// The IMEI, or whatever identifies the hardware.
    pub imei: Option<String>,
    /// The name its user gave it.
    pub friendly_name: Option<String>,
    /// Operating system.
    pub os: Option<String>,
    /// Language of the operating system.
    pub os_language: Option<String>,
    /// Telephone number.
    pub phone_number: Option<String>,
    /// From 12.1: the mail program.
    pub user_agent: Option<String>,
    /// From 14.0: whether it wants to send SMS for the server.
    pub enable_outbound_sms: Option<String>,
    /// From 14.0: the carrier.
    pub mobile_operator: Option<String>,
}

impl DeviceInformation {
    /// Takes over the fields that `newer` has.
    pub fn update(&mut self, newer: &DeviceInformation) {
        for ((_, slot), (_, value)) in self.fields_mut().into_iter().zip(newer.fields()) {
            if value.is_some() {
                slot.clone_from(value);
            }
        }
    }

    /// Takes a child of `Set`; others than the known fields are left out, and long texts are cut.
    pub(super) fn take(&mut self, field: Tag, content: Content<'_>) {
        let Some((_, slot)) = self.fields_mut().into_iter().find(|(tag, _)| *tag == field) else { return };
        *slot = content.text().map(|text| text.chars().take(FIELD_CHARS_MAX).collect());
    }

    /// `DeviceInformation(Set(…))`, in the schema's order.
    pub(super) fn write(&self, writer: &mut Writer) {
        writer.start(tags::DEVICE_INFORMATION).start(tags::SET);
        for (tag, value) in self.fields() {
            if let Some(value) = value {
                writer.text(tag, value);
            }
        }
        writer.end().end();
    }

    /// The fields with their elements, in the schema's order.
    fn fields(&self) -> [(Tag, &Option<String>); 9] {
        [
            (tags::MODEL, &self.model),
            (tags::IMEI, &self.imei),
            (tags::FRIENDLY_NAME, &self.friendly_name),
            (tags::OS, &self.os),
            (tags::OS_LANGUAGE, &self.os_language),
            (tags::PHONE_NUMBER, &self.phone_number),
            (tags::USER_AGENT, &self.user_agent),
            (tags::ENABLE_OUTBOUND_SMS, &self.enable_outbound_sms),
            (tags::MOBILE_OPERATOR, &self.mobile_operator),
        ]
    }

    fn fields_mut(&mut self) -> [(Tag, &mut Option<String>); 9] {
        [
            (tags::MODEL, &mut self.model),
            (tags::IMEI, &mut self.imei),
            (tags::FRIENDLY_NAME, &mut self.friendly_name),
            (tags::OS, &mut self.os),
            (tags::OS_LANGUAGE, &mut self.os_language),
            (tags::PHONE_NUMBER, &mut self.phone_number),
            (tags::USER_AGENT, &mut self.user_agent),
            (tags::ENABLE_OUTBOUND_SMS, &mut self.enable_outbound_sms),
            (tags::MOBILE_OPERATOR, &mut self.mobile_operator),
        ]
    }
}
