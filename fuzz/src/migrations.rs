//! Store files of every version there was, with rows that no pushgate wrote, and with damage.
//!
//! Whatever is in it: the store opens with all rows kept, or says what is wrong and leaves the rows as they were.

mod file;

use std::time::Duration;

use pushgate::config::{Secret, Store as Settings, StoreUrl};
use pushgate::store::{OpenError, Store};
use tokio::runtime::{Builder, Runtime};

use super::choices::Choices;
use file::{File, STEPS};

/// Changes of one input.
const CHANGES_MAX: usize = 12;

thread_local! {
    static RUNTIME: Runtime = Builder::new_current_thread().enable_time().build().expect("a runtime");
}

/// Byte 0: the version. Then changes of rows, one after the other, and damage to bytes, until the input ends.
///
/// # Panics
/// When the store panics or loses a row, when what is sound does not open, or an error says nothing.
pub fn play(bytes: &[u8]) {
    let mut choices = Choices::new(bytes);
    let file = File::of_version(1 + choices.below(STEPS.len()));
    let (mut is_sound, mut is_whole) = (true, true);
    for _ in 0..CHANGES_MAX {
        if !choices.has_more() {
            break;
        }
        is_sound = false;
        if choices.below(8) == 0 {
            is_whole = false;
            file.damage(&mut choices);
        } else if is_whole {
            file.change(&mut choices);
        }
    }
    let before = is_whole.then(|| file.rows());
    let opened = open(&file);
    if let Err(error) = &opened {
        let said = error.to_string();
        assert!(!is_sound, "a sound store of an earlier version does not open: {said}");
        assert!(said.starts_with("store.url: ") && !said.contains("its thread ended"), "no clear error: {said}");
    }
    let Some(before) = before else { return };
    let after = file.rows();
    let lost = before.iter().find(|row| !after.contains(row));
    assert!(lost.is_none(), "a row is lost ({:?}): {lost:?}", opened.err());
    if opened.is_ok() {
        assert_eq!(file.version(), Some(STEPS.len() as i64), "it is at the version of today");
        assert!(open(&file).is_ok(), "what was opened once opens again");
    }
}

/// Opens the store and closes it again.
fn open(file: &File) -> Result<(), OpenError> {
    let settings = Settings {
        url: StoreUrl::Sqlite(file.path()),
        password: Secret::new(""),
        ca: None,
        key_file: file.key_path(),
        flush: Duration::from_secs(60),
        audit_keep: None,
    };
    RUNTIME.with(|runtime| {
        runtime.block_on(async {
            let store = Store::open(&settings).await?;
            let _ = store.snapshot();
            store.close().await;
            Ok(())
        })
    })
}
