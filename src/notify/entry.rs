//! Notifications as JSON: one object or an array of them, read leniently and with bounds.
//!
//! Only the keys a source asks for are kept, and only as text or whole number; anything else is noted as unfit and
//! skipped. So a wrong entry never hides the next one: every bad entry of a batch can be named, and what a sender
//! adds (subject, sender, snippet) is neither an error nor held in memory.
//!
//! Where several gateways are all told everything, most entries are about mailboxes that this one does not know: an entry is understood
//! as it is read, out of the body's own bytes, and leaves nothing behind but what it says.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;

use serde::de::{self, Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::config::limits::{FOLDER_NAME_BYTES_MAX, NOTIFICATION_PROBLEMS_MAX, NOTIFICATIONS_MAX};
use crate::logic::hold::MailboxChange;

/// One entry understood.
#[derive(Debug, PartialEq)]
pub(super) struct Notice {
    /// `None`: the entry is in order and concerns nobody.
    pub(super) change: Option<MailboxChange>,
    /// What two reports of the same change have in common, if the sender says so.
    pub(super) id: Option<String>,
}

/// Why a whole batch is turned away. Nothing of it is applied.
#[derive(Debug, PartialEq)]
pub enum BadBatch {
    /// Not JSON; the parser's words.
    NotJson(String),
    /// More entries than `NOTIFICATIONS_MAX`.
    TooMany,
    /// Entries by index with what is wrong, the first few of `count`.
    Entries {
        /// Index in the array (0 for a single object) and one sentence.
        named: Vec<(usize, String)>,
        /// All bad entries.
        count: usize,
    },
}

/// The value of one key.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) enum Field<'a> {
    /// Absent or `null`.
    #[default]
    Missing,
    Text(Cow<'a, str>),
    Number(u64),
    /// Of another type.
    Unfit,
}

impl<'a> Field<'a> {
    /// The text of an optional key; absent and empty are different things, because an empty folder is a sender's mistake.
    pub(super) fn text(self, key: &str) -> Result<Option<Cow<'a, str>>, String> {
        match self {
            Field::Missing => Ok(None),
            Field::Text(text) if text.is_empty() => Err(format!("\"{key}\" is empty: leave it out")),
            Field::Text(text) if text.len() > FOLDER_NAME_BYTES_MAX => {
                Err(format!("\"{key}\" is longer than {FOLDER_NAME_BYTES_MAX} bytes"))
            }
            Field::Text(text) => Ok(Some(text)),
            Field::Number(_) | Field::Unfit => Err(format!("\"{key}\" is not a string")),
        }
    }
}

/// An entry's values in the order of the keys asked for; `None` when the entry is not an object.
pub(super) type Entry<'a, const N: usize> = Option<[Field<'a>; N]>;

/// Reads every entry of a body with `understand`; reports all bad entries, or hands back all.
pub(super) fn read<'a, const N: usize>(
    body: &'a [u8],
    keys: &'static [&'static str; N],
    understand: impl Fn([Field<'a>; N]) -> Result<Notice, String>,
) -> Result<Vec<Notice>, BadBatch> {
    let mut notices = Vec::new();
    let (mut named, mut index, mut count) = (Vec::new(), 0, 0);
    each(body, keys, &mut |entry| {
        let understood = entry.ok_or_else(|| "is not an object".to_owned()).and_then(&understand);
        match understood {
            Ok(notice) => notices.push(notice),
            Err(problem) => {
                count += 1;
                if named.len() < NOTIFICATION_PROBLEMS_MAX {
                    named.push((index, problem));
                }
            }
        }
        index += 1;
    })?;
    if count == 0 { Ok(notices) } else { Err(BadBatch::Entries { named, count }) }
}

/// The texts of one key in all entries of a body; what cannot be read has none.
pub(super) fn texts(body: &[u8], key: &'static [&'static str; 1]) -> Vec<String> {
    let mut texts = Vec::new();
    let read = each(body, key, &mut |entry| {
        if let Some([Field::Text(text)]) = entry {
            texts.push(text.into_owned());
        }
    });
    if read.is_ok() { texts } else { Vec::new() }
}

