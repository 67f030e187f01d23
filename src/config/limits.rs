//! Every bound of the program, each with its reason. A queue or buffer without a line here is a defect.

use std::time::Duration;

use super::values::Values;

/// Levels of elements in a WBXML body: real documents stay under 12.
pub const WBXML_DEPTH_MAX: usize = 16;
/// Folder ids, sync keys and collection ids are at most 64 characters by specification; servers are laxer.
pub const FOLDER_ID_BYTES_MAX: usize = 255;
/// A device id is 1–255 bytes in the base64 query; the plain form is held to the same, and so is what is kept of one that is not text.
pub const DEVICE_ID_BYTES_MAX: usize = 255;
/// A mailbox name: 64 + 1 + 255 by RFC 5321.
pub const MAILBOX_BYTES_MAX: usize = 320;
/// Notifications in one POST: 10,000 at 100 bytes are a megabyte.
pub const NOTIFICATIONS_MAX: usize = 20_000;
/// Bytes of one notification request.
pub const NOTIFICATION_BODY_BYTES_MAX: usize = 4 << 20;
/// After the start, changes are remembered for devices that are not back yet. Those whose connection broke are back in minutes.
pub const EARLY_TIME: Duration = Duration::from_secs(600);
/// Mailboxes of which a lot remembers that: some 150 bytes each.
pub const EARLY_CHANGES_MAX: usize = 20_000;
/// Folders remembered a device: the largest real mailboxes have a few hundred.
pub const TABLE_FOLDERS_MAX: usize = 1_000;
/// Devices remembered a mailbox: beyond it the longest unseen is forgotten.
pub const MAILBOX_DEVICES_MAX: usize = 128;
/// An IMAP folder path in a notification; servers cap one level at 255 bytes.
pub const FOLDER_NAME_BYTES_MAX: usize = 1_024;
/// Ids of recent notifications remembered to notice repeats: 16 bytes each, some 3 MB when full.
pub const NOTIFICATION_IDS_MAX: usize = 65_536;
/// A repeat comes within seconds (Dovecot: 2 s) or a sender's back-off; later the id may be used anew.
pub const NOTIFICATION_ID_AGE: Duration = Duration::from_secs(600);
/// Bad entries named in one answer; the rest are only counted.
pub const NOTIFICATION_PROBLEMS_MAX: usize = 20;
/// The webhook waits this long for the lots to say how many Pings they wake: a thousand take some 10 ms, ten thousand as long as this.
pub const WOKEN_WAIT: Duration = Duration::from_millis(100);
/// A source whose canary keeps coming is believed this long about a folder (or `notify.trust_s`, if that is longer): a gap
/// between two canaries passes unseen, and must not be believed for ever.
pub const PROVEN_TRUST: Duration = Duration::from_secs(86_400);
/// Time for one canary to be delivered: a mail server that needs longer is in no state to prove anything.
pub const CANARY_DELIVERY: Duration = Duration::from_secs(20);
/// A line of an LMTP reply: 512 bytes by RFC 5321, servers are laxer.
pub const LMTP_LINE_BYTES_MAX: usize = 2_048;
/// Lines of an LMTP reply: LHLO lists some dozen extensions.
pub const LMTP_LINES_MAX: usize = 100;
/// Time for one mail to be handed over: SMTP servers may take their time, and nobody waits.
pub const MAIL_HANDING_OVER: Duration = Duration::from_secs(60);
/// Mails that wait to be handed over; some kilobyte each. More are not sent, which is said.
pub const MAILS_MAX: usize = 1_000;
/// Pauses after which a mail is tried again; then it is given up, which is said: a server that was away over lunch gets it.
pub const MAIL_RETRIES: [Duration; 7] = [
    Duration::from_secs(10),
    Duration::from_secs(60),
    Duration::from_secs(300),
    Duration::from_secs(900),
    Duration::from_secs(1_800),
    Duration::from_secs(3_600),
    Duration::from_secs(7_200),
];
/// Devices in quarantine that people are written about, in an hour: whoever has one password can invent any number of devices.
pub const QUARANTINE_MAILS_AN_HOUR: u32 = 30;
/// Connections to the internal address: mail servers keep some alive, a person opens a few.
pub const INTERNAL_CONNECTIONS_MAX: usize = 1_024;
/// Bytes of what an administrator sends: a group of half a million mailboxes at some 50 bytes each.
pub const ADMIN_BODY_BYTES_MAX: usize = 32 << 20;
/// Time for the head, and again for the body, of an internal request, and for a handshake before it.
pub const INTERNAL_REQUEST_TIME: Duration = Duration::from_secs(30);
/// Bytes the command line reads of an internal answer: a thousand Pings are some 300 kB.
pub const INTERNAL_ANSWER_BYTES_MAX: usize = 8 << 20;
/// What a lot does between two looks at its sockets, so that no burst starves the others.
pub const LOT_TURN_NOTES_MAX: usize = 1_024;
/// Plaintext of the next request kept for a parked connection that sent early; one TLS record.
pub const PIPELINED_BYTES_MAX: usize = 16_384 + 256;
/// A Sync that may be held, and is kept for it: 200 folders with long ids and their options are some 40,000 bytes.
pub const HANGING_SYNC_BYTES_MAX: usize = 49_152;
/// Last Syncs remembered of devices that use hanging Sync, in all: a kilobyte each, so some 260,000 devices.
pub const HANGING_SYNCS_BYTES_MAX: usize = 256 << 20;
/// Of an answer to a Sync that may be held, this much is read before it is passed on: a longer one has something to say.
pub const QUIET_ANSWER_BYTES_MAX: usize = 32_768;
/// Held Pings listed in one answer of /v1/pings.
pub const LISTED_PINGS_MAX: usize = 1_000;
/// A connection that is between two requests this long leaves its task and is parked without one.
pub const IDLE_IN_TASK: Duration = Duration::from_millis(500);
/// An unacknowledged answer shows as a broken connection after this (a reset shows at once).
pub const TCP_USER_TIMEOUT: Duration = Duration::from_secs(30);
/// A connection to a backend is reused within this time: below the 5 s after which Apache closes one by default,
/// so that a request rarely meets a connection that is just being closed.
pub const BACKEND_IDLE: Duration = Duration::from_secs(4);
/// Connections kept between two exchanges for each backend; more are closed.
pub const BACKEND_IDLE_LINKS_MAX: usize = 1_024;
/// TCP keep-alive towards backends: a vanished one is noticed while a Ping waits there.
pub const BACKEND_KEEPALIVE: Duration = Duration::from_secs(60);
/// What one connection to a backend reads ahead; also the largest head of an answer.
pub const BACKEND_READ_BYTES_MAX: usize = 65_536;
/// Backends tried in a row when none takes a connection: each may cost the whole connect time-out.
pub const BACKEND_ATTEMPTS_MAX: usize = 3;
/// Requests in line for a backend, however high `backend.requests_per_s`; some hundred bytes each beside the device's connection.
pub const BACKEND_LINE_MAX: usize = 65_536;
/// Of these, of one mailbox: a phone has some six at once, a mailbox a few phones.
pub const BACKEND_LINE_MAILBOX_MAX: usize = 32;
/// Notifications that a lot works off side by side under `ping.wakes_per_s`; with more its inbox waits, and then who fills it.
pub const WAKING_BATCHES_MAX: usize = 1_024;
/// Body of a refusal that is passed on to a device.
pub const REFUSAL_BODY_BYTES_MAX: usize = 16_384;
/// Verdicts remembered in all; some 60 bytes each.
pub const VERDICTS_MAX: usize = 1_000_000;
/// Questions about credentials that wait for a backend; beyond it a request is forwarded or told to come back.
pub const VERDICT_QUESTIONS_MAX: usize = 4_096;
/// Refusals remembered in all, each with its answer.
pub const REFUSALS_MAX: usize = 256;
/// How long a refusal is remembered: devices ask several times at once, people correct a password at once.
pub const REFUSAL_TTL: Duration = Duration::from_secs(2);
/// Programs listed in one setting of a policy: the document must stay small enough for the oldest devices.
pub const APPLICATIONS_MAX: usize = 200;
/// A program's file name: 255 bytes on every file system that matters.
pub const APPLICATION_BYTES_MAX: usize = 255;
/// Configurations in force one after the other, until a restart: some kilobytes each, and only a reload that changes something adds one.
pub const CONFIGS_MAX: usize = 1_024;
/// Policies: an organisation has a handful; each is encoded for seven versions and kept in memory.
pub const POLICIES_MAX: usize = 1_000;
/// Access rules: every one is looked at for every device whose traits changed.
pub const ACCESS_RULES_MAX: usize = 1_000;
/// A pattern of an access rule: device information has 1,024 characters a field, patterns name its beginning.
pub const PATTERN_BYTES_MAX: usize = 255;
/// Device ids allowed or blocked one mailbox.
pub const MAILBOX_DEVICE_IDS_MAX: usize = 1_000;
/// Bytes kept of a user agent or a reason: headers may be long, tables are not.
pub const NOTE_BYTES_MAX: usize = 512;
/// Devices looked at to say what access rules would do: a second's work, while other reading waits.
pub const RULES_FORESEEN_MAX: usize = 100_000;
/// Bytes kept of what an entry of the audit trail says was done: names of some fifty mailboxes that came into a group.
pub const AUDIT_DETAIL_BYTES_MAX: usize = 4_096;
/// Entries a minute of people who were refused for their role: a script that does not give up must not fill the disk.
pub const AUDIT_REFUSALS_PER_MINUTE: u32 = 120;

