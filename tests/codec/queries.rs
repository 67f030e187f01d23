//! The two forms of the query.

use pushgate::logic::eas::{Command, Form, IdError, PolicyKey, QueryError, Request, Version};

/// Parses without headers.
fn parse(query: &str) -> Result<Request, QueryError> {
    Request::parse(query, None, None)
}

/// The query strings of `base64-queries.txt`, in order.
fn queries() -> Vec<String> {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/base64-queries.txt")).unwrap();
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    lines.chunks(4).map(|query| query[1].to_owned()).collect()
}

#[test]
fn base64_queries_read_as_values() {
    use Command::{GetAttachment, ItemOperations, Ping, Provision, SmartReply, Sync};
    let key = Some(PolicyKey(1_307_199_584));
    let queries = queries();
    assert_eq!(queries.len(), 6);
    for (query, command, version, device_id, policy_key, device_type, locale) in [
        (&queries[0], Sync, Version::V14_0, "v140device", None, "SmartPhone", 0x0409),
        (&queries[1], Ping, Version::V12_1, "wm6dev0001", key, "PocketPC", 0x0409),
        (
            &queries[2],
            ItemOperations,
            Version::V14_1,
            "b7a24c1e5f0d4e8f9a66c0ffee001122",
            Some(PolicyKey(3_942_919_513)),
            "ExampleTab",
            0x0407,
        ),
        (&queries[3], SmartReply, Version::V12_1, "wm6dev0001", key, "PocketPC", 0x0409),
        (&queries[4], Provision, Version::V16_1, "exampledev01", Some(PolicyKey(0)), "ExampleMail", 0x0409),
        (&queries[5], GetAttachment, Version::V14_0, "wm6dev0001", key, "SP", 0x040C),
    ] {
        let request = parse(query).unwrap();
        let got = (request.command, request.version, request.device_id.as_str(), request.policy_key, request.device_type.as_str());
        assert_eq!(got, (command, version, device_id, policy_key, device_type), "{query}");
        assert_eq!((request.form, request.parameters.locale), (Form::Base64, Some(locale)), "{query}");
    }
}

#[test]
fn base64_parameters_read_as_values() {
    let requests: Vec<Request> = queries().iter().map(|query| parse(query).unwrap()).collect();
    assert!(requests[2].parameters.accept_multipart && !requests[2].parameters.save_in_sent);
    let reply = &requests[3].parameters;
    assert_eq!((reply.collection_id.as_deref(), reply.item_id.as_deref()), (Some("5"), Some("5:17")));
    assert!(reply.save_in_sent && !reply.accept_multipart);
    assert_eq!(requests[4].user.as_deref(), Some("ada@example.test"));
    assert_eq!(requests[5].parameters.attachment_name.as_deref(), Some("5:17:0"));
}

#[test]
fn base64_comes_in_both_alphabets_padded_or_not_escaped_or_not() {
    for query in queries() {
        let expected = parse(&query).unwrap();
        let url_safe = query.replace('+', "-").replace('/', "_");
        for variant in [
            query.trim_end_matches('=').to_owned(),
            url_safe.trim_end_matches('=').to_owned(),
            query.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D"),
            query.replace('=', "%3d"),
            url_safe,
        ] {
            assert_eq!(parse(&variant), Ok(expected.clone()), "{variant}");
        }
    }
}

#[test]
fn a_plain_query_may_have_any_order_and_unknown_parameters() {
    let query = "DeviceType=SmartPhone&X=1&DeviceId=v140Device&User=EXAMPLE%5Chew+x&Cmd=SmartReply&CollectionId=mail%2FINBOX&ItemId=5%3A17&SaveInSent=T";
    let request = Request::parse(query, Some("14.1"), Some("1307199584")).unwrap();
    assert_eq!((request.command, request.version, request.form), (Command::SmartReply, Version::V14_1, Form::Plain));
    assert_eq!((request.device_id.as_str(), request.device_type.as_str()), ("v140device", "SmartPhone"));
    assert_eq!((request.user.as_deref(), request.policy_key), (Some("EXAMPLE\\hew+x"), Some(PolicyKey(1_307_199_584))));
    let parameters = request.parameters;
    assert_eq!((parameters.collection_id.as_deref(), parameters.item_id.as_deref()), (Some("mail/INBOX"), Some("5:17")));
    assert!(parameters.save_in_sent);
}

