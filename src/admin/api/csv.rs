//! Files of mailboxes as people have them: one a line, or columns, of which the first is the mailbox and the second, if there is one, a
//! policy. Where the first line is headings, as `Export-Csv` and spreadsheets write them, they say which columns these are. Separated by
//! commas, semicolons or tabs; empty lines and those that begin with # (`#TYPE …` too) say nothing.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use serde_json::{Value, json};

use crate::admin::problem::Problem;
use crate::logic::eas::Mailbox;

/// What a column of mailboxes may be called, the best first: of several, that one counts.
const MAILBOX_HEADINGS: [&str; 16] = [
    "mailbox",
    "primarysmtpaddress",
    "windowsemailaddress",
    "emailaddress",
    "email",
    "mail",
    "userprincipalname",
    "samaccountname",
    "alias",
    "username",
    "user",
    "login",
    "loginname",
    "logonname",
    "identity",
    "name",
];
/// What a column of policies may be called.
const POLICY_HEADINGS: [&str; 4] = ["policy", "activesyncmailboxpolicy", "mailboxpolicy", "policyname"];
/// What no mailbox is called, and columns are.
const OTHER_HEADINGS: [&str; 6] = ["DisplayName", "FirstName", "LastName", "Department", "Guid", "DistinguishedName"];
/// Of these, those that no policy is called: so many of them from the second on.
const UNMISTAKABLE: std::ops::Range<usize> = 1..4;
/// Columns from which on a heading anywhere makes a line headings; in one or two, a policy may be called so.
const WIDE: usize = 3;
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

/// Which columns say what.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Columns {
    mailbox: usize,
    policy: Option<usize>,
}

impl Columns {
    /// Of a line of headings; `None` if it is none.
    fn of(cells: &[String]) -> Option<Columns> {
        let place = |names: &[&str]| {
            names.iter().find_map(|name| cells.iter().position(|cell| cell.replace([' ', '_', '-'], "").eq_ignore_ascii_case(name)))
        };
        let begins_with = |names: &[&str]| names.iter().any(|name| place(&[name]) == Some(0));
        let are_headings = cells.len() >= WIDE
            || begins_with(&MAILBOX_HEADINGS)
            || begins_with(&POLICY_HEADINGS)
            || place(&MAILBOX_HEADINGS[UNMISTAKABLE]).is_some();
        // An address is nobody's heading.
        let mailbox = place(&MAILBOX_HEADINGS).filter(|_| are_headings && !cells.iter().any(|cell| cell.contains('@')))?;
        let policy = place(&POLICY_HEADINGS).or((mailbox == 0 && cells.len() < WIDE).then_some(1));
        Some(Columns { mailbox, policy })
    }
}

/// The lines of a file.
pub(super) fn lines(text: &str) -> Vec<Line> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut columns = Columns { mailbox: 0, policy: Some(1) };
    let (mut found, mut is_first) = (Vec::new(), true);
    for (index, line) in text.lines().enumerate() {
        let mut cells = cells(line);
        if cells.iter().all(String::is_empty) || cells[0].starts_with('#') {
            continue;
        }
        if std::mem::take(&mut is_first)
            && let Some(headings) = Columns::of(&cells)
        {
            columns = headings;
            continue;
        }
        let mut take = |place: usize| cells.get_mut(place).map(std::mem::take).unwrap_or_default();
        let mailbox = take(columns.mailbox);
        let policy = columns.policy.map(take).filter(|policy| !policy.is_empty());
        found.push(Line { number: index + 1, mailbox, policy });
    }
    found
}

