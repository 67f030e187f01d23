//! The commands that need no state: Settings, Provision, GetItemEstimate, mail out, attachments, Autodiscover.

use super::http::Answer;
use super::mailbox::Mailbox;
use super::shared::{Shared, Who};
use crate::logic::eas::{Command, Version};
use crate::logic::wbxml::{Tag, Writer, get_item_estimate as gie, provision, settings};
use crate::standin::tree::Node;

/// Tags of GetItemEstimate's answer that only a server writes.
const ESTIMATE: Tag = Tag { page: 6, token: 0x0C };
const RESPONSE: Tag = Tag { page: 6, token: 0x0D };

/// Settings: takes device information and the like, and keeps none of it.
pub(super) fn settings(body: &[u8]) -> Answer {
    let Some(root) = Node::parse(body).ok().filter(|root| root.tag == settings::SETTINGS) else {
        return status_only(Command::Settings, 2);
    };
    let mut writer = Writer::new();
    writer.start(settings::SETTINGS).number(settings::STATUS, 1_u8);
    for tag in [settings::DEVICE_PASSWORD, settings::DEVICE_INFORMATION] {
        if root.child(tag).is_some() {
            writer.start(tag).number(settings::STATUS, 1_u8).end();
        }
    }
    writer.end();
    Answer::wbxml(writer.finish())
}

/// Provision: there is no policy, which is all that SOGo ever says.
pub(super) fn provision(body: &[u8]) -> Answer {
    let Some(root) = Node::parse(body).ok().filter(|root| root.tag == provision::PROVISION) else {
        return status_only(Command::Provision, 2);
    };
    let policy = root.child(provision::POLICIES).and_then(|policies| policies.child(provision::POLICY));
    let mut writer = Writer::new();
    writer.start(provision::PROVISION);
    if root.child(settings::DEVICE_INFORMATION).is_some() {
        writer.start(settings::DEVICE_INFORMATION).number(settings::STATUS, 1_u8).end();
    }
    writer.number(provision::STATUS, 1_u8);
    if let Some(policy) = policy {
        let policy_type = policy.child_text(provision::POLICY_TYPE).unwrap_or("MS-EAS-Provisioning-WBXML");
        writer.start(provision::POLICIES).start(provision::POLICY);
        writer.text(provision::POLICY_TYPE, policy_type).number(provision::STATUS, 2_u8).end().end();
    }
    writer.end();
    Answer::wbxml(writer.finish())
}

/// GetItemEstimate: how many items a Sync would bring.
pub(super) fn estimate(shared: &Shared, who: &Who, body: &[u8]) -> Answer {
    let Some(root) = Node::parse(body).ok().filter(|root| root.tag == gie::GET_ITEM_ESTIMATE) else {
        return status_only(Command::GetItemEstimate, 103);
    };
    let mut writer = Writer::new();
    writer.start(gie::GET_ITEM_ESTIMATE);
    shared.with_mailbox(&who.mailbox, |mailbox| {
        for collection in root.child(gie::COLLECTIONS).map(|node| node.all(gie::COLLECTION)).into_iter().flatten() {
            let id = collection.child_text(gie::COLLECTION_ID).unwrap_or_default();
            let estimate = pending(shared, who, mailbox, id);
            let status = if estimate.is_some() { 1_u8 } else { 2 };
            writer.start(RESPONSE).number(gie::STATUS, status).start(gie::COLLECTION).text(gie::COLLECTION_ID, id);
            writer.number(ESTIMATE, estimate.unwrap_or(0)).end().end();
        }
    });
    writer.end();
    Answer::wbxml(writer.finish())
}

/// `None`: there is no such folder.
fn pending(shared: &Shared, who: &Who, mailbox: &mut Mailbox, id: &str) -> Option<u64> {
    let number = shared.folder_number(who, mailbox, id)?;
    let progress = mailbox.partnerships.entry(who.device.clone()).or_default().collections.get(&number).copied();
    let folder = mailbox.folder(number)?;
    Some(folder.since(progress.map_or(0, |progress| progress.upto), &who.device).count() as u64)
}

/// SendMail, SmartReply, SmartForward: taken and thrown away; success is an empty answer in every version.
pub(super) fn send_mail(who: &Who, command: Command, body: &[u8]) -> Answer {
    let is_wbxml = who.version >= Version::V14_0;
    if is_wbxml && Node::parse(body).is_err() {
        return status_only(command, 102);
    }
    if body.is_empty() { Answer::status(400) } else { Answer::empty() }
}

/// Attachments and files have at most so many.
pub(super) const FILE_BYTES_MAX: u64 = 1 << 30;

/// GetAttachment: the name says how many bytes it has (`<anything>:<bytes>`), up to a gigabyte.
pub(super) fn attachment(name: Option<&str>) -> Answer {
    let bytes = name.and_then(|name| name.rsplit(':').next()?.parse::<u64>().ok());
    match bytes {
        Some(bytes) if bytes <= FILE_BYTES_MAX => Answer::zeros(bytes),
        _ => Answer::status(500),
    }
}

/// A command this stand-in does not do, answered in its own form.
pub(super) fn unsupported(who: &Who, command: Command) -> Answer {
    match command.root() {
        Some(_) if who.version.has_common_statuses() => status_only(command, 137),
        _ => Answer::status(501),
    }
}

fn status_only(command: Command, status: u8) -> Answer {
    let (root, tag) = command.root().expect("only commands with WBXML bodies");
    let mut writer = Writer::new();
    writer.start(root).number(tag, status).end();
    Answer::wbxml(writer.finish())
}

/// Autodiscover for mobile devices: names this very server.
pub(super) fn autodiscover(user: &str, url: &str) -> Answer {
    let user = user.replace('&', "&amp;").replace('<', "&lt;");
    Answer::xml(format!(
        concat!(
            r#"<?xml version="1.0" encoding="utf-8"?><Autodiscover xmlns="http://schemas.microsoft.com/exchange/autodiscover/"#,
            r#"responseschema/2006"><Response xmlns="http://schemas.microsoft.com/exchange/autodiscover/mobilesync/responseschema/2006">"#,
            "<Culture>en:us</Culture><User><DisplayName>{user}</DisplayName><EMailAddress>{user}</EMailAddress></User><Action>",
            "<Settings><Server><Type>MobileSync</Type><Url>{url}</Url><Name>{url}</Name></Server></Settings></Action></Response>",
            "</Autodiscover>"
        ),
        user = user,
        url = url,
    ))
}
