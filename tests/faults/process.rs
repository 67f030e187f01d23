//! `pushgate serve` as a process that can be killed and started again on the same addresses.

use std::io::Read as _;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use pushgate::standin::cas::Cas;
use pushgate::standin::tls::ThrowAway;
use pushgate::standin::webhook::Webhook;
use serde_json::Value;

/// What a command did.
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Ran {
    /// What it said, after checking that it succeeded.
    pub fn done(self) -> String {
        assert_eq!(self.code, 0, "{}", self.err);
        self.out
    }

    /// What it complained of, after checking how it ended.
    pub fn failed(self, code: i32) -> String {
        assert_eq!(self.code, code, "{}{}", self.out, self.err);
        self.err
    }
}

/// How long a start may take.
const START: Duration = Duration::from_secs(20);

/// A gateway and the directory it lives in.
pub struct Process {
    child: Child,
    directory: tempfile::TempDir,
    /// Where devices connect.
    pub https: SocketAddr,
    pub internal: SocketAddr,
    pub certificate: ThrowAway,
}

impl Process {
    /// Starts one before that backend, with more lines of configuration.
    pub async fn start(cas: &Cas, more: &str) -> Process {
        Process::start_with(cas, more, &[]).await
    }

    /// As [`Process::start`], with these in its environment.
    pub async fn start_with(cas: &Cas, more: &str, variables: &[(&str, &str)]) -> Process {
        let directory = tempfile::tempdir().unwrap();
        // Not 127.0.0.1: outgoing connections take their ports there, and might take ours while we are dead.
        let (https, internal) = (free_address("127.0.1.1"), free_address("127.0.1.1"));
        let certificate = ThrowAway::new(&["localhost"]).unwrap();
        let write = |name: &str, text: &str| std::fs::write(directory.path().join(name), text).unwrap();
        write("certificate.pem", &certificate.certificate_pem);
        write("key.pem", &certificate.key_pem);
        write(
            "pushgate.toml",
            &format!(
                r#"
                listen.address = ["{https}"]
                tls = {{ certificate = "certificate.pem", private_key = "key.pem" }}
                backend.url = ["{}"]
                mailbox.default_domain = "example.org"
                internal = {{ address = "{internal}", token_file = "token" }}
                log.level = "warn"
                limits.lots = 2
                {more}
                "#,
                cas.url()
            ),
        );
        let process = Process { child: spawn(directory.path(), variables), directory, https, internal, certificate };
        process.wait_until_ready().await;
        process
    }

    /// SIGKILL; its sockets are closed when this returns.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: i32) {
        let sent = Command::new("kill").args([format!("-{signal}"), self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Files it has open now.
    pub fn open_files(&self) -> u64 {
        std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).unwrap().count() as u64
    }

    /// Files it may open.
    pub fn most_open_files(&self) -> u64 {
        let limits = std::fs::read_to_string(format!("/proc/{}/limits", self.child.id())).unwrap();
        let line = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
        line.split_whitespace().next().unwrap().parse().unwrap()
    }

    /// Lets it open so many files; only the soft limit, so that it can be taken back.
    pub fn limit_open_files(&self, count: u64) {
        let limit = format!("--nofile={count}:");
        let done = Command::new("prlimit").args(["--pid", &self.child.id().to_string(), &limit]).status().unwrap();
        assert!(done.success());
    }

    /// Waits for its end; the exit code.
    pub fn wait(&mut self) -> Option<i32> {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(began.elapsed() < Duration::from_secs(60), "it does not end:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Runs a command beside it.
    pub async fn run(&self, line: &str) -> Ran {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pushgate"));
        command.args(line.split(' ')).current_dir(self.directory.path()).stdin(Stdio::null());
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Ran { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
    }

    /// Replaces text of its configuration.
    pub fn edit(&self, old: &str, new: &str) {
        let text = std::fs::read_to_string(self.directory.path().join("pushgate.toml")).unwrap();
        assert!(text.contains(old), "{text}");
        self.write("pushgate.toml", &text.replace(old, new));
    }

    /// Replaces a file beside its configuration.
    pub fn write(&self, name: &str, text: &str) {
        let path = self.directory.path().join(name);
        std::fs::write(&path, text).unwrap();
    }

    /// Starts it again as it was.
    pub async fn restart(&mut self) {
        self.child = spawn(self.directory.path(), &[]);
        self.wait_until_ready().await;
    }

    /// The internal address.
    pub fn webhook(&self) -> Webhook {
        let token = std::fs::read_to_string(self.directory.path().join("token")).unwrap();
        Webhook::new(self.internal, token.trim())
    }

    /// One figure of `/v1/status`.
    pub async fn status(&self, name: &str) -> u64 {
        let answer = self.webhook().call("GET", "/v1/status", String::new()).await.unwrap();
        let status: Value = serde_json::from_slice(&answer.body).unwrap();
        status[name].as_u64().unwrap_or_else(|| panic!("no {name} in {status}"))
    }

    /// What it logged so far.
    pub fn log(&self) -> String {
        let mut text = String::new();
        std::fs::File::open(self.directory.path().join("log")).unwrap().read_to_string(&mut text).unwrap();
        text
    }

    async fn wait_until_ready(&self) {
        let began = Instant::now();
        // The token file is written before the internal address answers.
        while tokio::net::TcpStream::connect(self.internal).await.is_err() || tokio::net::TcpStream::connect(self.https).await.is_err() {
            assert!(began.elapsed() < START, "the gateway did not start:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may be dead already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(directory: &Path, variables: &[(&str, &str)]) -> Child {
    let log = || std::fs::OpenOptions::new().create(true).append(true).open(directory.join("log")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_pushgate"));
    command.args(["serve", "--config", "pushgate.toml"]).current_dir(directory).envs(variables.iter().copied());
    command.stdin(Stdio::null()).stdout(log()).stderr(log()).spawn().unwrap()
}

fn free_address(address: &str) -> SocketAddr {
    TcpListener::bind((address, 0)).unwrap().local_addr().unwrap()
}
