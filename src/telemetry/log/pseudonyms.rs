//! What stands in the log for a name or an address: short, always the same for the same name, and nothing without the key.
//!
//! A keyed hash, because names can be guessed: without a key whoever has a log could hash every name of the company and compare.

use std::net::SocketAddr;
use std::sync::LazyLock;

use aws_lc_rs::hmac;
use zeroize::Zeroizing;

use super::fields::Says;
use crate::telemetry::request_id::ALPHABET;

/// Characters of five bits: among a million names the chance that any two share one is 1 in 2,000.
const CHARACTERS: usize = 10;

/// Makes pseudonyms under one key.
pub(super) struct Pseudonyms(hmac::Key);

impl Pseudonyms {
    /// Under the key of the configuration; if that is empty, under one that lives as long as the process, and that nobody can be asked for.
    pub(super) fn new(key: &str) -> Self {
        static OF_THE_PROCESS: LazyLock<Zeroizing<[u8; 32]>> = LazyLock::new(|| {
            let mut random = Zeroizing::new([0; 32]);
            aws_lc_rs::rand::fill(random.as_mut()).expect("a system without randomness could not have shaken any hands either");
            random
        });
        let bytes = if key.is_empty() { OF_THE_PROCESS.as_slice() } else { key.as_bytes() };
        Pseudonyms(hmac::Key::new(hmac::HMAC_SHA256, bytes))
    }

    /// `m-9k2v7x0qa4` for a mailbox. Of an address with a port the port stays: it joins the lines of one connection, and is nobody's name.
    pub(super) fn of(&self, says: Says, text: &str) -> String {
        if says == Says::Address
            && let Ok(address) = text.parse::<SocketAddr>()
        {
            return format!("{}:{}", self.hashed(says, &address.ip().to_string()), address.port());
        }
        self.hashed(says, text)
    }

    fn hashed(&self, says: Says, text: &str) -> String {
        let kind = says.kind();
        let mut context = hmac::Context::with_key(&self.0);
        context.update(&[kind as u8]);
        context.update(text.as_bytes());
        let tag = context.sign();
        let bits = tag.as_ref().iter().take(8).fold(0, |bits: u64, byte| bits << 8 | u64::from(*byte));
        let letters = (0..CHARACTERS).map(|place| char::from(ALPHABET[(bits >> (64 - 5 * (place + 1))) as usize & 31]));
        [kind, '-'].into_iter().chain(letters).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_name_under_the_same_key_is_always_the_same() {
        let of = |key: &str, says, text: &str| Pseudonyms::new(key).of(says, text);
        let alice = of("one key of many", Says::Mailbox, "alice@example.org");
        assert_eq!(alice, of("one key of many", Says::Mailbox, "alice@example.org"));
        assert_eq!((alice.len(), &alice[..2]), (2 + CHARACTERS, "m-"));
        assert_ne!(alice, of("another key", Says::Mailbox, "alice@example.org"));
        assert_ne!(alice[2..], of("one key of many", Says::Device, "alice@example.org")[2..]);
        assert_ne!(alice, of("one key of many", Says::Mailbox, "bob@example.org"));
        assert_eq!(of("", Says::Mailbox, "alice"), of("", Says::Mailbox, "alice"), "the key of the process stays");
    }

    #[test]
    fn an_address_is_the_same_with_and_without_its_port() {
        let pseudonyms = Pseudonyms::new("k");
        let alone = pseudonyms.of(Says::Address, "192.0.2.7");
        assert_eq!(pseudonyms.of(Says::Address, "192.0.2.7:443"), format!("{alone}:443"));
        assert!(alone.starts_with("a-"));
        assert!(pseudonyms.of(Says::Address, "[2001:db8::1]:9").ends_with(":9"));
        assert!(!pseudonyms.of(Says::Address, "not an address").contains("address"));
    }
}
