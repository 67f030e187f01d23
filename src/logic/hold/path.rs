//! IMAP-like folder paths, matched by hash: notification sources name folders by path, devices by id.
//!
//! A table keeps four bytes a folder instead of its name. Two paths with one hash wake a device once for nothing.

/// Hash of a path; 0 stands for "not known".
pub type PathHash = u32;

/// The path of a folder at the root of the tree.
pub const ROOT: PathHash = 0x811c_9dc5;

/// FNV-1a over a path's components, so that a child's hash follows from its parent's.
pub fn child(parent: PathHash, name: &str) -> PathHash {
    let hash = |hash: u32, byte: u8| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    let hashed = name.bytes().chain([0]).fold(parent, hash);
    hashed.max(1)
}

/// The path of the Inbox, whatever EAS calls it.
pub fn inbox() -> PathHash {
    child(ROOT, "INBOX")
}

/// What the last component of a path says of the folder's FolderSync `Type`, whatever the server calls it in EAS.
fn special_type(name: &str) -> Option<u8> {
    const SPECIAL: [(&str, u8); 8] = [
        ("inbox", 2),
        ("drafts", 3),
        ("trash", 4),
        ("deleted items", 4),
        ("deleted messages", 4),
        ("sent", 5),
        ("sent items", 5),
        ("sent messages", 5),
    ];
    SPECIAL.iter().find(|(special, _)| name.eq_ignore_ascii_case(special)).map(|(_, folder_type)| *folder_type)
}

/// Everything a reported path may mean: separators and the INBOX prefix differ by server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathMatch {
    hashes: [PathHash; 5],
    /// FolderSync `Type` the name stands for.
    special: Option<u8>,
}

impl PathMatch {
    /// Reads a path as `a/b`, as `a.b` and as one name, each with and without a leading INBOX.
    pub fn new(path: &str) -> Self {
        let along = |separator: char, skip: usize| {
            let parts = path.split(separator).enumerate().skip(skip);
            parts.fold(
                ROOT,
                |above, (index, part)| if index == 0 && part.eq_ignore_ascii_case("inbox") { inbox() } else { child(above, part) },
            )
        };
        let prefixed = path.len() > 6 && path.is_char_boundary(6) && path[..5].eq_ignore_ascii_case("inbox");
        let stripped = |separator: char| if prefixed && path[5..].starts_with(separator) { along(separator, 1) } else { 0 };
        let hashes = [child(ROOT, path), along('/', 0), along('.', 0), stripped('/'), stripped('.')];
        PathMatch { hashes, special: special_type(path) }
    }

    /// Whether a folder of this path hash and `Type` is the one that was named.
    pub fn matches(&self, path: PathHash, folder_type: u8) -> bool {
        (path != 0 && self.hashes.contains(&path)) || (self.special.is_some() && self.special == Some(folder_type))
    }

    /// Whether the name alone says that a folder of this `Type` is not meant: special folders are named by type, and nothing
    /// but the Inbox is called INBOX.
    pub fn is_of_another_type(&self, folder_type: u8) -> bool {
        match self.special {
            Some(2) => folder_type != 2,
            Some(special) => (2..=5).contains(&folder_type) && folder_type != special,
            None => folder_type == 2,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separators_and_inbox_prefixes_all_lead_to_the_folder() {
        let work = child(child(ROOT, "Work"), "2024");
        for path in ["Work/2024", "Work.2024", "INBOX/Work/2024", "INBOX.Work.2024"] {
            assert!(PathMatch::new(path).matches(work, 12), "{path}");
        }
        assert!(!PathMatch::new("Work").matches(work, 12));
        assert!(PathMatch::new("a.b").matches(child(ROOT, "a.b"), 12), "a dot may belong to the name");
    }

    #[test]
    fn a_child_of_the_inbox_is_found_under_it_and_under_the_root() {
        let (below, beside) = (child(inbox(), "Work"), child(ROOT, "Work"));
        for path in ["INBOX/Work", "INBOX.Work", "Inbox/Work"] {
            let found = PathMatch::new(path);
            assert!(found.matches(below, 12) && found.matches(beside, 12), "{path}");
        }
        assert!(!PathMatch::new("Work").matches(below, 12));
    }

    #[test]
    fn special_folders_are_found_by_type_whatever_they_are_called() {
        assert!(PathMatch::new("INBOX").matches(child(ROOT, "Posteingang"), 2));
        assert!(!PathMatch::new("INBOX").matches(child(ROOT, "Posteingang"), 5));
        assert!(PathMatch::new("Sent").matches(0, 5));
        assert!(!PathMatch::new("Sonstiges").matches(0, 1), "an unknown path is nobody's");
        assert!(PathMatch::new("INBOX").is_of_another_type(12) && !PathMatch::new("INBOX").is_of_another_type(2));
        assert!(PathMatch::new("Sent").is_of_another_type(4) && !PathMatch::new("Sent").is_of_another_type(12));
    }
}
