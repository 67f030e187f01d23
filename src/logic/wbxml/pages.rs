//! The code pages, as data. Names are the specification's (MS-ASWBXML 2.1.2.1); obsolete tokens stay, old devices send them.
//!
//! Where 12.0 and 12.1 disagree (page 14, token 10: DeviceEncryptionEnabled, then RequireStorageCardEncryption) the newer name is used.

/// One code page.
#[derive(Debug)]
pub struct Page {
    /// The page's name, used as XML namespace.
    pub namespace: &'static str,
    /// Names from token 05 on; an empty name marks a token that is not assigned.
    names: &'static [&'static str],
}

impl Page {
    /// The name of a token.
    pub fn name(&self, token: u8) -> Option<&'static str> {
        let name = self.names.get(usize::from(token.checked_sub(FIRST)?))?;
        (!name.is_empty()).then_some(name)
    }

    /// The token of a name; at compile time, so that tag constants cannot name what the table has not.
    pub(crate) const fn token(&self, name: &str) -> Option<u8> {
        let mut index = 0;
        while index < self.names.len() {
            if is_same(self.names[index], name) {
                return Some(FIRST + index as u8);
            }
            index += 1;
        }
        None
    }

    /// All assigned tokens with their names.
    pub fn tokens(&self) -> impl Iterator<Item = (u8, &'static str)> {
        (FIRST..).zip(self.names.iter().copied()).filter(|(_, name)| !name.is_empty())
    }
}

/// Pages whose elements the gateway acts on: FolderHierarchy, Ping, Provision, Settings. No unknown tag passes there.
pub(super) const fn is_interpreted(page: u8) -> bool {
    matches!(page, 7 | 13 | 14 | 18)
}

/// The first token of every page.
const FIRST: u8 = super::global::TAG_FIRST;

const fn is_same(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let mut index = 0;
    while index < a.len() && index < b.len() && a[index] == b[index] {
        index += 1;
    }
    index == a.len() && index == b.len()
}

