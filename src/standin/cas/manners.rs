//! How each kind of backend behaves where they differ (read from their sources; versions of 2024).

use std::fmt;
use std::hash::{DefaultHasher, Hasher as _};

use super::{CasOptions, Kind};

/// What a heartbeat above the maximum gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Over {
    /// Status 5 at once.
    AtOnce,
    /// Held for the maximum first, then Status 5.
    HoldFirst,
}

/// What a watched folder counts as that the device has never synchronised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unsynced {
    Skipped,
    Changed,
}

/// When a Ping notices that the folder list has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hierarchy {
    Never,
    Always,
    WhenFolderGone,
}

/// What HeartbeatInterval 0 does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Zero {
    TooLong,
    TooShort,
    EndsAtOnce,
    Default,
}

/// The behaviour of a kind, after the options of this stand-in.
#[derive(Debug, Clone)]
pub(super) struct Manners {
    pub(super) heartbeat_min_s: u32,
    pub(super) heartbeat_max_s: u32,
    pub(super) heartbeat_default_s: Option<u32>,
    pub(super) over: Over,
    pub(super) zero: Zero,
    /// Heartbeats are raised to the poll interval.
    pub(super) raises_to_poll: bool,
    /// How often a held request looks; `None`: it is told.
    pub(super) poll_s: Option<u32>,
    /// Whether a held request keeps a worker, and keeps it when the device has hung up.
    pub(super) holds_worker: bool,
    /// Status 1 comes with an empty Folders element.
    pub(super) expired_has_folders: bool,
    /// A replaced Ping ends with an empty body instead of Status 1.
    pub(super) replaced_is_empty: bool,
    pub(super) unsynced: Unsynced,
    pub(super) hierarchy: Hierarchy,
    /// Dispatches on the body's root element and ignores `Cmd`.
    pub(super) root_wins: bool,
    /// Empty and Partial Syncs get Status 13, and `Wait` is ignored.
    pub(super) plain_sync_only: bool,
    /// After an answer with items, the next one hands out a new key even if it has nothing else to say.
    pub(super) new_key_after_items: bool,
    /// The OPTIONS headers are repeated on every answer.
    pub(super) headers_everywhere: bool,
    pub(super) advertises_provision: bool,
    pub(super) versions: &'static str,
    pub(super) server_version: &'static str,
    /// Sync keys look like `{…}7` instead of `7`.
    pub(super) braced_keys: bool,
}

impl Manners {
    pub(super) fn of(options: &CasOptions) -> Self {
        let mut manners = Manners::of_kind(options.kind);
        manners.heartbeat_min_s = options.heartbeat_min_s.unwrap_or(manners.heartbeat_min_s);
        manners.heartbeat_max_s = options.heartbeat_max_s.unwrap_or(manners.heartbeat_max_s);
        manners.poll_s = options.poll_s.or(manners.poll_s);
        manners
    }

    fn of_kind(kind: Kind) -> Self {
        let plain = Manners {
            heartbeat_min_s: 1,
            heartbeat_max_s: 3_540,
            heartbeat_default_s: None,
            over: Over::AtOnce,
            zero: Zero::TooShort,
            raises_to_poll: false,
            poll_s: None,
            holds_worker: true,
            expired_has_folders: false,
            replaced_is_empty: false,
            unsynced: Unsynced::Changed,
            hierarchy: Hierarchy::Always,
            root_wins: false,
            plain_sync_only: false,
            new_key_after_items: false,
            headers_everywhere: false,
            advertises_provision: true,
            versions: "2.5,12.0,12.1,14.0,14.1,16.0,16.1",
            server_version: "16.1",
            braced_keys: false,
        };
        match kind {
            Kind::Sogo => Manners {
                heartbeat_max_s: 10,
                over: Over::HoldFirst,
                zero: Zero::TooLong,
                raises_to_poll: true,
                poll_s: Some(10),
                unsynced: Unsynced::Skipped,
                hierarchy: Hierarchy::Never,
                root_wins: true,
                plain_sync_only: true,
                new_key_after_items: true,
                headers_everywhere: true,
                advertises_provision: false,
                versions: "2.5,12.0,12.1,14.0,14.1",
                server_version: "14.1",
                ..plain
            },
            Kind::ZPush => Manners { versions: "12.0,12.1,14.0,14.1", server_version: "14.1", ..Manners::php(plain) },
            Kind::Grommunio => Manners { versions: "12.0,12.1,14.0,14.1,16.0,16.1", ..Manners::php(plain) },
            Kind::Horde => Manners {
                heartbeat_min_s: 60,
                heartbeat_max_s: 2_700,
                heartbeat_default_s: Some(480),
                zero: Zero::Default,
                poll_s: Some(15),
                replaced_is_empty: true,
                unsynced: Unsynced::Skipped,
                hierarchy: Hierarchy::WhenFolderGone,
                versions: "2.5,12.0,12.1,14.0,14.1,16.0",
                server_version: "16.0",
                braced_keys: true,
                ..plain
            },
            Kind::Exchange => Manners { heartbeat_min_s: 60, holds_worker: false, ..plain },
            Kind::Other => plain,
        }
    }