/// Hands over every entry, in order. After an error some were handed over already.
fn each<'a, const N: usize>(body: &'a [u8], keys: &'static [&'static str; N], take: &mut dyn FnMut(Entry<'a, N>)) -> Result<(), BadBatch> {
    let too_many = Cell::new(false);
    let mut json = serde_json::Deserializer::from_slice(body);
    let read = Batch { keys, take, too_many: &too_many }.deserialize(&mut json).and_then(|()| json.end());
    read.map_err(|error| if too_many.get() { BadBatch::TooMany } else { BadBatch::NotJson(error.to_string()) })
}

struct Batch<'a, 't, const N: usize> {
    keys: &'static [&'static str; N],
    take: &'t mut dyn FnMut(Entry<'a, N>),
    too_many: &'t Cell<bool>,
}

impl<'de, const N: usize> DeserializeSeed<'de> for Batch<'de, '_, N> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, const N: usize> Visitor<'de> for Batch<'de, '_, N> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or an array of objects")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        (self.take)(Object { keys: self.keys }.visit_map(map)?);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let mut count = 0;
        while let Some(entry) = seq.next_element_seed(Object { keys: self.keys })? {
            if count == NOTIFICATIONS_MAX {
                self.too_many.set(true);
                return Err(de::Error::custom("too many entries"));
            }
            (self.take)(entry);
            count += 1;
        }
        Ok(())
    }
}

/// The place of a key among those asked for. (As text it would be copied for each entry.)
#[derive(Clone, Copy)]
struct Name<const N: usize> {
    keys: &'static [&'static str; N],
}

impl<'de, const N: usize> DeserializeSeed<'de> for Name<N> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<const N: usize> Visitor<'_> for Name<N> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.keys.iter().position(|wanted| *wanted == name))
    }
}

#[derive(Clone, Copy)]
struct Object<const N: usize> {
    keys: &'static [&'static str; N],
}

impl<'de, const N: usize> DeserializeSeed<'de> for Object<N> {
    type Value = Entry<'de, N>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

/// Visits for every JSON type but objects: the value is passed over.
macro_rules! pass_over {
    ($value:expr; $($visit:ident($type:ty)),*) => {
        $(fn $visit<E: de::Error>(self, _: $type) -> Result<Self::Value, E> {
            Ok($value)
        })*
    };
}

impl<'de, const N: usize> Visitor<'de> for Object<N> {
    type Value = Entry<'de, N>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = [const { Field::Missing }; N];
        while let Some(place) = map.next_key_seed(Name { keys: self.keys })? {
            match place {
                Some(index) => fields[index] = map.next_value()?,
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(Some(fields))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    pass_over!(None; visit_bool(bool), visit_i64(i64), visit_u64(u64), visit_f64(f64), visit_str(&str));
}

impl<'de> Deserialize<'de> for Field<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FieldVisitor)
    }
}

struct FieldVisitor;

