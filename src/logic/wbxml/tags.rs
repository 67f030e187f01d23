//! Tag constants, a module for each page the gateway reads or writes. Tokens come from the page tables by name, at compile time.

/// Declares constants for tags of one page.
macro_rules! tags {
    ($($(#[$doc:meta])* $module:ident = $page:literal { $($constant:ident $name:literal),+ $(,)? })+) => {
        $(
            $(#[$doc])*
            #[expect(missing_docs, reason = "the protocol's own words")]
            pub mod $module {
                use crate::logic::wbxml::Tag;
                $(pub const $constant: Tag = super::named($page, $name);)+
            }
        )+
    };
}

/// The tag of that name.
const fn named(page: u8, name: &str) -> super::Tag {
    match PAGES[page as usize].token(name) {
        Some(token) => super::Tag { page, token },
        None => panic!("no such tag on this page"),
    }
}

use super::pages::PAGES;

tags! {
    /// Page 0: Sync.
    air_sync = 0 {
        SYNC "Sync", RESPONSES "Responses", ADD "Add", CHANGE "Change", DELETE "Delete", FETCH "Fetch", SYNC_KEY "SyncKey",
        CLIENT_ID "ClientId", SERVER_ID "ServerId", STATUS "Status", COLLECTION "Collection", CLASS "Class",
        COLLECTION_ID "CollectionId", GET_CHANGES "GetChanges", MORE_AVAILABLE "MoreAvailable", WINDOW_SIZE "WindowSize",
        COMMANDS "Commands", OPTIONS "Options", COLLECTIONS "Collections", APPLICATION_DATA "ApplicationData",
        SOFT_DELETE "SoftDelete", WAIT "Wait", LIMIT "Limit", PARTIAL "Partial", HEARTBEAT_INTERVAL "HeartbeatInterval",
    }
    /// Page 2: properties of messages.
    email = 2 { SUBJECT "Subject", READ "Read" }
    /// Page 5: MoveItems.
    moving = 5 { MOVE_ITEMS "MoveItems", STATUS "Status" }
    /// Page 6: GetItemEstimate.
    get_item_estimate = 6 {
        GET_ITEM_ESTIMATE "GetItemEstimate", COLLECTIONS "Collections", COLLECTION "Collection", COLLECTION_ID "CollectionId",
        STATUS "Status",
    }
    /// Page 7: FolderSync, FolderCreate, FolderUpdate, FolderDelete.
    folder_hierarchy = 7 {
        FOLDERS "Folders", DISPLAY_NAME "DisplayName", SERVER_ID "ServerId", PARENT_ID "ParentId", TYPE "Type", STATUS "Status",
        CHANGES "Changes", ADD "Add", DELETE "Delete", UPDATE "Update", SYNC_KEY "SyncKey", FOLDER_CREATE "FolderCreate",
        FOLDER_DELETE "FolderDelete", FOLDER_UPDATE "FolderUpdate", FOLDER_SYNC "FolderSync", COUNT "Count",
    }
    /// Page 8: MeetingResponse.
    meeting_response = 8 { MEETING_RESPONSE "MeetingResponse", STATUS "Status" }
    /// Page 10: ResolveRecipients.
    resolve_recipients = 10 { RESOLVE_RECIPIENTS "ResolveRecipients", STATUS "Status" }
    /// Page 11: ValidateCert.
    validate_cert = 11 { VALIDATE_CERT "ValidateCert", STATUS "Status" }
    /// Page 13: Ping.
    ping = 13 {
        PING "Ping", STATUS "Status", HEARTBEAT_INTERVAL "HeartbeatInterval", FOLDERS "Folders", FOLDER "Folder", ID "Id",
        CLASS "Class", MAX_FOLDERS "MaxFolders",
    }
    /// Page 14: Provision. The settings of EASProvisionDoc are named by table, see `eas::provision`.
    provision = 14 {
        PROVISION "Provision", POLICIES "Policies", POLICY "Policy", POLICY_TYPE "PolicyType", POLICY_KEY "PolicyKey", DATA "Data",
        STATUS "Status", REMOTE_WIPE "RemoteWipe", EAS_PROVISION_DOC "EASProvisionDoc",
        UNAPPROVED_IN_ROM_APPLICATION_LIST "UnapprovedInROMApplicationList", APPLICATION_NAME "ApplicationName",
        APPROVED_APPLICATION_LIST "ApprovedApplicationList", HASH "Hash", ACCOUNT_ONLY_REMOTE_WIPE "AccountOnlyRemoteWipe",
    }
    /// Page 15: Search.
    search = 15 { SEARCH "Search", STATUS "Status" }
    /// Page 17: bodies and attachments, common to all classes.
    air_sync_base = 17 { FILE_REFERENCE "FileReference" }
    /// Page 18: Settings.
    settings = 18 {
        SETTINGS "Settings", STATUS "Status", GET "Get", SET "Set", DEVICE_PASSWORD "DevicePassword", PASSWORD "Password",
        DEVICE_INFORMATION "DeviceInformation", MODEL "Model", IMEI "IMEI", FRIENDLY_NAME "FriendlyName", OS "OS",
        OS_LANGUAGE "OSLanguage", PHONE_NUMBER "PhoneNumber", USER_AGENT "UserAgent", ENABLE_OUTBOUND_SMS "EnableOutboundSMS",
        MOBILE_OPERATOR "MobileOperator",
    }
    /// Page 19: documents on file servers.
    document_library = 19 { LINK_ID "LinkId" }
    /// Page 20: ItemOperations.
    item_operations = 20 { ITEM_OPERATIONS "ItemOperations", FETCH "Fetch", STORE "Store", STATUS "Status" }
    /// Page 21: SendMail, SmartForward, SmartReply (14.0 and later).
    compose_mail = 21 { SEND_MAIL "SendMail", SMART_FORWARD "SmartForward", SMART_REPLY "SmartReply", STATUS "Status" }
    /// Page 25: Find (16.1).
    find = 25 { FIND "Find", STATUS "Status" }
}
