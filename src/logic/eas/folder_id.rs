//! The server's id of a folder, as devices send it in Ping and Sync.

use std::fmt;

use crate::config::limits::FOLDER_ID_BYTES_MAX;

/// A folder id: 1 to [`FOLDER_ID_BYTES_MAX`] bytes, otherwise opaque; compared byte for byte.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FolderId(Box<str>);

impl FolderId {
    /// `None` when the text is empty or too long.
    pub fn new(text: &str) -> Option<FolderId> {
        (1..=FOLDER_ID_BYTES_MAX).contains(&text.len()).then(|| FolderId(text.into()))
    }

    /// The id as the server wrote it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for FolderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
