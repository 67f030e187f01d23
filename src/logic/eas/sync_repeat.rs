//! The same Sync once more: what an empty or Partial request stands for, written out in full, from the keys of the latest answers.
//! Bodies are edited, not rebuilt: options that nobody here reads stay as the device wrote them.

use super::FolderId;
use super::body::BodyError;
use super::sync::{SyncAnswer, SyncRequest};
use crate::logic::wbxml::{Edit, Limits, Tag, Writer, air_sync as tags, copy, copy_into};

/// Keys to continue from, by folder: packed, because a device has them only to be looked up now and then.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SyncKeys(Box<str>);

/// Cannot be in an id or a key: WBXML ends its texts with it.
const END: char = '\0';

impl SyncKeys {
    /// The key of a folder.
    pub fn of(&self, folder: &FolderId) -> Option<&str> {
        self.pairs().find(|(id, _)| *id == folder.as_str()).map(|(_, key)| key)
    }

    /// Bytes they take.
    pub fn bytes(&self) -> usize {
        self.0.len()
    }

    /// Replaces the keys of these folders and keeps the others; beyond `bytes_max` the others go, and then the last of these.
    pub fn set<'a>(&mut self, news: impl Iterator<Item = (&'a FolderId, &'a str)>, bytes_max: usize) {
        let mut packed = String::new();
        let push = |packed: &mut String, id: &str, key: &str| {
            let is_clean = !id.contains(END) && !key.contains(END);
            if is_clean && packed.len() + id.len() + key.len() + 2 <= bytes_max {
                packed.extend([id, "\0", key, "\0"]);
            }
        };
        for (id, key) in news {
            push(&mut packed, id.as_str(), key);
        }
        let fresh = SyncKeys(packed.clone().into_boxed_str());
        for (id, key) in self.pairs().filter(|(id, _)| !fresh.pairs().any(|(other, _)| other == *id)) {
            push(&mut packed, id, key);
        }
        self.0 = packed.into_boxed_str();
    }

    /// What an answer hands out.
    pub fn learn(&mut self, answer: &SyncAnswer, bytes_max: usize) {
        let good = answer.collections.iter().filter(|collection| collection.status == Some(1));
        self.set(good.filter_map(|collection| Some((collection.id.as_ref()?, collection.sync_key.as_deref()?))), bytes_max);
    }

    /// What a request shows: the device has read the answers with these.
    pub fn show(&mut self, request: &SyncRequest, bytes_max: usize) {
        self.set(request.collections.iter().filter_map(|c| Some((c.id.as_ref()?, c.sync_key.as_str()))), bytes_max);
    }

    fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        let mut parts = self.0.split_terminator(END);
        std::iter::from_fn(move || Some((parts.next()?, parts.next()?)))
    }
}

/// A request without what the device changed: what a server remembers of it.
///
/// # Errors
/// The body is not WBXML.
pub fn without_commands(body: &[u8]) -> Result<Vec<u8>, BodyError> {
    const COMMANDS: &[Tag] = &[tags::SYNC, tags::COLLECTIONS, tags::COLLECTION, tags::COMMANDS];
    Ok(copy(body, Limits::LENIENT, |path| path != COMMANDS)?)
}

/// A full request, from the present keys.
///
/// # Errors
/// See [`BodyError`].
pub fn with_keys(body: &[u8], keys: &SyncKeys) -> Result<Vec<u8>, BodyError> {
    let mut editor = KeyEditor::new(body, keys)?;
    let mut writer = Writer::after(Vec::with_capacity(body.len()));
    copy_into(&mut writer, body, Limits::LENIENT, |path| editor.edit(path))?;
    Ok(writer.finish())
}

/// The full request that a Partial one stands for: collections it lists as it lists them, the others as they were in the last
/// full one (which is `remembered`) from the present keys; its own wait and window.
///
/// # Errors
/// See [`BodyError`].
pub fn complete(partial: &[u8], remembered: &[u8], keys: &SyncKeys) -> Result<Vec<u8>, BodyError> {
    let listed = SyncRequest::skim(partial)?;
    let has_window = listed.window_size.is_some();
    let mut editor = KeyEditor::new(remembered, keys)?;
    let is_listed: Vec<bool> = editor.folders.iter().map(|id| listed.collections.iter().any(|c| c.id == *id)).collect();
    let mut writer = Writer::new();
    writer.start(tags::SYNC).start(tags::COLLECTIONS);
    copy_into(&mut writer, partial, Limits::LENIENT, |path| match path {
        [_] | [_, tags::COLLECTIONS] => Edit::Unwrap,
        [_, tags::COLLECTIONS, ..] => Edit::Keep,
        _ => Edit::Drop,
    })?;
    copy_into(&mut writer, remembered, Limits::LENIENT, |path| match path {
        [_] | [_, tags::COLLECTIONS] => Edit::Unwrap,
        [_, tags::COLLECTIONS, ..] => match editor.edit(path) {
            // Asked of the collection first: what is in a dropped one is not asked about.
            Edit::Keep if path.len() == 3 && is_listed.get(editor.index()).copied().unwrap_or(false) => Edit::Drop,
            edit => edit,
        },
        _ => Edit::Drop,
    })?;
    writer.end();
    let mut copy_rest = |body: &[u8], tag_wanted: &dyn Fn(Tag) -> bool| {
        copy_into(&mut writer, body, Limits::LENIENT, |path| match path {
            [_] => Edit::Unwrap,
            [_, tag] if !tag_wanted(*tag) => Edit::Drop,
            _ => Edit::Keep,
        })
    };
    copy_rest(partial, &|tag| tag != tags::COLLECTIONS && tag != tags::PARTIAL)?;
    copy_rest(remembered, &|tag| tag == tags::WINDOW_SIZE && !has_window)?;
    writer.end();
    Ok(writer.finish())
}

