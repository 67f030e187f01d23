//! What Dovecot's push notifications say: the `ox` driver's PUT, and the bodies of our Lua script.
//!
//! The two differ in spelling only: `ox` writes `messageNew`, `imap-uid`, `imap-uidvalidity`; Lua writes `MessageNew`, `uid`,
//! `uidvalidity`, and sends every event of every folder. Lua may batch a transaction into an array.

use super::entry::{self, BadBatch, Field, Notice};
use crate::config;
use crate::logic::hold::{MailboxChange, Scope};

const KEYS: [&str; 7] = ["user", "event", "folder", "imap-uidvalidity", "imap-uid", "uidvalidity", "uid"];

/// Reads a body; every entry must be in order, or none counts.
pub(super) fn parse(body: &[u8], mailboxes: &config::Mailbox) -> Result<Vec<Notice>, BadBatch> {
    entry::read(body, &KEYS, |fields| understand(fields, mailboxes))
}

/// What an event means. One we do not know is a change all the same: a Sync for nothing is cheap, a lost wake is not.
enum Meaning {
    /// A message came. Happens once for a message, so its number tells a repeat.
    Arrival,
    /// Something else in the folder changed; may happen again to the same message.
    Folder,
    Hierarchy,
    Nothing,
}

fn meaning(event: &str) -> Meaning {
    match event.to_ascii_lowercase().as_str() {
        "messagenew" | "messageappend" => Meaning::Arrival,
        "mailboxcreate" | "mailboxdelete" | "mailboxrename" => Meaning::Hierarchy,
        // Which folders an IMAP program lists; devices do not see it.
        "mailboxsubscribe" | "mailboxunsubscribe" => Meaning::Nothing,
        // FlagsSet, FlagsClear, MessageRead, MessageTrash, MessageExpunge, and what later versions add.
        _ => Meaning::Folder,
    }
}

fn understand(
    [user, event, folder, validity, uid, lua_validity, lua_uid]: [Field<'_>; 7],
    mailboxes: &config::Mailbox,
) -> Result<Notice, String> {
    let user = user.text("user")?.ok_or("has no \"user\"")?;
    let mailbox = mailboxes.mailbox(&user).ok_or("\"user\" is not a user name such as hew or hew@example.org")?;
    let event = event.text("event")?.ok_or("has no \"event\"")?;
    let folder = folder.text("folder")?.map_or(Scope::Mailbox, |name| Scope::FolderName(name.into_owned().into()));
    let (scope, id) = match meaning(&event) {
        Meaning::Nothing => return Ok(Notice { change: None, id: None }),
        Meaning::Hierarchy => (Scope::Hierarchy, None),
        Meaning::Folder => (folder, None),
        Meaning::Arrival => {
            let id = first_number(validity, lua_validity).zip(first_number(uid, lua_uid));
            (folder, id.map(|(validity, uid)| format!("{validity}/{uid}")))
        }
    };
    Ok(Notice { change: Some(MailboxChange { mailbox, scope }), id })
}

fn first_number(ox: Field<'_>, lua: Field<'_>) -> Option<u64> {
    [ox, lua].into_iter().find_map(|field| match field {
        Field::Number(number) => Some(number),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(body: &str) -> Notice {
        let config = config::Mailbox { default_domain: Some("example.test".into()), domains: Vec::new(), lowercase: true };
        let mut notices = parse(body.as_bytes(), &config).expect(body);
        assert_eq!(notices.len(), 1, "{body}");
        notices.remove(0)
    }

    fn scope(body: &str) -> Option<Scope> {
        one(body).change.map(|change| change.scope)
    }

    #[test]
    fn any_case_and_any_unknown_event_is_a_change_of_the_folder() {
        for event in ["messageNew", "MESSAGENEW", "FlagsSet", "MessageExpunge", "MessageMoveOrWhatComesNext"] {
            let body = format!(r#"{{"user":"u1","event":"{event}","folder":"Work"}}"#);
            assert_eq!(scope(&body), Some(Scope::FolderName("Work".into())), "{event}");
        }
        assert_eq!(scope(r#"{"user":"u1","event":"messageNew"}"#), Some(Scope::Mailbox));
    }

    #[test]
    fn folder_events_change_the_hierarchy_and_subscriptions_nothing() {
        for event in ["MailboxCreate", "MailboxDelete", "mailboxrename"] {
            assert_eq!(scope(&format!(r#"{{"user":"u1","event":"{event}","folder":"Bar"}}"#)), Some(Scope::Hierarchy));
        }
        for event in ["MailboxSubscribe", "MailboxUnsubscribe"] {
            assert_eq!(scope(&format!(r#"{{"user":"u1","event":"{event}","folder":"Bar"}}"#)), None);
        }
    }

    #[test]
    fn only_arrivals_have_an_id_that_tells_a_repeat() {
        let id = |body| one(body).id;
        let arrival = Some("9/24".to_owned());
        assert_eq!(id(r#"{"user":"u1","event":"messageNew","folder":"INBOX","imap-uidvalidity":9,"imap-uid":24}"#), arrival);
        assert_eq!(id(r#"{"user":"u1","event":"MessageAppend","folder":"INBOX","uidvalidity":9,"uid":24}"#), arrival);
        assert_eq!(id(r#"{"user":"u1","event":"FlagsSet","folder":"INBOX","uidvalidity":9,"uid":24}"#), None);
        assert_eq!(id(r#"{"user":"u1","event":"messageNew","folder":"INBOX","imap-uid":24}"#), None);
    }
}
