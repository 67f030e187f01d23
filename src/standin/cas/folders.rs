//! FolderSync, FolderCreate, FolderUpdate, FolderDelete.

use super::http::Answer;
use super::mailbox::{Folder, Mailbox};
use super::shared::{Shared, Who};
use crate::logic::eas::Command;
use crate::logic::wbxml::{Tag, Writer, folder_hierarchy as fh};
use crate::standin::tree::Node;

/// FolderSync's statuses.
const OK: u8 = 1;
const EXISTS: u8 = 2;
const SPECIAL_FOLDER: u8 = 3;
const NOT_FOUND: u8 = 4;
const PARENT_NOT_FOUND: u8 = 5;
const BAD_KEY: u8 = 9;
const BAD_REQUEST: u8 = 10;

/// The class of a folder of that Type.
pub(super) fn class_name(folder_type: u8) -> &'static str {
    match folder_type {
        7 | 15 => "Tasks",
        8 | 13 => "Calendar",
        9 | 14 => "Contacts",
        10 | 17 => "Notes",
        _ => "Email",
    }
}

/// Answers a FolderSync.
pub(super) fn sync(shared: &Shared, who: &Who, body: &[u8]) -> Answer {
    let root = Node::parse(body).ok().filter(|root| root.tag == fh::FOLDER_SYNC);
    let Some(key) = root.as_ref().and_then(|root| root.child_number(fh::SYNC_KEY)) else {
        return refusal(fh::FOLDER_SYNC, BAD_REQUEST);
    };
    shared.with_mailbox(&who.mailbox, |mailbox| {
        let hierarchy = mailbox.hierarchy;
        let known = mailbox.partnerships.entry(who.device.clone()).or_default();
        let from = if key == 0 { Some(0) } else { known.hierarchy.at(key) };
        let Some(from) = from else { return refusal(fh::FOLDER_SYNC, BAD_KEY) };
        let next = known.hierarchy.advance(key, from, hierarchy);
        let mut writer = Writer::new();
        writer.start(fh::FOLDER_SYNC).number(fh::STATUS, OK).number(fh::SYNC_KEY, next);
        write_changes(shared, who, mailbox, from, &mut writer);
        writer.end();
        Answer::wbxml(writer.finish())
    })
}

/// What happened to the folder list since `from`; 0 gives all of it.
fn write_changes(shared: &Shared, who: &Who, mailbox: &Mailbox, from: u64, writer: &mut Writer) {
    let touched = || mailbox.folders.iter().filter(move |folder| folder.touched > from);
    let added: Vec<&Folder> = touched().filter(|folder| !folder.is_gone && folder.made > from).collect();
    let updated: Vec<&Folder> = touched().filter(|folder| !folder.is_gone && folder.made <= from).collect();
    let deleted: Vec<&Folder> = touched().filter(|folder| folder.is_gone && folder.made <= from).collect();
    writer.start(fh::CHANGES).number(fh::COUNT, (added.len() + updated.len() + deleted.len()) as u32);
    for (tag, folders) in [(fh::UPDATE, &updated), (fh::ADD, &added)] {
        for folder in folders {
            writer.start(tag).text(fh::SERVER_ID, &shared.folder_id(who, folder));
            writer.text(fh::PARENT_ID, &parent_id(shared, who, mailbox, folder));
            writer.text(fh::DISPLAY_NAME, &folder.name).number(fh::TYPE, folder.folder_type).end();
        }
    }
    for folder in deleted {
        writer.start(fh::DELETE).text(fh::SERVER_ID, &shared.folder_id(who, folder)).end();
    }
    writer.end();
}

fn parent_id(shared: &Shared, who: &Who, mailbox: &Mailbox, folder: &Folder) -> String {
    let parent = mailbox.folders.iter().find(|parent| parent.number == folder.parent);
    parent.map_or_else(|| "0".to_owned(), |parent| shared.folder_id(who, parent))
}

