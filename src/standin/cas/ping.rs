//! Ping, as each kind of backend answers it.

use super::held::{Held, hold};
use super::http::Answer;
use super::mailbox::Mailbox;
use super::manners::{Hierarchy, Over, Unsynced, Zero};
use super::shared::{Shared, Who};
use crate::logic::eas::{FolderId, PingAnswer, PingRequest};
use crate::logic::wbxml::{Writer, ping};

/// Folders in one Ping; more get Status 6.
const FOLDERS_MAX: usize = 200;

/// What a Ping asks for after what was sent before has been filled in.
struct Asked {
    heartbeat_s: u32,
    folders: Vec<String>,
}

/// Answers a Ping, which may take as long as its heartbeat.
pub(super) async fn answer(shared: &Shared, who: &Who, body: &[u8]) -> Answer {
    let _counted = shared.pings.enter();
    let request = match PingRequest::parse(body, FOLDERS_MAX) {
        Ok(request) => request,
        Err(_) => return Answer::wbxml(PingAnswer::Syntax.encode()),
    };
    if request.folder_count > FOLDERS_MAX {
        return Answer::wbxml(PingAnswer::TooManyFolders { max: FOLDERS_MAX as u32 }.encode());
    }
    let Some(asked) = fill_in(shared, who, &request) else {
        return Answer::wbxml(PingAnswer::MissingParameters.encode());
    };
    match in_range(shared, asked.heartbeat_s) {
        Range::Legal(for_s) => finish(shared, watch(shared, who, &asked.folders, for_s).await, None),
        Range::ThenTooLong(for_s) => finish(shared, watch(shared, who, &asked.folders, for_s).await, Some(for_s)),
        Range::Illegal(heartbeat_s) => Answer::wbxml(PingAnswer::HeartbeatOutOfRange { heartbeat_s }.encode()),
    }
}

/// Remembers what was sent and takes from memory what was not.
fn fill_in(shared: &Shared, who: &Who, request: &PingRequest) -> Option<Asked> {
    shared.with_mailbox(&who.mailbox, |mailbox| {
        let known = mailbox.partnerships.entry(who.device.clone()).or_default();
        if let Some(heartbeat_s) = request.heartbeat_s {
            known.ping_heartbeat_s = Some(heartbeat_s);
        }
        if let Some(folders) = &request.folders {
            known.ping_folders = Some(folders.iter().map(|folder| folder.id.to_string()).collect());
        }
        let heartbeat_s = known.ping_heartbeat_s.or(shared.manners.heartbeat_default_s)?;
        Some(Asked { heartbeat_s, folders: known.ping_folders.clone()? })
    })
}

enum Range {
    /// Hold so long.
    Legal(u32),
    /// Hold so long, then say that it was too long.
    ThenTooLong(u32),
    /// Say at once that this is the nearest legal value.
    Illegal(u32),
}

fn in_range(shared: &Shared, heartbeat_s: u32) -> Range {
    let manners = &shared.manners;
    let too_long = || match manners.over {
        Over::AtOnce => Range::Illegal(manners.heartbeat_max_s),
        Over::HoldFirst => Range::ThenTooLong(manners.heartbeat_max_s),
    };
    match heartbeat_s {
        0 => match manners.zero {
            Zero::TooLong => too_long(),
            Zero::TooShort => Range::Illegal(manners.heartbeat_min_s),
            Zero::EndsAtOnce => Range::Legal(0),
            Zero::Default => Range::Legal(manners.heartbeat_default_s.unwrap_or(manners.heartbeat_min_s)),
        },
        _ if heartbeat_s > manners.heartbeat_max_s => too_long(),
        _ if heartbeat_s < manners.heartbeat_min_s => Range::Illegal(manners.heartbeat_min_s),
        _ if manners.raises_to_poll => Range::Legal(heartbeat_s.max(manners.poll_s.unwrap_or(0))),
        _ => Range::Legal(heartbeat_s),
    }
}

async fn watch(shared: &Shared, who: &Who, folders: &[String], for_s: u32) -> Held<PingAnswer> {
    hold(shared, who, for_s, |mailbox| look(shared, who, mailbox, folders)).await
}

/// What there is to say now, compared with the keys the device got last (level-triggered).
fn look(shared: &Shared, who: &Who, mailbox: &mut Mailbox, folders: &[String]) -> Option<PingAnswer> {
    let numbers: Vec<Option<u32>> = folders.iter().map(|id| shared.folder_number(who, mailbox, id)).collect();
    let known = mailbox.partnerships.entry(who.device.clone()).or_default();
    let is_out_of_date = match shared.manners.hierarchy {
        Hierarchy::Never => false,
        Hierarchy::Always => known.hierarchy.upto != mailbox.hierarchy,
        Hierarchy::WhenFolderGone => numbers.contains(&None),
    };
    if is_out_of_date {
        return Some(PingAnswer::HierarchyChanged);
    }
    let mut changed = Vec::new();
    for (id, number) in folders.iter().zip(numbers) {
        let Some(number) = number else { continue };
        let progress = known.collections.get(&number).copied();
        let folder = &mailbox.folders[number as usize - 1];
        let is_changed = match progress {
            Some(progress) => folder.since(progress.upto, &who.device).next().is_some(),
            None => shared.manners.unsynced == Unsynced::Changed,
        };
        if is_changed {
            changed.extend(FolderId::new(id).ok());
        }
    }
    (!changed.is_empty()).then_some(PingAnswer::Changes(changed))
}

/// The answer in the form of the kind. `too_long_over_s`: the heartbeat was over this maximum.
fn finish(shared: &Shared, held: Held<PingAnswer>, too_long_over_s: Option<u32>) -> Answer {
    match (held, too_long_over_s) {
        (Held::Found(answer), _) => Answer::wbxml(answer.encode()),
        (Held::Replaced, _) if shared.manners.replaced_is_empty => Answer::empty(),
        (Held::Over, Some(heartbeat_s)) => Answer::wbxml(PingAnswer::HeartbeatOutOfRange { heartbeat_s }.encode()),
        (Held::Over | Held::Replaced, _) => Answer::wbxml(expired(shared.manners.expired_has_folders)),
    }
}

fn expired(has_folders: bool) -> Vec<u8> {
    let mut writer = Writer::new();
    writer.start(ping::PING).number(ping::STATUS, 1_u8);
    if has_folders {
        writer.empty(ping::FOLDERS);
    }
    writer.end();
    writer.finish()
}
