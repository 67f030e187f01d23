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

/// How long a start may take.
const START: Duration = Duration::from_secs(20);

/// A gateway and the directory it lives in.
pub struct Process {
    child: Child,
    directory: tempfile::TempDir,
    /// Where devices connect.
    pub https: SocketAddr,
    internal: SocketAddr,
    pub certificate: ThrowAway,
}

impl Process {
    /// Starts one before that backend, with more lines of configuration.
    pub async fn start(cas: &Cas, more: &str) -> Process {
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
                {more}
                "#,
                cas.url()
            ),
        );
        let process = Process { child: spawn(directory.path()), directory, https, internal, certificate };
        process.wait_until_ready().await;
        process
    }

    /// SIGKILL; its sockets are closed when this returns.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again as it was.
    pub async fn restart(&mut self) {
        self.child = spawn(self.directory.path());
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

fn spawn(directory: &Path) -> Child {
    let log = || std::fs::OpenOptions::new().create(true).append(true).open(directory.join("log")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_pushgate"));
    command.args(["serve", "--config", "pushgate.toml"]).current_dir(directory);
    command.stdin(Stdio::null()).stdout(log()).stderr(log()).spawn().unwrap()
}

fn free_address(address: &str) -> SocketAddr {
    TcpListener::bind((address, 0)).unwrap().local_addr().unwrap()
}