/// All pages; the index is the page number. A comment gives the token of the name that follows it.
#[rustfmt::skip]
pub static PAGES: [Page; 26] = [
    Page { namespace: "AirSync", names: &[
        /* 05 */ "Sync", "Responses", "Add", "Change", "Delete", "Fetch", "SyncKey", "ClientId", "ServerId", "Status",
        /* 0f */ "Collection", "Class", "Version", "CollectionId", "GetChanges", "MoreAvailable", "WindowSize", "Commands",
        /* 17 */ "Options", "FilterType", "Truncation", "RtfTruncation", "Conflict", "Collections", "ApplicationData",
        /* 1e */ "DeletesAsMoves", "NotifyGUID", "Supported", "SoftDelete", "MIMESupport", "MIMETruncation", "Wait", "Limit",
        /* 26 */ "Partial", "ConversationMode", "MaxItems", "HeartbeatInterval",
    ] },
    Page { namespace: "Contacts", names: &[
        /* 05 */ "Anniversary", "AssistantName", "AssistantPhoneNumber", "Birthday", "Body", "BodySize", "BodyTruncated",
        /* 0c */ "Business2PhoneNumber", "BusinessAddressCity", "BusinessAddressCountry", "BusinessAddressPostalCode",
        /* 10 */ "BusinessAddressState", "BusinessAddressStreet", "BusinessFaxNumber", "BusinessPhoneNumber",
        /* 14 */ "CarPhoneNumber", "Categories", "Category", "Children", "Child", "CompanyName", "Department",
        /* 1b */ "Email1Address", "Email2Address", "Email3Address", "FileAs", "FirstName", "Home2PhoneNumber",
        /* 21 */ "HomeAddressCity", "HomeAddressCountry", "HomeAddressPostalCode", "HomeAddressState", "HomeAddressStreet",
        /* 26 */ "HomeFaxNumber", "HomePhoneNumber", "JobTitle", "LastName", "MiddleName", "MobilePhoneNumber",
        /* 2c */ "OfficeLocation", "OtherAddressCity", "OtherAddressCountry", "OtherAddressPostalCode", "OtherAddressState",
        /* 31 */ "OtherAddressStreet", "PagerNumber", "RadioPhoneNumber", "Spouse", "Suffix", "Title", "WebPage",
        /* 38 */ "YomiCompanyName", "YomiFirstName", "YomiLastName", "CompressedRTF", "Picture", "Alias", "WeightedRank",
    ] },
    Page { namespace: "Email", names: &[
        /* 05 */ "Attachment", "Attachments", "AttName", "AttSize", "Att0Id", "AttMethod", "AttRemoved", "Body", "BodySize",
        /* 0e */ "BodyTruncated", "DateReceived", "DisplayName", "DisplayTo", "Importance", "MessageClass", "Subject", "Read",
        /* 16 */ "To", "Cc", "From", "ReplyTo", "AllDayEvent", "Categories", "Category", "DtStamp", "EndTime", "InstanceType",
        /* 20 */ "BusyStatus", "Location", "MeetingRequest", "Organizer", "RecurrenceId", "Reminder", "ResponseRequested",
        /* 27 */ "Recurrences", "Recurrence", "Type", "Until", "Occurrences", "Interval", "DayOfWeek", "DayOfMonth",
        /* 2f */ "WeekOfMonth", "MonthOfYear", "StartTime", "Sensitivity", "TimeZone", "GlobalObjId", "ThreadTopic",
        /* 36 */ "MIMEData", "MIMETruncated", "MIMESize", "InternetCPID", "Flag", "Status", "ContentClass", "FlagType",
        /* 3e */ "CompleteTime", "DisallowNewTimeProposal",
    ] },
    Page { namespace: "AirNotify", names: &[
        /* 05 */ "Notify", "Notification", "Version", "Lifetime", "DeviceInfo", "Enable", "Folder", "ServerId",
        /* 0d */ "DeviceAddress", "ValidCarrierProfiles", "CarrierProfile", "Status", "Responses", "Devices", "Device", "Id",
        /* 15 */ "Expiry", "NotifyGUID", "DeviceFriendlyName",
    ] },
    Page { namespace: "Calendar", names: &[
        /* 05 */ "Timezone", "AllDayEvent", "Attendees", "Attendee", "Email", "Name", "Body", "BodyTruncated", "BusyStatus",
        /* 0e */ "Categories", "Category", "CompressedRTF", "DtStamp", "EndTime", "Exception", "Exceptions", "Deleted",
        /* 16 */ "ExceptionStartTime", "Location", "MeetingStatus", "OrganizerEmail", "OrganizerName", "Recurrence", "Type",
        /* 1d */ "Until", "Occurrences", "Interval", "DayOfWeek", "DayOfMonth", "WeekOfMonth", "MonthOfYear", "Reminder",
        /* 25 */ "Sensitivity", "Subject", "StartTime", "UID", "AttendeeStatus", "AttendeeType", "Attachment", "Attachments",
        /* 2d */ "AttName", "AttSize", "AttOid", "AttMethod", "AttRemoved", "DisplayName", "DisallowNewTimeProposal",
        /* 34 */ "ResponseRequested", "AppointmentReplyTime", "ResponseType", "CalendarType", "IsLeapMonth", "FirstDayOfWeek",
        /* 3a */ "OnlineMeetingConfLink", "OnlineMeetingExternalLink", "ClientUid",
    ] },
    Page { namespace: "Move", names: &[
        /* 05 */ "MoveItems", "Move", "SrcMsgId", "SrcFldId", "DstFldId", "Response", "Status", "DstMsgId",
    ] },
    Page { namespace: "GetItemEstimate", names: &[
        /* 05 */ "GetItemEstimate", "Version", "Collections", "Collection", "Class", "CollectionId", "DateTime", "Estimate",
        /* 0d */ "Response", "Status",
    ] },
    Page { namespace: "FolderHierarchy", names: &[
        /* 05 */ "Folders", "Folder", "DisplayName", "ServerId", "ParentId", "Type", "Response", "Status", "ContentClass",
        /* 0e */ "Changes", "Add", "Delete", "Update", "SyncKey", "FolderCreate", "FolderDelete", "FolderUpdate",
        /* 16 */ "FolderSync", "Count", "Version",
    ] },
    Page { namespace: "MeetingResponse", names: &[
        /* 05 */ "CalendarId", "CollectionId", "MeetingResponse", "RequestId", "Request", "Result", "Status", "UserResponse",
        /* 0d */ "Version", "InstanceId", "", "ProposedStartTime", "ProposedEndTime", "SendResponse",
    ] },
    Page { namespace: "Tasks", names: &[
        /* 05 */ "Body", "BodySize", "BodyTruncated", "Categories", "Category", "Complete", "DateCompleted", "DueDate",
        /* 0d */ "UtcDueDate", "Importance", "Recurrence", "Type", "Start", "Until", "Occurrences", "Interval", "DayOfMonth",
        /* 16 */ "DayOfWeek", "WeekOfMonth", "MonthOfYear", "Regenerate", "DeadOccur", "ReminderSet", "ReminderTime",
        /* 1d */ "Sensitivity", "StartDate", "UtcStartDate", "Subject", "CompressedRTF", "OrdinalDate", "SubOrdinalDate",
        /* 24 */ "CalendarType", "IsLeapMonth", "FirstDayOfWeek",
    ] },
    Page { namespace: "ResolveRecipients", names: &[
        /* 05 */ "ResolveRecipients", "Response", "Status", "Type", "Recipient", "DisplayName", "EmailAddress",
        /* 0c */ "Certificates", "Certificate", "MiniCertificate", "Options", "To", "CertificateRetrieval", "RecipientCount",
        /* 13 */ "MaxCertificates", "MaxAmbiguousRecipients", "CertificateCount", "Availability", "StartTime", "EndTime",
        /* 19 */ "MergedFreeBusy", "Picture", "MaxSize", "Data", "MaxPictures",
    ] },
    Page { namespace: "ValidateCert", names: &[
        /* 05 */ "ValidateCert", "Certificates", "Certificate", "CertificateChain", "CheckCRL", "Status",
    ] },
    Page { namespace: "Contacts2", names: &[
        /* 05 */ "CustomerId", "GovernmentId", "IMAddress", "IMAddress2", "IMAddress3", "ManagerName", "CompanyMainPhone",
        /* 0c */ "AccountName", "NickName", "MMS",
    ] },
    Page { namespace: "Ping", names: &[
        /* 05 */ "Ping", "AutdState", "Status", "HeartbeatInterval", "Folders", "Folder", "Id", "Class", "MaxFolders",
    ] },
    Page { namespace: "Provision", names: &[
        /* 05 */ "Provision", "Policies", "Policy", "PolicyType", "PolicyKey", "Data", "Status", "RemoteWipe",
        /* 0d */ "EASProvisionDoc", "DevicePasswordEnabled", "AlphanumericDevicePasswordRequired",
        /* 10 */ "RequireStorageCardEncryption", "PasswordRecoveryEnabled", "DocumentBrowseEnabled", "AttachmentsEnabled",
        /* 14 */ "MinDevicePasswordLength", "MaxInactivityTimeDeviceLock", "MaxDevicePasswordFailedAttempts",
        /* 17 */ "MaxAttachmentSize", "AllowSimpleDevicePassword", "DevicePasswordExpiration", "DevicePasswordHistory",
        /* 1b */ "AllowStorageCard", "AllowCamera", "RequireDeviceEncryption", "AllowUnsignedApplications",
        /* 1f */ "AllowUnsignedInstallationPackages", "MinDevicePasswordComplexCharacters", "AllowWiFi", "AllowTextMessaging",
        /* 23 */ "AllowPOPIMAPEmail", "AllowBluetooth", "AllowIrDA", "RequireManualSyncWhenRoaming", "AllowDesktopSync",
        /* 28 */ "MaxCalendarAgeFilter", "AllowHTMLEmail", "MaxEmailAgeFilter", "MaxEmailBodyTruncationSize",
        /* 2c */ "MaxEmailHTMLBodyTruncationSize", "RequireSignedSMIMEMessages", "RequireEncryptedSMIMEMessages",
        /* 2f */ "RequireSignedSMIMEAlgorithm", "RequireEncryptionSMIMEAlgorithm", "AllowSMIMEEncryptionAlgorithmNegotiation",
        /* 32 */ "AllowSMIMESoftCerts", "AllowBrowser", "AllowConsumerEmail", "AllowRemoteDesktop", "AllowInternetSharing",
        /* 37 */ "UnapprovedInROMApplicationList", "ApplicationName", "ApprovedApplicationList", "Hash",
        /* 3b */ "AccountOnlyRemoteWipe",
    ] },
    Page { namespace: "Search", names: &[
        /* 05 */ "Search", "", "Store", "Name", "Query", "Options", "Range", "Status", "Response", "Result", "Properties",
        /* 10 */ "Total", "EqualTo", "Value", "And", "Or", "FreeText", "", "DeepTraversal", "LongId", "RebuildResults",
        /* 1a */ "LessThan", "GreaterThan", "Schema", "Supported", "UserName", "Password", "ConversationId", "Picture",
        /* 22 */ "MaxSize", "MaxPictures",
    ] },
    Page { namespace: "GAL", names: &[
        /* 05 */ "DisplayName", "Phone", "Office", "Title", "Company", "Alias", "FirstName", "LastName", "HomePhone",
        /* 0e */ "MobilePhone", "EmailAddress", "Picture", "Status", "Data",
    ] },
    Page { namespace: "AirSyncBase", names: &[
        /* 05 */ "BodyPreference", "Type", "TruncationSize", "AllOrNone", "", "Body", "Data", "EstimatedDataSize",
        /* 0d */ "Truncated", "Attachments", "Attachment", "DisplayName", "FileReference", "Method", "ContentId",
        /* 14 */ "ContentLocation", "IsInline", "NativeBodyType", "ContentType", "Preview", "BodyPartPreference", "BodyPart",
        /* 1b */ "Status", "Add", "Delete", "ClientId", "Content", "Location", "Annotation", "Street", "City", "State",
        /* 25 */ "Country", "PostalCode", "Latitude", "Longitude", "Accuracy", "Altitude", "AltitudeAccuracy", "LocationUri",
        /* 2d */ "InstanceId",
    ] },
    Page { namespace: "Settings", names: &[
        /* 05 */ "Settings", "Status", "Get", "Set", "Oof", "OofState", "StartTime", "EndTime", "OofMessage",
        /* 0e */ "AppliesToInternal", "AppliesToExternalKnown", "AppliesToExternalUnknown", "Enabled", "ReplyMessage",
        /* 13 */ "BodyType", "DevicePassword", "Password", "DeviceInformation", "Model", "IMEI", "FriendlyName", "OS",
        /* 1b */ "OSLanguage", "PhoneNumber", "UserInformation", "EmailAddresses", "SMTPAddress", "UserAgent",
        /* 21 */ "EnableOutboundSMS", "MobileOperator", "PrimarySmtpAddress", "Accounts", "Account", "AccountId",
        /* 27 */ "AccountName", "UserDisplayName", "SendDisabled", "", "RightsManagementInformation",
    ] },
    Page { namespace: "DocumentLibrary", names: &[
        /* 05 */ "LinkId", "DisplayName", "IsFolder", "CreationDate", "LastModifiedDate", "IsHidden", "ContentLength",
        /* 0c */ "ContentType",
    ] },
    Page { namespace: "ItemOperations", names: &[
        /* 05 */ "ItemOperations", "Fetch", "Store", "Options", "Range", "Total", "Properties", "Data", "Status", "Response",
        /* 0f */ "Version", "Schema", "Part", "EmptyFolderContents", "DeleteSubFolders", "UserName", "Password", "Move",
        /* 17 */ "DstFldId", "ConversationId", "MoveAlways",
    ] },
    Page { namespace: "ComposeMail", names: &[
        /* 05 */ "SendMail", "SmartForward", "SmartReply", "SaveInSentItems", "ReplaceMime", "", "Source", "FolderId",
        /* 0d */ "ItemId", "LongId", "InstanceId", "Mime", "ClientId", "Status", "AccountId", "", "Forwardees", "Forwardee",
        /* 17 */ "Name", "Email",
    ] },
    Page { namespace: "Email2", names: &[
        /* 05 */ "UmCallerID", "UmUserNotes", "UmAttDuration", "UmAttOrder", "ConversationId", "ConversationIndex",
        /* 0b */ "LastVerbExecuted", "LastVerbExecutionTime", "ReceivedAsBcc", "Sender", "CalendarType", "IsLeapMonth",
        /* 11 */ "AccountId", "FirstDayOfWeek", "MeetingMessageType", "", "IsDraft", "Bcc", "Send",
    ] },
    Page { namespace: "Notes", names: &[
        /* 05 */ "Subject", "MessageClass", "LastModifiedDate", "Categories", "Category",
    ] },
    Page { namespace: "RightsManagement", names: &[
        /* 05 */ "RightsManagementSupport", "RightsManagementTemplates", "RightsManagementTemplate",
        /* 08 */ "RightsManagementLicense", "EditAllowed", "ReplyAllowed", "ReplyAllAllowed", "ForwardAllowed",
        /* 0d */ "ModifyRecipientsAllowed", "ExtractAllowed", "PrintAllowed", "ExportAllowed", "ProgrammaticAccessAllowed",
        /* 12 */ "Owner", "ContentExpiryDate", "TemplateID", "TemplateName", "TemplateDescription", "ContentOwner",
        /* 18 */ "RemoveRightsManagementProtection",
    ] },
    Page { namespace: "Find", names: &[
        /* 05 */ "Find", "SearchId", "ExecuteSearch", "MailBoxSearchCriterion", "Query", "Status", "FreeText", "Options",
        /* 0d */ "Range", "DeepTraversal", "", "", "Response", "Result", "Properties", "Preview", "HasAttachments", "Total",
        /* 17 */ "DisplayCc", "DisplayBcc", "GalSearchCriterion", "", "", "", "", "", "", "MaxPictures", "MaxSize", "Picture",
    ] },
];
