//! What passing traffic teaches: folders from FolderSync and its kin, freshness from Sync. Bodies stream by; nothing is kept.

use std::sync::Arc;

use super::body::Watcher;
use super::connection::Stage;
use super::delivery::Delivery;
use super::lots::{Fact, Home, Lots};
use crate::logic::eas::folder_change::{FolderAnswer, FolderOrder, FolderRequest};
use crate::logic::eas::folder_sync::{Folder, FolderChange, FolderSyncReader, FolderType};
use crate::logic::eas::sync::{SyncAnswer, SyncObserver, SyncRequest};
use crate::logic::eas::{DeviceId, FolderId, Mailbox, Version, status};
use crate::logic::hold::{AsOf, SyncTraits};
use crate::telemetry::metrics::FOLDER_LISTS_UNREADABLE_TOTAL;

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

    pub(crate) fn tell(&self, fact: Fact) {
        self.lots.learn_now(self.home, self.mailbox.clone(), self.device.clone(), fact);
    }
}

/// How an answer gets to its device.
pub(crate) struct Way {
    pub(crate) stage: Arc<Stage>,
    /// The backend knows the device's user already: what it did for the request may be lost before it answers.
    pub(crate) is_known: bool,
    /// Who is told what a Sync's answer says.
    pub(crate) noted: Option<Noted>,
}

/// Told of the Status that a Sync was answered with.
pub(crate) type Noted = Box<dyn Fn(u16) + Send + Sync>;

/// Folders that a Sync will bring in step if its answer says so: those that asked for changes since a key. Up to 12.0 a
/// server sends no changes unless it is told to.
pub(crate) fn proving(request: &SyncRequest, version: Version) -> Vec<Asked> {
    let by_default = version >= Version::V12_1;
    let asks = request.collections.iter().filter(|c| c.sync_key != "0" && c.get_changes.unwrap_or(by_default));
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
    is_empty: bool,
    /// No body means that nothing changed; before 12.1 it means that something went wrong.
    may_be_empty: bool,
    told: Option<Told>,
    noted: Option<Noted>,
    delivery: Option<Delivery>,
    stage: Arc<Stage>,
}

/// Told of the answer once the device has it, and of nothing if that turns out not to be so; if its requests are remembered.
type Told = Box<dyn Fn(Option<&SyncAnswer>) + Send + Sync>;

impl SyncWatcher {
    /// Made before the request is forwarded, so that an answer for which nobody waits any more is lost like any other.
    pub(crate) fn new(pupil: Pupil, (asked, as_of): (Vec<Asked>, AsOf), version: Version, way: Way) -> Self {
        let ids = asked.iter().map(|asked| asked.id.clone()).collect();
        SyncWatcher {
            delivery: Some(Delivery::new(pupil.clone(), ids, false, as_of.number, way.is_known)),
            pupil,
            asked,
            as_of,
            observer: Some(SyncObserver::new()),
            is_empty: true,
            may_be_empty: version >= Version::V12_1,
            told: None,
            noted: way.noted,
            stage: way.stage,
        }
    }

    pub(crate) fn telling(mut self, told: impl Fn(Option<&SyncAnswer>) + Send + Sync + 'static) -> Self {
        self.told = Some(Box::new(told));
        self
    }

    /// Takes a whole answer that has nothing for the device and is not passed on.
    pub(crate) fn learn_unsent(mut self, answer: &SyncAnswer) {
        self.learn(answer);
        forgo(&mut self.delivery);
    }

    /// Takes a whole answer.
    fn learn(&mut self, answer: &SyncAnswer) {
        if let Some(noted) = self.noted.take() {
            noted(sync_status(answer));
        }
        if answer.status.is_some_and(|s| s != status::OK) {
            return;
        }
        // Servers leave out collections without changes (from 12.1 the whole body); but one that cut its answer short, stumbled,
        // or did not say which collection it means, may have left out others too.
        let is_cut = answer.collections.iter().any(|c| !c.is_in_step() || c.id.is_none());
        let met = |Asked { id, sent }| match answer.collections.iter().find(|c| c.id.as_ref() == Some(&id)) {
            Some(found) if found.status != Some(status::OK) => None,
            Some(found) => Some((id, SyncTraits { brought: found.server_commands, sent, is_cut: !found.is_in_step() })),
            None => (!is_cut).then_some((id, SyncTraits { brought: 0, sent, is_cut: false })),
        };
        let folders = self.asked.drain(..).filter_map(met).collect();
        self.pupil.tell(Fact::Synced { folders, as_of: self.as_of });
    }
}