/// Puts the present keys in the place of the ones a body has.
struct KeyEditor<'a> {
    folders: Vec<Option<FolderId>>,
    keys: &'a SyncKeys,
    begun: usize,
}

impl<'a> KeyEditor<'a> {
    fn new(body: &[u8], keys: &'a SyncKeys) -> Result<Self, BodyError> {
        let folders = SyncRequest::skim(body)?.collections.into_iter().map(|collection| collection.id).collect();
        Ok(KeyEditor { folders, keys, begun: 0 })
    }

    /// Which collection the walk is in.
    fn index(&self) -> usize {
        self.begun.saturating_sub(1)
    }

    fn edit(&mut self, path: &[Tag]) -> Edit {
        match path {
            [_, tags::COLLECTIONS, tags::COLLECTION] => {
                self.begun += 1;
                Edit::Keep
            }
            [_, tags::COLLECTIONS, tags::COLLECTION, tags::SYNC_KEY] => {
                let folder = self.folders.get(self.index()).and_then(Option::as_ref);
                folder.and_then(|id| self.keys.of(id)).map_or(Edit::Keep, |key| Edit::Text(key.to_owned()))
            }
            _ => Edit::Keep,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::sync::{SyncCollection, SyncedCollection, without_wait};
    use super::*;

    fn id(text: &str) -> FolderId {
        FolderId::new(text).expect("short")
    }

    fn collection(folder: &str, key: &str, window: u32) -> SyncCollection {
        SyncCollection { window_size: Some(window), ..SyncCollection::new(id(folder), key) }
    }

    fn keys(pairs: &[(&str, &str)]) -> SyncKeys {
        let mut keys = SyncKeys::default();
        let ids: Vec<_> = pairs.iter().map(|(folder, key)| (id(folder), *key)).collect();
        keys.set(ids.iter().map(|(folder, key)| (folder, *key)), 1_000);
        keys
    }

    #[test]
    fn keys_are_replaced_one_by_one_and_bounded() {
        let mut known = keys(&[("5", "1"), ("1", "7")]);
        known.set([(&id("5"), "2")].into_iter(), 1_000);
        assert_eq!((known.of(&id("5")), known.of(&id("1")), known.of(&id("9"))), (Some("2"), Some("7"), None));
        known.set([(&id("5"), "3")].into_iter(), 5);
        assert_eq!((known.of(&id("5")), known.of(&id("1"))), (Some("3"), None), "no room for the other");
        assert!(known.bytes() <= 5);
    }

    #[test]
    fn only_collections_that_went_well_teach_a_key() {
        let mut known = keys(&[("5", "1"), ("1", "7")]);
        let of = |folder, status, key: &str| SyncedCollection {
            id: Some(id(folder)),
            status: Some(status),
            sync_key: Some(key.into()),
            ..SyncedCollection::default()
        };
        known.learn(&SyncAnswer { collections: vec![of("5", 1, "2"), of("1", 3, "0")], ..SyncAnswer::default() }, 1_000);
        assert_eq!((known.of(&id("5")), known.of(&id("1"))), (Some("2"), Some("7")));
    }

    #[test]
    fn a_request_is_repeated_from_the_present_keys_with_everything_else_as_it_was() {
        let request = SyncRequest {
            collections: vec![collection("5", "1", 25), collection("1", "7", 10)],
            wait_min: Some(8),
            ..SyncRequest::default()
        };
        let repeated = with_keys(&request.encode(), &keys(&[("5", "{a}2")])).expect("WBXML");
        let expected = SyncRequest { collections: vec![collection("5", "{a}2", 25), collection("1", "7", 10)], ..request };
        assert_eq!(repeated, expected.encode());
        let waitless = without_wait(&repeated).expect("WBXML");
        assert_eq!(waitless, SyncRequest { wait_min: None, ..expected }.encode());
    }

    #[test]
    fn a_partial_request_is_completed_with_what_it_leaves_out() {
        let full = SyncRequest {
            collections: vec![collection("5", "1", 25), collection("1", "7", 10), collection("9", "3", 10)],
            heartbeat_s: Some(600),
            window_size: Some(50),
            ..SyncRequest::default()
        };
        let partial =
            SyncRequest { collections: vec![collection("1", "8", 99)], heartbeat_s: Some(900), is_partial: true, ..SyncRequest::default() };
        let completed = complete(&partial.encode(), &full.encode(), &keys(&[("5", "2")])).expect("WBXML");
        let expected = SyncRequest {
            collections: vec![collection("1", "8", 99), collection("5", "2", 25), collection("9", "3", 10)],
            heartbeat_s: Some(900),
            ..full
        };
        assert_eq!(SyncRequest::skim(&completed), Ok(expected));
    }

    #[test]
    fn what_the_device_changed_is_not_remembered() {
        let mut writer = Writer::new();
        writer.start(tags::SYNC).start(tags::COLLECTIONS).start(tags::COLLECTION);
        writer.text(tags::SYNC_KEY, "1").text(tags::COLLECTION_ID, "5").start(tags::COMMANDS).start(tags::DELETE);
        writer.text(tags::SERVER_ID, "5:1").end().end().end().end().end();
        let plain = SyncRequest { collections: vec![SyncCollection::new(id("5"), "1")], ..SyncRequest::default() };
        assert_eq!(without_commands(&writer.finish()), Ok(plain.encode()));
    }
}
