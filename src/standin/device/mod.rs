//! A simulated device: a phone's side of the protocol, over TLS or plain TCP.
//!
//! [`Device`] does one thing at a time, as told. [`Behaviour`] is what phones do with it: log in, synchronise, Ping, synchronise
//! what changed, Ping again, for ever; [`Life`] is one device doing so, step by step. While it waits for an answer it can be taken
//! apart into its socket, its keys and a few hundred bytes ([`Dormant`]), so that tens of thousands fit in a process.

mod answers;
mod behaviour;
mod error;
mod heartbeat;
pub mod http_client;
mod life;
mod packed;
mod provision;
mod query;
mod requests;
mod stream;
mod waiting;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::ClientConfig;
use rustls::pki_types::ServerName;

pub use self::answers::{FolderSyncAnswer, OptionsAnswer, ServerFolder, SyncAnswer};
pub use self::behaviour::{Behaviour, Event, HELD_AFTER, Observer, WaitsBy};
pub use self::error::DeviceError;
pub use self::heartbeat::{Adaptation, AfterCut};
pub use self::http_client::HttpAnswer;
pub use self::life::{Life, Waiting};
pub use self::packed::{Dormant, NotPacked};
pub use self::provision::{Obeys, Provisioned};
pub use self::requests::SyncWish;
use self::requests::{Collection, sync_body};
use crate::gateway::tls::{RecordError, WireStream};
use crate::logic::eas::{Class, Command, FolderId, PingAnswer, PingFolder, PingRequest, Version};
use crate::logic::wbxml::{Writer, folder_hierarchy as fh};

/// How long a device waits after the heartbeat before it takes the network for dead; Android's value.
pub const AFTER_HEARTBEAT: Duration = Duration::from_secs(5);

/// What many devices have in common.
#[derive(Debug, Clone)]
pub struct DeviceOptions {
    /// Where they connect.
    pub target: SocketAddr,
    /// The name they connect to, for `Host` and the certificate.
    pub server_name: String,
    /// `None`: plain HTTP.
    pub tls: Option<Arc<ClientConfig>>,
    /// The protocol version they speak.
    pub version: Version,
    /// Whether they pack the query in base64 (12.1 and later).
    pub packs_query: bool,
    /// `User-Agent`.
    pub user_agent: String,
    /// DeviceType.
    pub device_type: String,
    /// Everybody's password.
    pub password: String,
    /// Time for a connection with its TLS handshake.
    pub connect_timeout: Duration,
    /// Time for an answer that is not held.
    pub answer_timeout: Duration,
}

impl DeviceOptions {
    /// A usual phone: 14.1, plain query, password "test".
    pub fn new(target: SocketAddr, tls: Option<Arc<ClientConfig>>) -> Self {
        DeviceOptions {
            target,
            server_name: "localhost".into(),
            tls,
            version: Version::V14_1,
            packs_query: false,
            user_agent: "pushgate-standin/1".into(),
            device_type: "SmartPhone".into(),
            password: "test".into(),
            connect_timeout: Duration::from_secs(30),
            answer_timeout: Duration::from_secs(120),
        }
    }
}

/// A folder the device knows.
#[derive(Debug, Clone)]
pub struct KnownFolder {
    /// Its id.
    pub id: FolderId,
    /// FolderSync's Type.
    pub folder_type: u8,
    /// The key of the last Sync; "0" before the first.
    pub key: Box<str>,
}

impl KnownFolder {
    /// What it holds; `None`: nothing that can be watched.
    pub fn class(&self) -> Option<Class> {
        answers::class_of(self.folder_type)
    }
}

/// How a device came in step with a folder.
#[derive(Debug)]
pub struct CaughtUp {
    /// The answers, added up.
    pub answer: SyncAnswer,
    /// When the last exchange began: the others prove nothing about what changed after them.
    pub began: Instant,
    /// It began with key 0: what the device had before came again.
    pub is_anew: bool,
}

