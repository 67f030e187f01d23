//! Invented documents: what is written is read again, by the reader and by the oracle, however the bytes arrive.

use proptest::collection::vec;
use proptest::prelude::*;

use pushgate::logic::wbxml::{PAGES, Tag, Writer};

use super::oracle::{Part, decode, push, read};
use super::vectors;

#[derive(Debug, Clone)]
enum Node {
    Element(Tag, Vec<Node>),
    Text(String),
    Opaque(Vec<u8>),
}

fn tags() -> impl Strategy<Value = Tag> {
    let all: Vec<Tag> = (0..26).flat_map(|page: u8| PAGES[usize::from(page)].tokens().map(move |(token, _)| Tag { page, token })).collect();
    prop::sample::select(all)
}

fn documents() -> impl Strategy<Value = Node> {
    // Lengths around the reader's piece of 1,024 bytes, with characters of one to four bytes.
    let text = prop_oneof![4 => "[a-zé€𝄞]{0,20}", 1 => "[a-zé€𝄞]{380,1100}"];
    let data = prop_oneof![4 => vec(any::<u8>(), 0..20), 1 => vec(any::<u8>(), 1000..2100)];
    let leaf = prop_oneof![3 => text.prop_map(Node::Text), 1 => data.prop_map(Node::Opaque)];
    let inside = leaf.prop_recursive(8, 40, 6, |inner| (tags(), vec(inner, 0..6)).prop_map(|(tag, children)| Node::Element(tag, children)));
    (tags(), vec(inside, 0..6)).prop_map(|(tag, children)| Node::Element(tag, children))
}

fn write(node: &Node, writer: &mut Writer) {
    match node {
        Node::Text(text) => drop(writer.characters(text)),
        Node::Opaque(data) => drop(writer.data(data)),
        Node::Element(tag, children) => {
            writer.start(*tag);
            children.iter().for_each(|child| write(child, writer));
            writer.end();
        }
    }
}

fn flatten(node: &Node, parts: &mut Vec<Part>) {
    match node {
        Node::Text(text) => push(parts, Part::Text(text.clone())),
        Node::Opaque(data) => push(parts, Part::Opaque(data.clone())),
        Node::Element(tag, children) => {
            parts.push(Part::Start(tag.page, tag.token));
            children.iter().for_each(|child| flatten(child, parts));
            parts.push(Part::End);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_read_again(document in documents(), sizes in vec(1_usize..700, 1..5)) {
        let (mut writer, mut parts) = (Writer::new(), Vec::new());
        write(&document, &mut writer);
        flatten(&document, &mut parts);
        let bytes = writer.finish();
        prop_assert_eq!(decode(&bytes), Some(parts.clone()));
        prop_assert_eq!(read(&bytes, &sizes), Some(parts));
    }

    #[test]
    fn reader_and_oracle_agree_on_any_tail(tail in vec(prop_oneof![Just(0_u8), Just(1), Just(3), Just(0xC3), 0x05..0x0F_u8, 0x45..0x4F_u8, any::<u8>()], 0..40)) {
        let bytes = [b"\x03\x01\x6A\x00", &tail[..]].concat();
        prop_assert_eq!(read(&bytes, &[3]), decode(&bytes), "{:02x?}", bytes);
    }
}

#[test]
fn reader_and_oracle_agree_on_every_vector() {
    for vector in vectors().filter(|vector| !vector.bytes.is_empty()) {
        let expected = decode(&vector.bytes);
        assert_eq!(expected.is_none(), vector.is_bad(), "{}", vector.name);
        for sizes in [&[1][..], &[2, 3], &[4096]] {
            assert_eq!(read(&vector.bytes, sizes), expected, "{}", vector.name);
        }
    }
}

#[test]
fn reader_and_oracle_agree_on_every_vector_with_one_byte_changed() {
    for vector in vectors().filter(|vector| (1..300).contains(&vector.bytes.len())) {
        for at in 0..vector.bytes.len() {
            for byte in [0x00, 0x01, 0x03, 0x05, 0x0A, 0x45, 0x7E, 0x83, 0xC3, 0xFF] {
                let mut bytes = vector.bytes.clone();
                bytes[at] = byte;
                assert_eq!(read(&bytes, &[5]), decode(&bytes), "{} with {byte:#04x} at {at}", vector.name);
            }
        }
    }
}
