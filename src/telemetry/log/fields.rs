//! What each field of a line says. Under `log.redact` a pseudonym stands for whatever names somebody.
//!
//! A field that is not on this list is taken for a name: whoever adds one cannot forget to say what it is, and if they do, too much is
//! hidden and nothing is given away. The test at the end reads all lines that the program can write.

use std::borrow::Cow;

use super::pseudonyms::Pseudonyms;

/// What a field says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Says {
    /// Whose mailbox.
    Mailbox,
    /// Which device.
    Device,
    /// From where.
    Address,
    /// Something else that is somebody's.
    Name,
    /// Words of others, such as errors: mail addresses in them are somebody's.
    Text,
    /// Nothing of anybody.
    Plain,
}

impl Says {
    /// First letter of its pseudonyms.
    pub(super) fn kind(self) -> char {
        match self {
            Says::Mailbox | Says::Text => 'm',
            Says::Device => 'd',
            Says::Address => 'a',
            Says::Name | Says::Plain => 'n',
        }
    }
}

/// Fields with text; numbers and switches name nobody.
const FIELDS: &[(&str, Says)] = &[
    ("actor", Says::Name),
    ("application", Says::Plain),
    // Of an act that was refused: a policy, a token, a domain, a group.
    ("asked", Says::Name),
    ("backend", Says::Plain),
    ("before", Says::Plain),
    ("changed", Says::Plain),
    ("command", Says::Plain),
    ("device", Says::Device),
    ("device_type", Says::Plain),
    // At the start: the addresses that listen.
    ("devices", Says::Plain),
    ("error", Says::Text),
    ("failure", Says::Plain),
    ("fault", Says::Plain),
    ("groups", Says::Text),
    ("id", Says::Plain),
    ("internal", Says::Plain),
    ("kind", Says::Plain),
    ("mailbox", Says::Mailbox),
    ("message", Says::Text),
    ("method", Says::Plain),
    ("needs_restart", Says::Plain),
    ("outcome", Says::Plain),
    ("peer", Says::Address),
    ("place", Says::Plain),
    ("policy", Says::Plain),
    ("problem", Says::Text),
    ("reason", Says::Text),
    // Of the internal address, with its parameters unsaid.
    ("route", Says::Plain),
    ("scope", Says::Plain),
    ("source", Says::Plain),
    ("status", Says::Plain),
    // Of a mail to people: it names the device and whose it is.
    ("subject", Says::Name),
    ("taken", Says::Plain),
    ("to", Says::Mailbox),
    ("version", Says::Plain),
    ("way", Says::Plain),
    ("what", Says::Plain),
    ("who", Says::Plain),
    ("why", Says::Plain),
];

/// What stands in the log for a field's text.
pub(super) fn shown<'a>(pseudonyms: Option<&Pseudonyms>, name: &str, text: &'a str) -> Cow<'a, str> {
    let Some(pseudonyms) = pseudonyms else { return Cow::Borrowed(text) };
    let says = FIELDS.iter().find(|(known, _)| *known == name).map_or(Says::Name, |(_, says)| *says);
    match says {
        Says::Plain => Cow::Borrowed(text),
        Says::Text => without_addresses(pseudonyms, text),
        _ => Cow::Owned(pseudonyms.of(says, text)),
    }
}

/// Mail addresses in a text, replaced by what stands for their mailboxes.
fn without_addresses<'a>(pseudonyms: &Pseudonyms, text: &'a str) -> Cow<'a, str> {
    if !text.contains('@') {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(is_of_address) {
        let length = rest[start..].find(|character: char| !is_of_address(character)).unwrap_or(rest.len() - start);
        let (before, word, after) = (&rest[..start], &rest[start..start + length], &rest[start + length..]);
        shown.push_str(before);
        match word.contains('@') {
            true => shown.push_str(&pseudonyms.of(Says::Mailbox, &word.trim_matches(['.', '\'']).to_lowercase())),
            false => shown.push_str(word),
        }
        rest = after;
    }
    shown.push_str(rest);
    Cow::Owned(shown)
}

