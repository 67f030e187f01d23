//! `pushgate serve` as a process that can be killed and started again on the same addresses.

use std::io::Read as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use pushgate::standin::cas::Cas;
use pushgate::standin::tls::ThrowAway;
use pushgate::standin::webhook::Webhook;
use serde_json::Value;

use crate::common::{Ran, free_address};

/// What is put around the program.
#[derive(Clone, Default)]
pub struct Around {
    /// Words before its own, of a program that becomes it (`exec`).
    pub words: Vec<String>,
    /// Variables of its environment.
    pub variables: Vec<(String, String)>,
}

/// How long a start may take.
const START: Duration = Duration::from_secs(60);

/// A gateway and the directory it lives in.
pub struct Process {
    child: Child,
    around: Around,
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
        let variables = variables.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
        Process::start_around(cas, more, Around { variables, ..Around::default() }).await
    }

    /// As [`Process::start`], with this around it, also when it is started again.
    pub async fn start_around(cas: &Cas, more: &str, around: Around) -> Process {
        let directory = tempfile::tempdir().unwrap();
        let (https, internal) = (free_address(), free_address());
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
        let mut process = Process { child: spawn(directory.path(), &around), around, directory, https, internal, certificate };
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

    /// Memory that is no file's, in bytes: of its program's pages it has a share that depends on who else runs it.
    pub fn anonymous_memory(&self) -> u64 {
        let rollup = std::fs::read_to_string(format!("/proc/{}/smaps_rollup", self.child.id())).unwrap();
        let line = rollup.lines().find_map(|line| line.strip_prefix("Pss_Anon:")).unwrap();
        line.split_whitespace().next().unwrap().parse::<u64>().unwrap() << 10
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
        Ran::of(output)
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
        self.child = spawn(self.directory.path(), &self.around);
        self.wait_until_ready().await;
    }

    /// The internal address.
    pub fn webhook(&self) -> Webhook {
        let token = std::fs::read_to_string(self.directory.path().join("token")).unwrap();
        Webhook::new(self.internal, token.trim())
    }

    /// What `/readyz` has to say, beside that it is ready.
    pub async fn details(&self) -> String {
        let answer = self.webhook().call("GET", "/readyz", String::new()).await.unwrap();
        let said: Value = serde_json::from_slice(&answer.body).unwrap();
        assert!(answer.status == 200 && said["ready"] == true, "{said}");
        said["details"].to_string()
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

    async fn wait_until_ready(&mut self) {
        let began = Instant::now();
        // The token file is written before the internal address answers.
        while tokio::net::TcpStream::connect(self.internal).await.is_err() || tokio::net::TcpStream::connect(self.https).await.is_err() {
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none() && began.elapsed() < START, "the gateway did not start ({ended:?}):\n{}", self.log());
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

fn spawn(directory: &Path, around: &Around) -> Child {
    let log = || std::fs::OpenOptions::new().create(true).append(true).open(directory.join("log")).unwrap();
    let own = [env!("CARGO_BIN_EXE_pushgate"), "serve", "--config", "pushgate.toml"];
    let mut words = around.words.iter().map(String::as_str).chain(own);
    let mut command = Command::new(words.next().unwrap());
    command.args(words).current_dir(directory).envs(around.variables.iter().map(|(name, value)| (name, value)));
    command.stdin(Stdio::null()).stdout(log()).stderr(log()).spawn().unwrap()
}
