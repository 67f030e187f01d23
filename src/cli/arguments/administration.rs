//! Commands of administrators: devices, mailboxes, policies and what belongs to them.

use std::path::PathBuf;

use clap::{ArgGroup, Args, Subcommand, ValueEnum};

use super::Target;

/// Where, and in which form.
#[derive(Debug, Args)]
pub struct Reach {
    /// Where.
    #[command(flatten)]
    pub target: Target,
    /// JSON, as the gateway gives it, instead of text for people.
    #[arg(long)]
    pub json: bool,
}

/// One device of one mailbox.
#[derive(Debug, Args)]
pub struct DevicePlace {
    /// Whose device.
    #[arg(value_name = "MAILBOX")]
    pub mailbox: String,
    /// Its device id, as device list shows it.
    #[arg(value_name = "DEVICE")]
    pub device: String,
    /// Where.
    #[command(flatten)]
    pub reach: Reach,
}

/// `device`
#[derive(Debug, Subcommand)]
pub enum Device {
    /// List devices.
    List(DeviceList),
    /// Show everything known of a device.
    Show(DevicePlace),
    /// Erase a device, as soon as it comes.
    Wipe {
        /// Which.
        #[command(flatten)]
        place: DevicePlace,
        /// Erase this account's data only; from protocol version 16.1.
        #[arg(long)]
        account_only: bool,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
    /// Take an order to erase back.
    CancelWipe(DevicePlace),
    /// Remove a partnership; a device that syncs makes a new one.
    Remove {
        /// Which.
        #[command(flatten)]
        place: DevicePlace,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
    /// Let a device sync, whatever the rules say.
    Allow(DevicePlace),
    /// Keep a device from syncing.
    Block(DevicePlace),
    /// Keep a device from syncing until somebody decides.
    Quarantine(DevicePlace),
    /// Leave a device to its mailbox and the rules again.
    ByRules(DevicePlace),
    /// Show the recovery password; that it was shown is in the audit trail.
    RecoveryPassword(DevicePlace),
}

/// `device list`; everything narrows.
#[derive(Debug, Args)]
pub struct DeviceList {
    /// Of this mailbox.
    #[arg(long, value_name = "NAME")]
    pub mailbox: Option<String>,
    /// With this device id, in any mailbox.
    #[arg(long, value_name = "ID")]
    pub device: Option<String>,
    /// In this access state.
    #[arg(long, value_parser = ["allowed", "blocked", "quarantined", "discovery"])]
    pub access: Option<String>,
    /// Whose last order to erase came so far.
    #[arg(long, value_parser = ["requested", "sent", "acknowledged", "failed", "cancelled"])]
    pub wipe: Option<String>,
    /// That acknowledged this policy last.
    #[arg(long, value_name = "NAME")]
    pub policy: Option<String>,
    /// Not seen since this time, such as 2026-11-22T20:23:13Z.
    #[arg(long, value_name = "TIME")]
    pub last_seen_before: Option<String>,
    /// With this in mailbox, id, type, user agent or description; * is any text.
    #[arg(long, value_name = "TEXT")]
    pub search: Option<String>,
    /// That ask the same over and over, such as Provision.
    #[arg(long)]
    pub looping: bool,
    /// Where.
    #[command(flatten)]
    pub reach: Reach,
}

/// `policy`
#[derive(Debug, Subcommand)]
pub enum Policy {
    /// List policies.
    List(Reach),
    /// Show a policy: what is set, and with --all every setting.
    Show {
        /// Which.
        #[arg(value_name = "NAME")]
        name: String,
        /// Every setting, with what is not set at its default.
        #[arg(long)]
        all: bool,
        /// Where.
        #[command(flatten)]
        reach: Reach,
    },
    /// Make a policy.
    New(PolicySettings),
    /// Change settings of a policy; SETTING=default takes one back.
    Set(PolicySettings),
    /// Remove a policy that nothing names.
    Remove {
        /// Which.
        #[arg(value_name = "NAME")]
        name: String,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
        /// Where.
        #[command(flatten)]
        reach: Reach,
    },
    /// List every setting with its range, its default and what it does; needs no gateway.
    Settings,
}

/// `policy new` and `policy set`
#[derive(Debug, Args)]
pub struct PolicySettings {
    /// The policy.
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Settings, named as in Exchange or by their keys.
    #[arg(value_name = "SETTING=VALUE")]
    pub settings: Vec<String>,
    /// Make it the policy of mailboxes that nothing else gives one.
    #[arg(long)]
    pub default: bool,
    /// Where.
    #[command(flatten)]
    pub reach: Reach,
}

/// `mailbox`
#[derive(Debug, Subcommand)]
pub enum Mailbox {
    /// List mailboxes that have devices, or that something is said of.
    List {
        /// With this in their name.
        #[arg(long, value_name = "TEXT")]
        search: Option<String>,
        /// Where.
        #[command(flatten)]
        reach: Reach,
    },
    /// Show a mailbox: its switches, its policy and why it has that.
    Show {
        /// Which.
        #[arg(value_name = "MAILBOX")]
        mailbox: String,
        /// Where.
        #[command(flatten)]
        reach: Reach,
    },
    /// Change a mailbox; or give a policy to a domain, a group, or the mailboxes of a file.
    Set(MailboxSet),
}

/// `mailbox set`
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("whom").required(true).args(["mailbox", "domain", "group", "from_csv"]))]
pub struct MailboxSet {
    /// The mailbox.
    #[arg(value_name = "MAILBOX")]
    pub mailbox: Option<String>,
    /// All mailboxes of a domain that nothing more specific gives a policy.
    #[arg(long, value_name = "DOMAIN")]
    pub domain: Option<String>,
    /// All mailboxes of a group that nothing more specific gives a policy.
    #[arg(long, value_name = "NAME")]
    pub group: Option<String>,
    /// The mailboxes in the first column of a file; a second column may name the policy of each (- for none).
    #[arg(long, value_name = "FILE")]
    pub from_csv: Option<PathBuf>,
    /// The policy.
    #[arg(long, value_name = "NAME", conflicts_with = "no_policy")]
    pub policy: Option<String>,
    /// No policy of its own.
    #[arg(long)]
    pub no_policy: bool,
    /// ActiveSync on or off.
    #[arg(long, value_name = "ON|OFF", requires = "mailbox")]
    pub active_sync: Option<Switch>,
    /// Only devices that are allowed so may sync; may be said several times.
    #[arg(long, value_name = "DEVICE", requires = "mailbox", conflicts_with = "allow_any_device")]
    pub allow_device: Vec<String>,
    /// Forget which devices are allowed and blocked: any device may sync that the rules let.
    #[arg(long, requires = "mailbox", conflicts_with = "block_device")]
    pub allow_any_device: bool,
    /// This device may not sync; may be said several times.
    #[arg(long, value_name = "DEVICE", requires = "mailbox")]
    pub block_device: Vec<String>,
    /// Most devices, or "default" for what the configuration says.
    #[arg(long, value_name = "N", requires = "mailbox", value_parser = parse_devices_max)]
    pub devices_max: Option<DevicesMax>,
    /// Where.
    #[command(flatten)]
    pub reach: Reach,
}

