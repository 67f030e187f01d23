//! Sync: items newer than the device's key, in windows, and what the device changed itself.

use super::ItemId;
use super::held::{Held, hold};
use super::http::Answer;
use super::mailbox::{Folder, Happened, Mailbox, Progress};
use super::shared::{Shared, Who};
use super::sync_request::{ClientCommand, CollectionRequest, SyncRequest, Wait};
use crate::logic::eas::Version;
use crate::logic::wbxml::{Writer, air_sync, email};

/// Items in one answer when the device does not say.
const WINDOW: usize = 100;
/// Items in one answer at most.
const WINDOW_MAX: usize = 512;
/// SOGoMaximumSyncInterval, seconds.
const SOGO_SYNC_MAX_S: u32 = 30;

/// Collections of the last full request, for empty and Partial ones.
#[derive(Debug, Clone, Default)]
pub(super) struct RememberedSync {
    collections: Vec<CollectionRequest>,
    hold_s: Option<u32>,
}

/// Answers a Sync; with a wait in it, that may take as long.
pub(super) async fn answer(shared: &Shared, who: &Who, body: &[u8]) -> Answer {
    let (request, hold_s) = match prepare(shared, who, body) {
        Ok(prepared) => prepared,
        Err(refusal) => return refusal,
    };
    let found = match hold_s {
        None => shared.with_mailbox(&who.mailbox, |mailbox| attempt(shared, who, mailbox, &request)),
        Some(hold_s) => match hold(shared, who, hold_s, |mailbox| attempt(shared, who, mailbox, &request)).await {
            Held::Found(body) => Some(body),
            Held::Over | Held::Replaced => None,
        },
    };
    match found {
        Some(body) => Answer::wbxml(body),
        None if who.version >= Version::V12_1 => Answer::empty(),
        None => shared.with_mailbox(&who.mailbox, |mailbox| Answer::wbxml(unchanged(shared, who, mailbox, &request))),
    }
}

/// The collections to look at and how long to wait, or an answer that says why not.
fn prepare(shared: &Shared, who: &Who, body: &[u8]) -> Result<(Vec<CollectionRequest>, Option<u32>), Answer> {
    let status = |status: u8| Answer::wbxml(status_only(status, None));
    let remembered = || shared.with_mailbox(&who.mailbox, |mailbox| mailbox.partnerships.get(&who.device)?.sync.clone());
    if body.is_empty() {
        let remembered = remembered().filter(|_| !shared.manners.plain_sync_only).ok_or_else(|| status(13))?;
        return Ok((with_current_keys(shared, who, remembered.collections), remembered.hold_s));
    }
    let mut request = SyncRequest::parse(body).map_err(|()| status(4))?;
    if request.is_partial {
        let remembered = remembered().filter(|_| !shared.manners.plain_sync_only).ok_or_else(|| status(13))?;
        let left_out = with_current_keys(shared, who, remembered.collections);
        let listed: Vec<String> = request.collections.iter().map(|collection| collection.id.clone()).collect();
        request.collections.extend(left_out.into_iter().filter(|collection| !listed.contains(&collection.id)));
    }
    let hold_s = hold_time(shared, request.wait).map_err(|(code, limit)| Answer::wbxml(status_only(code, limit)))?;
    shared.with_mailbox(&who.mailbox, |mailbox| {
        let collections = request.collections.iter().map(CollectionRequest::without_commands).collect();
        mailbox.partnerships.entry(who.device.clone()).or_default().sync = Some(RememberedSync { collections, hold_s });
    });
    Ok((request.collections, hold_s))
}

/// Seconds to wait; `Err`: a Status and its Limit.
fn hold_time(shared: &Shared, wait: Wait) -> Result<Option<u32>, (u8, Option<u32>)> {
    let (min_s, max_s) = (shared.manners.heartbeat_min_s.max(1), shared.manners.heartbeat_max_s.min(3_540));
    if shared.manners.plain_sync_only {
        return Ok(wait.heartbeat_s.map(|seconds| seconds.min(SOGO_SYNC_MAX_S)));
    }
    match (wait.heartbeat_s, wait.minutes) {
        (None, None) => Ok(None),
        (Some(_), Some(_)) => Err((4, None)),
        (Some(seconds), None) if seconds < min_s => Err((14, Some(min_s))),
        (Some(seconds), None) if seconds > max_s => Err((14, Some(max_s))),
        (Some(seconds), None) => Ok(Some(seconds)),
        (None, Some(0)) => Err((14, Some(1))),
        (None, Some(minutes)) if minutes > 59 => Err((14, Some(59))),
        (None, Some(minutes)) => Ok(Some(minutes * 60)),
    }
}

