//! The scene: an internal address on loopback, a recording sink, a gateway that shows fixed values, raw HTTP.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use crate::admin::{
    BoxFuture, GatewayView, HeldPing, Internal, Leaving, Life, LoopView, PingFilter, Plain, Readiness, Reloaded, Status, Trouble, router,
    serve, token,
};
use crate::config::Config;
use crate::logic::eas::{DeviceId, Mailbox};
use crate::logic::hold::{MailboxChange, Scope};
use crate::logic::policy::Timestamp;
use crate::notify::{ChangeSink, Intake, Overloaded, Source, Supervisor, Woken};
use crate::store::Store;
use crate::telemetry;
use arc_swap::ArcSwap;

/// Records what it is given; can be overloaded, or silent about its count.
#[derive(Default)]
pub(crate) struct Sink {
    taken: Mutex<Vec<(Source, MailboxChange)>>,
    pub(crate) overloaded: AtomicBool,
    pub(crate) silent: AtomicBool,
    unanswered: Mutex<Vec<oneshot::Sender<usize>>>,
}

impl ChangeSink for Sink {
    fn changed(&self, source: Source, changes: Vec<MailboxChange>) -> Result<Woken, Overloaded> {
        if self.overloaded.load(Ordering::SeqCst) {
            return Err(Overloaded);
        }
        let count = changes.len();
        self.taken.lock().expect("sound").extend(changes.into_iter().map(|change| (source, change)));
        if self.silent.load(Ordering::SeqCst) {
            let (sender, receiver) = oneshot::channel();
            self.unanswered.lock().expect("sound").push(sender);
            return Ok(Woken::pending(vec![receiver]));
        }
        Ok(Woken::known(count))
    }
}

/// Ready while `ready`; holds three Pings.
pub(crate) struct View {
    pub(crate) ready: AtomicBool,
    filters: Mutex<Vec<PingFilter>>,
}

impl GatewayView for View {
    fn refresh_gauges(&self) {}

    fn status(&self) -> Status {
        Status { version: "9.9".into(), held: 3, wakes_per_s: 1.5, ..Status::default() }
    }

    fn pings(&self, filter: PingFilter) -> BoxFuture<'_, Vec<HeldPing>> {
        let held = (0..3.min(filter.limit)).map(|index| HeldPing {
            mailbox: "hew@example.org".into(),
            device_id: format!("DEVICE{index}"),
            device_type: None,
            kind: "Ping".into(),
            heartbeat_s: 1_800,
            held_s: 5,
            folders: vec!["5".into()],
            address: "192.0.2.7:4711".into(),
            phase: "parked".into(),
        });
        let held = held.collect();
        self.filters.lock().expect("sound").push(filter);
        Box::pin(async { held })
    }

    /// One that there may be, unless somebody asks for another.
    fn troubles(&self, of: Option<(&Mailbox, &DeviceId)>) -> Vec<Trouble> {
        let (mailbox, device_id) =
            of.map_or(("looping@example.org".to_owned(), "loops".to_owned()), |(mailbox, id)| (mailbox.to_string(), id.to_string()));
        let is_looping = device_id.starts_with("loop");
        let looping = is_looping.then(|| LoopView { kind: "syncs".into(), since: Timestamp(0), count: 12, advice: "Look.".into() });
        vec![Trouble { mailbox: Some(mailbox), device_id: Some(device_id), shield: None, looping, turned_away: None }]
    }

    fn ready(&self) -> Readiness {
        let ready = self.ready.load(Ordering::SeqCst);
        Readiness { ready, details: if ready { vec![] } else { vec!["No backend answers.".into()] } }
    }
}

pub(crate) struct Scene {
    pub(crate) address: SocketAddr,
    pub(crate) token: String,
    pub(crate) token_file: PathBuf,
    _folder: tempfile::TempDir,
    pub(crate) sink: Arc<Sink>,
    pub(crate) view: Arc<View>,
    pub(crate) supervisor: Arc<Supervisor>,
    pub(crate) store: Store,
}

/// A process that stays as it is.
struct Lasting;

impl Life for Lasting {
    fn drain(&self) -> Leaving {
        Leaving { held: 0, unready_s: 0, drain_s: 0 }
    }

    fn reload(&self) -> BoxFuture<'_, Result<Reloaded, Vec<crate::config::Problem>>> {
        Box::pin(async { Ok(Reloaded::default()) })
    }
}

