//! The gateway, before a stand-in CAS that names folders as SOGo does.

use std::net::SocketAddr;
use std::ops::Range;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::{Value, json};

use super::{Server, Setting, write};
use crate::cas;
use crate::child::Child;
use crate::crew::{Language, USER, user};
use crate::program::{Program, free_address};
use crate::publisher::{Publisher, get, post};

/// Notifications in one request.
const BATCH: usize = 1_000;
/// Folders that a device watches.
const FOLDERS: usize = 5;

/// The gateway and the CAS.
pub struct Pushgate {
    program: Program,
    cas: Child,
    target: SocketAddr,
    internal: SocketAddr,
    /// Its header.
    authorization: String,
    publisher: Publisher,
}

impl Pushgate {
    /// Both.
    pub fn start(setting: &Setting, directory: &Path) -> anyhow::Result<Pushgate> {
        let mut cas = Child::start("cas", &"")?;
        let cas_address: SocketAddr = cas.read()?;
        let (target, internal) = (free_address()?, free_address()?);
        let certificates = setting.directory.display();
        let config = format!(
            "[listen]\naddress = [\"{target}\"]\n[tls]\ncertificate = \"{certificates}/cert.pem\"\nprivate_key = \"{certificates}/key.pem\"\n\
             [backend]\nurl = [\"http://{cas_address}\"]\nkind = \"sogo\"\nrequests_per_s = 100000\n[mailbox]\ndefault_domain = \"example.org\"\n\
             [internal]\naddress = \"{internal}\"\n[ping]\nheartbeat_min_s = 1\n\
             [notify.webhook]\ncovers = [\"Email\", \"Calendar\", \"Contacts\", \"Tasks\", \"Notes\"]\n"
        );
        write(directory, "pushgate.toml", &config)?;
        let mut command = Command::new(&setting.pushgate);
        command.args(["serve", "--config", "pushgate.toml"]);
        let program = Program::start(&mut command, directory, "pushgate", target)?;
        let token = std::fs::read_to_string(directory.join("pushgate.token")).context("the gateway's token")?;
        let authorization = format!("Authorization: Bearer {}\r\n", token.trim());
        Ok(Pushgate { program, cas, target, internal, authorization, publisher: Publisher::connect(internal)? })
    }
}

impl Server for Pushgate {
    fn target(&self) -> SocketAddr {
        self.target
    }

    fn language(&self) -> Language {
        Language::Eas { user: USER.into(), folders: FOLDERS }
    }

    fn pids(&self) -> Vec<u32> {
        self.program.pids()
    }

    fn held(&mut self) -> anyhow::Result<usize> {
        let answer = self.publisher.ask(&get("/v1/status", &self.authorization))?;
        let status: Value = serde_json::from_slice(&answer.body).context("the gateway's status")?;
        Ok(status["held"].as_u64().context("the status has no number held")? as usize)
    }

    fn publishes_at(&self) -> SocketAddr {
        self.internal
    }

    fn wakes(&self, devices: Range<usize>) -> Vec<Vec<u8>> {
        let headers = format!("{}Content-Type: application/json\r\n", self.authorization);
        let entry = |device: usize| json!({ "mailbox": user(device), "folder": "INBOX" });
        let body = |start: usize| json!((start..devices.end.min(start + BATCH)).map(entry).collect::<Vec<_>>()).to_string();
        devices.clone().step_by(BATCH).map(|start| post("/v1/notifications", &headers, &body(start))).collect()
    }

    /// It keeps connections to its backend for four seconds, and jemalloc what is free for up to twenty more.
    fn settles(&self) -> Duration {
        Duration::from_secs(30)
    }

    /// Without a message its next Ping would not be held: the CAS is asked again.
    fn before_wakes(&mut self, devices: Range<usize>) -> anyhow::Result<()> {
        self.cas.ask::<u64>(&cas::Order::Deliver(devices)).map(drop)
    }
}
