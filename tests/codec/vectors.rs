//! Every vector: the good ones say what their XML says, the bad ones are refused for the right reason.

use pushgate::logic::wbxml::{Elements, Fault, Limits, PAGES, copy, to_xml};

use super::{vector, vectors};

/// The document in an `.xml` file, on one line: no declaration, no DOCTYPE, no comment.
fn expected(xml: &str) -> String {
    let content = xml.lines().filter(|line| !line.starts_with("<?") && !line.starts_with("<!"));
    content.collect()
}

fn printed(bytes: &[u8]) -> String {
    let mut out = String::new();
    to_xml(bytes, &mut out).unwrap();
    out.lines().map(str::trim_start).collect()
}

#[test]
fn good_vectors_print_as_their_xml() {
    let mut count = 0;
    for vector in vectors() {
        let Some(xml) = vector.xml else { continue };
        if !vector.bytes.is_empty() {
            assert_eq!(printed(&vector.bytes), expected(&xml), "{}", vector.name);
            count += 1;
        }
    }
    assert_eq!(count, 37);
}

#[test]
fn a_copy_is_the_same_bytes_unless_the_original_is_odd() {
    for vector in vectors().filter(|vector| vector.xml.is_some() && !vector.bytes.is_empty()) {
        let copied = copy(&vector.bytes, Limits::STRICT, |_| true).unwrap();
        let is_odd = vector.name.starts_with("37") || vector.name.starts_with("38");
        assert_eq!(copied == vector.bytes, !is_odd, "{}", vector.name);
        assert_eq!(printed(&copied).replace("<Folders/>", ""), printed(&vector.bytes).replace("<Folders/>", ""), "{}", vector.name);
    }
}

#[test]
fn bad_vectors_are_refused_and_say_why() {
    let fault = |name: &str| {
        let (bytes, mut elements) = (vector(name), Elements::new(Limits::STRICT));
        let mut rest = &bytes[..];
        loop {
            match elements.next(&mut rest) {
                Ok(Some(_)) => {}
                Ok(None) => break elements.finish().expect_err(name).fault,
                Err(error) => {
                    assert!(error.offset < bytes.len() as u64, "{name}");
                    break error.fault;
                }
            }
        }
    };
    assert_eq!(fault("bad-01"), Fault::NumberTooLong);
    assert_eq!(fault("bad-02"), Fault::Truncated("opaque data"));
    assert_eq!(fault("bad-03"), Fault::NumberTooLong);
    assert_eq!(fault("bad-04"), Fault::Truncated("a text"));
    assert_eq!(fault("bad-05"), Fault::Attributes(0xC5));
    assert_eq!(fault("bad-06"), Fault::UnknownTag { page: 13, token: 0x3E });
    assert_eq!(fault("bad-07"), Fault::UnknownPage(31));
    assert_eq!(fault("bad-08"), Fault::StringTable(5));
    assert_eq!(fault("bad-09"), Fault::StringTable(16_383));
    assert_eq!(fault("bad-10"), Fault::TooDeep(16));
    assert_eq!(fault("bad-11"), Fault::EndUnderflow);
    assert_eq!(fault("bad-12"), Fault::SecondRoot);
    assert_eq!(fault("bad-13"), Fault::GlobalToken(0x83));
    assert_eq!(fault("bad-14"), Fault::GlobalToken(0x02));
    assert_eq!(fault("bad-15"), Fault::Truncated("the header"));
    assert_eq!(fault("bad-16"), Fault::Charset(4));
    assert_eq!(fault("bad-17"), Fault::InvalidUtf8);
    assert_eq!(fault("bad-20"), Fault::SwitchWithoutTag);
    assert_eq!(vectors().filter(super::Vector::is_bad).count(), 18, "a bad vector is missing above");
}

/// The last token of each page, from the specification: a name too many or too few in a table shifts it.
#[test]
fn pages_end_where_the_specification_says() {
    let last: Vec<u8> = PAGES.iter().map(|page| page.tokens().last().unwrap().0).collect();
    let expected = [
        0x29, 0x3E, 0x3F, 0x17, 0x3C, 0x0C, 0x0E, 0x18, 0x12, 0x26, 0x1D, 0x0A, 0x0E, 0x0D, 0x3B, 0x23, 0x12, 0x2D, 0x2B, 0x0C, 0x19, 0x18,
        0x17, 0x09, 0x18, 0x22,
    ];
    assert_eq!(last, expected);
}

#[test]
fn tokens_in_the_middle_of_long_pages_are_where_they_should_be() {
    for (page, token, name) in [
        (0, 0x1C, "Collections"),
        (1, 0x20, "Home2PhoneNumber"),
        (1, 0x2D, "OtherAddressCity"),
        (2, 0x1A, "AllDayEvent"),
        (2, 0x31, "StartTime"),
        (4, 0x15, "Deleted"),
        (4, 0x28, "UID"),
        (9, 0x1E, "StartDate"),
        (10, 0x16, "Availability"),
        (14, 0x1D, "RequireDeviceEncryption"),
        (14, 0x2D, "RequireSignedSMIMEMessages"),
        (15, 0x17, "DeepTraversal"),
        (17, 0x11, "FileReference"),
        (17, 0x20, "Location"),
        (18, 0x16, "DeviceInformation"),
        (20, 0x14, "UserName"),
        (21, 0x10, "Mime"),
        (22, 0x15, "IsDraft"),
        (25, 0x11, "Response"),
    ] {
        assert_eq!(PAGES[page].name(token), Some(name), "page {page} token {token:#x}");
    }
    assert_eq!(PAGES[15].name(0x06), None);
    assert_eq!(PAGES[0].name(0x04), None);
    assert_eq!(PAGES[0].name(0x2A), None);
}