/// One device of one user.
#[derive(Debug)]
pub struct Device {
    options: Arc<DeviceOptions>,
    user: Box<str>,
    id: Box<str>,
    /// Instead of everybody's.
    password: Option<Box<str>>,
    source: Option<IpAddr>,
    stream: Option<WireStream>,
    /// What it speaks: what it would like to, or the latest before that which the server knows.
    version: Version,
    hierarchy_key: Box<str>,
    /// The server said to stay away so long, in its last answer.
    retry_after: Option<Duration>,
    /// Answers it has read, since somebody last asked.
    exchanges: u32,
    /// Sent along when set.
    pub policy_key: Option<u32>,
    /// What FolderSync brought.
    pub folders: Vec<KnownFolder>,
}

impl Device {
    /// A device that has not connected yet.
    pub fn new(options: Arc<DeviceOptions>, user: &str, id: &str) -> Self {
        Device {
            version: options.version,
            options,
            user: user.into(),
            id: id.into(),
            password: None,
            source: None,
            stream: None,
            hierarchy_key: "0".into(),
            retry_after: None,
            exchanges: 0,
            policy_key: None,
            folders: Vec::new(),
        }
    }

    /// Connects from that address from now on.
    pub fn from_source(mut self, source: IpAddr) -> Self {
        self.source = Some(source);
        self
    }

    /// Shows that password instead of everybody's.
    pub fn with_password(mut self, password: &str) -> Self {
        self.password = Some(password.into());
        self
    }

    /// The user.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The device id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What it speaks: what it would like to, until OPTIONS says that the server does not know it.
    pub fn version(&self) -> Version {
        self.version
    }

    /// Whether it has a connection, as far as it knows.
    pub fn is_connected(&self) -> bool {
        self.stream.is_some()
    }

    /// Connects, if it is not connected; requests do so by themselves.
    ///
    /// # Errors
    /// No connection or no handshake in time.
    pub async fn connect(&mut self) -> Result<(), DeviceError> {
        if self.stream.is_none() {
            // Boxed: the handshake's state is large, and a device that waits should not carry its room around.
            self.stream = Some(Box::pin(connect(&self.options, self.source)).await?);
        }
        Ok(())
    }

    /// Drops the connection without a word, as a phone that loses the network.
    pub fn disconnect(&mut self) {
        self.stream = None;
    }

    /// Asks what the server can do, and speaks the latest version that both know from then on.
    ///
    /// # Errors
    /// See [`DeviceError`]; all statuses but 200 are one.
    pub async fn options(&mut self) -> Result<OptionsAnswer, DeviceError> {
        let head = self.head("OPTIONS", "/Microsoft-Server-ActiveSync");
        let answer = ok(self.exchange(head.into_bytes(), self.options.answer_timeout, || {}).await?)?;
        let list = |name| -> Vec<String> {
            let value = answer.header(name).unwrap_or_default();
            value.split(',').map(|word| word.trim().to_owned()).filter(|word| !word.is_empty()).collect()
        };
        let answer = OptionsAnswer { versions: list("ms-asprotocolversions"), commands: list("ms-asprotocolcommands") };
        let known = answer.versions.iter().filter_map(|name| name.parse::<Version>().ok());
        self.version = known.filter(|&version| version <= self.options.version).max().unwrap_or(self.options.version);
        Ok(answer)
    }

    /// Fetches the folder list, or what changed in it, into [`Device::folders`].
    ///
    /// # Errors
    /// See [`DeviceError`]; Statuses other than 1 are in the answer (after 9 the next one starts anew).
    pub async fn folder_sync(&mut self) -> Result<FolderSyncAnswer, DeviceError> {
        let mut writer = Writer::new();
        writer.start(fh::FOLDER_SYNC).text(fh::SYNC_KEY, &self.hierarchy_key).end();
        let answer = ok(self.command(Command::FolderSync, writer.finish()).await?)?;
        let answer = answers::folder_sync(&answer.body)?;
        match answer.status {
            1 => self.take_folders(&answer),
            9 => self.hierarchy_key = "0".into(),
            _ => {}
        }
        Ok(answer)
    }

    fn take_folders(&mut self, answer: &FolderSyncAnswer) {
        if &*self.hierarchy_key == "0" {
            self.folders.clear();
        }
        self.hierarchy_key = answer.key.as_str().into();
        self.folders.retain(|folder| !answer.deleted.iter().any(|id| id == folder.id.as_str()));
        for folder in &answer.added {
            match self.folders.iter_mut().find(|known| known.id == folder.id) {
                Some(known) => known.folder_type = folder.folder_type,
                None => self.folders.push(KnownFolder { id: folder.id.clone(), folder_type: folder.folder_type, key: "0".into() }),
            }
        }
    }

