//! What a setting is set to.

use serde_json::Value as Json;

use super::Setting;
use super::setting::Kind;

/// A value of a setting; which of them it may be is its [`Kind`]'s business, see [`Setting::check`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Yes or no.
    Bool(bool),
    /// A number, in the setting's unit.
    Number(u32),
    /// No limit: `unlimited` or `none`.
    NoLimit,
    /// One of the setting's words, in its spelling.
    Choice(&'static str),
    /// Names or hashes, in the order given.
    List(Vec<String>),
}

impl Value {
    /// As JSON: `true`, `900`, `"unlimited"`, `"OneMonth"`, `["a.exe"]`.
    pub fn to_json(&self, setting: Setting) -> Json {
        match self {
            Value::Bool(value) => Json::from(*value),
            Value::Number(value) => Json::from(*value),
            Value::NoLimit => Json::from(no_limit_word(setting)),
            Value::Choice(word) => Json::from(*word),
            Value::List(entries) => Json::from(entries.clone()),
        }
    }

    /// As text, such as [`Setting::parse`] reads: `true`, `900`, `unlimited`, `OneMonth`, `a.exe,b.exe`.
    pub fn to_text(&self, setting: Setting) -> String {
        match self {
            Value::Bool(value) => value.to_string(),
            Value::Number(value) => value.to_string(),
            Value::NoLimit => no_limit_word(setting).to_owned(),
            Value::Choice(word) => (*word).to_owned(),
            Value::List(entries) => entries.join(","),
        }
    }
}

fn no_limit_word(setting: Setting) -> &'static str {
    match setting.definition().kind {
        Kind::Number { no_limit: Some(word), .. } => word,
        _ => "unlimited",
    }
}
