//! How the values of `eas` that stand in stored records are written there: as the texts they are.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::document::DocumentHash;
use super::{PolicyName, Timestamp};
use crate::logic::eas::{DeviceId, DeviceType, Mailbox, PolicyKey, Version};

/// What is written as a text.
trait Text: Sized {
    /// For the message when it is not that.
    const WHAT: &'static str;
    fn read(text: &str) -> Option<Self>;
}

macro_rules! as_text {
    ($($type:ty: $what:literal, $read:expr;)+) => {$(
        impl Text for $type {
            const WHAT: &'static str = $what;
            fn read(text: &str) -> Option<Self> {
                let read: fn(&str) -> Option<Self> = $read;
                read(text)
            }
        }

        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_str(TextVisitor(PhantomData))
            }
        }
    )+};
}

as_text! {
    Timestamp: "a time such as 2026-11-22T20:23:13Z", |text| text.parse().ok();
    PolicyName: "a policy's name", |text| PolicyName::new(text).ok();
    DocumentHash: "16 hex digits", DocumentHash::from_text;
    DeviceId: "a device id", |text| DeviceId::new(text.as_bytes()).ok();
    DeviceType: "a device type", |text| DeviceType::new(text.as_bytes()).ok();
    Version: "a protocol version", |text| text.parse().ok();
    PolicyKey: "a policy key", PolicyKey::from_text;
    // Names were made one when they came in; here they are taken as they are.
    Mailbox: "a mailbox", |text| Mailbox::normalise(text, None, false);
}

struct TextVisitor<T>(PhantomData<T>);

impl<T: Text> Visitor<'_> for TextVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::WHAT)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        T::read(text).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
    }
}
