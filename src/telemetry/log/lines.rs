//! How a line looks: as text, with fields behind the message, or as one JSON object.

use std::fmt::{self, Write};

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

use super::pseudonyms::Pseudonyms;
use super::{IN_FORCE, InForce, fields};

/// Between the fields of a span as they are kept: control characters in values are escaped, so that it is in none.
const BETWEEN: char = '\u{1f}';

/// Fields of spans, as `name=value`, until a line wants them as text or as JSON.
pub(super) struct SpanFields;

/// Lines.
pub(super) struct Lines;

impl<'w> FormatFields<'w> for SpanFields {
    fn format_fields<R: RecordFields>(&self, mut writer: Writer<'w>, fields: R) -> fmt::Result {
        let in_force = IN_FORCE.load();
        let said = Said::of(fields, in_force.pseudonyms.as_ref());
        for (place, (name, value, _)) in said.fields.iter().enumerate() {
            if place > 0 {
                writer.write_char(BETWEEN)?;
            }
            match value {
                Value::String(text) => write!(writer, "{name}={}", Escaped(text))?,
                value => write!(writer, "{name}={value}")?,
            }
        }
        Ok(())
    }

    fn add_fields(&self, current: &'w mut FormattedFields<Self>, fields: &tracing::span::Record<'_>) -> fmt::Result {
        if !current.fields.is_empty() {
            current.fields.push(BETWEEN);
        }
        self.format_fields(current.as_writer(), fields)
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> FormatEvent<S, SpanFields> for Lines {
    fn format_event(&self, context: &FmtContext<'_, S, SpanFields>, writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let in_force = IN_FORCE.load();
        let mut said = Said::of(event, in_force.pseudonyms.as_ref());
        let metadata = event.metadata();
        // It is written for a mailbox's debug log, and would not be without.
        if *metadata.level() > in_force.level {
            said.fields.push(("debugging", Value::Bool(true), false));
        }
        let target = said.target.take().unwrap_or_else(|| metadata.target().to_owned());
        let line = Line { level: *metadata.level(), target, said };
        let mut spans: Vec<(&'static str, String)> = Vec::new();
        for span in context.event_scope().into_iter().flat_map(|scope| scope.from_root()) {
            let fields = span.extensions().get::<FormattedFields<SpanFields>>().map(|fields| fields.fields.clone());
            spans.push((span.name(), fields.unwrap_or_default()));
        }
        line.write(&in_force, &spans, writer)
    }
}

struct Line {
    level: Level,
    target: String,
    said: Said,
}

impl Line {
    fn write(self, in_force: &InForce, spans: &[(&'static str, String)], mut writer: Writer<'_>) -> fmt::Result {
        if in_force.is_json {
            return self.write_json(spans, writer);
        }
        SystemTime.format_time(&mut writer)?;
        match writer.has_ansi_escapes() {
            true => write!(writer, " \u{1b}[{}m{:>5}\u{1b}[0m ", colour(self.level), self.level)?,
            false => write!(writer, " {:>5} ", self.level)?,
        }
        for (name, fields) in spans {
            write!(writer, "{name}{{{}}}: ", fields.replace(BETWEEN, " "))?;
        }
        write!(writer, "{}: {}", self.target, Escaped(&self.said.message))?;
        for (name, value, is_quoted) in &self.said.fields {
            match value {
                Value::String(text) if *is_quoted => write!(writer, " {name}={text:?}")?,
                Value::String(text) => write!(writer, " {name}={}", Escaped(text))?,
                value => write!(writer, " {name}={value}")?,
            }
        }
        writeln!(writer)
    }

    fn write_json(self, spans: &[(&'static str, String)], mut writer: Writer<'_>) -> fmt::Result {
        let mut time = String::new();
        SystemTime.format_time(&mut Writer::new(&mut time))?;
        let mut members: Vec<(&'static str, Value)> =
            vec![("timestamp", time.into()), ("level", self.level.as_str().into()), ("message", self.said.message.into())];
        members.extend(self.said.fields.into_iter().map(|(name, value, _)| (name, value)));
        members.push(("target", self.target.into()));
        if let Some((name, fields)) = spans.last() {
            let named = fields.split(BETWEEN).filter_map(|field| field.split_once('='));
            let mut span: Map<String, Value> = named.map(|(name, value)| (name.to_owned(), value.into())).collect();
            span.insert("name".into(), (*name).into());
            members.push(("span", span.into()));
        }
        // Written one by one: an object would sort them, and people look for the time in front.
        for (place, (name, value)) in members.iter().enumerate() {
            write!(writer, "{}{}:{value}", if place == 0 { '{' } else { ',' }, Value::from(*name))?;
        }
        writer.write_str("}\n")
    }
}

fn colour(level: Level) -> u8 {
    match level {
        Level::ERROR => 31,
        Level::WARN => 33,
        Level::INFO => 32,
        Level::DEBUG => 34,
        Level::TRACE => 35,
    }
}

/// Without characters that could begin another line, or speak to a terminal.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character.is_control() {
                true => write!(f, "{}", character.escape_default())?,
                false => f.write_char(character)?,
            }
        }
        Ok(())
    }
}

/// What an event or a span says.
#[derive(Default)]
struct Said {
    message: String,
    /// Name, value, and whether a text stands in quotes.
    fields: Vec<(&'static str, Value, bool)>,
    /// Of a library that logs by another way: its own target.
    target: Option<String>,
}

impl Said {
    fn of(fields: impl RecordFields, pseudonyms: Option<&Pseudonyms>) -> Self {
        let mut reader = Reader { said: Said::default(), pseudonyms };
        fields.record(&mut reader);
        reader.said
    }
}

struct Reader<'a> {
    said: Said,
    pseudonyms: Option<&'a Pseudonyms>,
}

impl Reader<'_> {
    fn text(&mut self, field: &Field, text: &str, is_quoted: bool) {
        match field.name() {
            "message" => self.said.message = fields::shown(self.pseudonyms, "message", text).into_owned(),
            "log.target" => self.said.target = Some(text.to_owned()),
            // Where in a library's source.
            name if name.starts_with("log.") => {}
            name => self.said.fields.push((name, fields::shown(self.pseudonyms, name, text).into(), is_quoted)),
        }
    }

    fn number(&mut self, field: &Field, value: Value) {
        if !field.name().starts_with("log.") {
            self.said.fields.push((field.name(), value, false));
        }
    }
}

impl Visit for Reader<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.text(field, &format!("{value:?}"), false);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field, value, true);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.number(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.number(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.number(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.number(field, value.into());
    }
}
