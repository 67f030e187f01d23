//! All settings: Exchange 2007's (RTM and SP1), once. Names, ranges, defaults, errors, documents and REST come from this table.
//!
//! The order is that of the schema of `EASProvisionDoc` (MS-ASPROV), which is the order in which they are sent; what devices do not
//! get stands first. A default that Exchange's own pages do not state is the permissive one.

use super::setting::{Definition, Element, Kind, Unit, element};
use super::value::Value;
use crate::logic::eas::Version;

const DAY_S: u32 = 86_400;

/// What every line of the table says, whatever the type.
struct Line {
    setting: Setting,
    name: &'static str,
    key: &'static str,
    element: Option<Element>,
    doc: &'static str,
}

const fn line(line: Line, kind: Kind, default: Value) -> Definition {
    let Line { setting, name, key, element, doc } = line;
    Definition { setting, name, key, kind, default, element, doc }
}

/// Yes or no.
const fn yes_no(about: Line, default: bool) -> Definition {
    line(about, Kind::Bool, Value::Bool(default))
}

/// A number with a default.
const fn number(about: Line, min: u32, max: u32, unit: Unit, default: u32) -> Definition {
    line(about, Kind::Number { min, max, unit, no_limit: None }, Value::Number(default))
}

/// A number that may be left open, and is by default.
const fn limit(about: Line, min: u32, max: u32, unit: Unit, no_limit: &'static str) -> Definition {
    line(about, Kind::Number { min, max, unit, no_limit: Some(no_limit) }, Value::NoLimit)
}

/// A number that may be left open, but is not by default.
const fn limited(about: Line, min: u32, max: u32, unit: Unit, no_limit: &'static str, default: u32) -> Definition {
    line(about, Kind::Number { min, max, unit, no_limit: Some(no_limit) }, Value::Number(default))
}

/// One of some words; the default is one of them.
const fn choice(about: Line, words: &'static [(&'static str, u32)], default: &'static str) -> Definition {
    line(about, Kind::Choice(words), Value::Choice(default))
}

/// A list, empty by default.
const fn list(about: Line, kind: Kind) -> Definition {
    line(about, kind, Value::List(Vec::new()))
}

/// The element of the same name, from this version on.
const fn sent(name: &str, since: Version) -> Option<Element> {
    Some(Element { tag: element(name), since, no_limit: "", needs_password: false })
}

/// The same, meaningless unless a password is required.
const fn password(name: &str, since: Version) -> Option<Element> {
    Some(Element { tag: element(name), since, no_limit: "", needs_password: true })
}

/// The same, where -1 is "no limit".
const fn or_minus_one(name: &str, since: Version) -> Option<Element> {
    Some(Element { tag: element(name), since, no_limit: "-1", needs_password: false })
}

/// Declares the settings: the enum, its list and the table, in one order.
macro_rules! settings {
    ($($setting:ident $key:literal, $of_type:ident($($argument:expr),+), $element:expr, $doc:literal;)+) => {
        /// A setting of a policy, by the name of the parameter in Exchange's cmdlets.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Setting {
            $(#[doc = $doc] $setting,)+
        }

        impl Setting {
            /// All settings, in the order of the document.
            pub const ALL: [Setting; [$(stringify!($setting)),+].len()] = [$(Setting::$setting),+];
        }

        pub(super) static TABLE: [Definition; Setting::ALL.len()] = [$(
            $of_type(
                Line { setting: Setting::$setting, name: stringify!($setting), key: $key, element: $element, doc: $doc },
                $($argument),+
            )
        ),+];
    };
}

const BLUETOOTH: &[(&str, u32)] = &[("Disable", 0), ("HandsfreeOnly", 1), ("Allow", 2)];
const CALENDAR_AGES: &[(&str, u32)] = &[("All", 0), ("TwoWeeks", 4), ("OneMonth", 5), ("ThreeMonths", 6), ("SixMonths", 7)];
const EMAIL_AGES: &[(&str, u32)] = &[("All", 0), ("OneDay", 1), ("ThreeDays", 2), ("OneWeek", 3), ("TwoWeeks", 4), ("OneMonth", 5)];
const SIGNATURES: &[(&str, u32)] = &[("SHA1", 0), ("MD5", 1)];
const CIPHERS: &[(&str, u32)] = &[("TripleDES", 0), ("DES", 1), ("RC2128bit", 2), ("RC264bit", 3), ("RC240bit", 4)];
const NEGOTIATION: &[(&str, u32)] = &[("BlockNegotiation", 0), ("OnlyStrongAlgorithmNegotiation", 1), ("AllowAnyAlgorithmNegotiation", 2)];

use Version::{V12_0, V12_1};