/// Reads every line with `understand`, which says whom it is about and what it says of them; all of them, or everything that is wrong. A
/// mailbox that is there twice says the same both times.
pub(super) fn understand<T: PartialEq>(
    text: &str,
    understand: impl Fn(&Line) -> Result<(Mailbox, T), String>,
) -> Result<Vec<(Mailbox, T)>, Problem> {
    let (mut understood, mut wrong, mut count): (Vec<(Mailbox, T)>, _, _) = (Vec::new(), Vec::new(), 0);
    let mut first: HashMap<Mailbox, (usize, usize)> = HashMap::new();
    for line in lines(text) {
        let said = is_plausible(&line.mailbox).and_then(|()| understand(&line)).and_then(|(mailbox, said)| match first.entry(mailbox) {
            Entry::Vacant(entry) => {
                let mailbox = entry.key().clone();
                entry.insert((line.number, understood.len()));
                understood.push((mailbox, said));
                Ok(())
            }
            Entry::Occupied(entry) if understood[entry.get().1].1 == said => Ok(()),
            Entry::Occupied(entry) => Err(format!("line {} says something else of {}", entry.get().0, entry.key())),
        });
        if let Err(detail) = said {
            count += 1;
            if wrong.len() < NAMED_MAX {
                wrong.push(json!({ "line": line.number, "detail": format!("Line {}: {detail}.", line.number) }));
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

/// Whether it may be a mailbox: Exchange's columns Identity, Name and DisplayName have names for people, and headings that say nothing of
/// mailboxes look like one.
fn is_plausible(mailbox: &str) -> Result<(), String> {
    let is_name = mailbox.contains(|c: char| c.is_whitespace() || matches!(c, '/' | ',' | ';' | '"')) || mailbox.matches('@').count() > 1;
    if is_name {
        return Err(format!("{mailbox} is no mailbox: give addresses or user names, such as the column PrimarySmtpAddress"));
    }
    if OTHER_HEADINGS.iter().any(|heading| heading.eq_ignore_ascii_case(mailbox)) {
        return Err(format!("{mailbox} is a heading, and no column is called Mailbox, PrimarySmtpAddress, UserPrincipalName or the like"));
    }
    Ok(())
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
    fn headings_say_which_columns_count() {
        let read = |text: &str| -> Vec<(String, Option<String>)> { lines(text).into_iter().map(|l| (l.mailbox, l.policy)).collect() };
        let hew = || vec![("hew@example.org".to_owned(), None)];
        assert_eq!(read("Name\nhew@example.org\n"), hew());
        let exported = "#TYPE Selected.Microsoft.Exchange.Data\n\"DisplayName\",\"Alias\",\"PrimarySmtpAddress\"\n\"Hew, A.\",\"hew\",\"hew@example.org\"\n";
        assert_eq!(read(exported), hew());
        let policies = "Name,ActiveSyncMailboxPolicy,Primary SMTP Address\nHew,Strict,hew@example.org\n";
        assert_eq!(read(policies), [("hew@example.org".to_owned(), Some("Strict".to_owned()))]);
        for two in ["Name,PrimarySmtpAddress\nHew A.,hew@example.org\n", "DisplayName,Primary Smtp Address\nHew A.,hew@example.org\n"] {
            assert_eq!(read(two), hew(), "{two}");
        }
        let policy_first = "Policy,Mailbox\nStrict,hew@example.org\n";
        assert_eq!(read(policy_first), [("hew@example.org".to_owned(), Some("Strict".to_owned()))]);
        assert_eq!(read("hew@example.org,Sales,User\n").len(), 1, "an address is no heading");
        assert_eq!(read("hew,Mail\n"), [("hew".to_owned(), Some("Mail".to_owned()))], "a policy of that name");
        assert_eq!(read("hew@example.org,Name\n"), [("hew@example.org".to_owned(), Some("Name".to_owned()))], "a policy of that name");
    }

    #[test]
    fn names_of_people_and_other_headings_are_no_mailboxes() {
        for wrong in ["Hew Bird", "example.org/Users/Hew", "\"Bird, Hew\"", "a@b@c", "DisplayName,Department\nHew,Sales"] {
            let problem = understand(wrong, |line| Ok((Mailbox::normalise(&line.mailbox, None, true).ok_or("no name")?, ())));
            assert!(problem.is_err(), "{wrong}");
        }
        for right in ["hew", "hew@example.org", "EXAMPLE\\hew", "o'brien@example.org"] {
            assert_eq!(is_plausible(right), Ok(()), "{right}");
        }
    }

    #[test]
    fn only_the_first_line_may_be_headings() {
        assert_eq!(lines("hew\nuser\n").len(), 2);
        assert_eq!(lines("").len(), 0);
    }
}