/// Answers a FolderCreate, FolderUpdate or FolderDelete.
pub(super) fn edit(shared: &Shared, who: &Who, command: Command, body: &[u8]) -> Answer {
    let tag = command.root().expect("folder commands have WBXML bodies").0;
    let Some(root) = Node::parse(body).ok().filter(|root| root.tag == tag) else { return refusal(tag, BAD_REQUEST) };
    shared.with_mailbox(&who.mailbox, |mailbox| match try_edit(shared, who, mailbox, command, &root) {
        Err(status) => refusal(tag, status),
        Ok((key, server_id)) => {
            let mut writer = Writer::new();
            writer.start(tag).number(fh::STATUS, OK).number(fh::SYNC_KEY, key);
            if let Some(server_id) = server_id {
                writer.text(fh::SERVER_ID, &server_id);
            }
            writer.end();
            Answer::wbxml(writer.finish())
        }
    })
}

/// The new key, and the new folder's id.
fn try_edit(shared: &Shared, who: &Who, mailbox: &mut Mailbox, command: Command, root: &Node) -> Result<(u32, Option<String>), u8> {
    let key = root.child_number(fh::SYNC_KEY).ok_or(BAD_REQUEST)?;
    let known = mailbox.partnerships.entry(who.device.clone()).or_default().hierarchy;
    let from = known.at(key).filter(|_| key > 0).ok_or(BAD_KEY)?;
    let was_in_step = from == mailbox.hierarchy;
    let server_id = match command {
        Command::FolderCreate => Some(create(shared, who, mailbox, root)?),
        Command::FolderUpdate => update(shared, who, mailbox, root)?,
        _ => delete(shared, who, mailbox, root)?,
    };
    let hierarchy = mailbox.hierarchy;
    let known = &mut mailbox.partnerships.entry(who.device.clone()).or_default().hierarchy;
    // What the device did itself it is not told again, unless others did something before.
    Ok((known.advance(key, from, if was_in_step { hierarchy } else { from }), server_id))
}

fn create(shared: &Shared, who: &Who, mailbox: &mut Mailbox, root: &Node) -> Result<String, u8> {
    let parent = parent(shared, who, mailbox, root)?;
    let name = root.child_text(fh::DISPLAY_NAME).ok_or(BAD_REQUEST)?;
    let folder_type = root.child_number(fh::TYPE).and_then(|number| u8::try_from(number).ok()).ok_or(BAD_REQUEST)?;
    if mailbox.folders.iter().any(|folder| !folder.is_gone && folder.parent == parent && folder.name == name) {
        return Err(EXISTS);
    }
    let number = mailbox.create_folder(parent, name, folder_type);
    let folder = mailbox.folder(number).expect("just made");
    Ok(shared.folder_id(who, folder))
}

fn update(shared: &Shared, who: &Who, mailbox: &mut Mailbox, root: &Node) -> Result<Option<String>, u8> {
    let number = find(shared, who, mailbox, root)?;
    let parent = parent(shared, who, mailbox, root)?;
    let name = root.child_text(fh::DISPLAY_NAME).ok_or(BAD_REQUEST)?;
    mailbox.edit_folder(number, |folder| {
        folder.name = name.to_owned();
        folder.parent = parent;
    });
    Ok(None)
}

fn delete(shared: &Shared, who: &Who, mailbox: &mut Mailbox, root: &Node) -> Result<Option<String>, u8> {
    let number = find(shared, who, mailbox, root)?;
    mailbox.edit_folder(number, |folder| folder.is_gone = true);
    Ok(None)
}

/// The folder that is meant; the default ones cannot be changed.
fn find(shared: &Shared, who: &Who, mailbox: &mut Mailbox, root: &Node) -> Result<u32, u8> {
    let id = root.child_text(fh::SERVER_ID).ok_or(BAD_REQUEST)?;
    let number = shared.folder_number(who, mailbox, id).ok_or(NOT_FOUND)?;
    let is_default = mailbox.folder(number).is_some_and(|folder| (2..=11).contains(&folder.folder_type));
    if is_default { Err(SPECIAL_FOLDER) } else { Ok(number) }
}

fn parent(shared: &Shared, who: &Who, mailbox: &mut Mailbox, root: &Node) -> Result<u32, u8> {
    match root.child_text(fh::PARENT_ID) {
        None | Some("0") => Ok(0),
        Some(id) => shared.folder_number(who, mailbox, id).ok_or(PARENT_NOT_FOUND),
    }
}

fn refusal(root: Tag, status: u8) -> Answer {
    let mut writer = Writer::new();
    writer.start(root).number(fh::STATUS, status).end();
    Answer::wbxml(writer.finish())
}
