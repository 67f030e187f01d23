//! A gateway, a shell beside it, and devices.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use pushgate::config::{self, Config};
use pushgate::logic::eas::{DeviceId, DeviceType, Mailbox, Version};
use pushgate::standin::tls::ThrowAway;
use pushgate::store::{DeviceChange, Recorded, Store};
use serde_json::Value;
use tempfile::TempDir;

use crate::common::{Ran, free_address};
use crate::postgres;

/// A running `pushgate serve` and the folder it runs in.
pub struct Served {
    folder: TempDir,
    child: Child,
    https: SocketAddr,
    certificate: ThrowAway,
}

/// Administrators do not need a backend.
const NOWHERE: &str = "http://127.0.0.1:9";
/// How long a start may take.
const START: Duration = Duration::from_secs(60);
const QUIET: &str = "log.level = \"warn\"";

/// On SQLite.
pub fn gateway() -> Served {
    Served::start("sqlite:store.db", NOWHERE, QUIET)
}

/// On SQLite, before a backend.
pub fn gateway_before(backend_url: &str) -> Served {
    gateway_with(backend_url, QUIET)
}

/// On SQLite, before a backend, with more lines of configuration.
pub fn gateway_with(backend_url: &str, more: &str) -> Served {
    Served::start("sqlite:store.db", backend_url, more)
}

/// On PostgreSQL.
pub fn gateway_on_postgres() -> Served {
    Served::start(&postgres::new_database(), NOWHERE, QUIET)
}

impl Served {
    fn start(store: &str, backend_url: &str, more: &str) -> Served {
        let folder = tempfile::tempdir().unwrap();
        let certificate = ThrowAway::new(&["localhost"]).unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write("certificate.pem", &certificate.certificate_pem);
        write("key.pem", &certificate.key_pem);
        let (https, internal) = (free_address(), free_address());
        write(
            "pushgate.toml",
            &format!(
                r#"
                listen.address = ["{https}"]
                tls = {{ certificate = "certificate.pem", private_key = "key.pem" }}
                backend.url = ["{backend_url}"]
                mailbox.default_domain = "example.org"
                internal = {{ address = "{internal}", token_file = "token" }}
                store = {{ url = "{store}", key_file = "store.key", flush_s = 1 }}
                {more}
                "#
            ),
        );
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let mut command = program(folder.path());
        let child = command.arg("serve").stdout(Stdio::null()).stderr(log).spawn().unwrap();
        let mut served = Served { folder, child, https, certificate };
        let began = Instant::now();
        while served.run("status --json").code != 0 {
            let ended = served.child.try_wait().unwrap();
            assert!(ended.is_none() && began.elapsed() < START, "the gateway does not start ({ended:?}): {}", served.log());
            std::thread::sleep(Duration::from_millis(50));
        }
        served
    }

    /// Runs a command, its words separated by spaces.
    pub fn run(&self, line: &str) -> Ran {
        self.run_words(&line.split(' ').collect::<Vec<_>>())
    }

    /// Runs a command.
    pub fn run_words(&self, words: &[&str]) -> Ran {
        let output = program(self.folder.path()).args(words).stdin(Stdio::null()).output().unwrap();
        Ran::of(output)
    }

    /// What a command that must succeed says.
    pub fn say(&self, line: &str) -> String {
        self.run(line).done()
    }

    /// The same as JSON.
    pub fn json(&self, line: &str) -> Value {
        serde_json::from_str(&self.say(&format!("{line} --json"))).unwrap()
    }

    /// Where devices connect.
    pub fn https(&self) -> SocketAddr {
        self.https
    }

    /// What devices trust.
    pub fn certificate(&self) -> &ThrowAway {
        &self.certificate
    }

    /// What a command line says that a shell runs and that must succeed.
    pub fn shell(&self, line: &str) -> String {
        self.run_at_shell(&mut self.at_shell(&["/bin/sh", "-c", line]), "")
    }

