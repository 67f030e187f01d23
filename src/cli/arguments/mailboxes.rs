//! Commands of administrators about mailboxes, and what gives many of them a policy: domains, groups, lists.

use std::path::PathBuf;

use clap::{ArgGroup, Args, Subcommand, ValueEnum};

use super::administration::Reach;
use crate::admin::api::debug_logs::MINUTES_MAX;

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
    /// Log everything about a mailbox for a time, whatever log.level is; without a mailbox, list those that are.
    Debug(MailboxDebug),
}

/// `mailbox debug`
#[derive(Debug, Args)]
pub struct MailboxDebug {
    /// The mailbox. With nothing else said, it is told whether it has a debug log.
    #[arg(value_name = "MAILBOX")]
    pub mailbox: Option<String>,
    /// Begin, and end after this time: minutes, such as 30m, or hours, such as 2h; at most 24h.
    #[arg(long = "for", value_name = "TIME", requires = "mailbox", conflicts_with = "end", value_parser = parse_minutes)]
    pub minutes: Option<u64>,
    /// End it now.
    #[arg(long, requires = "mailbox")]
    pub end: bool,
    /// Where.
    #[command(flatten)]
    pub reach: Reach,
}

/// Minutes.
fn parse_minutes(text: &str) -> Result<u64, String> {
    let (number, minutes_each) = match text.strip_suffix('h') {
        Some(hours) => (hours, 60),
        None => (text.strip_suffix('m').unwrap_or(text), 1),
    };
    let minutes = number.parse::<u64>().ok().and_then(|number| number.checked_mul(minutes_each));
    minutes
        .filter(|minutes| (1..=MINUTES_MAX).contains(minutes))
        .ok_or_else(|| format!("write minutes or hours, such as 30m or 2h, at most {}h", MINUTES_MAX / 60))
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
    /// The mailboxes in the first column of a file; a second column may name the policy of each (- for none). Headings may say which
    /// columns these are.
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
    /// Only devices that are allowed so may sync: this one too; may be said several times.
    #[arg(long, value_name = "DEVICE", requires = "mailbox", conflicts_with = "allow_any_device")]
    pub allow_device: Vec<String>,
    /// Forget which devices are allowed: any may sync that is not blocked and that the rules let.
    #[arg(long, requires = "mailbox")]
    pub allow_any_device: bool,
    /// This device may not sync, nor may those blocked so before; may be said several times.
    #[arg(long, value_name = "DEVICE", requires = "mailbox")]
    pub block_device: Vec<String>,
    /// Take this device off both lists; may be said several times.
    #[arg(long, value_name = "DEVICE", requires = "mailbox")]
    pub forget_device: Vec<String>,
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

/// `domain`
#[derive(Debug, Subcommand)]
pub enum Domain {
    /// List domains that have a policy; mailbox set --domain gives one.
    List(Reach),
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
        /// Its members: the first column of a file, or the one whose heading says so (Mailbox, PrimarySmtpAddress, Alias, Name, …).
        #[arg(long, value_name = "FILE")]
        from_csv: Option<PathBuf>,
        /// Nobody is in it.
        #[arg(long, conflicts_with = "from_csv")]
        empty: bool,
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