/// A running internal address, configured by `text`.
pub(crate) async fn internal_address(text: &str) -> Scene {
    let config = Config::parse(text, std::iter::empty()).expect("a valid configuration");
    let folder = tempfile::tempdir().expect("a folder");
    let token_file = folder.path().join("token");
    let token = token::load_or_create(&token_file).expect("a token");
    let sink = Arc::new(Sink::default());
    let view = Arc::new(View { ready: AtomicBool::new(true), filters: Mutex::default() });
    let supervisor = Arc::new(Supervisor::new(&config.notify));
    let settings = format!("[store]\nurl = \"sqlite:{0}/store.db\"\nkey_file = \"{0}/store.key\"\nflush_s = 1\n", folder.path().display());
    let settings = Config::parse(&settings, std::iter::empty()).expect("a valid configuration").store;
    let store = Store::open(&settings).await.expect("a store");
    let internal = Internal {
        token: Arc::new(ArcSwap::from_pointee(token.clone())),
        store: store.clone(),
        life: Arc::new(Lasting),
        intake: Intake::new(sink.clone(), &config.mailbox, &config.notify, supervisor.clone()),
        view: view.clone(),
        metrics: telemetry::install(),
        mailboxes: config.mailbox,
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(serve(listener, Plain, router(internal), std::future::pending()));
    Scene { address, token: token.reveal().to_owned(), token_file, _folder: folder, sink, view, supervisor, store }
}

/// An answer as it came.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    /// A header's value.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect(&self.body)
    }

    /// The detail of a problem, after checking that it is one.
    pub(crate) fn problem(&self) -> String {
        assert!(self.head.contains("content-type: application/problem+json"), "{}", self.head);
        let problem = self.json();
        assert_eq!(problem["status"], self.status);
        let detail = problem["detail"].as_str().expect("a sentence").to_owned();
        assert!(detail.ends_with('.'), "{detail}");
        detail
    }
}

impl Scene {
    /// Sends bytes on a new connection and reads to its end.
    pub(crate) async fn raw(&self, request: &[u8]) -> Answer {
        let mut stream = TcpStream::connect(self.address).await.expect("connected");
        stream.write_all(request).await.expect("sent");
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await.expect("answered");
        let text = String::from_utf8(bytes).expect("text");
        let (head, body) = text.split_once("\r\n\r\n").expect("a head");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        Answer { status, head: head.to_owned(), body: body.to_owned() }
    }

    /// A request with an `Authorization` header of choice (empty: none).
    pub(crate) async fn request_as(&self, authorization: &str, method: &str, path: &str, body: &str) -> Answer {
        let authorization = if authorization.is_empty() { String::new() } else { format!("Authorization: {authorization}\r\n") };
        let length = body.len();
        let head = format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{authorization}Content-Length: {length}\r\n\r\n");
        self.raw(format!("{head}{body}").as_bytes()).await
    }

    /// A request of JSON with the token and more headers, each with its line end.
    pub(crate) async fn ask(&self, method: &str, path: &str, headers: &str, body: &str) -> Answer {
        self.ask_as(&self.token, method, path, &format!("Content-Type: application/json\r\n{headers}"), body).await
    }

    /// The same with another token, and no headers but those given.
    pub(crate) async fn ask_as(&self, token: &str, method: &str, path: &str, headers: &str, body: &str) -> Answer {
        let length = body.len();
        let head = format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n");
        self.raw(format!("{head}{headers}Content-Length: {length}\r\n\r\n{body}").as_bytes()).await
    }

    /// A request with the token.
    pub(crate) async fn request(&self, method: &str, path: &str, body: &str) -> Answer {
        self.request_as(&format!("Bearer {}", self.token), method, path, body).await
    }

    pub(crate) async fn notify(&self, body: &str) -> Answer {
        self.request("POST", "/v1/notifications", body).await
    }

    /// What reached the sink since the last look: source, mailbox, scope.
    pub(crate) fn changes(&self) -> Vec<(Source, String, Scope)> {
        let taken = std::mem::take(&mut *self.sink.taken.lock().expect("sound"));
        taken.into_iter().map(|(source, change)| (source, change.mailbox.to_string(), change.scope)).collect()
    }

    /// The filters that the view was asked with.
    pub(crate) fn filters(&self) -> Vec<PingFilter> {
        self.view.filters.lock().expect("sound").clone()
    }
}
