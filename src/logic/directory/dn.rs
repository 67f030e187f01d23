//! The name of an entry (RFC 4514). Servers give the same name in several spellings: as an entry is called, and as somebody once wrote it
//! into a group.

use crate::config::limits::DN_BYTES_MAX;

/// A name in one spelling: attribute types and values in lower case, escapes resolved, no spaces around either, attributes of one
/// component sorted. Equal exactly when a directory would say so of names whose values are compared without case, as all usual ones are.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Dn(Box<str>);

/// Ends a component, an attribute of one, an attribute's type: characters that no value holds, or it is no name for us.
const ENDS: [char; 3] = ['\u{1}', '\u{2}', '\u{3}'];

impl Dn {
    /// Reads a name. `None` for what is not one: too long, without a type, with a broken escape or control characters.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > DN_BYTES_MAX || text.trim().is_empty() || text.chars().any(char::is_control) {
            return None;
        }
        let mut components: Vec<String> = Vec::new();
        for component in split(text, [',', ';']) {
            let attributes: Option<Vec<String>> = split(component, ['+', '+']).into_iter().map(attribute).collect();
            let mut attributes = attributes?;
            attributes.sort_unstable();
            components.push(attributes.join(&ENDS[1].to_string()));
        }
        Some(Dn(components.join(&ENDS[0].to_string()).into()))
    }
}

/// Parts between separators that no backslash stands before.
fn split(text: &str, separators: [char; 2]) -> Vec<&str> {
    let (mut parts, mut start, mut is_escaped) = (Vec::new(), 0, false);
    for (at, character) in text.char_indices() {
        if separators.contains(&character) && !is_escaped {
            parts.push(&text[start..at]);
            start = at + character.len_utf8();
        }
        is_escaped = character == '\\' && !is_escaped;
    }
    parts.push(&text[start..]);
    parts
}

fn attribute(text: &str) -> Option<String> {
    let (kind, value) = text.split_once('=')?;
    let kind = kind.trim();
    if kind.is_empty() || !kind.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.;".contains(&byte)) {
        return None;
    }
    let value = value_of(value)?;
    Some(format!("{}{}{value}", kind.to_ascii_lowercase(), ENDS[2]))
}

/// A value without its escapes, in lower case; inner spaces count as one.
fn value_of(text: &str) -> Option<String> {
    let text = text.trim_start();
    let (mut bytes, mut characters) = (Vec::with_capacity(text.len()), text.chars());
    // What an escape stands for is kept at the end, spaces that nobody escaped are not.
    let mut kept = 0;
    while let Some(character) = characters.next() {
        if character != '\\' {
            bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            if character != ' ' {
                kept = bytes.len();
            }
            continue;
        }
        let next = characters.next()?;
        match (next.to_digit(16), characters.clone().next().and_then(|second| second.to_digit(16))) {
            (Some(high), Some(low)) => {
                characters.next();
                bytes.push((high * 16 + low) as u8);
            }
            (None, _) => bytes.extend_from_slice(next.encode_utf8(&mut [0; 4]).as_bytes()),
            // One digit alone is no escape of any kind.
            (Some(_), None) => return None,
        }
        kept = bytes.len();
    }
    bytes.truncate(kept);
    let value = String::from_utf8(bytes).ok().filter(|value| !value.chars().any(char::is_control))?;
    let words: Vec<&str> = value.split(' ').filter(|word| !word.is_empty()).collect();
    Some(words.join(" ").to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(a: &str, b: &str) -> bool {
        let (a, b) = (Dn::parse(a), Dn::parse(b));
        assert!(a.is_some() && b.is_some(), "{a:?} {b:?}");
        a == b
    }

    #[test]
    fn one_entry_in_every_spelling_is_one_name() {
        for (a, b) in [
            ("uid=hew,ou=People,dc=example,dc=org", "UID=Hew, OU=people,  DC=Example,DC=org"),
            ("cn=Smith\\, Anna,dc=x", "CN=smith\\2C anna,DC=X"),
            ("cn=J\\C3\\BCrgen,dc=x", "cn=Jürgen,dc=x"),
            ("cn=JÜRGEN,dc=x", "cn=jürgen,dc=x"),
            ("cn=a  b,dc=x", "cn=a b ,dc=x"),
            ("cn=a+uid=b,dc=x", "uid=b + cn=a,dc=x"),
            ("cn=a;dc=x", "cn=a,dc=x"),
            ("cn=a=b,dc=x", "cn=a\\=b,dc=x"),
            ("cn=\\#1\\+1,dc=x", "cn=\\231\\2b1,dc=x"),
        ] {
            assert!(same(a, b), "{a} | {b}");
        }
    }

    #[test]
    fn different_entries_are_different_names() {
        for (a, b) in [
            ("cn=a,dc=x", "cn=a,dc=y"),
            ("cn=a,dc=x", "uid=a,dc=x"),
            ("cn=a\\,dc\\=x,dc=y", "cn=a,dc=x,dc=y"),
            ("cn=a\\+uid=b,dc=x", "cn=a+uid=b,dc=x"),
            ("cn=ab,dc=x", "cn=a b,dc=x"),
        ] {
            assert!(!same(a, b), "{a} | {b}");
        }
    }

    #[test]
    fn what_is_no_name_is_refused() {
        let long = format!("cn={}", "a".repeat(DN_BYTES_MAX));
        for text in
            ["", " ", "hew", "=a", "cn=a,", "c n=a", "cn=a\\", "cn=a\\4", "cn=\\ff", "cn=a\\00b", "cn=a\nb", "cn=a\\0Ab", ",", &long]
        {
            assert_eq!(Dn::parse(text), None, "{text:?}");
        }
    }
}