/// Of an unquoted address as RFC 5322 has it, and letters of any script.
fn is_of_address(character: char) -> bool {
    character.is_alphanumeric() || "@.!#$%&'*+-/=?^_`{|}~".contains(character)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn redacted(name: &str, text: &str) -> String {
        shown(Some(&Pseudonyms::new("k")), name, text).into_owned()
    }

    #[test]
    fn names_are_replaced_and_what_names_nobody_stays() {
        for (name, text, start) in [
            ("mailbox", "alice@example.org", "m-"),
            ("device", "appl123", "d-"),
            ("peer", "192.0.2.1:99", "a-"),
            ("actor", "anna", "n-"),
            ("a field that nobody described", "alice", "n-"),
        ] {
            let shown = redacted(name, text);
            assert!(shown.starts_with(start) && !shown.contains(text), "{name}: {shown}");
        }
        assert_eq!(redacted("command", "Ping"), "Ping");
        assert_eq!(shown(None, "mailbox", "alice"), "alice");
    }

    #[test]
    fn an_address_in_words_of_others_is_replaced_by_its_mailbox() {
        let alice = redacted("mailbox", "alice@example.org");
        assert_eq!(redacted("error", "550 <Alice@example.org>: no such user."), format!("550 <{alice}>: no such user."));
        assert_eq!(redacted("message", "to alice@example.org."), format!("to {alice}"));
        assert_eq!(redacted("error", "no such user: 'alice@example.org'"), format!("no such user: {alice}"));
        assert_eq!(redacted("error", "o'brien@example.org"), redacted("mailbox", "o'brien@example.org"));
        assert_eq!(redacted("error", "jörg@example.org, alice@example.org").matches("m-").count(), 2);
        assert_eq!(redacted("error", "a connection was refused (111)"), "a connection was refused (111)");
    }

    /// Every field of every line that the program can write is on the list, unless its value is no text; and no message is put together of
    /// parts that could name somebody.
    #[test]
    fn every_field_of_every_line_is_known() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let (mut unknown, mut seen) = (Vec::new(), BTreeSet::new());
        let is_written =
            |path: &std::path::PathBuf| !path.starts_with(root.join("standin")) && !path.starts_with(root.join("telemetry/log"));
        for path in sources(&root).into_iter().filter(is_written) {
            let text = std::fs::read_to_string(&path).expect("readable");
            for (line, part) in lines_written(&text) {
                let is_known = match part {
                    Part::Field(ref name, ref value) => {
                        seen.insert(name.clone());
                        FIELDS.iter().any(|(known, _)| known == name) || is_number(name, value)
                    }
                    Part::Message(ref message) => !message.contains('{') || PUT_TOGETHER.contains(&message.as_str()),
                };
                if !is_known {
                    unknown.push(format!("{}:{line}: {part:?}", path.display()));
                }
            }
        }
        assert!(unknown.is_empty(), "say in FIELDS what these say:\n{}", unknown.join("\n"));
        let unused: Vec<_> = FIELDS.iter().map(|(name, _)| *name).filter(|name| *name != "message" && !seen.contains(*name)).collect();
        assert!(unused.is_empty(), "no line has {unused:?}");
        assert!(seen.len() > 40, "{seen:?}");
    }

    /// Messages with something in them, and what that is: a fixed sentence each.
    const PUT_TOGETHER: &[&str] =
        &["refused: {}", "refused: the role is {}, not {}", "a device asks the same over and over and is slowed. {}", "{}"];

    /// A number or a switch, as its name says.
    fn is_number(name: &str, value: &str) -> bool {
        const NUMBERS: &[&str] = &[
            "bytes",
            "certificates",
            "changes",
            "event_id",
            "folders",
            "given_up",
            "held",
            "is_in_doubt",
            "left_out",
            "limit",
            "lot",
            "mailboxes",
            "minutes",
            "ms",
            "number",
            "recalled",
            "removed",
            "revision",
            "seen",
            "strangers",
            "token",
            "woken",
        ];
        !value.starts_with(['%', '?']) && (NUMBERS.contains(&name) || name.ends_with("_s"))
    }

    #[derive(Debug)]
    enum Part {
        /// Its name, and its value with the mark in front.
        Field(String, String),
        Message(String),
    }

    /// Fields and messages of all `tracing` macros in a source file, each with its line.
    fn lines_written(text: &str) -> Vec<(usize, Part)> {
        const MACROS: [&str; 9] = ["trace", "debug", "info", "warn", "error", "event", "debug_span", "info_span", "warn_span"];
        let mut found = Vec::new();
        for (at, _) in text.match_indices("tracing::") {
            let rest = &text[at + "tracing::".len()..];
            let Some((name, arguments)) = rest.split_once("!(").filter(|(name, _)| MACROS.contains(name)) else { continue };
            let line = text[..at].lines().count();
            let mut parts = split(arguments).into_iter();
            if name.ends_with("_span") {
                parts.next();
            }
            for part in parts {
                if let Some(message) = part.strip_prefix('"') {
                    found.push((line, Part::Message(message.trim_end_matches('"').to_owned())));
                    break;
                }
                let (name, value) = part.split_once(" = ").unwrap_or((part.as_str(), part.as_str()));
                found.push((line, Part::Field(name.trim_start_matches(['%', '?']).to_owned(), value.to_owned())));
            }
        }
        found
    }

    /// Arguments up to the closing parenthesis, apart at commas outside of brackets and strings.
    fn split(text: &str) -> Vec<String> {
        let (mut parts, mut part, mut depth, mut is_text, mut is_escaped) = (Vec::new(), String::new(), 0, false, false);
        for character in text.chars() {
            match character {
                _ if is_escaped => is_escaped = false,
                '\\' => is_escaped = true,
                '"' => is_text = !is_text,
                '(' | '[' | '{' if !is_text => depth += 1,
                ')' if !is_text && depth == 0 => break,
                ')' | ']' | '}' if !is_text => depth -= 1,
                ',' if !is_text && depth == 0 => {
                    parts.push(std::mem::take(&mut part).trim().to_owned());
                    continue;
                }
                _ => {}
            }
            part.push(character);
        }
        parts.push(part.trim().to_owned());
        parts.retain(|part| !part.is_empty());
        parts
    }

    fn sources(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
        let paths = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
        paths.flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] }).collect()
    }

    #[test]
    fn the_reader_of_lines_reads_them() {
        let text =
            "fn x() {\n    tracing::warn!(%mailbox, n = f(a, \"b,)\"), ?why, \"said {}\", c);\n    tracing::info_span!(\"name\", id);\n}";
        let shown: Vec<String> = lines_written(text).into_iter().map(|(line, part)| format!("{line} {part:?}")).collect();
        assert_eq!(
            shown,
            [
                "2 Field(\"mailbox\", \"%mailbox\")",
                "2 Field(\"n\", \"f(a, \\\"b,)\\\")\")",
                "2 Field(\"why\", \"?why\")",
                "2 Message(\"said {}\")",
                "3 Field(\"id\", \"id\")",
            ]
        );
    }
}