/// Devices counted that are told to provision and do not get anywhere; some 200 bytes each.
pub const LOOPING_DEVICES_MAX: usize = 20_000;
/// Devices remembered that their mailbox has no room for; some 300 bytes each.
pub const TURNED_AWAY_MAX: usize = 10_000;
/// Of these, of one mailbox: whoever has a password may make up ids.
pub const TURNED_AWAY_PER_MAILBOX_MAX: usize = 20;
/// Devices with a password that the backend has just rejected, remembered to be answered here: some 300 bytes each.
pub const SHIELDED_MAX: usize = 50_000;
/// Devices slowed because they begin anew or Ping in rows: some 200 bytes each.
pub const REPEATING_DEVICES_MAX: usize = 20_000;
/// Places for rows of Pings, 8 bytes each, which all devices share: of 200,000 devices some hundred Ping in the five seconds a row lasts.
pub const PING_ROWS: usize = 65_536;
/// Places for rows of beginnings, 8 bytes each: a device that logs in needs one for the list and one a folder for ten minutes, but a place
/// that was used once is free for the next.
pub const BEGINNING_ROWS: usize = 65_536;
/// Of an answer whose length is not known: so much is read before it is passed on, to see whether its attachment is too large.
pub const ATTACHMENT_READ_BYTES_MAX: u64 = 2_097_152;
/// Of a body that nobody wants, so much is read before its request is refused: a longer one costs the connection.
pub const REFUSED_BODY_BYTES_MAX: usize = 65_536;
/// Held requests looked at in one note to a lot, when policies changed.
pub const HELD_PAGE: usize = 1_000;
/// Changes of devices (keys, wipes) that wait for the database: some hundred bytes each, so a storm of them while it is away.
pub const STORE_CHANGES_MAX: usize = 100_000;
/// Devices of which something seen waits for the database: some 300 bytes each, whatever the time it is away.
pub const STORE_FACTS_MAX: usize = 200_000;
/// Acts of administrators, and again their questions, that wait for the database: people, scripts, and a page that reloads itself.
pub const STORE_JOBS_MAX: usize = 256;
/// Devices or entries of the audit trail in one answer.
pub const LISTED_MAX: usize = 1_000;
/// Mailboxes on one list or in one group, and domains with a policy: all of them are kept in memory.
pub const MEMBERS_MAX: usize = 500_000;
/// Groups read from a directory: a large organisation has more, and names with the filter those that matter.
pub const DIRECTORY_GROUPS_MAX: usize = 1_000;
/// Members of all those groups together, people and groups as they are named: some hundred bytes each while they are read. As many
/// as a list may have.
pub const DIRECTORY_MEMBERS_MAX: usize = 500_000;
/// One message of a directory: a group of 100,000 members named in full. Larger ones are read by directory.members_filter, in pages.
pub const DIRECTORY_MESSAGE_BYTES_MAX: usize = 16 << 20;
/// All that a directory says in one reading: a million people at some 300 bytes.
pub const DIRECTORY_READ_BYTES_MAX: u64 = 512 << 20;
/// Time for one reading: a million people in pages of 500, at a server that is busy.
pub const DIRECTORY_READING: Duration = Duration::from_secs(600);
/// Time for a directory to take a connection, and again for each of its answers to begin.
pub const DIRECTORY_ANSWER: Duration = Duration::from_secs(30);
/// The name of an entry: trees are some ten levels deep.
pub const DN_BYTES_MAX: usize = 4_096;
/// Names told in one line of the log when groups of a directory cannot be taken.
pub const DIRECTORY_NAMES_TOLD: usize = 10;
/// Tokens, the revoked ones too: a hundred people who each had ten.
pub const TOKENS_MAX: usize = 1_000;

