//! A slow, obvious decoder: the whole document in memory, straight down the grammar, no state machine. What it says is right.

use pushgate::logic::wbxml::{Event, Limits, PAGES, Reader};

/// A document as a flat list; neighbouring texts are one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    Start(u8, u8),
    Text(String),
    Opaque(Vec<u8>),
    End,
}

/// Decodes strictly; `None` for anything that is not acceptable.
pub(super) fn decode(bytes: &[u8]) -> Option<Vec<Part>> {
    let mut document = Document { bytes, at: 0, page: 0, parts: Vec::new() };
    (1..=3).contains(&document.byte()?).then_some(())?;
    (document.number()? != 0).then_some(())?;
    (document.number()? == 106).then_some(())?;
    (document.number()? == 0).then_some(())?;
    document.element(1)?;
    (document.at == bytes.len()).then_some(document.parts)
}

struct Document<'a> {
    bytes: &'a [u8],
    at: usize,
    page: u8,
    parts: Vec<Part>,
}

impl Document<'_> {
    fn byte(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    fn number(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        for _ in 0..5 {
            let byte = self.byte()?;
            value = value * 128 + u64::from(byte % 128);
            if byte < 128 {
                return (value < 1 << 32).then_some(value);
            }
        }
        None
    }

    /// `[SWITCH_PAGE page] tag [content END]`
    fn element(&mut self, depth: usize) -> Option<()> {
        let mut byte = self.byte()?;
        if byte == 0 {
            self.page = self.byte()?;
            byte = self.byte()?;
        }
        let has_content = byte & 0x40 != 0;
        let token = byte & 0x3F;
        let is_known = byte < 0x80 && token >= 5 && PAGES.get(usize::from(self.page))?.name(token).is_some();
        (is_known && depth <= 16).then_some(())?;
        self.parts.push(Part::Start(self.page, token));
        while has_content && *self.bytes.get(self.at)? != 1 {
            match *self.bytes.get(self.at)? {
                0x03 => self.text()?,
                0xC3 => self.opaque()?,
                _ => self.element(depth + 1)?,
            }
        }
        self.at += usize::from(has_content);
        self.parts.push(Part::End);
        Some(())
    }

    fn text(&mut self) -> Option<()> {
        let rest = &self.bytes[self.at + 1..];
        let end = rest.iter().position(|&byte| byte == 0)?;
        let text = std::str::from_utf8(&rest[..end]).ok()?;
        self.at += end + 2;
        push(&mut self.parts, Part::Text(text.into()));
        Some(())
    }

    fn opaque(&mut self) -> Option<()> {
        self.at += 1;
        let length = self.number()? as usize;
        let data = self.bytes[self.at..].get(..length)?;
        self.at += length;
        push(&mut self.parts, Part::Opaque(data.into()));
        Some(())
    }
}

/// Adds a part, joining neighbours and leaving out empty ones.
pub(super) fn push(parts: &mut Vec<Part>, part: Part) {
    match (parts.last_mut(), part) {
        (Some(Part::Text(text)), Part::Text(more)) => text.push_str(&more),
        (Some(Part::Opaque(data)), Part::Opaque(more)) => data.extend(more),
        (_, Part::Text(text)) if text.is_empty() => {}
        (_, Part::Opaque(data)) if data.is_empty() => {}
        (_, part) => parts.push(part),
    }
}

/// What the reader under test says, fed in pieces of these sizes (repeated).
pub(super) fn read(bytes: &[u8], sizes: &[usize]) -> Option<Vec<Part>> {
    let (mut reader, mut parts, mut rest) = (Reader::new(Limits::STRICT), Vec::new(), bytes);
    for size in sizes.iter().cycle() {
        let (mut piece, later) = rest.split_at((*size).min(rest.len()));
        while let Some(event) = reader.next(&mut piece).ok()? {
            match event {
                Event::Start { tag, .. } => parts.push(Part::Start(tag.page, tag.token)),
                Event::Text(text) => push(&mut parts, Part::Text(text.into())),
                Event::Opaque(data) => push(&mut parts, Part::Opaque(data.into())),
                Event::End => parts.push(Part::End),
            }
        }
        rest = later;
        if rest.is_empty() {
            break;
        }
    }
    reader.finish().ok().map(|()| parts)
}
