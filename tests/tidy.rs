//! House rules that no compiler checks, each with its reason. A rule that is wrong is changed here, with a better reason.

#![expect(clippy::unwrap_used, reason = "in a test, a panic is the report")]

use std::path::{Path, PathBuf};

/// Lines of a file. A file that one sitting cannot read hides a second subject.
const FILE_LINES_MAX: usize = 500;
/// Lines of a function, braces included. Two screens: beyond that nobody keeps its state in mind.
const FUNCTION_LINES_MAX: usize = 100;

/// What files under `src/logic` may not name, and why.
const NOT_IN_LOGIC: &[(&str, &str)] = &[
    ("TcpStream", "sockets are the shells' business; logic takes bytes (addresses are values, and fine)"),
    ("TcpListener", "sockets are the shells' business; logic takes bytes (addresses are values, and fine)"),
    ("UdpSocket", "sockets are the shells' business; logic takes bytes (addresses are values, and fine)"),
    ("ToSocketAddrs", "it asks the name server; logic takes addresses"),
    ("std::os", "descriptors are the shells' business; logic takes bytes"),
    ("Instant", "time is an argument, or a simulation could not replay it (Duration is fine)"),
    ("SystemTime", "time is an argument, or a simulation could not replay it (Duration is fine)"),
    ("std::thread", "threads make the order of things invisible to tests"),
    ("std::sync::Mutex", "a lot owns its state; what needs a lock is shared, and nothing in logic is"),
    ("std::fs", "files are read by the shells, which can say what to do when that fails"),
    ("std::env", "the environment is configuration; config reads it once"),
    ("std::process", "logic may not end or start processes"),
    ("tokio", "no I/O in logic: nothing here awaits"),
    ("mio::", "no I/O in logic: nothing here polls"),
    ("hyper::", "HTTP is the shells' business; logic takes values"),
    ("rand::", "randomness is an argument, or a seed could not replay it"),
    ("thread_rng", "randomness is an argument, or a seed could not replay it"),
    ("tracing", "logic returns what happened; shells log it, once"),
    ("println!", "logic returns what happened; shells print it"),
    ("crate::gateway", "the direction is shells to logic"),
    ("crate::notify", "the direction is shells to logic"),
    ("crate::admin", "the direction is shells to logic"),
    ("crate::telemetry", "logic returns what happened; shells count it"),
    ("crate::standin", "the direction is shells to logic"),
    ("crate::cli", "the direction is shells to logic"),
    ("crate::store", "the direction is shells to logic"),
];

/// What no text of the project may contain, and why.
const NOT_IN_TEXT: &[(&str, &str)] = &[
    (concat!("../", "shared"), "a path outside the repository means nothing to its reader"),
    (concat!("#[", "ignore"), "a test that nobody runs protects nothing"),
];

#[test]
fn logic_touches_nothing() {
    check(&["src/logic"], logic_faults);
}

#[test]
fn files_and_functions_stay_readable() {
    check(&["src", "tests", "benches", "fuzz", "loadtest"], size_faults);
}

#[test]
fn texts_speak_to_their_reader() {
    check(&["."], text_faults);
}

/// The rules find what they are for.
#[test]
fn rules_catch_what_they_forbid() {
    let logic = "use std::time::{Duration, Instant};\n// tokio is not named in comments\nlet a = tokio::spawn(b);\nlet Instantly = 1;\n";
    assert_eq!(lines_of(logic_faults(logic)), [1, 3]);
    let long = format!("{}}}\n", "    fn short() {\n    }\n    fn long() {\n".to_owned() + &"        x();\n".repeat(99) + "    ");
    assert_eq!(lines_of(size_faults(&long)), [3]);
    assert!(size_faults(&long.replacen("        x();\n", "", 1)).is_empty());
    assert_eq!(lines_of(size_faults(&"\n".repeat(501))), [501]);
    assert_eq!(lines_of(text_faults(concat!("fine\nsee ../", "shared/notes\n"))), [2]);
}

