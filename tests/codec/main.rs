//! WBXML and the ActiveSync vocabulary against bytes that do not come from this program.

#![expect(clippy::unwrap_used, reason = "in a test, a panic is the report")]

mod ping;

/// The bytes of a vector, by the beginning of its file name.
fn vector(prefix: &str) -> Vec<u8> {
    let (_, bytes) = vectors().find(|(name, _)| name.starts_with(prefix)).unwrap_or_else(|| panic!("no vector {prefix}"));
    bytes
}

/// All vectors: file name without its ending, and bytes.
fn vectors() -> impl Iterator<Item = (String, Vec<u8>)> {
    let mut paths: Vec<_> =
        std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors")).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
        .into_iter()
        .filter(|path| path.extension().is_some_and(|ending| ending == "wbxml"))
        .map(|path| (path.file_stem().unwrap().to_str().unwrap().to_owned(), std::fs::read(&path).unwrap()))
}
