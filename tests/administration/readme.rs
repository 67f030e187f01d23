//! The commands of README's section about devices, as they are written there, at a shell, with a phone and a mail server.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use pushgate::logic::eas::settings::{RecoveryPassword, SettingsAnswer, SettingsRequest};
use pushgate::logic::eas::{Command, PingAnswer};
use pushgate::standin::cas::{Cas, CasOptions, Kind};
use pushgate::standin::device::{Device, DeviceOptions, Obeys, Provisioned};
use pushgate::standin::tls::{Trust, client_config};
use tokio::task::JoinHandle;

use crate::scene::{Served, gateway_before};

const SECTION: &str = "## Devices, policies, wipe";
const PASSWORD: &str = "2468-1357";

/// The commands of the section, the first first: the lines of its blocks without their remarks, and those inside sentences.
fn commands() -> Vec<String> {
    let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let section = readme.split_once(SECTION).unwrap().1.split("\n## ").next().unwrap();
    let mut commands = Vec::new();
    for (number, part) in section.split("```").enumerate() {
        if number % 2 == 1 {
            let lines = part.lines().map(|line| line.split(" #").next().unwrap().trim().to_owned());
            commands.extend(lines.filter(|line| !line.is_empty()));
        } else {
            commands.extend(part.split('`').skip(1).step_by(2).filter(|code| code.starts_with("pushgate ")).map(str::to_owned));
        }
    }
    commands
}

/// hew's phone: what it does between the administrator's commands.
struct Phone {
    device: Device,
}

impl Phone {
    fn new(served: &Served) -> Phone {
        let tls = client_config(Trust::Root(served.certificate().certificate.clone()), false).unwrap();
        let mut device = Device::new(Arc::new(DeviceOptions::new(served.https(), Some(tls))), "hew", "PHONE1");
        device.policy_key = Some(0);
        Phone { device }
    }

    /// Set up: policy, recovery password, mail; then it waits.
    async fn sets_up(mut self) -> JoinHandle<(Phone, PingAnswer)> {
        assert_eq!(self.device.folder_sync().await.unwrap().status, 142, "it is told to fetch its policy");
        let provisioned = self.device.fetch_policy(Obeys::InFull).await.unwrap();
        assert!(matches!(provisioned, Provisioned::Policy(_)), "{provisioned:?}");
        let password = Some(RecoveryPassword::new(PASSWORD.into()));
        let request = SettingsRequest { device_password: password, ..SettingsRequest::default() };
        let answer = self.device.command(Command::Settings, request.encode()).await.unwrap();
        assert_eq!(SettingsAnswer::parse(&answer.body).unwrap().device_password, Some(1));
        self.device.folder_sync().await.unwrap();
        let inbox = self.device.folder_of_type(2).unwrap();
        self.device.sync_all(&inbox).await.unwrap();
        tokio::spawn(async move {
            let waits = Duration::from_secs(900);
            let answer = self.device.ping(Some(900), Some(&[inbox]), waits, || {}).await.unwrap();
            (self, answer)
        })
    }

    /// Its Ping was answered; it asks why, and obeys.
    async fn is_erased(&mut self) {
        let told = self.device.folder_sync().await;
        assert!(matches!(&told, Ok(answer) if answer.status == 140), "{told:?}");
        assert_eq!(self.device.fetch_policy(Obeys::InFull).await.unwrap(), Provisioned::Wipe);
        assert_eq!(self.device.acknowledge_wipe(false, 1).await.unwrap().status, 1);
    }
}

#[test]
fn the_story_in_readme_is_true() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let options = CasOptions { kind: Kind::Sogo, domain: "example.org".into(), ..CasOptions::default() };
    let backend = runtime.block_on(Cas::start(options)).unwrap();
    let served = gateway_before(&backend.url());
    let mut phone = Some(Phone::new(&served));
    let mut holding = None;
    let mut ran = Vec::new();
    for command in commands() {
        let kind = command.split(' ').skip(1).take(2).collect::<Vec<_>>().join(" ");
        if kind == "device list" && holding.is_none() {
            // From here on there is a phone, which waits for mail.
            holding = phone.take().map(|phone| runtime.block_on(phone.sets_up()));
            served.until_said("device show hew PHONE1", "Last ping heartbeat  900 s");
        }
        // Whoever is asked says yes.
        let said = if command.contains("device wipe") { served.on_terminal(&command, "y\n") } else { served.shell(&command) };
        let wanted: &[&str] = match kind.as_str() {
            "policy new" => &["Strict"],
            "mailbox set" => &["example.org", "Strict"],
            "mailbox show" => &["hew@example.org", "Strict", "assigned to the mailbox"],
            "rule add" => &["OldPhone*"],
            "device list" if command.contains("--wipe") => &["phone1", "acknowledged"],
            "device list" => &["hew@example.org", "phone1", "allowed"],
            "device show" => &["Last ping heartbeat  900 s", "Strict", "AppliedInFull", "Recovery password    ********"],
            "device recovery-password" => &[PASSWORD],
            "device wipe" => &["erases all data", "Go on? [y/N]", "is to be erased"],
            "audit --mailbox" => &["recovery password show", "wipe order", "wipe sent", "wipe acknowledged"],
            "token new" => &["pgt_", "shown once"],
            _ => panic!("README has a command that nobody checks: {command}"),
        };
        for word in wanted {
            assert!(said.contains(word), "{command}\n{word} is not in\n{said}");
        }
        assert_eq!(said.contains(PASSWORD), kind == "device recovery-password", "{command}\n{said}");
        if kind == "device wipe" {
            runtime.block_on(async {
                let (mut phone, answer) = holding.as_mut().expect("it waits").await.unwrap();
                assert_eq!(answer, PingAnswer::HierarchyChanged, "told at once");
                phone.is_erased().await;
            });
        }
        ran.push(kind);
    }
    for needed in ["device list", "device show", "device recovery-password", "device wipe", "audit --mailbox"] {
        assert!(ran.iter().any(|kind| kind == needed), "the story misses {needed}");
    }
}
