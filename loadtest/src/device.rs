//! `device`: one simulated device that does what it is told, act by act. For trying policies, wipes and access rules on a server
//! without a phone at hand, and for tests that must know what a device was told.

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::ensure;
use pushgate::logic::eas::provision::PolicyData;
use pushgate::logic::eas::provision_doc::DocValue;
use pushgate::logic::eas::settings::{RecoveryPassword, SettingsAnswer, SettingsRequest};
use pushgate::logic::eas::{Command, FolderId, PingAnswer, Version};
use pushgate::standin::device::{Device, DeviceError, DeviceOptions, Obeys, Provisioned};
use pushgate::standin::tls::client_config;
use serde_json::{Map, Value, json};

use crate::input::lines;
use crate::scenario::Target;

/// FolderSync's Type of the Inbox.
const INBOX: u8 = 2;

/// `device`
#[derive(Debug, clap::Args)]
#[command(after_help = ACTS)]
pub struct Arguments {
    /// The server, such as `https://mail.example.org`.
    url: String,
    /// Its user.
    #[arg(long)]
    user: String,
    /// The user's password.
    #[arg(long, default_value = "test")]
    password: String,
    /// DeviceId.
    #[arg(long, default_value = "PHONE1")]
    id: String,
    /// DeviceType.
    #[arg(long = "type", value_name = "TYPE", default_value = "SmartPhone")]
    device_type: String,
    /// `User-Agent`.
    #[arg(long, default_value = "pushgate-standin/1")]
    user_agent: String,
    /// Protocol version.
    #[arg(long = "eas-version", value_name = "VERSION", default_value = "14.1", value_parser = parse_version)]
    version: Version,
    /// Pack the query in base64 (12.1 and later).
    #[arg(long)]
    packs_query: bool,
    /// CA that the server's certificate must chain to (PEM).
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Believe any certificate.
    #[arg(long, conflicts_with = "ca")]
    insecure: bool,
}

const ACTS: &str = "Acts, one a line:
  options                     what the server can do; speak what both know from then on
  provision [part|none]       fetch the policy and acknowledge it: all of it, a part of it, or nothing
  folder-sync                 the folders, or what changed of them
  sync                        the Inbox, until there is no more
  ping [SECONDS]              watch the Inbox (600 s); the line comes with the answer
  recovery-password TEXT      leave a recovery password
  wiped [account] [failed]    acknowledge the order to erase
  key NUMBER|none             the policy key to show from now on";

fn parse_version(text: &str) -> Result<Version, String> {
    text.parse().map_err(|()| format!("one of {}", Version::ALL.map(Version::name).join(", ")))
}

/// Does as it is told until standard input ends. What a server refuses is an answer and no error.
pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    ensure!(!arguments.packs_query || arguments.version >= Version::V12_1, "--packs-query is for 12.1 and later");
    let target = Target::new(&arguments.url, arguments.ca.clone(), arguments.insecure)?;
    let tls = target.trust()?.map(|trust| client_config(trust, true)).transpose()?;
    let options = DeviceOptions {
        server_name: target.server_name,
        version: arguments.version,
        packs_query: arguments.packs_query,
        user_agent: arguments.user_agent.clone(),
        device_type: arguments.device_type.clone(),
        password: arguments.password.clone(),
        ..DeviceOptions::new(target.address, tls)
    };
    let mut device = Device::new(Arc::new(options), &arguments.user, &arguments.id);
    // It knows how to provision and has not yet.
    device.policy_key = Some(0);
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let mut lines = lines();
        while let Some(line) = lines.recv().await {
            let words: Vec<&str> = line.split_whitespace().collect();
            let Some(act) = words.first() else { continue };
            let mut told = json!({ "act": act });
            match perform(&mut device, &words).await {
                Ok(Value::Object(more)) => told.as_object_mut().expect("made as one").extend(more),
                Ok(_) => told = json!({ "act": act, "error": format!("no such act; write one of these\n{ACTS}") }),
                Err(DeviceError::Http(code)) => told["http"] = code.into(),
                Err(error) => told["error"] = error.to_string().into(),
            }
            let mut output = std::io::stdout().lock();
            writeln!(output, "{told}")?;
            output.flush()?;
        }
        Ok(())
    })
}

