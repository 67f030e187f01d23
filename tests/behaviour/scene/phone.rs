//! A phone: a simulated device that logs in and synchronises, and a second connection of its own on which it Pings.

use std::sync::Arc;

use pushgate::logic::eas::{Class, Command, FolderId, PingAnswer, PingFolder, PingRequest, Version};
use pushgate::standin::device::{Device, DeviceOptions};

use super::{Gateway, Line};

/// hew's phone.
pub fn device() -> PhoneBuilder {
    PhoneBuilder { user: "hew".into(), id: "Phone1".into(), edit: Vec::new() }
}

pub struct PhoneBuilder {
    user: String,
    id: String,
    edit: Vec<Edit>,
}

type Edit = Box<dyn FnOnce(&mut DeviceOptions)>;

impl PhoneBuilder {
    pub fn of(mut self, user: &str) -> Self {
        self.user = user.to_owned();
        self
    }

    pub fn named(mut self, id: &str) -> Self {
        self.id = id.to_owned();
        self
    }

    pub fn speaks(self, version: Version) -> Self {
        self.with(move |options| options.version = version)
    }

    pub fn packs_query(self) -> Self {
        self.with(|options| options.packs_query = true)
    }

    pub fn password(self, password: &str) -> Self {
        let password = password.to_owned();
        self.with(|options| options.password = password)
    }

    pub fn with(mut self, edit: impl FnOnce(&mut DeviceOptions) + 'static) -> Self {
        self.edit.push(Box::new(edit));
        self
    }

    /// Through this gateway; nothing is sent yet.
    pub fn at(self, gateway: &Gateway) -> Phone {
        let mut options = DeviceOptions::new(gateway.address(), Some(gateway.tls.clone()));
        self.edit.into_iter().for_each(|edit| edit(&mut options));
        let options = Arc::new(options);
        Phone { device: Device::new(options.clone(), &self.user, &self.id), options, line: None }
    }

    /// Through this gateway, with its folders fetched and its mail synchronised.
    pub async fn in_step_at(self, gateway: &Gateway) -> Phone {
        let mut phone = self.at(gateway);
        phone.synchronise().await;
        phone
    }
}

pub struct Phone {
    pub device: Device,
    options: Arc<DeviceOptions>,
    line: Option<Line>,
}

impl Phone {
    pub fn id(&self) -> &str {
        self.device.id()
    }

    /// The folder of that Type: 2 Inbox, 4 Trash, 8 Calendar.
    pub fn folder(&self, folder_type: u8) -> FolderId {
        self.device.folder_of_type(folder_type).unwrap()
    }

    pub fn inbox(&self) -> FolderId {
        self.folder(2)
    }

    /// FolderSync, and Sync of Inbox and Trash.
    pub async fn synchronise(&mut self) {
        assert_eq!(self.device.folder_sync().await.unwrap().status, 1);
        self.synchronise_folders().await;
    }

    /// Sync of Inbox and Trash, until there is no more.
    pub async fn synchronise_folders(&mut self) {
        for folder in [self.folder(2), self.folder(4)] {
            self.device.sync_all(&folder).await.unwrap();
        }
    }

    /// Sends a Ping on its second connection and does not wait. What is `None` is left out.
    pub async fn ping(&mut self, heartbeat_s: Option<u32>, folders: Option<&[FolderId]>) {
        let request = self.ping_request(heartbeat_s, folders);
        self.line().await.send(request).await;
    }

    /// Sends a Ping that is answered at once.
    pub async fn asks(&mut self, heartbeat_s: Option<u32>, folders: Option<&[FolderId]>) -> PingAnswer {
        self.ping(heartbeat_s, folders).await;
        self.answer().await
    }

    /// Pings for its Inbox and waits until the Ping is held.
    pub async fn hold(&mut self, gateway: &Gateway) {
        let inbox = [self.inbox()];
        self.hold_for(gateway, 600, &inbox).await;
    }

    pub async fn hold_for(&mut self, gateway: &Gateway, heartbeat_s: u32, folders: &[FolderId]) {
        self.ping(Some(heartbeat_s), Some(folders)).await;
        self.is_held(gateway).await;
    }

    /// Waits until its Ping is held and wants nothing more.
    pub async fn is_held(&self, gateway: &Gateway) {
        let query = format!("?device={}", self.id());
        super::until("the Ping held", async || gateway.pings(&query).await.pings.iter().any(|ping| ping.phase == "parked")).await;
    }

    /// The answer to its Ping, which must come soon.
    pub async fn answer(&mut self) -> PingAnswer {
        self.line().await.answer().await.ping()
    }

    /// The connection on which it Pings.
    pub async fn line(&mut self) -> &mut Line {
        if self.line.is_none() {
            let tls = self.options.tls.clone().unwrap();
            self.line = Some(Line::tls(self.options.target, tls).await.unwrap());
        }
        self.line.as_mut().unwrap()
    }

    /// Takes that connection away; the next Ping makes a new one.
    pub fn take_line(&mut self) -> Line {
        self.line.take().unwrap()
    }

    pub fn put_line(&mut self, line: Line) {
        self.line = Some(line);
    }

    pub fn ping_request(&self, heartbeat_s: Option<u32>, folders: Option<&[FolderId]>) -> Vec<u8> {
        self.request(Command::Ping, &self.ping_body(heartbeat_s, folders))
    }

    pub fn ping_body(&self, heartbeat_s: Option<u32>, folders: Option<&[FolderId]>) -> Vec<u8> {
        let folders: Option<Vec<PingFolder>> =
            folders.map(|ids| ids.iter().map(|id| PingFolder { id: id.clone(), class: self.class_of(id) }).collect());
        PingRequest { heartbeat_s, folder_count: folders.as_ref().map_or(0, Vec::len), folders }.encode()
    }

    /// Any command, as this phone sends it.
    pub fn request(&self, command: Command, body: &[u8]) -> Vec<u8> {
        self.device.request(command, body, None)
    }

    fn class_of(&self, id: &FolderId) -> Class {
        let known = self.device.folders.iter().find(|folder| folder.id == *id);
        known.and_then(|folder| folder.class()).unwrap_or(Class::Email)
    }
}