/// On or off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    /// On.
    On,
    /// Off.
    Off,
}

/// Most devices of a mailbox; `None`: what the configuration says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DevicesMax(pub Option<u32>);

fn parse_devices_max(text: &str) -> Result<DevicesMax, String> {
    if text.eq_ignore_ascii_case("default") {
        return Ok(DevicesMax(None));
    }
    text.parse().map(|count| DevicesMax(Some(count))).map_err(|_| "write a whole number, or default".to_owned())
}

/// `group`
#[derive(Debug, Subcommand)]
pub enum Group {
    /// List groups.
    List(GroupReach),
    /// Show a group and who is in it.
    Show {
        /// Which.
        #[arg(value_name = "NAME")]
        name: String,
        /// Where.
        #[command(flatten)]
        reach: GroupReach,
    },
    /// Make a group, or change it.
    Set {
        /// Which.
        #[arg(value_name = "NAME")]
        name: String,
        /// Its members: the first column of a file.
        #[arg(long, value_name = "FILE")]
        from_csv: Option<PathBuf>,
        /// The policy of its members.
        #[arg(long, value_name = "NAME", conflicts_with = "no_policy")]
        policy: Option<String>,
        /// Its members have no policy from it.
        #[arg(long)]
        no_policy: bool,
        /// Of several groups that a mailbox is in, the one with the smallest rank counts.
        #[arg(long, value_name = "N")]
        rank: Option<u32>,
        /// Where.
        #[command(flatten)]
        reach: GroupReach,
    },
    /// Remove a group; its mailboxes stay.
    Remove {
        /// Which.
        #[arg(value_name = "NAME")]
        name: String,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
        /// Where.
        #[command(flatten)]
        reach: GroupReach,
    },
}

