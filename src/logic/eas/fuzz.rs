//! Entry points for fuzzing: any bytes in, a panic out if a promise does not hold. `fuzz/` calls them with a fuzzer's bytes, the
//! tests with mutations of real bodies.

use super::folder_change::{FolderAnswer, FolderRequest};
use super::folder_sync::{FolderSyncAnswer, FolderSyncRequest};
use super::provision::{ProvisionAnswer, ProvisionRequest};
use super::settings::{SettingsAnswer, SettingsRequest};
use super::sync::{SyncAnswer, SyncRequest, without_wait};
use super::{DeviceId, DeviceType, PingAnswer, PingRequest, Request, root_command};
use crate::logic::wbxml::{Event, Limits, Reader, WbxmlError, copy, to_xml};

/// Promises of the WBXML reader and of all body parsers: no panic; the cut of the input does not matter; a copy is final; what
/// was read is written so that it reads the same.
pub fn wbxml_reader(bytes: &[u8]) {
    for limits in [Limits::STRICT, Limits::LENIENT] {
        let whole = read(bytes, limits, bytes.len().max(1));
        assert_eq!(whole, read(bytes, limits, 1), "the events depend on how the bytes arrive");
        let copied = copy(bytes, limits, |_| true);
        assert_eq!(whole.1.err(), copied.as_ref().err().copied(), "copy and reader disagree");
        if let Ok(copied) = copied {
            assert_eq!(copy(&copied, limits, |_| true).as_ref(), Ok(&copied), "a copy of a copy differs");
        }
    }
    let mut xml = String::new();
    let printed = to_xml(bytes, &mut xml);
    assert_eq!(printed.is_ok(), read(bytes, Limits::LENIENT, 7).1.is_ok());
    let _ = root_command(bytes);
    bodies(bytes);
}

/// Promises of the query parser: no panic; a device id is printable and short; what is stored of a device is read again as it was.
pub fn query(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (query, header) = text.split_once('\n').unwrap_or((text, "14.1"));
    if let Ok(request) = Request::parse(query, Some(header), Some(header)) {
        let (id, kind) = (request.device_id.as_str(), request.device_type.as_str());
        assert!(!id.is_empty() && id.len() <= 255 && id.bytes().all(|byte| matches!(byte, 0x20..=0x7E)), "{id:?}");
        assert!(!kind.contains(char::is_control));
        assert_eq!(DeviceId::new(id.as_bytes()).as_ref(), Ok(&request.device_id));
        assert_eq!(DeviceType::new(kind.as_bytes()).as_ref(), Ok(&request.device_type));
    }
}

/// An event that owns its data.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    Start(u8, u8, bool),
    Text(String),
    Opaque(Vec<u8>),
    End,
}

fn read(bytes: &[u8], limits: Limits, chunk: usize) -> (Vec<Seen>, Result<(), WbxmlError>) {
    let (mut reader, mut seen) = (Reader::new(limits), Vec::new());
    for mut piece in bytes.chunks(chunk) {
        loop {
            match reader.next(&mut piece) {
                Ok(None) => break,
                Err(error) => return (seen, Err(error)),
                Ok(Some(Event::Start { tag, has_content })) => seen.push(Seen::Start(tag.page, tag.token, has_content)),
                Ok(Some(Event::Text(text))) => seen.push(Seen::Text(text.to_owned())),
                Ok(Some(Event::Opaque(bytes))) => seen.push(Seen::Opaque(bytes.to_owned())),
                Ok(Some(Event::End)) => seen.push(Seen::End),
            }
        }
    }
    let end = reader.finish();
    (seen, end)
}

/// Every typed body, read, written, read again.
fn bodies(bytes: &[u8]) {
    const FOLDERS_MAX: usize = 50;
    if let Ok(request) = PingRequest::parse(bytes, FOLDERS_MAX)
        && request.folder_count <= FOLDERS_MAX
    {
        assert_eq!(PingRequest::parse(&request.encode(), FOLDERS_MAX), Ok(request));
    }
    if let Ok(mut request) = SyncRequest::skim(bytes) {
        request.collections.iter_mut().for_each(|collection| collection.has_commands = false);
        assert_eq!(SyncRequest::skim(&request.encode()), Ok(request));
        if let Ok(waitless) = without_wait(bytes)
            && !bytes.is_empty()
        {
            let waitless = SyncRequest::skim(&waitless).expect("only numbers were taken out");
            assert_eq!((waitless.wait_min, waitless.heartbeat_s), (None, None));
        }
    }
    if let Ok(answer) = FolderSyncAnswer::parse(bytes)
        && answer.sync_key.is_some()
    {
        assert_eq!(FolderSyncAnswer::parse(&answer.encode()), Ok(answer));
    }
    if let Ok(mut request) = SettingsRequest::parse(bytes) {
        request.has_other = false;
        assert_eq!(SettingsRequest::parse(&request.encode()), Ok(request));
    }
    macro_rules! reads_what_it_writes {
        ($($body:ident),+) => {$(
            if let Ok(value) = $body::parse(bytes) {
                assert_eq!($body::parse(&value.encode()), Ok(value), stringify!($body));
            }
        )+};
    }
    reads_what_it_writes!(
        PingAnswer,
        SyncAnswer,
        FolderSyncRequest,
        FolderRequest,
        FolderAnswer,
        ProvisionRequest,
        ProvisionAnswer,
        SettingsAnswer
    );
}
