//! Ping: requests and answers.

use pushgate::logic::eas::{Class, FolderId, PingAnswer, PingError, PingFolder, PingRequest, ping::encode_changes};
use pushgate::logic::wbxml::Fault;

use super::vector;

fn folders(list: &[(&str, Class)]) -> Option<Vec<PingFolder>> {
    Some(list.iter().map(|&(id, class)| PingFolder { id: FolderId::new(id).unwrap(), class }).collect())
}

fn ids(list: &[&str]) -> Vec<FolderId> {
    list.iter().map(|id| FolderId::new(id).unwrap()).collect()
}

#[test]
fn requests_read_as_values_and_write_as_the_same_bytes() {
    let full = [("5", Class::Email), ("1", Class::Calendar)];
    for (name, heartbeat_s, folders) in [
        ("01", Some(480), folders(&full)),
        ("02", Some(900), None),
        ("03", None, folders(&[("mail%2F9d2c1a64e8f04b5f", Class::Email)])),
        ("11", None, None),
    ] {
        let bytes = vector(name);
        let folder_count = folders.as_ref().map_or(0, Vec::len);
        let request = PingRequest { heartbeat_s, folders, folder_count };
        assert_eq!(PingRequest::parse(&bytes, 200), Ok(request.clone()), "{name}");
        assert_eq!(request.encode(), bytes, "{name}");
    }
}

#[test]
fn odd_but_legal_requests_read_too() {
    let request = PingRequest::parse(&vector("37"), 200).unwrap();
    assert_eq!((request.heartbeat_s, request.folders), (Some(900), Some(Vec::new())));
    assert_eq!(PingRequest::parse(&vector("38"), 200).unwrap().heartbeat_s, Some(900));
}

#[test]
fn answers_read_as_values_and_write_as_the_same_bytes() {
    for (name, answer) in [
        ("04", PingAnswer::Expired),
        ("06", PingAnswer::Changes(ids(&["5", "1"]))),
        ("07", PingAnswer::MissingParameters),
        ("08", PingAnswer::HeartbeatOutOfRange { heartbeat_s: 60 }),
        ("09", PingAnswer::TooManyFolders { max: 200 }),
        ("10", PingAnswer::HierarchyChanged),
    ] {
        assert_eq!(PingAnswer::parse(&vector(name)), Ok(answer.clone()), "{name}");
        assert_eq!(answer.encode(), vector(name), "{name}");
    }
    for odd in ["05", "36"] {
        assert_eq!(PingAnswer::parse(&vector(odd)), Ok(PingAnswer::Expired), "{odd}");
    }
    for answer in [PingAnswer::Syntax, PingAnswer::ServerError, PingAnswer::Other(142), PingAnswer::Changes(Vec::new())] {
        assert_eq!(PingAnswer::parse(&answer.encode()), Ok(answer));
    }
}

#[test]
fn changes_are_written_without_allocating_a_folder() {
    let mut out = Vec::with_capacity(256);
    let before = out.as_ptr();
    encode_changes(["5", "1"].into_iter(), &mut out);
    assert_eq!(out, vector("06"));
    assert_eq!(out.as_ptr(), before, "the given memory is used");
}

#[test]
fn a_folder_listed_twice_counts_once() {
    let mut request =
        PingRequest { folders: folders(&[("5", Class::Email), ("1", Class::Calendar), ("5", Class::Email)]), ..Default::default() };
    let read = PingRequest::parse(&request.encode(), 200).unwrap();
    request.folders.as_mut().unwrap().pop();
    assert_eq!((read.folders, read.folder_count), (request.folders, 2));
}

#[test]
fn folders_over_the_maximum_are_counted_and_not_kept() {
    let names: Vec<String> = (0..1_000).map(|number| format!("{number}")).collect();
    let all: Vec<_> = names.iter().map(|name| (name.as_str(), Class::Email)).collect();
    let body = PingRequest { folders: folders(&all), ..Default::default() }.encode();
    let read = PingRequest::parse(&body, 200).unwrap();
    assert_eq!((read.folders.unwrap().len(), read.folder_count), (200, 1_000));
}

#[test]
fn what_is_no_ping_says_why() {
    assert_eq!(PingRequest::parse(&vector("bad-18"), 200), Err(PingError::Syntax("HeartbeatInterval is not a number")));
    assert_eq!(PingRequest::parse(&vector("bad-19"), 200), Err(PingError::WrongRoot));
    let Err(PingError::Wbxml(error)) = PingRequest::parse(&vector("bad-20"), 200) else { panic!("accepted two page switches") };
    assert_eq!((error.offset, error.fault), (6, Fault::SwitchWithoutTag));
}

#[test]
fn a_heartbeat_beyond_32_bits_is_out_of_range_and_not_a_syntax_error() {
    let body = PingRequest { heartbeat_s: Some(u32::MAX), ..Default::default() }.encode();
    let longer: Vec<u8> = String::from_utf8_lossy(&body).replace("4294967295", "99999999999999").into_bytes();
    assert_eq!(PingRequest::parse(&longer, 200).unwrap().heartbeat_s, Some(u32::MAX));
}