settings! {
    // What the gateway sees to; devices are not told.
    AllowNonProvisionableDevices "allow_non_provisionable_devices", yes_no(false), None,
        "Devices that cannot apply the policy, or not all of it, may sync.";
    AllowExternalDeviceManagement "allow_external_device_management", yes_no(false), None,
        "Devices that someone else manages may sync without applying the policy.";
    DevicePolicyRefreshInterval "device_policy_refresh_interval_s", limit(60, 365 * DAY_S, Unit::Seconds, "unlimited"), None,
        "How often devices must fetch the policy again.";
    UNCAccessEnabled "unc_access_enabled", yes_no(true), None, "Devices may open files on Windows file shares through the server.";
    WSSAccessEnabled "wss_access_enabled", yes_no(true), None, "Devices may open documents on SharePoint through the server.";

    // From 12.0.
    DevicePasswordEnabled "device_password_enabled", yes_no(false), sent("DevicePasswordEnabled", V12_0),
        "A password is required on the device.";
    AlphanumericDevicePasswordRequired "alphanumeric_device_password_required", yes_no(false),
        password("AlphanumericDevicePasswordRequired", V12_0),
        "The password must have letters and digits, not digits alone.";
    PasswordRecoveryEnabled "password_recovery_enabled", yes_no(false), password("PasswordRecoveryEnabled", V12_0),
        "The device stores a recovery password with the server.";
    DeviceEncryptionEnabled "device_encryption_enabled", yes_no(false), sent("RequireStorageCardEncryption", V12_0),
        "Storage cards are encrypted (the name of 12.0 for RequireStorageCardEncryption; either one demands it).";
    RequireStorageCardEncryption "require_storage_card_encryption", yes_no(false), sent("RequireStorageCardEncryption", V12_0),
        "Storage cards are encrypted.";
    AttachmentsEnabled "attachments_enabled", yes_no(true), sent("AttachmentsEnabled", V12_0),
        "Attachments may be downloaded; otherwise the gateway refuses them as well.";
    MinDevicePasswordLength "min_device_password_length", limited(1, 16, Unit::Count, "none", 4),
        password("MinDevicePasswordLength", V12_0),
        "The password's least length, in characters.";
    MaxInactivityTimeDeviceLock "max_inactivity_time_device_lock_s", limited(30, 3_600, Unit::Seconds, "unlimited", 900),
        password("MaxInactivityTimeDeviceLock", V12_0),
        "Inactivity after which the device locks itself.";
    MaxDevicePasswordFailedAttempts "max_device_password_failed_attempts", limited(4, 16, Unit::Count, "unlimited", 8),
        password("MaxDevicePasswordFailedAttempts", V12_0),
        "Wrong passwords in a row after which the device erases itself.";
    MaxAttachmentSize "max_attachment_size_bytes", limit(1, u32::MAX, Unit::Bytes, "unlimited"), sent("MaxAttachmentSize", V12_0),
        "The largest attachment a device downloads; the gateway refuses larger ones as well.";
    AllowSimpleDevicePassword "allow_simple_device_password", yes_no(true), password("AllowSimpleDevicePassword", V12_0),
        "Passwords such as 1111 and 1234 are good enough.";
    DevicePasswordExpiration "device_password_expiration_days", limit(1, 730, Unit::Days, "unlimited"),
        password("DevicePasswordExpiration", V12_0),
        "How long a password may be used.";
    DevicePasswordHistory "device_password_history", number(0, 50, Unit::Count, 0), password("DevicePasswordHistory", V12_0),
        "Former passwords that may not be used again.";

    // From 12.1 (Exchange 2007 SP1).
    AllowStorageCard "allow_storage_card", yes_no(true), sent("AllowStorageCard", V12_1), "Storage cards may be used.";
    AllowCamera "allow_camera", yes_no(true), sent("AllowCamera", V12_1), "The camera may be used.";
    RequireDeviceEncryption "require_device_encryption", yes_no(false), sent("RequireDeviceEncryption", V12_1),
        "The device's own storage is encrypted.";
    AllowUnsignedApplications "allow_unsigned_applications", yes_no(true), sent("AllowUnsignedApplications", V12_1),
        "Programs without a signature may run.";
    AllowUnsignedInstallationPackages "allow_unsigned_installation_packages", yes_no(true),
        sent("AllowUnsignedInstallationPackages", V12_1),
        "Packages without a signature may be installed.";
    MinDevicePasswordComplexCharacters "min_device_password_complex_characters", number(1, 4, Unit::Count, 1),
        password("MinDevicePasswordComplexCharacters", V12_1),
        "Groups (small letters, capitals, digits, others) an alphanumeric password must have.";
    AllowWiFi "allow_wifi", yes_no(true), sent("AllowWiFi", V12_1), "Wi-Fi may be used.";
    AllowTextMessaging "allow_text_messaging", yes_no(true), sent("AllowTextMessaging", V12_1), "Text messages may be sent and received.";
    AllowPOPIMAPEmail "allow_pop_imap_email", yes_no(true), sent("AllowPOPIMAPEmail", V12_1), "POP and IMAP mailboxes may be set up.";
    AllowBluetooth "allow_bluetooth", choice(BLUETOOTH, "Allow"), sent("AllowBluetooth", V12_1), "What Bluetooth may be used for.";
    AllowIrDA "allow_irda", yes_no(true), sent("AllowIrDA", V12_1), "Infrared may be used.";
    RequireManualSyncWhenRoaming "require_manual_sync_when_roaming", yes_no(false), sent("RequireManualSyncWhenRoaming", V12_1),
        "No Direct Push while roaming.";
    AllowDesktopSync "allow_desktop_sync", yes_no(true), sent("AllowDesktopSync", V12_1), "The device may sync with a desktop computer.";
    MaxCalendarAgeFilter "max_calendar_age_filter", choice(CALENDAR_AGES, "All"), sent("MaxCalendarAgeFilter", V12_1),
        "How far back the calendar may be synced.";
    AllowHTMLEmail "allow_html_email", yes_no(true), sent("AllowHTMLEmail", V12_1), "Mail may be synced as HTML.";
    MaxEmailAgeFilter "max_email_age_filter", choice(EMAIL_AGES, "All"), sent("MaxEmailAgeFilter", V12_1),
        "How far back mail may be synced.";
    MaxEmailBodyTruncationSize "max_email_body_truncation_size_kb", limit(0, 1 << 20, Unit::Kilobytes, "unlimited"),
        or_minus_one("MaxEmailBodyTruncationSize", V12_1),
        "Where plain-text mail is cut; 0 leaves the header only.";
    MaxEmailHTMLBodyTruncationSize "max_email_html_body_truncation_size_kb", limit(0, 1 << 20, Unit::Kilobytes, "unlimited"),
        or_minus_one("MaxEmailHTMLBodyTruncationSize", V12_1),
        "Where HTML mail is cut; 0 leaves the header only.";
    RequireSignedSMIMEMessages "require_signed_smime_messages", yes_no(false), sent("RequireSignedSMIMEMessages", V12_1),
        "Mail must be signed.";
    RequireEncryptedSMIMEMessages "require_encrypted_smime_messages", yes_no(false), sent("RequireEncryptedSMIMEMessages", V12_1),
        "Mail must be encrypted.";
    RequireSignedSMIMEAlgorithm "require_signed_smime_algorithm", choice(SIGNATURES, "SHA1"),
        sent("RequireSignedSMIMEAlgorithm", V12_1),
        "How mail is signed.";
    RequireEncryptionSMIMEAlgorithm "require_encryption_smime_algorithm", choice(CIPHERS, "TripleDES"),
        sent("RequireEncryptionSMIMEAlgorithm", V12_1),
        "How mail is encrypted.";
    AllowSMIMEEncryptionAlgorithmNegotiation "allow_smime_encryption_algorithm_negotiation",
        choice(NEGOTIATION, "AllowAnyAlgorithmNegotiation"),
        sent("AllowSMIMEEncryptionAlgorithmNegotiation", V12_1),
        "Whether the device may fall back to what the recipient understands.";
    AllowSMIMESoftCerts "allow_smime_soft_certs", yes_no(true), sent("AllowSMIMESoftCerts", V12_1),
        "S/MIME keys may be kept as files.";
    AllowBrowser "allow_browser", yes_no(true), sent("AllowBrowser", V12_1), "The built-in browser may be used.";
    AllowConsumerEmail "allow_consumer_email", yes_no(true), sent("AllowConsumerEmail", V12_1), "Private mailboxes may be set up.";
    AllowRemoteDesktop "allow_remote_desktop", yes_no(true), sent("AllowRemoteDesktop", V12_1), "Remote desktops may be opened.";
    AllowInternetSharing "allow_internet_sharing", yes_no(true), sent("AllowInternetSharing", V12_1),
        "The device may be a modem for a computer.";
    UnapprovedInROMApplicationList "unapproved_in_rom_application_list", list(Kind::Names),
        sent("UnapprovedInROMApplicationList", V12_1),
        "Built-in programs that may not run.";
    ApprovedApplicationList "approved_application_list", list(Kind::Hashes), sent("ApprovedApplicationList", V12_1),
        "Programs that may run; empty: all of them.";
}
