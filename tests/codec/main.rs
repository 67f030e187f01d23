//! WBXML and the ActiveSync vocabulary against bytes that do not come from this program.

#![expect(clippy::unwrap_used, reason = "in a test, a panic is the report")]

mod bodies;
mod documents;
mod mutations;
mod oracle;
mod ping;
mod policies;
mod queries;
mod vectors;

/// The bytes of a vector, by the beginning of its file name.
fn vector(prefix: &str) -> Vec<u8> {
    let found = vectors().find(|vector| vector.name.starts_with(prefix));
    found.unwrap_or_else(|| panic!("no vector {prefix}")).bytes
}

/// A file of `tests/vectors`.
struct Vector {
    /// File name without its ending.
    name: String,
    bytes: Vec<u8>,
    /// What it says, for good ones.
    xml: Option<String>,
}

impl Vector {
    /// One that must be refused (`bad-18` and `bad-19` are good WBXML with a bad content).
    fn is_bad(&self) -> bool {
        self.name.starts_with("bad-") && !self.name.starts_with("bad-18") && !self.name.starts_with("bad-19")
    }
}

/// All vectors, by name.
fn vectors() -> impl Iterator<Item = Vector> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors");
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.into_iter().filter(|path| path.extension().is_some_and(|ending| ending == "wbxml")).map(|path| Vector {
        name: path.file_stem().unwrap().to_str().unwrap().to_owned(),
        bytes: std::fs::read(&path).unwrap(),
        xml: std::fs::read_to_string(path.with_extension("xml")).ok(),
    })
}