/// Where, and of which kind.
#[derive(Debug, Args)]
pub struct GroupReach {
    /// Where.
    #[command(flatten)]
    pub reach: Reach,
    /// A list instead: the same, but it counts before every group.
    #[arg(long)]
    pub list: bool,
}

/// `rule`
#[derive(Debug, Subcommand)]
pub enum Rule {
    /// List access rules.
    List(Reach),
    /// Add a rule, or change what it says.
    Add {
        /// What it looks at.
        #[arg(value_name = "ABOUT")]
        about: About,
        /// Whom it means, such as "iPad*"; * is any text.
        #[arg(value_name = "PATTERN")]
        pattern: String,
        /// What they may.
        #[arg(value_name = "ACCESS")]
        access: Access,
        /// Where.
        #[command(flatten)]
        reach: Reach,
    },
    /// Remove a rule.
    Remove {
        /// What it looks at.
        #[arg(value_name = "ABOUT")]
        about: About,
        /// Whom it means.
        #[arg(value_name = "PATTERN")]
        pattern: String,
        /// Where.
        #[command(flatten)]
        reach: Reach,
    },
    /// Say what devices may that no rule is about.
    Default {
        /// What.
        #[arg(value_name = "ACCESS")]
        access: Access,
        /// Where.
        #[command(flatten)]
        reach: Reach,
    },
}

/// What a rule looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum About {
    /// What the request says it is.
    DeviceType,
    /// The program that speaks.
    UserAgent,
    /// The operating system, from its description.
    Os,
    /// The model, from its description.
    Model,
}

/// What a rule says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Access {
    /// They may sync.
    Allow,
    /// They may not.
    Block,
    /// They may not until somebody decides.
    Quarantine,
}

/// `token`
#[derive(Debug, Subcommand)]
pub enum Token {
    /// List tokens, without their secrets.
    List(Reach),
    /// Make a token, and show its secret this once.
    New {
        /// Whose or what for: the actor in the audit trail.
        #[arg(value_name = "NAME")]
        name: String,
        /// What it may do.
        #[arg(long, value_parser = ["viewer", "helpdesk", "admin"])]
        role: String,
        /// Where.
        #[command(flatten)]
        reach: Reach,
    },
    /// Take a token out of use, at once.
    Revoke {
        /// Its id, as token list shows it.
        #[arg(value_name = "ID")]
        id: String,
        /// Where.
        #[command(flatten)]
        reach: Reach,
    },
}

/// `audit`
#[derive(Debug, Args)]
pub struct Audit {
    /// Not before this time, such as 2026-11-22T20:23:13Z.
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Before this time.
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// By whom.
    #[arg(long, value_name = "NAME")]
    pub actor: Option<String>,
    /// About which mailbox.
    #[arg(long, value_name = "NAME")]
    pub mailbox: Option<String>,
    /// Only so many, the newest.
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub last: u16,
    /// All of them.
    #[arg(long, conflicts_with = "last")]
    pub all: bool,
    /// Where.
    #[command(flatten)]
    pub reach: Reach,
}