/// Does one act and says what came of it; `null`: there is no such act.
async fn perform(device: &mut Device, words: &[&str]) -> Result<Value, DeviceError> {
    Ok(match *words {
        ["options"] => {
            let answer = device.options().await?;
            json!({ "versions": answer.versions, "commands": answer.commands, "speaks": device.version().name() })
        }
        ["provision"] => provisioned(device, Obeys::InFull).await?,
        ["provision", "part"] => provisioned(device, Obeys::InPart).await?,
        ["provision", "none"] => provisioned(device, Obeys::NotAtAll).await?,
        ["folder-sync"] => {
            let status = device.folder_sync().await?.status;
            json!({ "status": status, "folders": device.folders.len() })
        }
        ["sync"] => match device.sync_all(&inbox(device)?).await {
            Ok(answer) => json!({ "status": 1, "added": answer.added.len(), "deleted": answer.deleted.len() }),
            Err(DeviceError::Status(_, status)) => json!({ "status": status }),
            Err(error) => return Err(error),
        },
        ["ping"] => ping(device, 600).await?,
        ["ping", seconds] if seconds.parse::<u32>().is_ok() => ping(device, seconds.parse().unwrap_or(600)).await?,
        ["recovery-password", password] => {
            let device_password = Some(RecoveryPassword::new(password.into()));
            let request = SettingsRequest { device_password, ..SettingsRequest::default() };
            let answer = device.command(Command::Settings, request.encode()).await?;
            if answer.status != 200 {
                return Err(DeviceError::Http(answer.status));
            }
            let answer = SettingsAnswer::parse(&answer.body).map_err(|_| DeviceError::Malformed("a Settings answer that is none"))?;
            json!({ "status": answer.device_password.unwrap_or(answer.status) })
        }
        ["wiped"] => wiped(device, false, 1).await?,
        ["wiped", "failed"] => wiped(device, false, 2).await?,
        ["wiped", "account"] => wiped(device, true, 1).await?,
        ["wiped", "account", "failed"] => wiped(device, true, 2).await?,
        ["key", "none"] => keeps_key(device, None),
        ["key", key] if key.parse::<u32>().is_ok() => keeps_key(device, key.parse().ok()),
        _ => Value::Null,
    })
}

async fn provisioned(device: &mut Device, obeys: Obeys) -> Result<Value, DeviceError> {
    Ok(match device.fetch_policy(obeys).await? {
        Provisioned::Policy(data) => json!({ "provisioned": "policy", "key": device.policy_key, "policy": shown(&data) }),
        Provisioned::NoPolicy => json!({ "provisioned": "no policy" }),
        Provisioned::Wipe => json!({ "provisioned": "wipe" }),
        Provisioned::WipeAccount => json!({ "provisioned": "wipe account" }),
        Provisioned::Refused(status) => json!({ "provisioned": "refused", "status": status }),
    })
}

/// A policy, its elements by name.
fn shown(data: &PolicyData) -> Value {
    match data {
        PolicyData::WapXml(text) => text.as_str().into(),
        PolicyData::Document(document) => {
            let named = document.0.iter().map(|(tag, value)| {
                let name = tag.name().map_or_else(|| format!("{tag:?}"), str::to_owned);
                let value: Value = match value {
                    DocValue::Text(text) => text.as_str().into(),
                    DocValue::List(entries) => entries.clone().into(),
                };
                (name, value)
            });
            Value::Object(named.collect::<Map<_, _>>())
        }
    }
}

async fn ping(device: &mut Device, heartbeat_s: u32) -> Result<Value, DeviceError> {
    let inbox = inbox(device)?;
    let waits = Duration::from_secs(heartbeat_s.into());
    let answer = device.ping(Some(heartbeat_s), Some(&[inbox]), waits, || {}).await?;
    let mut told = json!({ "status": answer.status() });
    if let PingAnswer::Changes(folders) = &answer {
        told["folders"] = folders.iter().map(FolderId::as_str).collect();
    }
    Ok(told)
}

async fn wiped(device: &mut Device, is_account_only: bool, status: u16) -> Result<Value, DeviceError> {
    let answer = device.acknowledge_wipe(is_account_only, status).await?;
    Ok(json!({ "status": answer.status, "wipe": answer.remote_wipe || answer.account_only_remote_wipe }))
}

fn keeps_key(device: &mut Device, key: Option<u32>) -> Value {
    device.policy_key = key;
    json!({ "key": key })
}

fn inbox(device: &Device) -> Result<FolderId, DeviceError> {
    device.folder_of_type(INBOX).ok_or(DeviceError::Malformed("it knows no Inbox: folder-sync comes first"))
}
