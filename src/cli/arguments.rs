//! Every command and its flags: the parser and the help come from here.

pub mod administration;
mod mailboxes;

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::logic::eas::Class;

/// Direct Push gateway for Exchange ActiveSync.
#[derive(Debug, Parser)]
#[command(
    name = "pushgate",
    version,
    about,
    max_term_width = 100,
    after_help = "Exit codes: 0 done, 1 failed, 2 bad usage or configuration. Of serve: 0 drained and left, 1 could not start or had to leave at \
                  once (a second signal), 2 bad configuration, 134 a defect (aborted; start it again)."
)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the gateway.
    Serve(Serve),
    /// Run a gateway, a stand-in mail server and simulated devices; nothing to install.
    Demo(Demo),
    /// Report every problem of a configuration, and of the hops around it, at once; touches nothing.
    Check(Check),
    /// Show what a running gateway does.
    Status(Status),
    /// Have a running gateway read its configuration, certificates and token again; held Pings stay.
    Reload(Reload),
    /// Have a running gateway answer what it holds and leave.
    Drain(Drain),
    /// Tell a running gateway that a mailbox changed.
    Notify(Notify),
    /// Devices: list, show, erase, block.
    #[command(subcommand)]
    Device(administration::Device),
    /// Mailboxes: ActiveSync on or off, policy, allowed devices.
    #[command(subcommand)]
    Mailbox(administration::Mailbox),
    /// Domains whose mailboxes have a policy.
    #[command(subcommand)]
    Domain(administration::Domain),
    /// Policies: what devices must apply.
    #[command(subcommand)]
    Policy(administration::Policy),
    /// Groups and lists of mailboxes, which may have a policy.
    #[command(subcommand)]
    Group(administration::Group),
    /// Access rules: which devices may sync.
    #[command(subcommand)]
    Rule(administration::Rule),
    /// Tokens of people and scripts that use the internal address.
    #[command(subcommand)]
    Token(administration::Token),
    /// What administrators did, the newest first.
    Audit(administration::Audit),
    /// Show a WBXML body or a base64 query in readable form.
    Decode(Decode),
}

/// Where the Debian package has it.
const PACKAGED: &str = "/etc/pushgate/pushgate.toml";

/// The configuration, when none is named.
fn configuration() -> PathBuf {
    configuration_among(Path::exists)
}

fn configuration_among(exists: impl Fn(&Path) -> bool) -> PathBuf {
    let (here, packaged) = (PathBuf::from("pushgate.toml"), PathBuf::from(PACKAGED));
    if !exists(&here) && exists(&packaged) { packaged } else { here }
}

/// `serve`
#[derive(Debug, Args)]
pub struct Serve {
    /// Configuration file; unless named: pushgate.toml here, else /etc/pushgate/pushgate.toml.
    #[arg(long, value_name = "FILE", default_value_os_t = configuration())]
    pub config: PathBuf,
}

/// `check`
#[derive(Debug, Args)]
pub struct Check {
    /// Configuration file; unless named: pushgate.toml here, else /etc/pushgate/pushgate.toml.
    #[arg(long, value_name = "FILE", default_value_os_t = configuration())]
    pub config: PathBuf,
    /// Show every limit, its value, where it comes from and its reason.
    #[arg(long)]
    pub limits: bool,
    /// A configuration of nginx, HAProxy, Apache, SOGo or systemd: says which hop would cut a held Ping. May be given several times.
    #[arg(long = "with", value_name = "FILE")]
    pub with: Vec<PathBuf>,
    /// What the hops and this machine allow, as JSON.
    #[arg(long)]
    pub json: bool,
}

/// `demo`
#[derive(Debug, Args)]
pub struct Demo {
    /// Simulated devices.
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub devices: u32,
    /// End after this time, such as 30s, 5m or 1h; without it, run until interrupted.
    #[arg(long = "for", value_name = "TIME", value_parser = parse_time)]
    pub duration: Option<Duration>,
    /// Port on loopback for the devices' HTTPS; 0: any free one.
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    pub port: u16,
    /// Port on loopback for notifications, status and metrics; 0: any free one.
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    pub internal_port: u16,
    /// End with one line of JSON instead of a table.
    #[arg(long)]
    pub json: bool,
}

/// `decode`
#[derive(Debug, Args)]
pub struct Decode {
    /// The input is a base64 query string instead of WBXML.
    #[arg(long)]
    pub query: bool,
    /// The file to read; - is standard input.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
}

/// Where a running gateway is reached.
#[derive(Debug, Args)]
pub struct Target {
    /// Configuration file that names the internal address and the token file.
    #[arg(long, value_name = "FILE", default_value_os_t = configuration())]
    pub config: PathBuf,
    /// Internal address, such as http://127.0.0.1:9080, instead of the configured one.
    #[arg(long, value_name = "URL")]
    pub url: Option<http::Uri>,
    /// Token file instead of the configured one.
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
}

