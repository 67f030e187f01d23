//! The tables: one case a line, `expectation | name | bytes`, the bytes with Rust's escapes and `{words}` that stand for others.

/// One line of a table.
#[derive(Debug)]
pub struct Case {
    pub expected: String,
    pub name: String,
    pub bytes: Vec<u8>,
    /// What follows `=>` on lines below, indented; in order.
    pub then: Vec<Vec<u8>>,
}

/// Reads a table; `words` are replaced in it.
pub fn table(text: &str, words: &[(&str, &str)]) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let line = words.iter().fold(line.to_owned(), |line, (word, text)| line.replace(word, text));
        if let Some(then) = line.trim_start().strip_prefix("=> ") {
            cases.last_mut().expect("a case before =>").then.push(unescape(then));
            continue;
        }
        let mut parts = line.splitn(3, " | ");
        let mut part = || parts.next().unwrap_or_else(|| panic!("not a case: {line}"));
        let (expected, name) = (part().trim().to_owned(), part().trim().to_owned());
        cases.push(Case { expected, name, bytes: unescape(part()), then: Vec::new() });
    }
    let mut names: Vec<_> = cases.iter().map(|case| case.name.clone()).collect();
    names.sort();
    names.windows(2).for_each(|pair| assert_ne!(pair[0], pair[1], "two cases of one name"));
    cases
}

/// `\r`, `\n`, `\t`, `\0`, `\\`, `\xNN`; `\*N(text)` is the text N times.
fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        bytes.extend_from_slice(before.as_bytes());
        let (code, after) = after.split_at(1);
        rest = after;
        match code {
            "r" => bytes.push(b'\r'),
            "n" => bytes.push(b'\n'),
            "t" => bytes.push(b'\t'),
            "0" => bytes.push(0),
            "\\" => bytes.push(b'\\'),
            "x" => {
                let (digits, after) = rest.split_at(2);
                bytes.push(u8::from_str_radix(digits, 16).unwrap());
                rest = after;
            }
            "*" => {
                let (count, after) = rest.split_once('(').unwrap();
                let end = closing(after);
                bytes.extend_from_slice(&unescape(&after[..end]).repeat(count.parse().unwrap()));
                rest = &after[end + 1..];
            }
            other => panic!("\\{other} in {text}"),
        }
    }
    bytes.extend_from_slice(rest.as_bytes());
    bytes
}

/// Where the parenthesis closes that was opened before this text.
fn closing(text: &str) -> usize {
    let mut depth = 1;
    let closes = |(_, character): &(usize, char)| {
        depth += match character {
            '(' => 1,
            ')' => -1,
            _ => 0,
        };
        depth == 0
    };
    text.char_indices().find(closes).unwrap().0
}

/// To show bytes in a complaint.
pub fn shown(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}
