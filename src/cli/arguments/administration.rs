//! Commands of administrators: devices, mailboxes, policies and what belongs to them.

use clap::{Args, Subcommand, ValueEnum};

use super::Target;
pub use super::mailboxes::{DevicesMax, Domain, Group, GroupReach, Mailbox, MailboxDebug, MailboxSet, Switch};

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
    /// Remove a partnership, with what was said of the device; one that syncs makes a new one.
    Remove {
        /// Which.
        #[command(flatten)]
        place: DevicePlace,
        /// Even if it is to be erased: the order is forgotten.
        #[arg(long)]
        forget_wipe: bool,
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
    /// Not seen since this time, such as 2026-11-22T20:23:13Z, 2026-11-22 or 30d.
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
    /// Of policy set: make it the default no more; such mailboxes have none then.
    #[arg(long, conflicts_with = "default")]
    pub no_default: bool,
    /// Where.
    #[command(flatten)]
    pub reach: Reach,
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
        /// Do not ask, however many devices it keeps out.
        #[arg(long)]
        yes: bool,
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
        /// Do not ask, however many devices it keeps out.
        #[arg(long)]
        yes: bool,
        /// Where.
        #[command(flatten)]
        reach: Reach,
    },
    /// Say what devices may that no rule is about.
    Default {
        /// What.
        #[arg(value_name = "ACCESS")]
        access: Access,
        /// Do not ask, however many devices it keeps out.
        #[arg(long)]
        yes: bool,
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
    /// Not before this time, such as 2026-11-22T20:23:13Z, 2026-11-22 or 12h.
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
