//! What no device is trusted with.

use pushgate::logic::eas::{Command, Version};
use pushgate::logic::wbxml::{PAGES, Tag, Writer, air_sync_base, document_library, item_operations, search, to_xml};
use pushgate::standin::device::DeviceError;

use super::scene::{Administrates, Obedient, PASSWORD, settled_phone};
use crate::scene::{Phone, RawRequest, Reply, backend, eas, gateway, raw_backend};

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

/// A backend that does not say how long its answer is: hew's phone, which knows no policies, asks for an attachment.
async fn unsized_attachment(bytes: usize, bytes_max: usize) -> (u16, std::io::Result<usize>) {
    let script = move |request: &RawRequest| {
        let mut answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
        if request.line().contains("Cmd=GetAttachment") {
            for piece in vec![b'x'; bytes].chunks(10_000) {
                answer.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
                answer.extend_from_slice(piece);
                answer.extend_from_slice(b"\r\n");
            }
        }
        answer.extend_from_slice(b"0\r\n\r\n");
        Reply::Send(answer)
    };
    let backend = raw_backend(script).await;
    let gateway = gateway().behind(backend.url()).start().await;
    let bytes_max = bytes_max.to_string();
    gateway.has_policy(&[("allow_non_provisionable_devices", "true"), ("max_attachment_size_bytes", &bytes_max)]).await;
    let mut line = gateway.line().await;
    line.send(eas("GetAttachment&AttachmentName=5:17:0").version("12.1")).await;
    match line.try_answer(false).await {
        Ok(answer) => (answer.status, Ok(answer.body.len())),
        Err(error) => (200, Err(error)),
    }
}

#[tokio::test]
async fn an_attachment_of_unsaid_length_is_refused_or_cut_off() {
    let (status, length) = unsized_attachment(100_000, 100_000).await;
    assert_eq!((status, length.unwrap()), (200, 100_000), "as large as it may be");
    assert_eq!(unsized_attachment(100_001, 100_000).await.0, 403);
    assert_eq!(unsized_attachment(5_000_000, 100_000).await.0, 403);
    // Too large to be kept until its end is known: it breaks off, and is never whole.
    let (status, length) = unsized_attachment(4_000_000, 3_000_000).await;
    assert_eq!(status, 200);
    assert!(length.is_err(), "{length:?}");
    let (status, length) = unsized_attachment(2_900_000, 3_000_000).await;
    assert_eq!((status, length.unwrap()), (200, 2_900_000));
}