fn status_only(status: u8, limit: Option<u32>) -> Vec<u8> {
    let mut writer = Writer::new();
    writer.start(air_sync::SYNC).number(air_sync::STATUS, status);
    if let Some(limit) = limit {
        writer.number(air_sync::LIMIT, limit);
    }
    writer.end();
    writer.finish()
}

/// Remembered collections continue from the key the device got last.
fn with_current_keys(shared: &Shared, who: &Who, mut collections: Vec<CollectionRequest>) -> Vec<CollectionRequest> {
    shared.with_mailbox(&who.mailbox, |mailbox| {
        for collection in &mut collections {
            let Some(number) = shared.folder_number(who, mailbox, &collection.id) else { continue };
            let known = mailbox.partnerships.get(&who.device).and_then(|known| known.collections.get(&number));
            collection.key = shared.manners.key_text(&who.device, number, known.map_or(0, |progress| progress.key));
        }
    });
    collections
}

/// The answer if there is anything to say, and then the state is moved on; `None`: nothing changed.
fn attempt(shared: &Shared, who: &Who, mailbox: &mut Mailbox, request: &[CollectionRequest]) -> Option<Vec<u8>> {
    let mut writer = Writer::new();
    writer.start(air_sync::SYNC).start(air_sync::COLLECTIONS);
    let mut says_something = false;
    for collection in request {
        says_something |= one_collection(shared, who, mailbox, collection, &mut writer);
    }
    writer.end().end();
    says_something.then(|| writer.finish())
}

/// Answers for one collection; false: nothing was written.
fn one_collection(shared: &Shared, who: &Who, mailbox: &mut Mailbox, request: &CollectionRequest, writer: &mut Writer) -> bool {
    let Some(number) = shared.folder_number(who, mailbox, &request.id) else {
        return write_refusal(who, request, 12, writer);
    };
    let known = mailbox.partnerships.entry(who.device.clone()).or_default();
    let progress = *known.collections.entry(number).or_default();
    let key_text = |key| shared.manners.key_text(&who.device, number, key);
    if request.key == "0" {
        let (key, fresh) = Progress::fresh();
        known.collections.insert(number, fresh);
        write_head(who, request, &key_text(key), 1, mailbox.folder(number), writer);
        writer.end();
        return true;
    }
    let shown = request.key_number();
    let from = shown.filter(|&key| key > 0 && key_text(key) == request.key).and_then(|key| progress.at(key));
    let (Some(shown), Some(from)) = (shown, from) else { return write_refusal(who, request, 3, writer) };
    let folder = mailbox.folder(number).expect("found above");
    let responses = obey(shared, who, folder, request);
    let window = (request.window.unwrap_or(WINDOW)).clamp(1, WINDOW_MAX);
    let mut news: Vec<(u64, ItemId, Happened)> = Vec::new();
    if request.get_changes.unwrap_or(true) {
        news.extend(folder.since(from, &who.device).take(window + 1));
    }
    let is_more = news.len() > window;
    news.truncate(window);
    let owes_key = shared.manners.new_key_after_items && progress.owes_key;
    if news.is_empty() && request.commands.is_empty() && !owes_key {
        return false;
    }
    let upto = match news.last() {
        Some(&(change, ..)) if is_more => change,
        _ if request.get_changes.unwrap_or(true) => folder.change,
        _ => from,
    };
    let mut progress = progress;
    let key = progress.advance(shown, from, upto);
    progress.owes_key = !news.is_empty();
    write_head(who, request, &key_text(key), 1, Some(folder), writer);
    if is_more {
        writer.empty(air_sync::MORE_AVAILABLE);
    }
    write_responses(&responses, writer);
    write_news(request, folder, &news, writer);
    writer.end();
    mailbox.partnerships.entry(who.device.clone()).or_default().collections.insert(number, progress);
    // Other devices of the mailbox see what this one did.
    if !request.commands.is_empty() {
        mailbox.tell();
    }
    true
}

/// A collection that is refused: Status 3 (bad key, begin at 0) or 12 (gone, FolderSync).
fn write_refusal(who: &Who, request: &CollectionRequest, status: u8, writer: &mut Writer) -> bool {
    write_head(who, request, "0", status, None, writer);
    writer.end();
    true
}

/// Opens a Collection; the caller ends it.
fn write_head(who: &Who, request: &CollectionRequest, key: &str, status: u8, folder: Option<&mut Folder>, writer: &mut Writer) {
    writer.start(air_sync::COLLECTION);
    if let Some(folder) = folder.filter(|_| who.version <= Version::V12_1) {
        writer.text(air_sync::CLASS, super::folders::class_name(folder.folder_type));
    }
    writer.text(air_sync::SYNC_KEY, key).text(air_sync::COLLECTION_ID, &request.id).number(air_sync::STATUS, status);
}

