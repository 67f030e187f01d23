//! A document as indented XML, for people. Page names are namespaces, written where the page changes.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::{Event, Limits, Reader, Tag, WbxmlError};

/// Appends the document to `out`. Tags that are not in the tables show as `Tag1F`, pages as `Page31:`; opaque data that is not
/// text shows as base64.
///
/// # Errors
/// Where the document stops being WBXML; what was read before is in `out`.
pub fn to_xml(body: &[u8], out: &mut String) -> Result<(), WbxmlError> {
    let (mut reader, mut rest) = (Reader::new(Limits::LENIENT), body);
    let mut printer = Printer { out, path: Vec::new(), content: Vec::new(), is_opaque: false, is_tag_open: false };
    let outcome = loop {
        match reader.next(&mut rest) {
            Ok(Some(event)) => printer.take(event),
            Ok(None) => break reader.finish(),
            Err(error) => break Err(error),
        }
    };
    printer.stop();
    outcome
}

/// Text as it may stand in XML; control characters other than line breaks and tabs show as references.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\n' | '\t' => out.push(character),
            other if other.is_control() => write_to(&mut out, format_args!("&#x{:X};", u32::from(other))),
            other => out.push(other),
        }
    }
    out
}

struct Printer<'a> {
    out: &'a mut String,
    path: Vec<Tag>,
    /// Text or data of the innermost element so far.
    content: Vec<u8>,
    is_opaque: bool,
    /// The last thing written is a start tag without its `>`.
    is_tag_open: bool,
}

impl Printer<'_> {
    fn take(&mut self, event: Event<'_>) {
        match event {
            Event::Start { tag, .. } => self.start(tag),
            Event::End => self.end(),
            Event::Text(text) => self.content.extend_from_slice(text.as_bytes()),
            Event::Opaque(bytes) => {
                self.is_opaque = true;
                self.content.extend_from_slice(bytes);
            }
        }
    }

    fn start(&mut self, tag: Tag) {
        self.close_tag();
        self.flush_content();
        let is_new_page = self.path.last().is_none_or(|parent| parent.page != tag.page);
        self.indent();
        self.out.push('<');
        self.name(tag);
        if is_new_page {
            self.out.push_str(" xmlns=\"");
            match tag.namespace() {
                Some(namespace) => self.out.push_str(namespace),
                None => write_to(self.out, format_args!("Page{}", tag.page)),
            }
            self.out.push_str(":\"");
        }
        self.is_tag_open = true;
        self.path.push(tag);
    }

    fn end(&mut self) {
        let Some(tag) = self.path.pop() else { return };
        let is_childless = self.is_tag_open;
        if is_childless && self.content.is_empty() {
            self.out.push_str("/>\n");
            self.is_tag_open = false;
            return;
        }
        self.is_tag_open = false;
        if is_childless {
            self.out.push('>');
            self.write_content();
        } else {
            self.flush_content();
            self.indent();
        }
        self.out.push_str("</");
        self.name(tag);
        self.out.push_str(">\n");
    }

    /// The document breaks off here.
    fn stop(&mut self) {
        self.close_tag();
        self.flush_content();
    }

    fn close_tag(&mut self) {
        if std::mem::take(&mut self.is_tag_open) {
            self.out.push_str(">\n");
        }
    }

    /// Content beside child elements, on a line of its own.
    fn flush_content(&mut self) {
        if !self.content.is_empty() {
            self.indent();
            self.write_content();
            self.out.push('\n');
        }
    }

    fn write_content(&mut self) {
        let content = std::mem::take(&mut self.content);
        let is_opaque = std::mem::take(&mut self.is_opaque);
        match std::str::from_utf8(&content) {
            Ok(text) if !is_opaque || !text.contains(is_unprintable) => self.out.push_str(&escape(text)),
            _ => {
                write_to(self.out, format_args!("<!-- {} bytes, base64 -->", content.len()));
                BASE64_STANDARD.encode_string(&content, self.out);
            }
        }
    }

    fn name(&mut self, tag: Tag) {
        match tag.name() {
            Some(name) => self.out.push_str(name),
            None => write_to(self.out, format_args!("Tag{:02X}", tag.token)),
        }
    }

    fn indent(&mut self) {
        (0..self.path.len()).for_each(|_| self.out.push_str("  "));
    }
}

fn is_unprintable(character: char) -> bool {
    character.is_control() && !matches!(character, '\n' | '\r' | '\t')
}

fn write_to(out: &mut String, arguments: std::fmt::Arguments<'_>) {
    out.write_fmt(arguments).expect("a String takes everything");
}
