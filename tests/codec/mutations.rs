//! A smoke run of the fuzz entry points: mutations of all vectors, from a fixed seed.

use std::panic::catch_unwind;

use pushgate::logic::eas::fuzz;

use super::vectors;

/// xorshift64*: small, and the same everywhere.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % sides
    }
}

/// One to four changes: a byte replaced, removed, inserted, a stretch repeated, the end cut off.
fn mutate(bytes: &mut Vec<u8>, dice: &mut Dice) {
    for _ in 0..=dice.roll(4) {
        let at = dice.roll(bytes.len() + 1);
        let byte = [0x00, 0x01, 0x03, 0x45, 0x4A, 0x80, 0xC3, 0xFF, dice.roll(256) as u8][dice.roll(9)];
        match dice.roll(5) {
            0 if at < bytes.len() => bytes[at] = byte,
            1 if at < bytes.len() => drop(bytes.remove(at)),
            2 => bytes.insert(at, byte),
            3 => {
                let stretch = bytes[at..(at + 1 + dice.roll(12)).min(bytes.len())].to_vec();
                bytes.splice(at..at, stretch);
            }
            _ => bytes.truncate(at),
        }
    }
}

/// Calls the target with mutations and shows the bytes that break a promise.
fn smoke(seeds: &[Vec<u8>], rounds: usize, target: fn(&[u8])) {
    let mut dice = Dice(0x5EED);
    for seed in seeds {
        target(seed);
        for _ in 0..rounds {
            let mut bytes = seed.clone();
            mutate(&mut bytes, &mut dice);
            if catch_unwind(|| target(&bytes)).is_err() {
                panic!("a promise is broken by {bytes:02x?}");
            }
        }
    }
}

#[test]
fn mutated_bodies_break_no_promise() {
    let seeds: Vec<Vec<u8>> = vectors().map(|vector| vector.bytes).filter(|bytes| bytes.len() < 1_000).collect();
    smoke(&seeds, 400, fuzz::wbxml_reader);
}

#[test]
fn mutated_queries_break_no_promise() {
    let queries = [
        "eRIJBApXTTZERVYwMDAxBGBI6k0IUG9ja2V0UEM=",
        "jRMHBBC3okweXw1Oj5pmwP/uABEiBFktBOsKRXhhbXBsZVRhYgcBAg==",
        "eQMJBApXTTZERVYwMDAxBGBI6k0IUG9ja2V0UEMBATUDBDU6MTcHAQE=\n12.1",
        "Cmd=Ping&User=EXAMPLE%5Chew&DeviceId=v140Device&DeviceType=SmartPhone&SaveInSent=T\n14.1",
    ];
    smoke(&queries.map(|query| query.as_bytes().to_vec()), 3_000, fuzz::query);
}

/// A kilobyte that promises four gigabytes, or a thousand levels, costs what a kilobyte costs: the reader holds one piece.
#[test]
fn promises_of_length_allocate_nothing() {
    use pushgate::logic::wbxml::{Elements, Limits, Reader};
    let mut huge = b"\x03\x01\x6A\x00\x00\x0D\x45\x47\xC3\x8F\xFF\xFF\xFF\x7F".to_vec();
    huge.extend([b'x'; 100_000]);
    let (mut reader, mut rest, mut longest) = (Reader::new(Limits::STRICT), &huge[..], 0);
    while let Some(event) = reader.next(&mut rest).unwrap() {
        if let pushgate::logic::wbxml::Event::Opaque(piece) = event {
            longest = longest.max(piece.len());
        }
    }
    assert_eq!((longest, rest.len()), (1_024, 0));
    assert!(reader.finish().is_err());

    let (mut elements, mut rest) = (Elements::new(Limits::STRICT), &huge[..]);
    while elements.next(&mut rest).unwrap().is_some() {}
    assert!(format!("{elements:?}").len() < 60_000, "at most one text of 4 KiB is kept");
}
