//! Files of mailboxes as people have them: one a line, or columns of which the first is the mailbox and the second, if there is one, a
//! policy. Separated by commas, semicolons or tabs, as spreadsheets write them; empty lines and those that begin with # say nothing.

use serde_json::{Value, json};

use crate::admin::problem::Problem;

/// First cells of a line of headings.
const HEADINGS: [&str; 8] = ["mailbox", "identity", "emailaddress", "primarysmtpaddress", "email", "user", "username", "userprincipalname"];
/// Bad lines named in one answer; the rest are only counted.
const NAMED_MAX: usize = 20;

/// A line that says something.
#[derive(Debug, PartialEq)]
pub(super) struct Line {
    /// From 1.
    pub(super) number: usize,
    pub(super) mailbox: String,
    pub(super) policy: Option<String>,
}

/// The lines of a file.
pub(super) fn lines(text: &str) -> Vec<Line> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut found = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let mut cells = cells(line).into_iter();
        let mailbox = cells.next().unwrap_or_default();
        let is_heading = found.is_empty() && HEADINGS.iter().any(|heading| mailbox.eq_ignore_ascii_case(heading));
        if mailbox.is_empty() || mailbox.starts_with('#') || is_heading {
            continue;
        }
        let policy = cells.next().filter(|policy| !policy.is_empty());
        found.push(Line { number: index + 1, mailbox, policy });
    }
    found
}

/// Reads every line with `understand`; all of them, or everything that is wrong.
pub(super) fn understand<T>(text: &str, understand: impl Fn(&Line) -> Result<T, String>) -> Result<Vec<T>, Problem> {
    let (mut understood, mut wrong, mut count) = (Vec::new(), Vec::new(), 0);
    for line in lines(text) {
        match understand(&line) {
            Ok(value) => understood.push(value),
            Err(detail) => {
                count += 1;
                if wrong.len() < NAMED_MAX {
                    wrong.push(json!({ "line": line.number, "detail": format!("Line {}: {detail}.", line.number) }));
                }
            }
        }
    }
    if count == 0 {
        return Ok(understood);
    }
    let lines = if count == 1 { "1 line is".to_owned() } else { format!("{count} lines are") };
    let problem = Problem::unprocessable(format!("Nothing was changed: {lines} wrong, correct the file and send all of it again."));
    Err(problem.with("errors", Value::from(wrong)))
}

fn cells(line: &str) -> Vec<String> {
    let (mut cells, mut cell, mut is_quoted) = (Vec::new(), String::new(), false);
    let mut characters = line.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' if is_quoted && characters.peek() == Some(&'"') => {
                characters.next();
                cell.push('"');
            }
            '"' if is_quoted || cell.trim().is_empty() => is_quoted = !is_quoted,
            ',' | ';' | '\t' if !is_quoted => cells.push(std::mem::take(&mut cell)),
            other => cell.push(other),
        }
    }
    cells.push(cell);
    cells.into_iter().map(|cell| cell.trim().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_spreadsheets_are_read() {
        let text = "\u{feff}\"Mailbox\";\"Policy\"\r\n\"hew\"; \"Strict; \"\"new\"\"\"\r\n\r\n# a note\r\nanna,\nberta\tLax\n";
        let read: Vec<(usize, String, Option<String>)> = lines(text).into_iter().map(|l| (l.number, l.mailbox, l.policy)).collect();
        let wanted = [(2, "hew", Some("Strict; \"new\"")), (5, "anna", None), (6, "berta", Some("Lax"))];
        assert_eq!(read, wanted.map(|(number, mailbox, policy)| (number, mailbox.to_owned(), policy.map(str::to_owned))));
    }

    #[test]
    fn only_the_first_line_may_be_headings() {
        assert_eq!(lines("hew\nuser\n").len(), 2);
        assert_eq!(lines("").len(), 0);
    }
}