/// `status`
#[derive(Debug, Args)]
pub struct Status {
    /// Where.
    #[command(flatten)]
    pub target: Target,
    /// JSON instead of a table.
    #[arg(long)]
    pub json: bool,
    /// Show it anew every second: the table on a terminal, or with --json one line each.
    #[arg(long)]
    pub watch: bool,
}

/// `reload`
#[derive(Debug, Args)]
pub struct Reload {
    /// Where.
    #[command(flatten)]
    pub target: Target,
    /// JSON instead of sentences.
    #[arg(long)]
    pub json: bool,
}

/// `drain`
#[derive(Debug, Args)]
pub struct Drain {
    /// Where.
    #[command(flatten)]
    pub target: Target,
    /// Do not wait until the gateway has left.
    #[arg(long)]
    pub no_wait: bool,
    /// JSON instead of sentences.
    #[arg(long)]
    pub json: bool,
}

/// `notify`
#[derive(Debug, Args)]
pub struct Notify {
    /// The mailbox that changed.
    #[arg(long, value_name = "NAME")]
    pub mailbox: String,
    /// The folder that changed, as the mail server names it; without folder and class, everything.
    #[arg(long, value_name = "NAME")]
    pub folder: Option<String>,
    /// The class of folders that changed: Email, Calendar, Contacts, Tasks or Notes.
    #[arg(long, value_parser = parse_class)]
    pub class: Option<Class>,
    /// Where.
    #[command(flatten)]
    pub target: Target,
    /// The gateway's answer as JSON.
    #[arg(long)]
    pub json: bool,
}

/// A whole number with ms, s, m or h.
fn parse_time(text: &str) -> Result<Duration, String> {
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let ms_each: u64 = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err("write a whole number with ms, s, m or h, such as 30s".into()),
    };
    let ms = number.parse::<u64>().ok().and_then(|number| number.checked_mul(ms_each));
    ms.filter(|ms| *ms > 0).map(Duration::from_millis).ok_or_else(|| "is no time to run for".into())
}

/// Any case: a person types it.
fn parse_class(text: &str) -> Result<Class, String> {
    let found = Class::ALL.into_iter().find(|class| class.name().eq_ignore_ascii_case(text));
    found.ok_or_else(|| format!("is none of {}", Class::ALL.map(Class::name).join(", ")))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(line: &str) -> Result<Command, clap::Error> {
        Arguments::try_parse_from(line.split(' ')).map(|arguments| arguments.command)
    }

    #[test]
    fn the_definition_is_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn the_configuration_of_this_folder_comes_before_the_packages() {
        let here = Path::new("pushgate.toml");
        assert_eq!(configuration_among(|_| true), here);
        assert_eq!(configuration_among(|path| path == here), here);
        assert_eq!(configuration_among(|_| false), here, "which is then missed by that name");
        assert_eq!(configuration_among(|path| path != here), Path::new(PACKAGED));
    }

    #[test]
    fn the_documented_lines_are_understood() {
        let Ok(Command::Demo(demo)) = parse("pushgate demo --devices 50 --for 30s --json --port 8443") else { panic!("demo") };
        assert_eq!((demo.devices, demo.duration, demo.json, demo.port), (50, Some(Duration::from_secs(30)), true, 8443));
        let Ok(Command::Serve(serve)) = parse("pushgate serve") else { panic!("serve") };
        assert_eq!(serve.config, configuration());
        let Ok(Command::Notify(notify)) = parse("pushgate notify --mailbox hew --folder INBOX --class email") else { panic!("notify") };
        assert_eq!((notify.folder.as_deref(), notify.class), (Some("INBOX"), Some(Class::Email)));
        let Ok(Command::Decode(decode)) = parse("pushgate decode --query -") else { panic!("decode") };
        assert_eq!((decode.query, decode.file), (true, PathBuf::from("-")));
        let Ok(Command::Status(status)) = parse("pushgate status --url http://127.0.0.1:1 --token-file t --json --watch") else {
            panic!("status")
        };
        assert!(status.json && status.watch && status.target.url.is_some());
        assert!(matches!(parse("pushgate check --config other.toml"), Ok(Command::Check(_))));
    }

    #[test]
    fn bad_usage_ends_with_code_2() {
        for line in [
            "pushgate",
            "pushgate swerve",
            "pushgate notify",
            "pushgate demo --devices 0",
            "pushgate demo --for 30",
            "pushgate notify --mailbox a --class Mail",
        ] {
            assert_eq!(parse(line).expect_err(line).exit_code(), 2, "{line}");
        }
    }

    #[test]
    fn times_have_a_unit_and_an_end() {
        assert_eq!(parse_time("1500ms"), Ok(Duration::from_millis(1_500)));
        assert_eq!(parse_time("2h"), Ok(Duration::from_secs(7_200)));
        for bad in ["", "s", "5", "0s", "-1s", "1.5s", "99999999999999999999h", "18446744073709551615h", "5 s"] {
            assert!(parse_time(bad).is_err(), "{bad}");
        }
    }
}