    /// The id of the first folder of that Type (2: the Inbox).
    pub fn folder_of_type(&self, folder_type: u8) -> Option<FolderId> {
        self.folders.iter().find(|folder| folder.folder_type == folder_type).map(|folder| folder.id.clone())
    }

    /// One Sync of one known folder. The new key is remembered; after Status 3 the next one starts anew.
    /// An empty answer counts as Status 1 with nothing in it.
    ///
    /// # Errors
    /// See [`DeviceError`]; Statuses other than 1 are in the answer.
    pub async fn sync(&mut self, folder: &FolderId, wish: &SyncWish) -> Result<SyncAnswer, DeviceError> {
        let key = self.folders.iter().find(|known| known.id == *folder).map_or("0", |known| &known.key);
        let body = sync_body(self.version, &[Collection { id: folder, class: self.class_of(folder), key }], wish);
        let timeout = wish.heartbeat_s.map(|seconds| Duration::from_secs(seconds.into()) + AFTER_HEARTBEAT);
        let timeout = timeout.unwrap_or(self.options.answer_timeout);
        let request = self.request(Command::Sync, &body, None);
        let answer = ok(self.exchange(request, timeout, || {}).await?)?;
        let answers = answers::sync(&answer.body)?;
        let unchanged = SyncAnswer { status: 1, folder: folder.to_string(), ..SyncAnswer::default() };
        let answer = answers.into_iter().next().unwrap_or(unchanged);
        match answer.status {
            1 if !answer.key.is_empty() => self.set_key(folder.as_str(), &answer.key),
            3 => self.set_key(folder.as_str(), "0"),
            _ => {}
        }
        Ok(answer)
    }

    fn set_key(&mut self, folder: &str, key: &str) {
        if let Some(known) = self.folders.iter_mut().find(|known| known.id.as_str() == folder) {
            known.key = key.into();
        }
    }

    /// Syncs a folder until there is no more: from key 0 on if need be. The answers are added up.
    ///
    /// # Errors
    /// See [`DeviceError`]; Statuses other than 1 too, except for one 3.
    pub async fn sync_all(&mut self, folder: &FolderId) -> Result<SyncAnswer, DeviceError> {
        self.come_in_step(folder).await.map(|caught_up| caught_up.answer)
    }

    /// As [`Device::sync_all`], and how it went.
    ///
    /// # Errors
    /// See [`DeviceError`].
    pub async fn come_in_step(&mut self, folder: &FolderId) -> Result<CaughtUp, DeviceError> {
        let mut all = SyncAnswer::default();
        let (mut key_errors, mut is_anew) = (0, false);
        loop {
            let was_first = self.folders.iter().any(|known| known.id == *folder && &*known.key == "0");
            is_anew |= was_first;
            let began = Instant::now();
            let answer = self.sync(folder, &SyncWish::default()).await?;
            match answer.status {
                1 => {}
                3 if key_errors == 0 => {
                    key_errors += 1;
                    continue;
                }
                status => return Err(DeviceError::Status(Command::Sync, status)),
            }
            all.added.extend(answer.added);
            all.changed.extend(answer.changed);
            all.deleted.extend(answer.deleted);
            if !was_first && !answer.is_more {
                return Ok(CaughtUp { answer: SyncAnswer { status: 1, folder: answer.folder, key: answer.key, ..all }, began, is_anew });
            }
        }
    }

    /// Sends a Ping and waits for its answer. `heartbeat_s` and `folders` that are `None` are left out; `is_sent` is called when
    /// the request is on its way. `waits` is the heartbeat in force, for the time-out.
    ///
    /// # Errors
    /// See [`DeviceError`].
    pub async fn ping(
        &mut self,
        heartbeat_s: Option<u32>,
        folders: Option<&[FolderId]>,
        waits: Duration,
        is_sent: impl FnOnce(),
    ) -> Result<PingAnswer, DeviceError> {
        let folders = folders.map(|ids| ids.iter().map(|id| PingFolder { id: id.clone(), class: self.class_of(id) }).collect());
        let body = PingRequest { heartbeat_s, folders, folder_count: 0 }.encode();
        let request = self.request(Command::Ping, &body, None);
        drop(body);
        let answer = ok(self.exchange(request, waits + AFTER_HEARTBEAT, is_sent).await?)?;
        PingAnswer::parse(&answer.body).map_err(|_| DeviceError::Malformed("a Ping answer that is none"))
    }