#[test]
fn both_forms_of_one_device_have_one_key() {
    let plain = parse("Cmd=Sync&User=ada&DeviceId=v140Device&DeviceType=SmartPhone").unwrap();
    assert_eq!(plain.device_id, parse(&queries()[0]).unwrap().device_id);
}

#[test]
fn the_version_of_a_base64_query_wins_over_the_header() {
    let request = Request::parse(&queries()[0], Some("2.5"), Some("17")).unwrap();
    assert_eq!((request.version, request.policy_key), (Version::V14_0, Some(PolicyKey(17))), "a key only where the query has none");
    let request = Request::parse(&queries()[1], None, Some("17")).unwrap();
    assert_eq!(request.policy_key, Some(PolicyKey(1_307_199_584)));
}

#[test]
fn a_plain_query_without_a_version_header_is_the_oldest_version() {
    assert_eq!(parse("Cmd=Ping&DeviceId=a&DeviceType=b").unwrap().version, Version::V2_5);
    assert!(Version::V2_5 < Version::V12_1 && Version::V12_1 < Version::V16_1);
}

#[test]
fn what_is_wrong_has_a_name() {
    let plain = |query: &str| Request::parse(query, Some("14.1"), None).unwrap_err();
    assert_eq!(plain(""), QueryError::Empty);
    assert_eq!(plain("User=ada&DeviceId=a&DeviceType=b"), QueryError::Missing("Cmd"));
    assert_eq!(plain("Cmd=Ping&DeviceType=b"), QueryError::Missing("DeviceId"));
    assert_eq!(plain("Cmd=Ping&DeviceId=a"), QueryError::Missing("DeviceType"));
    assert_eq!(plain("Cmd=Ping&DeviceId=&DeviceType=b"), QueryError::DeviceId(IdError::Empty));
    assert_eq!(plain("Cmd=Pong&DeviceId=a&DeviceType=b"), QueryError::UnknownCommand);
    assert_eq!(plain("Cmd=Ping&cmd=Sync&DeviceId=a&DeviceType=b"), QueryError::Repeated("Cmd"));
    assert_eq!(plain("Cmd=Ping&User=%FF&DeviceId=a&DeviceType=b"), QueryError::NotText("User"));
    assert_eq!(plain("!!!"), QueryError::NotBase64);
    let version = Request::parse("Cmd=Ping&DeviceId=a&DeviceType=b", Some("15.0"), None).unwrap_err();
    assert_eq!(version, QueryError::UnknownVersion);
    for (bytes, error) in [
        (&b"\x01"[..], QueryError::UnknownVersionByte(1)),
        (b"\x8C", QueryError::EndsInside("command")),
        (b"\x8C\x07", QueryError::UnknownCommandCode(7)),
        (b"\x8C\x12\x09", QueryError::EndsInside("locale")),
        (b"\x8C\x12\x09\x04\x00", QueryError::DeviceId(IdError::Empty)),
        (b"\x8C\x12\x09\x04\x05ab", QueryError::EndsInside("device id")),
        (b"\x8C\x12\x09\x04\x01a\x03abc\x01b", QueryError::PolicyKeyLength(3)),
        (b"\x8C\x12\x09\x04\x01a\x00\x01b\x01\x09x", QueryError::EndsInside("parameters")),
        (b"\x8C\x12\x09\x04\x01a\x00\x01b\x07\x00", QueryError::EndsInside("options")),
    ] {
        use base64::Engine as _;
        assert_eq!(plain(&base64::prelude::BASE64_STANDARD.encode(bytes)), error);
    }
}
