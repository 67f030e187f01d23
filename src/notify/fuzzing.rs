//! Entry point for fuzzing, in the library because the parsers are not public. Not part of the interface.

use serde_json::{Value, json};

use super::entry::{BadBatch, Notice};
use super::{dovecot, webhook};
use crate::config;
use crate::config::limits::{FOLDER_NAME_BYTES_MAX, NOTIFICATION_PROBLEMS_MAX, NOTIFICATIONS_MAX};
use crate::logic::eas::Mailbox;
use crate::logic::hold::Scope;

/// Reads `body` as a notification and as what Dovecot sends.
///
/// # Panics
/// When an entry is left out, a name is longer than its bound, what is read would be read otherwise when written, or an error says
/// more than it may.
pub fn bodies(body: &[u8]) {
    let naming = config::Mailbox {
        default_domain: Some("example.org".into()),
        domains: vec![("corp".into(), "corp.example.org".into())],
        lowercase: true,
    };
    for (name, read) in [("webhook", webhook::parse(body, &naming)), ("dovecot", dovecot::parse(body, &naming))] {
        count_entries(name, body, &read);
        for notice in read.into_iter().flatten() {
            look_at(name, &notice, &naming);
        }
    }
}

/// The obvious reader finds as many entries.
fn count_entries(name: &str, body: &[u8], read: &Result<Vec<Notice>, BadBatch>) {
    // It is stricter about depth and about numbers that nobody asked for.
    let Ok(json) = serde_json::from_slice::<Value>(body) else { return };
    let count = match &json {
        Value::Array(entries) => entries.len(),
        Value::Object(_) => 1,
        _ => {
            assert!(matches!(read, Err(BadBatch::NotJson(_))), "{name}: neither object nor array");
            return;
        }
    };
    match read {
        Ok(notices) => assert_eq!(notices.len(), count, "{name}: entries"),
        Err(BadBatch::Entries { named, count: bad }) => {
            assert!(*bad <= count && named.len() == (*bad).min(NOTIFICATION_PROBLEMS_MAX), "{name}: {bad} bad ones of {count}");
            assert!(named.iter().all(|(index, _)| *index < count), "{name}: an index is beyond {count}");
        }
        Err(BadBatch::TooMany) => assert!(count > NOTIFICATIONS_MAX, "{name}: {count} entries are not too many"),
        Err(BadBatch::NotJson(error)) => panic!("{name}: JSON is not taken for it: {error}"),
    }
}

/// Whatever is passed on fits, and means the same when it is written down and read again.
fn look_at(name: &str, notice: &Notice, naming: &config::Mailbox) {
    let Some(change) = &notice.change else { return };
    assert_eq!(Mailbox::normalise(change.mailbox.as_str(), None, false).as_ref(), Some(&change.mailbox), "{name}: as the store reads it");
    let mut entry = json!({ "mailbox": change.mailbox.as_str(), "id": notice.id });
    match &change.scope {
        Scope::Mailbox => {}
        Scope::Class(class) => entry["class"] = json!(class.name()),
        Scope::FolderName(folder) => {
            assert!(!folder.is_empty() && folder.len() <= FOLDER_NAME_BYTES_MAX, "{name}: a folder name of {} bytes", folder.len());
            entry["folder"] = json!(folder);
        }
        Scope::FolderId(id) => entry["folder_id"] = json!(id.as_str()),
        // The webhook has no word for it.
        Scope::Hierarchy => return,
    }
    // A backslash in front of a name is a Windows domain.
    if !change.mailbox.as_str().contains('\\') {
        let again = webhook::parse(entry.to_string().as_bytes(), naming);
        assert_eq!(again.as_deref(), Ok(std::slice::from_ref(notice)), "{name}: {entry}");
    }
}