    /// The same on a terminal, where somebody types. What is asked and typed is part of what it says.
    pub fn on_terminal(&self, line: &str, types: &str) -> String {
        self.run_at_shell(&mut self.at_shell(&["script", "--quiet", "--return", "--command", line, "/dev/null"]), types)
    }

    /// A program that finds `pushgate` where it was built, in the folder of the configuration.
    fn at_shell(&self, words: &[&str]) -> Command {
        let mut command = Command::new(words[0]);
        let built = Path::new(env!("CARGO_BIN_EXE_pushgate")).parent().unwrap();
        let path = format!("{}:{}", built.display(), std::env::var("PATH").unwrap());
        command.args(&words[1..]).current_dir(self.folder.path()).env("PATH", path);
        command
    }

    fn run_at_shell(&self, command: &mut Command, types: &str) -> String {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        input.write_all(types.as_bytes()).unwrap();
        // A terminal whose other end is closed says so before the answer was read.
        let output = if types.is_empty() {
            drop(input);
            child.wait_with_output().unwrap()
        } else {
            let output = child.wait_with_output().unwrap();
            drop(input);
            output
        };
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let (out, err) = (text(output.stdout), text(output.stderr));
        assert!(output.status.success(), "{command:?}\n{out}{err}");
        out
    }

    /// Until a command says so: what is seen of devices is written every second.
    pub fn until_said(&self, line: &str, wanted: &str) {
        let began = Instant::now();
        loop {
            let ran = self.run(line);
            if ran.code == 0 && ran.out.contains(wanted) {
                return;
            }
            assert!(began.elapsed() < Duration::from_secs(30), "{line}: {wanted} is not in\n{}{}", ran.out, ran.err);
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    /// Until it has logged that.
    pub fn until_logged(&self, wanted: &str) {
        let began = Instant::now();
        while !self.log().contains(wanted) {
            assert!(began.elapsed() < Duration::from_secs(30), "{wanted} is not in\n{}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Puts other text into its configuration, and has it read that.
    pub fn reconfigure(&self, old: &str, new: &str) {
        let path = self.folder.path().join("pushgate.toml");
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(old), "{text}");
        std::fs::write(&path, text.replace(old, new)).unwrap();
        self.say("reload");
    }

    /// Has it leave in good order.
    pub fn leave(&mut self) {
        self.say("drain");
        let began = Instant::now();
        while self.child.try_wait().unwrap().is_none() {
            assert!(began.elapsed() < Duration::from_secs(60), "the gateway does not leave: {}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// The secret of the token file.
    pub fn token(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("token")).unwrap().trim().to_owned()
    }

    /// A file beside the configuration.
    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.folder.path().join(name), text).unwrap();
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(self.folder.path().join(name), std::fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// Something that devices do, through a store of their own.
    pub fn devices(&self, what: impl AsyncFnOnce(&Store)) {
        let settings = self.store();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.block_on(async {
            let store = Store::open(&settings).await.unwrap();
            what(&store).await;
            store.close().await;
        });
    }

    fn store(&self) -> config::Store {
        let text = std::fs::read_to_string(self.folder.path().join("pushgate.toml")).unwrap();
        let folder = self.folder.path().display();
        let text =
            text.replace("sqlite:store.db", &format!("sqlite:{folder}/store.db")).replace("\"store.key", &format!("\"{folder}/store.key"));
        Config::parse(&text, std::iter::empty()).unwrap().store
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // It may be dead already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A device's change, on the disk.
pub async fn record(store: &Store, (mailbox, id): (&str, &str), changes: Vec<DeviceChange>) {
    let mailbox = Mailbox::normalise(mailbox, None, true).unwrap();
    let (id, phone) = (DeviceId::new(id.as_bytes()).unwrap(), DeviceType::new(b"SmartPhone").unwrap());
    assert_eq!(store.record(&mailbox, &id, &phone, changes).await, Recorded::Saved);
}

pub fn seen(version: Version) -> DeviceChange {
    DeviceChange::Seen { version, user_agent: Some("Phone/1.0".into()) }
}

fn program(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pushgate"));
    command.current_dir(folder);
    command
}
