//! Shapes of what goes over the wire that the types alone do not tell: settings of policies, times, words.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};

use crate::logic::policy::{Kind, Setting};

/// Describes a type.
pub(in crate::admin) type Shape = fn(&mut SchemaGenerator) -> Schema;

/// By reference, under the type's name.
pub(super) fn named<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// At the place, for the parameters of a query.
pub(super) fn inline<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    T::json_schema(generator)
}

/// Text that is not JSON: of what shape, JSON Schema has no words for.
pub(super) fn text(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "description": "One mailbox a line, or columns with the mailbox in the first.", "examples": ["hew@example.org\nanna@example.org\n"] })
}

/// A time, UTC, whole seconds.
pub(in crate::admin) fn time(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "format": "date-time", "examples": ["2026-11-22T20:23:13Z"] })
}

/// A time that may be missing.
pub(in crate::admin) fn some_time(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": ["string", "null"], "format": "date-time", "examples": ["2026-11-22T20:23:13Z"] })
}

/// A name that must be said, if only as null.
pub(super) fn some_name(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": ["string", "null"], "minLength": 1, "maxLength": 64 })
}

/// A number, or null for what the configuration says.
pub(super) fn some_count(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": ["integer", "null"], "minimum": 0, "maximum": u32::MAX })
}

/// What is said of devices.
pub(super) fn access(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "enum": ["allow", "block", "quarantine"] })
}

/// What a rule looks at.
pub(super) fn device_trait(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "enum": ["device_type", "user_agent", "os", "model"] })
}

/// A pattern of a rule.
pub(super) fn pattern(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "minLength": 1, "maxLength": 255, "description": "* is any text; case does not count.", "examples": ["iPad*"] })
}

/// What a token may do.
pub(super) fn role(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "enum": ["viewer", "helpdesk", "admin"] })
}

/// What is said of devices, or null for nothing.
pub(super) fn some_access(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "enum": ["allow", "block", "quarantine", null] })
}

/// Settings as they are given back: each in its own type.
pub(super) fn settings(_: &mut SchemaGenerator) -> Schema {
    settings_object(given_back)
}

/// Settings as they may be given: in their own type, as text such as a person types, or null for the default.
pub(super) fn changes(_: &mut SchemaGenerator) -> Schema {
    settings_object(|setting| {
        let text = json!({ "type": "string", "description": "As a person types it; default takes the setting back." });
        json!({ "anyOf": [own_type(setting), text, { "type": "null" }] })
    })
}

fn settings_object(shape: fn(Setting) -> Value) -> Schema {
    let described = |setting: Setting| {
        let definition = setting.definition();
        let mut shape = shape(setting);
        shape["title"] = definition.name.into();
        shape["description"] = format!("{} {}.", definition.doc, capitalised(&definition.kind.to_string())).into();
        (definition.key.to_owned(), shape)
    };
    let properties: Map<String, Value> = Setting::ALL.into_iter().map(described).collect();
    json_schema!({
        "type": "object",
        "description": "Settings by their keys; the names of Exchange's cmdlets are understood as well.",
        "properties": properties,
    })
}

fn given_back(setting: Setting) -> Value {
    match setting.definition().kind {
        Kind::Number { no_limit: Some(word), .. } => json!({ "anyOf": [own_type(setting), { "const": word }] }),
        _ => own_type(setting),
    }
}

fn own_type(setting: Setting) -> Value {
    match setting.definition().kind {
        Kind::Bool => json!({ "type": "boolean" }),
        Kind::Number { min, max, .. } => json!({ "type": "integer", "minimum": min, "maximum": max }),
        Kind::Choice(words) => json!({ "type": "string", "enum": words.iter().map(|(word, _)| word).collect::<Vec<_>>() }),
        Kind::Names | Kind::Hashes => json!({ "type": "array", "items": { "type": "string" } }),
    }
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
