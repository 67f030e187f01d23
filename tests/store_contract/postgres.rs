//! A PostgreSQL of the tests' own: Debian's package, a data folder in the temporary folder, as user postgres when the tests are root.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use tokio_postgres::NoTls;

/// A server and the folder it lives in.
pub struct Server {
    pub port: u16,
    folder: PathBuf,
    options: Vec<String>,
    process: Option<Child>,
}

impl Server {
    /// A new one. `prepare` may put files (owned by the server's user) into its data folder; `options` are `-c` settings.
    pub fn new(options: &[&str], prepare: impl FnOnce(&Path)) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("pushgate-store-contract-{}-{count}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        if is_root() {
            done(Command::new("chown").arg("postgres:postgres").arg(&folder));
        }
        let data = folder.join("data");
        let initdb = ["-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync", "-D"];
        done(unprivileged(&program("initdb")).args(initdb).arg(&data));
        prepare(&data);
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut this = Server { port, folder, options: options.iter().map(|option| (*option).to_owned()).collect(), process: None };
        this.start();
        this
    }

    pub fn start(&mut self) {
        let log = std::fs::File::create(self.folder.join("log")).unwrap();
        let mut command = unprivileged(&program("postgres"));
        command.arg("-D").arg(self.folder.join("data")).args(["-p", &self.port.to_string(), "-c", "listen_addresses=127.0.0.1"]);
        command.args(["-c", "unix_socket_directories=", "-c", "fsync=off", "-c", "max_connections=200"]);
        for option in &self.options {
            command.args(["-c", option]);
        }
        self.process = Some(command.stdout(Stdio::null()).stderr(log).spawn().unwrap());
        let started = Instant::now();
        while by_hand(&self.url("postgres"), "SELECT 1").is_err() {
            let log = || std::fs::read_to_string(self.folder.join("log")).unwrap_or_default();
            assert!(started.elapsed() < Duration::from_secs(60), "PostgreSQL does not start: {}", log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Ends it with all its connections.
    pub fn stop(&mut self) {
        let Some(mut process) = self.process.take() else { return };
        // SIGINT: a fast shutdown. setpriv has become the server itself, so this is its own process id.
        done(Command::new("kill").args(["-INT", &process.id().to_string()]));
        process.wait().unwrap();
    }

    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
        // Left behind, it would only take room.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// A new, empty database on the server that all tests share.
pub fn new_database() -> String {
    static PORT: OnceLock<u16> = OnceLock::new();
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let port = *PORT.get_or_init(start_shared);
    let name = format!("test_{}", COUNT.fetch_add(1, Ordering::Relaxed));
    by_hand(&format!("postgres://postgres@127.0.0.1:{port}/postgres"), &format!("CREATE DATABASE {name}")).unwrap();
    format!("postgres://postgres@127.0.0.1:{port}/{name}")
}

#[expect(clippy::zombie_processes, reason = "it ends after this process")]
/// On a thread that lives as long as this process: the server ends when that thread does. Its folder goes with a process that waits for it.
fn start_shared() -> u16 {
    let (tell, told) = std::sync::mpsc::sync_channel(1);
    std::thread::spawn(move || {
        let server = Server::new(&[], |_| ());
        let cleaner = "while kill -0 \"$1\" 2>/dev/null; do sleep 0.2; done; rm -rf \"$0\"";
        let process = server.process.as_ref().unwrap().id().to_string();
        Command::new("sh").args(["-c", cleaner]).arg(&server.folder).arg(process).stdin(Stdio::null()).spawn().unwrap();
        tell.send(server.port).unwrap();
        loop {
            std::thread::park();
        }
    });
    told.recv().expect("PostgreSQL starts")
}

pub fn by_hand(url: &str, sql: &str) -> Result<(), String> {
    let (url, sql) = (url.to_owned(), sql.to_owned());
    // On a thread of its own: the caller may be inside a runtime.
    let work = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (client, connection) = tokio_postgres::connect(&url, NoTls).await.map_err(|error| error.to_string())?;
            let driver = tokio::spawn(connection);
            let done = client.batch_execute(&sql).await;
            drop(client);
            let _ = driver.await;
            done.map_err(|error| error.as_db_error().map_or_else(|| error.to_string(), |error| error.message().to_owned()))
        })
    });
    work.join().unwrap()
}

pub fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0)
}

/// As a user that PostgreSQL agrees to run as; ends with the thread that started it, whatever becomes of this process.
fn unprivileged(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "INT"]);
    if is_root() {
        command.args(["--reuid", "postgres", "--regid", "postgres", "--init-groups"]);
    }
    command.arg("--").arg(program).current_dir("/");
    command
}

fn program(name: &str) -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().filter_map(Result::ok);
    let mut found: Vec<PathBuf> = versions.map(|version| version.path().join("bin").join(name)).filter(|path| path.exists()).collect();
    found.sort();
    found.pop().unwrap_or_else(|| panic!("these tests need a real PostgreSQL: apt-get install postgresql"))
}

fn done(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