/// What a Sync came to: success if it brought a folder in step.
fn sync_status(answer: &SyncAnswer) -> u16 {
    let statuses = answer.collections.iter().filter_map(|c| c.status).chain(answer.status);
    statuses.reduce(|so_far, status| if so_far == status::OK { so_far } else { status }).unwrap_or(status::OK)
}

/// Nothing is on its way that could be lost.
fn forgo(delivery: &mut Option<Delivery>) {
    if let Some(delivery) = delivery.take() {
        delivery.arrived();
    }
}

/// Whether there was something for the device.
fn brings(answer: &SyncAnswer, id: &FolderId) -> bool {
    let found = answer.collections.iter().filter(|c| c.id.as_ref().is_none_or(|found| found == id));
    found.into_iter().any(|c| c.server_commands > 0 || (c.status == Some(status::OK) && !c.is_in_step()))
}

impl Watcher for SyncWatcher {
    fn begin(&mut self, is_good: bool) {
        match &mut self.delivery {
            Some(delivery) if is_good => delivery.arm(),
            // The device is told that it has to ask again.
            _ => forgo(&mut self.delivery),
        }
    }

    fn push(&mut self, bytes: &[u8]) {
        self.is_empty &= bytes.is_empty();
        if self.observer.as_mut().is_some_and(|observer| observer.push(bytes).is_err()) {
            self.observer = None;
        }
    }

    fn finish(&mut self) {
        let Some(mut delivery) = self.delivery.take() else { return };
        if self.is_empty && !self.may_be_empty {
            return delivery.arrived();
        }
        if let Some(answer) = self.observer.take().and_then(|observer| observer.finish().ok()) {
            self.learn(&answer);
            delivery.keep_only(|id| brings(&answer, id), false);
            if let Some(told) = self.told.take() {
                delivery.telling(Box::new(move |is_there| told(Some(&answer).filter(|_| is_there))));
            }
        }
        self.stage.send_off(delivery);
    }
}

/// Watches a FolderSync's answer.
pub(crate) struct FolderSyncWatcher {
    pupil: Pupil,
    is_full: bool,
    as_of: u64,
    reader: Option<FolderSyncReader>,
    delivery: Option<Delivery>,
    stage: Arc<Stage>,
}

impl FolderSyncWatcher {
    pub(crate) fn new(pupil: Pupil, is_full: bool, as_of: u64, way: Way) -> Self {
        let delivery = Some(Delivery::new(pupil.clone(), Vec::new(), true, as_of, way.is_known));
        FolderSyncWatcher { pupil, is_full, as_of, reader: Some(FolderSyncReader::new()), delivery, stage: way.stage }
    }
}

/// An answer about folders could not be read, or not all of it.
fn lose_the_list(pupil: &Pupil, reason: &dyn std::fmt::Display) {
    metrics::counter!(FOLDER_LISTS_UNREADABLE_TOTAL.name).increment(1);
    tracing::warn!(%reason, device = %pupil.device, "a folder list could not be read: the device is woken by class until one can");
    pupil.tell(Fact::Unreadable);
}

impl Watcher for FolderSyncWatcher {
    fn begin(&mut self, is_good: bool) {
        match &mut self.delivery {
            Some(delivery) if is_good => delivery.arm(),
            _ => forgo(&mut self.delivery),
        }
    }

    fn push(&mut self, bytes: &[u8]) {
        // The first error is final, and comes once more at the end.
        let _ = self.reader.as_mut().map(|reader| reader.push(bytes));
    }

    fn finish(&mut self) {
        let Some((mut delivery, reader)) = self.delivery.take().zip(self.reader.take()) else { return };
        match reader.finish() {
            Ok(answer) if answer.status == status::OK => {
                delivery.keep_only(|_| false, !answer.changes.is_empty());
                // A list that was cut is not the whole tree: it adds, and replaces nothing.
                let is_full = self.is_full && !answer.is_cut;
                if answer.is_cut {
                    lose_the_list(&self.pupil, &"it is too long");
                }
                self.pupil.tell(Fact::Learnt { is_full, changes: answer.changes, as_of: self.as_of });
            }
            Ok(_) => delivery.keep_only(|_| false, false),
            Err(error) => lose_the_list(&self.pupil, &error),
        }
        self.stage.send_off(delivery);
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
        let answer = match FolderAnswer::parse(&self.answer) {
            Ok(answer) => answer,
            Err(error) => return lose_the_list(&self.pupil, &error),
        };
        if answer.status != status::OK {
            return;
        }
        let change = match (&self.request.order, answer.id) {
            (FolderOrder::Create { parent, name, kind }, Some(id)) => {
                FolderChange::Add(Folder { id, parent: parent.clone(), name: name.clone(), kind: *kind })
            }
            (FolderOrder::Delete { id }, _) => FolderChange::Delete(id.clone()),
            // The FolderSync that follows does not repeat it: the server knows that the device knows.
            (FolderOrder::Update { id, parent, name }, _) => {
                let (id, parent, name) = (id.clone(), parent.clone(), name.clone());
                FolderChange::Update(Folder { id, parent, name, kind: FolderType::UNSAID })
            }
            (FolderOrder::Create { .. }, None) => return,
        };
        // As of nothing: what others changed in the tree meanwhile is still to be fetched.
        self.pupil.tell(Fact::Learnt { is_full: false, changes: vec![change], as_of: 0 });
    }
}