/// When all places for handshakes are taken, whoever has had one this long makes room: two round trips on the slowest mobile
/// network fit, and a crowd of silent sockets keeps the door shut for seconds instead of `limits.handshake_s`.
pub const HANDSHAKE_UNDISTURBED: Duration = Duration::from_secs(3);

/// A body of this length is read before its sender is known: a Ping is under 1 KB, a FolderSync smaller. For more, or for a
/// length that is not said, the backend is asked about the credentials first.
pub const STRANGER_BODY_BYTES_MAX: usize = 16_384;
/// Of the places for parked connections, one in so many is kept for held Pings: connections that are only idle do not take it.
pub const PARKED_KEPT_FOR_PINGS: usize = 8;
/// Devices whose requests are counted at the same time: one that rested for [`DEVICE_BURST_S`] is forgotten when room is needed.
pub const COUNTED_DEVICES_MAX: usize = 200_000;
/// A device may do at once what it may do in so many seconds: a phone that comes back asks for all of its folders.
pub const DEVICE_BURST_S: u32 = 10;
/// Lines of the log that come from one place in the program in one [`LOG_WINDOW`]: enough to see examples, and the rest is counted.
pub const LOG_REPEATS_MAX: u32 = 50;
/// See [`LOG_REPEATS_MAX`]; what was left out is said when it ends.
pub const LOG_WINDOW: Duration = Duration::from_secs(10);
/// Mailboxes with a debug log at the same time: a person reads one, a team a few.
pub const DEBUG_LOGS_MAX: usize = 16;
/// A debug log of a mailbox ends by itself after at most this: what is looked for has shown by then, and nobody has forgotten it.
pub const DEBUG_LOG_TIME_MAX: Duration = Duration::from_secs(86_400);
/// Lines of all of them in one [`LOG_WINDOW`]: a phone that Syncs as fast as it can makes some hundred a second.
pub const DEBUG_LOG_LINES_MAX: u32 = 5_000;