impl<'de> Visitor<'de> for FieldVisitor {
    type Value = Field<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Field<'de>, E> {
        Ok(Field::Missing)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Field<'de>, E> {
        Ok(Field::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Field<'de>, E> {
        Ok(Field::Text(Cow::Borrowed(text)))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Field<'de>, E> {
        Ok(Field::Number(number))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Field<'de>, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Field::Unfit)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Field<'de>, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Field::Unfit)
    }

    pass_over!(Field::Unfit; visit_bool(bool), visit_i64(i64), visit_f64(f64));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    const KEYS: [&str; 2] = ["a", "b"];

    fn entries<'a>(body: &'a [u8], keys: &'static [&'static str; 2]) -> Result<Vec<Entry<'a, 2>>, BadBatch> {
        let mut entries = Vec::new();
        each(body, keys, &mut |entry| entries.push(entry)).map(|()| entries)
    }

    #[test]
    fn only_the_keys_asked_for_are_kept_whatever_surrounds_them() {
        let body = br#" [{"x":[1,{"a":2}],"a":"A","b":7}, 3, null, [[]], "s", {"b":{"a":1},"a":null}, {"a":-1,"b":true}] "#;
        let text = |t: &'static str| Field::Text(t.into());
        let expected = vec![
            Some([text("A"), Field::Number(7)]),
            None,
            None,
            None,
            None,
            Some([Field::Missing, Field::Unfit]),
            Some([Field::Unfit, Field::Unfit]),
        ];
        assert_eq!(entries(body, &KEYS), Ok(expected));
        assert_eq!(entries(br#"{"b":1}"#, &KEYS), Ok(vec![Some([Field::Missing, Field::Number(1)])]));
        assert_eq!(entries(b"[]", &KEYS), Ok(vec![]));
    }

    #[test]
    fn what_is_not_json_or_goes_on_after_it_is_turned_away() {
        for body in ["", "{", "[{}", "nonsense", "{} {}", "7", "\"a\"", "{\"a\":\"\u{1}\"}", "\u{feff}{}"] {
            assert!(matches!(entries(body.as_bytes(), &KEYS), Err(BadBatch::NotJson(_))), "{body}");
        }
        assert!(matches!(entries(b"[{\"a\":\"\xff\"}]", &KEYS), Err(BadBatch::NotJson(_))));
        let deep = "[".repeat(100_000);
        assert!(matches!(entries(deep.as_bytes(), &KEYS), Err(BadBatch::NotJson(_))));
    }

    /// The slow, obvious reader: the whole document as values.
    fn slowly(body: &[u8]) -> Option<Vec<Entry<'static, 2>>> {
        let field = |value: Option<&Value>| match value {
            None | Some(Value::Null) => Field::Missing,
            Some(Value::String(text)) => Field::Text(text.clone().into()),
            Some(value) => value.as_u64().map_or(Field::Unfit, Field::Number),
        };
        let entry = |value: &Value| value.as_object().map(|object| KEYS.map(|key| field(object.get(key))));
        match serde_json::from_slice(body).ok()? {
            Value::Array(entries) => Some(entries.iter().map(entry).collect()),
            object @ Value::Object(_) => Some(vec![entry(&object)]),
            _ => None,
        }
    }

    fn json() -> impl Strategy<Value = Value> {
        let scalar = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            ".{0,8}".prop_map(Value::from),
        ];
        scalar.prop_recursive(4, 48, 6, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                proptest::collection::vec(("[abc]", inner), 0..4).prop_map(Value::from_iter),
            ]
        })
    }

    proptest! {
        #[test]
        fn it_reads_what_the_obvious_reader_reads(value in json()) {
            let body = value.to_string();
            prop_assert_eq!(entries(body.as_bytes(), &KEYS).ok(), slowly(body.as_bytes()));
        }

        #[test]
        fn no_bytes_make_it_panic(start in r#"[\[{"]{0,4}"#, rest in proptest::collection::vec(any::<u8>(), 0..64)) {
            let body = [start.as_bytes(), &rest].concat();
            prop_assert_eq!(entries(&body, &KEYS).ok(), slowly(&body));
        }
    }

    #[test]
    fn text_is_not_copied_unless_it_must_be() {
        let body = br#"[{"a":"plain","b":"with \"quotes\""}]"#;
        let entries = entries(body, &KEYS).expect("JSON");
        assert!(matches!(&entries[0], Some([Field::Text(Cow::Borrowed("plain")), Field::Text(Cow::Owned(_))])), "{entries:?}");
    }

    #[test]
    fn the_number_of_entries_is_bounded() {
        let list = |n: usize| format!("[{}]", vec!["{}"; n].join(","));
        assert_eq!(entries(list(NOTIFICATIONS_MAX).as_bytes(), &KEYS).map(|e| e.len()), Ok(NOTIFICATIONS_MAX));
        assert_eq!(entries(list(NOTIFICATIONS_MAX + 1).as_bytes(), &KEYS), Err(BadBatch::TooMany));
    }
}
