//! Settings (MS-ASCMD 2.2.1.18), as far as the gateway has a part in it: device information and the recovery password.

use std::cell::Cell;
use std::fmt;

use zeroize::Zeroize as _;

use super::body::{BodyError, Root, once, root_command, status, walk};
use super::{Command, DeviceInformation};
use crate::logic::wbxml::{Edit, Limits, Step, Writer, copy, copy_into, settings as tags};

/// A request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SettingsRequest {
    /// The device describes itself.
    pub device_information: Option<DeviceInformation>,
    /// The device stores its recovery password; an empty one clears it.
    pub device_password: Option<RecoveryPassword>,
    /// Whether it also asks for things that are the backend's (out of office, user information, …).
    pub has_other: bool,
}

/// An answer; each part is there if the request had it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SettingsAnswer {
    /// Of the request as a whole; 1 is success.
    pub status: u16,
    /// Of the device information.
    pub device_information: Option<u16>,
    /// Of the recovery password: 1 stored, 2 malformed, 5 too long, 7 not allowed by policy.
    pub device_password: Option<u16>,
}

/// A password that unlocks a device whose owner forgot his own. Not shown by `{:?}`, wiped when dropped.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct RecoveryPassword(String);

impl RecoveryPassword {
    /// Wraps a password.
    pub fn new(password: String) -> Self {
        RecoveryPassword(password)
    }

    /// The password itself.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl Drop for RecoveryPassword {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for RecoveryPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecoveryPassword(…)")
    }
}

impl SettingsRequest {
    /// Reads a body.
    ///
    /// # Errors
    /// See [`BodyError`].
    pub fn parse(body: &[u8]) -> Result<Self, BodyError> {
        use tags::{DEVICE_INFORMATION, DEVICE_PASSWORD, PASSWORD, SET, SETTINGS};
        let mut request = SettingsRequest::default();
        let mut has_device_password = false;
        walk(body, SETTINGS, Limits::STRICT, |step| {
            match step {
                Step::Open([SETTINGS, DEVICE_INFORMATION]) => {
                    once(&mut request.device_information, DeviceInformation::default(), "DeviceInformation is there twice")?;
                }
                Step::Close([SETTINGS, DEVICE_INFORMATION, SET, field], content) => {
                    request.device_information.get_or_insert_default().take(*field, content);
                }
                Step::Close([SETTINGS, DEVICE_PASSWORD, SET, PASSWORD], content) => {
                    let password = content.text().ok_or(BodyError::Syntax("the password is not text"))?;
                    once(&mut request.device_password, RecoveryPassword(password.to_owned()), "DevicePassword is there twice")?;
                }
                Step::Open([SETTINGS, DEVICE_PASSWORD]) => has_device_password = true,
                Step::Open([SETTINGS, _]) => request.has_other = true,
                _ => {}
            }
            Ok(())
        })?;
        match has_device_password && request.device_password.is_none() {
            true => Err(BodyError::Syntax("DevicePassword has no Password")),
            false => Ok(request),
        }
    }

    /// The same body without its recovery password, for a backend, whose business it is not; `None` if nothing is left to ask.
    ///
    /// # Errors
    /// The body is not WBXML.
    pub fn without_device_password(body: &[u8]) -> Result<Option<Vec<u8>>, BodyError> {
        let has_other = Cell::new(false);
        let rest = copy(body, Limits::STRICT, |path| {
            let is_password = path.get(1) == Some(&tags::DEVICE_PASSWORD);
            has_other.set(has_other.get() || !is_password);
            !is_password
        })?;
        Ok(has_other.get().then_some(rest))
    }

    /// Writes the body; what is the backend's is not kept and so not written.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.start(tags::SETTINGS);
        if let Some(information) = &self.device_information {
            information.write(&mut writer);
        }
        if let Some(password) = &self.device_password {
            writer.start(tags::DEVICE_PASSWORD).start(tags::SET).text(tags::PASSWORD, password.reveal()).end().end();
        }
        writer.end();
        writer.finish()
    }
}

impl SettingsAnswer {
    /// Reads a body.
    ///
    /// # Errors
    /// See [`BodyError`].
    pub fn parse(body: &[u8]) -> Result<Self, BodyError> {
        use tags::{DEVICE_INFORMATION, DEVICE_PASSWORD, SETTINGS, STATUS};
        let (mut overall, mut answer) = (None, SettingsAnswer::default());
        walk(body, SETTINGS, Limits::LENIENT, |step| {
            match step {
                Step::Close([SETTINGS, STATUS], content) => overall = Some(status(content)?),
                Step::Close([SETTINGS, DEVICE_INFORMATION, STATUS], content) => answer.device_information = Some(status(content)?),
                // Z-Push has a level more: DevicePassword(Set(Status)).
                Step::Close([SETTINGS, DEVICE_PASSWORD, STATUS] | [SETTINGS, DEVICE_PASSWORD, _, STATUS], content) => {
                    answer.device_password = Some(status(content)?);
                }
                _ => {}
            }
            Ok(())
        })?;
        answer.status = overall.ok_or(BodyError::Syntax("the answer has no Status"))?;
        Ok(answer)
    }

    /// A backend's answer with the status of the recovery password added, as if the backend had stored it.
    ///
    /// # Errors
    /// The answer is not WBXML, or not an answer to Settings.
    pub fn with_device_password(body: &[u8], status: u16) -> Result<Vec<u8>, BodyError> {
        if root_command(body)? != Root::Command(Command::Settings) {
            return Err(BodyError::WrongRoot);
        }
        let mut writer = Writer::new();
        writer.start(tags::SETTINGS);
        copy_into(&mut writer, body, Limits::LENIENT, |path| if path.len() == 1 { Edit::Unwrap } else { Edit::Keep })?;
        writer.start(tags::DEVICE_PASSWORD).number(tags::STATUS, status).end();
        writer.end();
        Ok(writer.finish())
    }

    /// Writes the body.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.start(tags::SETTINGS).number(tags::STATUS, self.status);
        for (part, status) in [(tags::DEVICE_INFORMATION, self.device_information), (tags::DEVICE_PASSWORD, self.device_password)] {
            if let Some(status) = status {
                writer.start(part).number(tags::STATUS, status).end();
            }
        }
        writer.end();
        writer.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recovery_password_is_never_shown() {
        let request = SettingsRequest { device_password: Some(RecoveryPassword::new("7Q4KD".into())), ..Default::default() };
        assert!(!format!("{request:?}").contains("7Q4KD"));
    }
}
