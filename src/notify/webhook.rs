//! Our own notification: `{"mailbox", "folder" | "folder_id" | "class", "id"}`, one or an array.

use std::borrow::Cow;

use super::entry::{self, BadBatch, Field, Notice};
use crate::config;
use crate::logic::eas::{Class, FolderId};
use crate::logic::hold::{MailboxChange, Scope};

const KEYS: [&str; 5] = ["mailbox", "folder", "folder_id", "class", "id"];

/// Reads a body; every entry must be in order, or none counts.
pub(super) fn parse(body: &[u8], mailboxes: &config::Mailbox) -> Result<Vec<Notice>, BadBatch> {
    entry::read(body, &KEYS, |fields| understand(fields, mailboxes))
}

/// When a sender names several scopes the narrowest holds: that is what it knows.
fn understand([mailbox, folder, folder_id, class, id]: [Field<'_>; 5], mailboxes: &config::Mailbox) -> Result<Notice, String> {
    let name = mailbox.text("mailbox")?.ok_or("has no \"mailbox\"")?;
    let mailbox = mailboxes.mailbox(&name).ok_or("\"mailbox\" is not a user name such as hew or hew@example.org")?;
    let folder = folder.text("folder")?.map(|name| Scope::FolderName(name.into_owned().into()));
    let folder_id = folder_id.text("folder_id")?.map(|id| FolderId::new(&id)).transpose();
    let folder_id = folder_id.map_err(|error| format!("\"folder_id\" {error}"))?;
    let class = class.text("class")?.map(|name| name.parse::<Class>()).transpose();
    let class = class.map_err(|()| "\"class\" is none of Email, Calendar, Contacts, Tasks, Notes")?;
    let scope = folder_id.map(Scope::FolderId).or(folder).or(class.map(Scope::Class)).unwrap_or(Scope::Mailbox);
    let id = match id {
        Field::Number(number) => Some(number.to_string()),
        other => other.text("id")?.map(Cow::into_owned),
    };
    Ok(Notice { change: Some(MailboxChange { mailbox, scope }), id })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scopes(body: &str) -> Vec<(String, Scope)> {
        let config = config::Mailbox { default_domain: Some("example.org".into()), domains: Vec::new(), lowercase: true };
        let notices = parse(body.as_bytes(), &config).expect(body);
        notices.into_iter().filter_map(|n| n.change).map(|c| (c.mailbox.to_string(), c.scope)).collect()
    }

    #[test]
    fn the_scope_is_the_narrowest_that_is_named() {
        let body = r#"[{"mailbox":"hew"},
            {"mailbox":"EXAMPLE\\Hew","class":"Calendar"},
            {"mailbox":"hew@example.org","folder":"Work/2024","class":"Email","extra":{"x":[1]}},
            {"mailbox":"hew","folder_id":"5","folder":null,"id":17}]"#;
        let hew = || "hew@example.org".to_owned();
        let expected = vec![
            (hew(), Scope::Mailbox),
            (hew(), Scope::Class(Class::Calendar)),
            (hew(), Scope::FolderName("Work/2024".into())),
            (hew(), Scope::FolderId(FolderId::new("5").expect("short"))),
        ];
        assert_eq!(scopes(body), expected);
    }

    #[test]
    fn every_bad_entry_is_named_by_its_index() {
        let long = "x".repeat(2_000);
        let body = format!(
            r#"[{{"mailbox":"a"}},{{}},{{"mailbox":5}},{{"mailbox":""}},{{"mailbox":"a","class":"email"}},{{"mailbox":"a","folder":[]}},
               {{"mailbox":"a","folder_id":"{long}"}},{{"mailbox":"a","folder":""}},{{"mailbox":"a\nb"}},"a",{{"mailbox":"a","id":{{}}}}]"#
        );
        let config = config::Mailbox { default_domain: None, domains: Vec::new(), lowercase: true };
        let Err(BadBatch::Entries { named, count }) = parse(body.as_bytes(), &config) else { panic!("bad entries passed") };
        assert_eq!(count, 10);
        assert_eq!(named.iter().map(|(index, _)| *index).collect::<Vec<_>>(), (1..=10).collect::<Vec<_>>());
    }

    #[test]
    fn many_bad_entries_are_counted_and_the_first_are_named() {
        let body = format!("[{}]", vec!["{}"; 500].join(","));
        let config = config::Mailbox { default_domain: None, domains: Vec::new(), lowercase: true };
        let Err(BadBatch::Entries { named, count }) = parse(body.as_bytes(), &config) else { panic!("bad entries passed") };
        assert_eq!((named.len(), count), (crate::config::limits::NOTIFICATION_PROBLEMS_MAX, 500));
    }
}