/// How long we wait for who is slow.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// In any case.
    pub grace: Duration,
    /// Beyond that, as long as it moves at this pace on the average.
    pub bytes_per_s_min: u32,
}

impl Patience {
    /// The wait that so many bytes have earned.
    pub fn of(&self, bytes: u64) -> Duration {
        self.grace + Duration::from_millis(bytes.saturating_mul(1_000) / u64::from(self.bytes_per_s_min.max(1)))
    }
}

/// `[limits]`: the bounds an operator may move.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Lot threads.
    pub lots: usize,
    /// Parked connections in all.
    pub parked_max: usize,
    /// Device connections that are active: parked ones do not count.
    pub connections_max: usize,
    /// Of them, and of the idle ones, from one address, while the backend has not accepted their credentials.
    pub strangers_per_address_max: usize,
    /// Requests of one device under way.
    pub device_requests_max: u32,
    /// Requests of one device a second, on the average.
    pub device_requests_per_s: u32,
    /// Bodies being read, in all.
    pub bodies_bytes_max: usize,
    /// For bodies and for answers, each.
    pub patience: Patience,
    /// Handshakes in flight.
    pub handshakes_max: usize,
    /// PROXY header and handshake.
    pub handshake: Duration,
    /// Request line and headers.
    pub head_bytes_max: usize,
    /// Time for a head.
    pub head: Duration,
    /// Stillness of a body or an answer.
    pub body_idle: Duration,
    /// Bodies read as WBXML.
    pub inspected_body_bytes_max: usize,
    /// Between two requests.
    pub idle: Duration,
    /// Devices remembered.
    pub devices_max: usize,
    /// Until an unseen device is forgotten.
    pub device_forget: Duration,
    /// Notes waiting for one lot.
    pub inbox_max: usize,
}

impl Limits {
    pub(super) fn build(v: &mut Values) -> Self {
        let seconds = |name| Duration::from_secs(v.int("limits", name));
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let lots: usize = v.int("limits", "lots");
        Limits {
            lots: if lots == 0 { cores } else { lots },
            parked_max: v.int("limits", "parked_max"),
            connections_max: v.int("limits", "connections_max"),
            strangers_per_address_max: v.int("limits", "strangers_per_address_max"),
            device_requests_max: v.int("limits", "device_requests_max"),
            device_requests_per_s: v.int("limits", "device_requests_per_s"),
            bodies_bytes_max: v.int("limits", "bodies_bytes_max"),
            patience: Patience { grace: seconds("grace_s"), bytes_per_s_min: v.int("limits", "bytes_per_s_min") },
            handshakes_max: v.int("limits", "handshakes_max"),
            handshake: seconds("handshake_s"),
            head_bytes_max: v.int("limits", "head_bytes_max"),
            head: seconds("head_s"),
            body_idle: seconds("body_idle_s"),
            inspected_body_bytes_max: v.int("limits", "inspected_body_bytes_max"),
            idle: seconds("idle_s"),
            devices_max: v.int("limits", "devices_max"),
            device_forget: seconds("device_forget_s"),
            inbox_max: v.int("limits", "inbox_max"),
        }
    }
}