/// Everything as it was: for versions that know no empty answer.
fn unchanged(shared: &Shared, who: &Who, mailbox: &mut Mailbox, request: &[CollectionRequest]) -> Vec<u8> {
    let mut writer = Writer::new();
    writer.start(air_sync::SYNC).start(air_sync::COLLECTIONS);
    for collection in request {
        let folder = shared.folder_number(who, mailbox, &collection.id).and_then(|number| mailbox.folder(number));
        write_head(who, collection, &collection.key, 1, folder, &mut writer);
        writer.end();
    }
    writer.end().end();
    writer.finish()
}

/// What a device's own command is answered.
enum Response {
    Added { client_id: String, server_id: String },
    Fetched { server_id: String, item: Option<ItemId> },
    Missing { server_id: String },
}

/// Does what the device says.
fn obey(shared: &Shared, who: &Who, folder: &mut Folder, request: &CollectionRequest) -> Vec<Response> {
    let mut responses = Vec::new();
    for command in &request.commands {
        match command {
            ClientCommand::Add { client_id } => {
                let item = shared.next_item();
                folder.add(item, Some(&who.device));
                let server_id = server_id(&request.id, item);
                responses.push(Response::Added { client_id: client_id.clone(), server_id });
            }
            ClientCommand::Fetch { server_id } => {
                let item = ItemId::of_server_id(server_id).filter(|item| folder.items.get(item).is_some_and(|item| !item.is_gone));
                responses.push(Response::Fetched { server_id: server_id.clone(), item });
            }
            ClientCommand::Change { server_id, is_read } => {
                let item = ItemId::of_server_id(server_id).unwrap_or(ItemId(0));
                if !folder.edit(item, Some(&who.device), |item| item.is_read = is_read.unwrap_or(item.is_read)) {
                    responses.push(Response::Missing { server_id: server_id.clone() });
                }
            }
            ClientCommand::Delete { server_id } => {
                let item = ItemId::of_server_id(server_id).unwrap_or(ItemId(0));
                folder.edit(item, Some(&who.device), |item| item.is_gone = true);
            }
        }
    }
    responses
}

fn write_responses(responses: &[Response], writer: &mut Writer) {
    if responses.is_empty() {
        return;
    }
    writer.start(air_sync::RESPONSES);
    for response in responses {
        match response {
            Response::Added { client_id, server_id } => {
                writer.start(air_sync::ADD).text(air_sync::CLIENT_ID, client_id);
                writer.text(air_sync::SERVER_ID, server_id).number(air_sync::STATUS, 1_u8).end();
            }
            Response::Fetched { server_id, item } => {
                writer.start(air_sync::FETCH).text(air_sync::SERVER_ID, server_id);
                writer.number(air_sync::STATUS, if item.is_some() { 1_u8 } else { 8 });
                if let Some(item) = item {
                    write_content(*item, false, true, writer);
                }
                writer.end();
            }
            Response::Missing { server_id } => {
                writer.start(air_sync::CHANGE).text(air_sync::SERVER_ID, server_id).number(air_sync::STATUS, 8_u8).end();
            }
        }
    }
    writer.end();
}

fn write_news(request: &CollectionRequest, folder: &Folder, news: &[(u64, ItemId, Happened)], writer: &mut Writer) {
    if news.is_empty() {
        return;
    }
    let is_mail = super::folders::class_name(folder.folder_type) == "Email";
    writer.start(air_sync::COMMANDS);
    for &(_, item, happened) in news {
        let is_read = folder.items.get(&item).is_some_and(|item| item.is_read);
        let tag = match happened {
            Happened::Added => air_sync::ADD,
            Happened::Changed => air_sync::CHANGE,
            Happened::Deleted => air_sync::DELETE,
        };
        writer.start(tag).text(air_sync::SERVER_ID, &server_id(&request.id, item));
        if happened != Happened::Deleted {
            write_content(item, is_read, is_mail, writer);
        }
        writer.end();
    }
    writer.end();
}

fn write_content(item: ItemId, is_read: bool, is_mail: bool, writer: &mut Writer) {
    writer.start(air_sync::APPLICATION_DATA);
    if is_mail {
        writer.text(email::SUBJECT, &format!("message {}", item.0)).number(email::READ, u8::from(is_read));
    }
    writer.end();
}

/// `<folder id>:<item>`, as Exchange has it.
fn server_id(folder: &str, item: ItemId) -> String {
    format!("{folder}:{}", item.0)
}