#[cfg(test)]
mod tests {
    use super::super::lots::Note;
    use super::*;
    use crate::logic::eas::sync::{SyncAnswer, SyncCollection, SyncedCollection};
    use crate::logic::hold::Moment;

    fn id(text: &str) -> FolderId {
        FolderId::new(text).expect("short")
    }

    /// Ids proven by a Sync of folders 5 and 7 that was answered like this.
    fn proven(version: Version, answer: &[u8]) -> Option<Vec<FolderId>> {
        let (lots, mut inboxes) = Lots::new(1, 16, 1).expect("a poller");
        let mailbox = Mailbox::normalise("hew@example.org", None, true).expect("a name");
        let device = DeviceId::new(b"A1").expect("an id");
        let pupil = Pupil { home: lots.home(&mailbox), lots, mailbox, device };
        let as_of = AsOf { number: 3, at: Moment::default() };
        let asked = ["5", "7"].map(|name| Asked { id: id(name), sent: false });
        let way = Way { stage: Arc::default(), is_known: true, noted: None };
        let mut watcher = SyncWatcher::new(pupil, (asked.into(), as_of), version, way);
        watcher.push(answer);
        watcher.finish();
        match inboxes[0].receiver.try_recv().ok()? {
            Note::Learn(lesson) => match lesson.fact {
                Fact::Synced { folders, as_of: told } if told == as_of => {
                    Some(folders.into_iter().filter(|(_, traits)| !traits.is_cut).map(|(id, _)| id).collect())
                }
                _ => None,
            },
            _ => None,
        }
    }

    fn answer(collections: &[(&str, u16, bool)]) -> Vec<u8> {
        let collections = collections.iter().map(|(name, status, more_available)| SyncedCollection {
            id: Some(id(name)).filter(|id| !id.as_str().is_empty()),
            status: Some(*status),
            more_available: *more_available,
            ..SyncedCollection::default()
        });
        SyncAnswer { collections: collections.collect(), ..SyncAnswer::default() }.encode()
    }

    #[test]
    fn a_folder_left_out_is_in_step_unless_another_one_went_wrong() {
        let of = |collections: &[(&str, u16, bool)]| proven(Version::V14_1, &answer(collections));
        assert_eq!(of(&[("5", 1, false)]), Some(vec![id("5"), id("7")]));
        assert_eq!(of(&[("5", 1, true)]), Some(vec![]));
        assert_eq!(of(&[("5", 3, false)]), Some(vec![]));
        assert_eq!(of(&[("5", 1, false), ("7", 8, false)]), Some(vec![id("5")]));
    }

    #[test]
    fn no_body_means_no_change_only_where_the_version_says_so() {
        assert_eq!(proven(Version::V12_1, b""), Some(vec![id("5"), id("7")]));
        assert_eq!(proven(Version::V12_0, b""), None);
        assert_eq!(proven(Version::V14_1, b"<html>"), None);
    }

    #[test]
    fn changes_come_unasked_from_12_1_on() {
        let with = |get_changes, sync_key| SyncRequest {
            collections: vec![SyncCollection { get_changes, ..SyncCollection::new(id("5"), sync_key) }],
            ..SyncRequest::default()
        };
        let proves = |get_changes, key, version| !proving(&with(get_changes, key), version).is_empty();
        assert!(proves(None, "9", Version::V12_1) && !proves(None, "9", Version::V12_0));
        assert!(proves(Some(true), "9", Version::V2_5) && !proves(Some(false), "9", Version::V16_1));
        assert!(!proves(Some(true), "0", Version::V14_1), "key 0 brings no changes");
    }
}
