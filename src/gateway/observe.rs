//! What passing traffic teaches: folders from FolderSync and its kin, freshness from Sync. Bodies stream by; nothing is kept.

use super::body::Watcher;
use super::lots::{Fact, Home, Lots};
use crate::logic::eas::folder_change::{FolderAnswer, FolderOrder, FolderRequest};
use crate::logic::eas::folder_sync::{Folder, FolderChange, FolderSyncReader};
use crate::logic::eas::sync::{SyncAnswer, SyncObserver, SyncRequest};
use crate::logic::eas::{DeviceId, FolderId, Mailbox, status};
use crate::logic::hold::{AsOf, SyncTraits};

/// Whose traffic it is, and where to tell.
#[derive(Clone)]
pub(crate) struct Pupil {
    pub(crate) lots: Lots,
    pub(crate) home: Home,
    pub(crate) mailbox: Mailbox,
    pub(crate) device: DeviceId,
}

impl Pupil {
    /// Before a Sync or FolderSync is forwarded: from here on, changes to the device's folder list and to these folders count.
    /// The number to compare with is read after this.
    pub(crate) async fn expect(&self, ids: Vec<FolderId>) {
        self.lots.learn(self.home, self.mailbox.clone(), self.device.clone(), Fact::Expect(ids)).await;
    }

    fn tell(&self, fact: Fact) {
        self.lots.learn_now(self.home, self.mailbox.clone(), self.device.clone(), fact);
    }
}

/// Folders that a Sync will bring in step if its answer says so: those that asked for changes since a key.
pub(crate) fn proving(request: &SyncRequest) -> Vec<Asked> {
    let asks = request.collections.iter().filter(|c| c.sync_key != "0" && c.get_changes != Some(false));
    asks.filter_map(|c| Some(Asked { id: c.id.clone()?, sent: c.has_commands })).collect()
}

/// A folder that a Sync asks about.
pub(crate) struct Asked {
    pub(crate) id: FolderId,
    /// It also sends changes of the device's own (or fetches items: from outside these look alike).
    sent: bool,
}

/// Watches a Sync's answer.
pub(crate) struct SyncWatcher {
    pupil: Pupil,
    asked: Vec<Asked>,
    as_of: AsOf,
    observer: Option<SyncObserver>,
    /// Told of the answer, if the device's requests are remembered.
    told: Option<Box<dyn FnOnce(&SyncAnswer) + Send + Sync>>,
}

impl SyncWatcher {
    pub(crate) fn new(pupil: Pupil, asked: Vec<Asked>, as_of: AsOf) -> Self {
        SyncWatcher { pupil, asked, as_of, observer: Some(SyncObserver::new()), told: None }
    }

    pub(crate) fn telling(mut self, told: impl FnOnce(&SyncAnswer) + Send + Sync + 'static) -> Self {
        self.told = Some(Box::new(told));
        self
    }

    /// The whole answer was read elsewhere.
    pub(crate) fn learn(&mut self, answer: &SyncAnswer) {
        if let Some(folders) = self.in_step(answer) {
            self.pupil.tell(Fact::Synced { folders, as_of: self.as_of });
        }
    }

    /// Folders that the device will be in step with.
    fn in_step(&mut self, answer: &SyncAnswer) -> Option<Vec<(FolderId, SyncTraits)>> {
        if answer.status.is_some_and(|s| s != status::OK) {
            return None;
        }
        // Servers leave out collections without changes (from 12.1 the whole body); but one that cut its answer short may
        // have left out others too.
        let is_cut = answer.collections.iter().any(|c| c.more_available);
        let in_step = |Asked { id, sent }| match answer.collections.iter().find(|c| c.id.as_ref() == Some(&id)) {
            Some(found) => found.is_in_step().then_some((id, SyncTraits { brought: found.server_commands > 0, sent })),
            None => (!is_cut).then_some((id, SyncTraits { brought: false, sent })),
        };
        Some(self.asked.drain(..).filter_map(in_step).collect())
    }
}

impl Watcher for SyncWatcher {
    fn push(&mut self, bytes: &[u8]) {
        if self.observer.as_mut().is_some_and(|observer| observer.push(bytes).is_err()) {
            self.observer = None;
        }
    }

    fn finish(&mut self) {
        let Some(answer) = self.observer.take().and_then(|observer| observer.finish().ok()) else { return };
        if let Some(told) = self.told.take() {
            told(&answer);
        }
        self.learn(&answer);
    }
}

/// Watches a FolderSync's answer.
pub(crate) struct FolderSyncWatcher {
    pupil: Pupil,
    is_full: bool,
    as_of: u64,
    reader: Option<FolderSyncReader>,
}

impl FolderSyncWatcher {
    pub(crate) fn new(pupil: Pupil, is_full: bool, as_of: u64) -> Self {
        FolderSyncWatcher { pupil, is_full, as_of, reader: Some(FolderSyncReader::new()) }
    }
}

impl Watcher for FolderSyncWatcher {
    fn push(&mut self, bytes: &[u8]) {
        if self.reader.as_mut().is_some_and(|reader| reader.push(bytes).is_err()) {
            self.reader = None;
        }
    }

    fn finish(&mut self) {
        let Some(Ok(answer)) = self.reader.take().map(FolderSyncReader::finish) else { return };
        if answer.status == status::OK {
            // A list that was cut is not the whole tree: it adds, and replaces nothing.
            let is_full = self.is_full && !answer.is_cut;
            self.pupil.tell(Fact::Learnt { is_full, changes: answer.changes, as_of: self.as_of });
        }
    }
}

/// Watches the answer to a FolderCreate, FolderUpdate or FolderDelete.
pub(crate) struct FolderChangeWatcher {
    pupil: Pupil,
    request: FolderRequest,
    answer: Vec<u8>,
}

/// These answers are a status, a key and an id.
const FOLDER_ANSWER_BYTES_MAX: usize = 4_096;

impl FolderChangeWatcher {
    pub(crate) fn new(pupil: Pupil, request: FolderRequest) -> Self {
        FolderChangeWatcher { pupil, request, answer: Vec::new() }
    }
}

impl Watcher for FolderChangeWatcher {
    fn push(&mut self, bytes: &[u8]) {
        let room = FOLDER_ANSWER_BYTES_MAX.saturating_sub(self.answer.len());
        self.answer.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    fn finish(&mut self) {
        let Ok(answer) = FolderAnswer::parse(&self.answer) else { return };
        if answer.status != status::OK {
            return;
        }
        let change = match (&self.request.order, answer.id) {
            (FolderOrder::Create { parent, name, kind }, Some(id)) => {
                FolderChange::Add(Folder { id, parent: parent.clone(), name: name.clone(), kind: *kind })
            }
            (FolderOrder::Delete { id }, _) => FolderChange::Delete(id.clone()),
            // The type of a renamed folder is not in the request: the FolderSync that follows tells everything.
            _ => return,
        };
        // As of nothing: what others changed in the tree meanwhile is still to be fetched.
        self.pupil.tell(Fact::Learnt { is_full: false, changes: vec![change], as_of: 0 });
    }
}
