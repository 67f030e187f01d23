//! Syncs that wait for a change.

mod holding;
mod repeats;

use std::collections::HashMap;

use pushgate::logic::eas::sync::{SyncAnswer, SyncCollection, SyncRequest};
use pushgate::logic::eas::{Command, FolderId};
use pushgate::standin::cas::{Cas, Kind};

use crate::scene::{Answer, Gateway, Line, Phone, backend, device, gateway};

/// A phone that uses hanging Sync for its Inbox and Trash.
struct Syncer {
    phone: Phone,
    folders: Vec<FolderId>,
    keys: HashMap<FolderId, String>,
}

impl Syncer {
    /// With its folders fetched and synchronised.
    async fn in_step(mut phone: Phone) -> Self {
        assert_eq!(phone.device.folder_sync().await.unwrap().status, 1);
        let folders = vec![phone.folder(2), phone.folder(4)];
        let keys = folders.iter().map(|id| (id.clone(), "0".to_owned())).collect();
        let mut this = Syncer { phone, folders, keys };
        for _ in 0..2 {
            this.send(&this.full()).await;
            this.answer().await;
        }
        this
    }

    /// Everything from the present keys, to be answered at once.
    fn full(&self) -> SyncRequest {
        let collections = self.folders.iter().map(|id| SyncCollection::new(id.clone(), &self.keys[id])).collect();
        SyncRequest { collections, ..SyncRequest::default() }
    }

    fn hanging(&self, heartbeat_s: u32) -> SyncRequest {
        SyncRequest { heartbeat_s: Some(heartbeat_s), ..self.full() }
    }

    async fn send(&mut self, request: &SyncRequest) {
        let bytes = self.phone.request(Command::Sync, &request.encode());
        self.phone.line().await.send(bytes).await;
    }

    /// The answer, whose keys count from now on.
    async fn answer(&mut self) -> SyncAnswer {
        let answer = self.phone.line().await.answer().await;
        self.take(&answer)
    }

    fn take(&mut self, answer: &Answer) -> SyncAnswer {
        assert_eq!(answer.status, 200, "{}", answer.head);
        let answer = SyncAnswer::parse(&answer.body).unwrap();
        for collection in &answer.collections {
            self.keys.insert(collection.id.clone().unwrap(), collection.sync_key.clone().unwrap());
        }
        answer
    }

    async fn asks(&mut self, request: &SyncRequest) -> SyncAnswer {
        self.send(request).await;
        self.answer().await
    }

    /// Sends it and waits until it is held.
    async fn hold(&mut self, gateway: &Gateway, request: &SyncRequest) {
        self.send(request).await;
        self.phone.is_held(gateway).await;
    }

    async fn line(&mut self) -> &mut Line {
        self.phone.line().await
    }
}

/// How many items an answer brings for each folder.
fn items(answer: &SyncAnswer) -> Vec<u32> {
    answer.collections.iter().map(|collection| collection.server_commands).collect()
}

const NOTHING: &[u32] = &[];

async fn scene(kind: Kind) -> (Cas, Gateway, Syncer) {
    let backend = backend().kind(kind).start().await;
    let kind = if kind == Kind::Sogo { "\"sogo\"" } else { "\"other\"" };
    let gateway = gateway().behind(backend.url()).set("backend.kind", kind).set("ping.heartbeat_min_s", 1).start().await;
    let syncer = Syncer::in_step(device().at(&gateway)).await;
    (backend, gateway, syncer)
}
