//! Bodies: the reader, everything that is read of a body, and the watchers of answers that pass by.

use pushgate::logic::eas::folder_sync::{FolderSyncAnswer, FolderSyncReader};
use pushgate::logic::eas::fuzz;
use pushgate::logic::eas::settings::{SettingsAnswer, SettingsRequest};
use pushgate::logic::eas::sync::{SyncAnswer, SyncObserver, SyncRequest};
use pushgate::logic::eas::sync_repeat::{SyncKeys, complete, with_keys, without_commands};

/// `bytes` is a body.
///
/// # Panics
/// When what is read depends on the pieces, is not what is written, or an edited body cannot be read.
pub fn play(bytes: &[u8]) {
    fuzz::wbxml_reader(bytes);
    watch(bytes);
    edit(bytes);
}

/// Answers are watched in the pieces in which they pass.
fn watch(bytes: &[u8]) {
    for size in [1, 3, 61] {
        let (mut folders, mut sync) = (FolderSyncReader::new(), SyncObserver::new());
        for piece in bytes.chunks(size) {
            let (first, again) = (folders.push(piece), folders.push(&[]));
            assert!(first.is_ok() || first == again, "an error is final");
            // The first error counts, whatever comes then.
            let _ = sync.push(piece);
        }
        assert_eq!(folders.finish().ok(), FolderSyncAnswer::parse(bytes).ok(), "FolderSync in pieces of {size}");
        assert_eq!(sync.finish().ok(), SyncAnswer::parse(bytes).ok(), "Sync in pieces of {size}");
    }
}

/// What the gateway makes of a body is a body again, and says what was left in it.
fn edit(bytes: &[u8]) {
    if let Ok(Some(rest)) = SettingsRequest::without_device_password(bytes)
        && let Ok(read) = SettingsRequest::parse(&rest)
    {
        assert!(read.device_password.is_none(), "a recovery password stays with the gateway");
    }
    if SettingsAnswer::parse(bytes).is_ok() {
        let told = SettingsAnswer::with_device_password(bytes, 1).expect("it was read");
        assert_eq!(SettingsAnswer::parse(&told).expect("it was written").device_password, Some(1));
    }
    let Ok(request) = SyncRequest::skim(bytes) else { return };
    let mut keys = SyncKeys::default();
    keys.show(&request, 4_096);
    if let Ok(without) = without_commands(bytes)
        && !bytes.is_empty()
    {
        let read = SyncRequest::skim(&without).expect("only items were taken out");
        assert!(read.collections.iter().all(|collection| !collection.has_commands), "items stay behind");
        if let Ok(with) = with_keys(bytes, &keys) {
            assert!(SyncRequest::skim(&with).is_ok(), "with other keys it is no request");
        }
    }
    if let Ok(whole) = complete(bytes, bytes, &keys) {
        assert!(SyncRequest::skim(&whole).is_ok(), "completed it is no request");
    }
}