/// A fault: its line and what is wrong there.
type Fault = (usize, String);

fn lines_of(faults: Vec<Fault>) -> Vec<usize> {
    faults.into_iter().map(|(line, _)| line).collect()
}

/// Applies a rule to all text files of these folders and reports every fault at once.
fn check(folders: &[&str], rule: fn(&str) -> Vec<Fault>) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut report = String::new();
    let mut count = 0;
    for path in folders.iter().flat_map(|folder| files(&root.join(folder))) {
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        count += 1;
        for (line, fault) in rule(&text) {
            report += &format!("{}:{line}: {fault}\n", path.strip_prefix(root).unwrap_or(&path).display());
        }
    }
    assert!(count > 0, "no files in {folders:?}");
    assert!(report.is_empty(), "\n{report}");
}

/// All files below a folder, except what is generated or not the project's.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let Ok(entries) = std::fs::read_dir(folder) else { return found };
    for path in entries.map(|entry| entry.unwrap().path()) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            let is_ours = !matches!(name.as_str(), "target" | ".git" | "corpus" | "artifacts" | "vectors");
            found.extend(is_ours.then(|| files(&path)).into_iter().flatten());
        } else if matches!(path.extension().and_then(|ending| ending.to_str()), Some("rs" | "md" | "toml" | "sh" | "yml" | "lua" | "html"))
        {
            found.push(path);
        }
    }
    found
}

fn logic_faults(text: &str) -> Vec<Fault> {
    let code = text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//"));
    let faults = code.flat_map(|(index, line)| {
        let named = NOT_IN_LOGIC.iter().filter(move |(word, _)| names(line, word));
        named.map(move |(word, reason)| (index + 1, format!("names {word}: {reason}")))
    });
    faults.collect()
}

/// Whether the word stands there as a word.
fn names(line: &str, word: &str) -> bool {
    let is_part = |character: Option<char>| character.is_some_and(|character| character.is_alphanumeric() || character == '_');
    line.match_indices(word).any(|(at, _)| {
        let is_open_ended = !word.ends_with(char::is_alphanumeric);
        !is_part(line[..at].chars().next_back()) && (is_open_ended || !is_part(line[at + word.len()..].chars().next()))
    })
}

fn text_faults(text: &str) -> Vec<Fault> {
    let faults = text.lines().enumerate().flat_map(|(index, line)| {
        let found = NOT_IN_TEXT.iter().filter(move |(word, _)| line.contains(word));
        found.map(move |(word, reason)| (index + 1, format!("contains {word}: {reason}")))
    });
    faults.collect()
}

/// Relies on rustfmt: the closing brace of a function stands under its `fn` line's first character.
fn size_faults(text: &str) -> Vec<Fault> {
    let lines: Vec<&str> = text.lines().collect();
    let mut faults = Vec::new();
    if lines.len() > FILE_LINES_MAX {
        faults.push((lines.len(), format!("the file has more than {FILE_LINES_MAX} lines: split it by subject")));
    }
    for (index, line) in lines.iter().enumerate() {
        let Some(indent) = function_indent(line) else { continue };
        let end = format!("{}}}", " ".repeat(indent));
        let length = lines[index..].iter().position(|later| {
            later.starts_with(&end) || later.trim_end().ends_with(';') && later.len() - later.trim_start().len() == indent
        });
        if length.is_some_and(|length| length + 1 > FUNCTION_LINES_MAX) {
            faults.push((index + 1, format!("the function has more than {FUNCTION_LINES_MAX} lines: name its parts")));
        }
    }
    faults
}

/// How far a line that begins a function is indented.
fn function_indent(line: &str) -> Option<usize> {
    let code = line.trim_start();
    let before = code.split("fn ").next()?;
    let is_function = code.len() > before.len()
        && before
            .split_whitespace()
            .all(|word| matches!(word, "pub" | "const" | "async" | "unsafe" | "extern" | "\"C\"") || word.starts_with("pub("));
    (is_function && !line.trim_end().ends_with('}')).then(|| line.len() - code.len())
}
