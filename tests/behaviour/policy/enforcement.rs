//! What no device is trusted with.

use pushgate::logic::eas::{Command, Version};
use pushgate::logic::wbxml::{PAGES, Tag, Writer, air_sync_base, document_library, item_operations, search, to_xml};
use pushgate::standin::device::DeviceError;

use super::scene::{Administrates, Obedient, PASSWORD, settled_phone};
use crate::scene::{Phone, backend, gateway};

fn tag(page: u8, name: &str) -> Tag {
    Tag { page, token: PAGES[usize::from(page)].tokens().find(|(_, known)| *known == name).unwrap().0 }
}

async fn xml(phone: &mut Phone, command: Command, body: Vec<u8>) -> String {
    let answer = phone.device.command(command, body).await.unwrap();
    assert_eq!(answer.status, 200);
    let mut text = String::new();
    to_xml(&answer.body, &mut text).unwrap();
    text.split_whitespace().collect()
}

#[tokio::test]
async fn attachments_that_are_off_end_here() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    gateway.has_policy(PASSWORD).await;
    let mut phone = settled_phone(&gateway, Version::V12_1).await;
    assert_eq!(phone.device.attachment("any:100").await.unwrap().len(), 100);
    gateway.changes_policy(&[("attachments_enabled", "false")]).await;
    phone.settles().await;
    assert!(matches!(phone.device.attachment("any:100").await, Err(DeviceError::Http(403))));
    let mut writer = Writer::new();
    writer.start(item_operations::ITEM_OPERATIONS).start(item_operations::FETCH).text(item_operations::STORE, "Mailbox");
    writer.text(air_sync_base::FILE_REFERENCE, "5:17:0").end().end();
    assert!(xml(&mut phone, Command::ItemOperations, writer.finish()).await.contains("<Status>16</Status>"));
    assert_eq!((backend.count(Command::GetAttachment), backend.count(Command::ItemOperations)), (1, 0));
}

#[tokio::test]
async fn an_attachment_that_is_too_large_does_not_get_to_the_device() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    gateway.has_policy(&[PASSWORD, &[("max_attachment_size_bytes", "100000")]].concat()).await;
    let mut phone = settled_phone(&gateway, Version::V12_1).await;
    assert_eq!(phone.device.attachment("any:100000").await.unwrap().len(), 100_000);
    assert!(matches!(phone.device.attachment("any:100001").await, Err(DeviceError::Http(403))));
    assert!(matches!(phone.device.attachment("any:100000000").await, Err(DeviceError::Http(403))));
}

#[tokio::test]
async fn a_search_on_a_file_share_that_is_forbidden_ends_here() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    gateway.has_policy(&[PASSWORD, &[("unc_access_enabled", "false")]].concat()).await;
    let mut phone = settled_phone(&gateway, Version::V12_1).await;
    let mut writer = Writer::new();
    writer.start(search::SEARCH).start(tag(15, "Store")).text(tag(15, "Name"), "DocumentLibrary").start(tag(15, "Query"));
    writer.start(tag(15, "EqualTo")).empty(document_library::LINK_ID).text(tag(15, "Value"), r"\\files\secret");
    writer.end().end().end().end();
    assert!(xml(&mut phone, Command::Search, writer.finish()).await.contains("<Status>13</Status>"));
    assert_eq!(backend.count(Command::Search), 0);
}