    fn class_of(&self, id: &FolderId) -> Class {
        let known = self.folders.iter().find(|folder| folder.id == *id);
        known.and_then(KnownFolder::class).unwrap_or(Class::Email)
    }

    /// Any command with any body; any HTTP status is an answer.
    ///
    /// # Errors
    /// No answer.
    pub async fn command(&mut self, command: Command, body: Vec<u8>) -> Result<HttpAnswer, DeviceError> {
        let request = self.request(command, &body, None);
        self.exchange(request, self.options.answer_timeout, || {}).await
    }

    /// Fetches an attachment.
    ///
    /// # Errors
    /// See [`DeviceError`].
    pub async fn attachment(&mut self, name: &str) -> Result<Vec<u8>, DeviceError> {
        let request = self.request(Command::GetAttachment, &[], Some(name));
        Ok(ok(self.exchange(request, self.options.answer_timeout, || {}).await?)?.body)
    }

    /// Sends bytes as they are and reads one answer: for requests no phone would send.
    ///
    /// # Errors
    /// No answer.
    pub async fn raw(&mut self, request: Vec<u8>) -> Result<HttpAnswer, DeviceError> {
        self.exchange(request, self.options.answer_timeout, || {}).await
    }

    /// One request and its answer. After an error, or when the future is dropped, the connection is gone.
    async fn exchange(&mut self, request: Vec<u8>, timeout: Duration, is_sent: impl FnOnce()) -> Result<HttpAnswer, DeviceError> {
        self.connect().await?;
        let both = async {
            self.send(request).await?;
            is_sent();
            self.receive().await
        };
        tokio::time::timeout(timeout, both).await.unwrap_or(Err(DeviceError::Timeout))
    }

    /// Sends a request on the connection there is.
    async fn send(&mut self, request: Vec<u8>) -> Result<(), DeviceError> {
        let mut stream = self.stream.take().ok_or_else(not_connected)?;
        http_client::send(&mut stream, request).await.map_err(DeviceError::Broken)?;
        self.stream = Some(stream);
        Ok(())
    }

    /// Reads the answer of what was sent.
    async fn receive(&mut self) -> Result<HttpAnswer, DeviceError> {
        let mut stream = self.stream.take().ok_or_else(not_connected)?;
        let answer = match http_client::read_answer(&mut stream).await {
            Err(error) if error.kind() == io::ErrorKind::InvalidData && RecordError::find(&error).is_none() => {
                return Err(DeviceError::Malformed("an answer that is not HTTP"));
            }
            Err(error) => return Err(DeviceError::Broken(error)),
            Ok(answer) => answer,
        };
        self.exchanges += 1;
        let seconds = answer.header("retry-after").and_then(|value| value.parse().ok());
        self.retry_after = seconds.map(Duration::from_secs);
        if answer.keeps_alive {
            self.stream = Some(stream);
        }
        Ok(answer)
    }
}

fn not_connected() -> DeviceError {
    DeviceError::Broken(io::ErrorKind::NotConnected.into())
}

async fn connect(options: &DeviceOptions, source: Option<IpAddr>) -> Result<WireStream, DeviceError> {
    let tls = match &options.tls {
        None => None,
        Some(config) => {
            let name = ServerName::try_from(options.server_name.clone());
            Some((config.clone(), name.map_err(|_| DeviceError::Malformed("a server name that is none"))?))
        }
    };
    let connecting = stream::connect(options.target, source, tls);
    tokio::time::timeout(options.connect_timeout, connecting).await.unwrap_or(Err(DeviceError::Timeout))
}

fn ok(answer: HttpAnswer) -> Result<HttpAnswer, DeviceError> {
    if answer.status == 200 { Ok(answer) } else { Err(DeviceError::Http(answer.status)) }
}
