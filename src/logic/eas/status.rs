//! Statuses common to all commands (MS-ASCMD 2.2.2) and the answer that consists of nothing else.

use super::Command;
use crate::logic::wbxml::Writer;

/// Success, in every command.
pub const OK: u16 = 1;
/// The body is not what the command wants.
pub const INVALID_CONTENT: u16 = 101;
/// The body is not WBXML.
pub const INVALID_WBXML: u16 = 102;
/// The body is WBXML, but not the command's.
pub const INVALID_XML: u16 = 103;
/// Device id missing or unusable.
pub const INVALID_DEVICE_ID: u16 = 108;
/// Device type missing or unusable.
pub const INVALID_DEVICE_TYPE: u16 = 109;
/// The server has a problem.
pub const SERVER_ERROR: u16 = 110;
/// The server has a problem that passes.
pub const SERVER_ERROR_RETRY_LATER: u16 = 111;
/// ActiveSync is off for this user.
pub const USER_DISABLED_FOR_SYNC: u16 = 126;
/// This device may not be used by this user.
pub const DEVICE_IS_BLOCKED_FOR_THIS_USER: u16 = 129;
/// A command the server has not.
pub const COMMAND_NOT_SUPPORTED: u16 = 137;
/// A version the server has not.
pub const VERSION_NOT_SUPPORTED: u16 = 138;
/// The device cannot apply the whole policy, and must.
pub const DEVICE_NOT_FULLY_PROVISIONABLE: u16 = 139;
/// Wipe yourself: send Provision.
pub const REMOTE_WIPE_REQUESTED: u16 = 140;
/// The device never sent a policy key, and must.
pub const LEGACY_DEVICE_ON_STRICT_POLICY: u16 = 141;
/// There is a policy: send Provision.
pub const DEVICE_NOT_PROVISIONED: u16 = 142;
/// Time to fetch the policy again.
pub const POLICY_REFRESH: u16 = 143;
/// The policy changed: send Provision.
pub const INVALID_POLICY_KEY: u16 = 144;
/// Devices managed by someone else are not allowed.
pub const EXTERNALLY_MANAGED_DEVICES_NOT_ALLOWED: u16 = 145;
/// From 14.1, Provision must describe the device.
pub const DEVICE_INFORMATION_REQUIRED: u16 = 165;
/// The user has too many devices.
pub const MAXIMUM_DEVICES_REACHED: u16 = 177;

/// The body that says this status and nothing else: the command's root with its Status. `None` if the command's bodies are not WBXML.
pub fn answer(command: Command, status: u16) -> Option<Vec<u8>> {
    let (root, tag) = command.root()?;
    let mut writer = Writer::new();
    writer.start(root).number(tag, status).end();
    Some(writer.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_with_a_body_can_say_a_status() {
        assert_eq!(answer(Command::FolderSync, 142), Some(b"\x03\x01\x6A\x00\x00\x07\x56\x4C\x03142\x00\x01\x01".to_vec()));
        assert_eq!(answer(Command::Sync, 142), Some(b"\x03\x01\x6A\x00\x45\x4E\x03142\x00\x01\x01".to_vec()));
        assert_eq!(answer(Command::GetAttachment, 142), None);
    }
}