    /// What Z-Push and grommunio-sync have in common.
    fn php(plain: Manners) -> Self {
        Manners {
            heartbeat_min_s: 0,
            heartbeat_max_s: u32::MAX,
            heartbeat_default_s: Some(600),
            zero: Zero::EndsAtOnce,
            poll_s: Some(30),
            expired_has_folders: true,
            braced_keys: true,
            ..plain
        }
    }

    /// The sync key a device sees for a number; 0 is always "0".
    pub(super) fn key_text(&self, device: &str, folder: u32, key: u32) -> String {
        if self.braced_keys && key > 0 {
            let (high, low) = (hash((device, folder, "high")), hash((device, folder, "low")));
            let (a, b, c) = (high >> 32, (high >> 16) & 0xFFFF, high & 0xFFFF);
            format!("{{{a:08x}-{b:04x}-{c:04x}-{:04x}-{:012x}}}{key}", low >> 48, low & 0xFFFF_FFFF_FFFF)
        } else {
            key.to_string()
        }
    }
}

/// For operators: how it holds.
impl fmt::Display for Manners {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(if self.holds_worker { "a held Ping keeps a worker" } else { "a held Ping keeps no worker" })?;
        match self.poll_s {
            Some(poll_s) => write!(formatter, "; changes are looked for every {poll_s} s")?,
            None => formatter.write_str("; changes are noticed at once")?,
        }
        match (self.heartbeat_min_s.max(1), self.heartbeat_max_s) {
            (min_s, u32::MAX) => write!(formatter, "; heartbeats from {min_s} s"),
            (min_s, max_s) => write!(formatter, "; heartbeats {min_s} to {max_s} s"),
        }?;
        match self.over {
            Over::HoldFirst => write!(formatter, ", longer ones are held for {} s and then refused", self.heartbeat_max_s),
            Over::AtOnce => Ok(()),
        }
    }
}

/// The id of a folder as a device of that kind of backend sees it.
pub(super) fn folder_id(kind: Kind, mailbox: &str, device: &str, number: u32, folder_type: u8) -> String {
    match kind {
        // The same for every device, except that the mailbox is in it.
        Kind::Sogo => match folder_type {
            7 | 15 => format!("vtodo%2F{}", sogo_name(number, folder_type)),
            8 | 13 => format!("vevent%2F{}", sogo_name(number, folder_type)),
            9 | 14 => format!("vcard%2F{}", sogo_name(number, folder_type)),
            _ => format!("mail%2F{:016x}{:016x}", hash((mailbox, number)), hash((number, mailbox))),
        },
        // Random per device, like those of Z-Push and Horde, so that nobody can derive them.
        Kind::ZPush | Kind::Grommunio => format!("U{:05x}", hash((mailbox, device, number)) & 0xF_FFFF),
        Kind::Horde => {
            let letter = match folder_type {
                7 | 15 => 'T',
                8 | 13 => 'A',
                9 | 14 => 'C',
                10 | 17 => 'N',
                _ => 'F',
            };
            format!("{letter}{:08x}", hash((mailbox, device, number)) & 0xFFFF_FFFF)
        }
        Kind::Exchange | Kind::Other => (u64::from(number) + hash((mailbox, device)) % 7).to_string(),
    }
}

fn sogo_name(number: u32, folder_type: u8) -> String {
    let is_default = folder_type <= 9;
    if is_default { "personal".into() } else { format!("{:X}-{number:X}", hash(number) & 0xFFFF) }
}

/// The same in every run, so that a test that failed fails again.
fn hash(value: impl std::hash::Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}
