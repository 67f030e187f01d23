//! Writes WBXML in its shortest form: SWITCH_PAGE only where the page changes, no content bit without content.

use super::{HEADER, Tag, global, number};

/// A document being written. Every element that is started must be ended; texts are UTF-8.
#[derive(Debug)]
pub struct Writer {
    out: Vec<u8>,
    page: u8,
    depth: usize,
    /// Where the innermost open element's tag is, as long as it has no content.
    childless: Option<usize>,
}

impl Default for Writer {
    fn default() -> Self {
        Writer::new()
    }
}

impl Writer {
    /// A new document; the header is already in it.
    pub fn new() -> Self {
        Writer::after(Vec::with_capacity(64))
    }

    /// A new document appended to `out`, whose memory is reused; [`Writer::finish`] gives it back.
    pub fn after(mut out: Vec<u8>) -> Self {
        out.extend_from_slice(&HEADER);
        Writer { out, page: 0, depth: 0, childless: None }
    }

    /// Opens an element.
    pub fn start(&mut self, tag: Tag) -> &mut Self {
        self.mark_content();
        if tag.page != self.page {
            self.out.extend_from_slice(&[global::SWITCH_PAGE, tag.page]);
            self.page = tag.page;
        }
        self.childless = Some(self.out.len());
        self.out.push(tag.token);
        self.depth += 1;
        self
    }

    /// Closes the innermost element.
    pub fn end(&mut self) -> &mut Self {
        debug_assert!(self.depth > 0, "end() without start()");
        self.depth = self.depth.saturating_sub(1);
        if self.childless.take().is_none() {
            self.out.push(global::END);
        }
        self
    }

    /// An element with text; an empty text makes an empty element. A NUL cannot be written and is left out.
    pub fn text(&mut self, tag: Tag, text: &str) -> &mut Self {
        self.start(tag);
        self.characters(text);
        self.end()
    }

    /// An element with a number.
    pub fn number(&mut self, tag: Tag, value: impl Into<u64>) -> &mut Self {
        let mut digits = [0; 20];
        let mut first = digits.len();
        let mut rest: u64 = value.into();
        loop {
            first -= 1;
            digits[first] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        self.start(tag);
        self.inline(&digits[first..]);
        self.end()
    }

    /// An empty element.
    pub fn empty(&mut self, tag: Tag) -> &mut Self {
        self.start(tag).end()
    }

    /// An element with binary content.
    pub fn opaque(&mut self, tag: Tag, bytes: &[u8]) -> &mut Self {
        self.start(tag).data(bytes).end()
    }

    /// Binary content in the innermost open element.
    pub fn data(&mut self, bytes: &[u8]) -> &mut Self {
        self.mark_content();
        self.out.push(global::OPAQUE);
        number::write(u32::try_from(bytes.len()).expect("we never write 4 GiB"), &mut self.out);
        self.out.extend_from_slice(bytes);
        self
    }

    /// Text in the innermost open element.
    pub fn characters(&mut self, text: &str) -> &mut Self {
        if text.bytes().any(|byte| byte == 0) {
            let without: Vec<u8> = text.bytes().filter(|&byte| byte != 0).collect();
            self.inline(&without);
        } else {
            self.inline(text.as_bytes());
        }
        self
    }

    /// The bytes; every element has been ended.
    pub fn finish(self) -> Vec<u8> {
        debug_assert_eq!(self.depth, 0, "an element is still open");
        self.out
    }

    fn inline(&mut self, text: &[u8]) {
        if text.is_empty() {
            return;
        }
        self.mark_content();
        self.out.push(global::STR_I);
        self.out.extend_from_slice(text);
        self.out.push(0);
    }

    /// The innermost open element turns out to have content.
    fn mark_content(&mut self) {
        if let Some(at) = self.childless.take() {
            self.out[at] |= global::CONTENT;
        }
    }
}
