//! The pull reader: bytes in pieces of any size → events. It holds one piece of text and a few counters, whatever comes in.
//!
//! An oversized length never allocates: data is delivered in pieces of at most [`PIECE_BYTES_MAX`], and where the pieces are
//! cut depends on the document alone, never on how its bytes arrived.

use std::ffi::CStr;

use super::number::Number;
use super::pages::{PAGES, is_interpreted};
use super::{Fault, Tag, WbxmlError, global};
use crate::config::limits::WBXML_DEPTH_MAX;

/// Bytes of text or opaque data in one event. Ids, keys and statuses fit; mail bodies come in pieces.
const PIECE_BYTES_MAX: usize = 1_024;

/// What may come in.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Elements inside each other.
    pub depth_max: usize,
    /// What happens at pages and tags that are not in the tables.
    pub unknown: Unknown,
}

/// What to do about a page or tag that is not in the tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unknown {
    /// Refuse it: for commands whose meaning the gateway acts on.
    Refuse,
    /// Hand it through on pages the gateway only passes by (items of a newer protocol version); the pages it
    /// interprets (FolderHierarchy, Ping, Provision, Settings) stay strict.
    Pass,
}

impl Limits {
    /// For bodies that are interpreted as a whole.
    pub const STRICT: Limits = Limits { depth_max: WBXML_DEPTH_MAX, unknown: Unknown::Refuse };
    /// For bodies that are skimmed.
    pub const LENIENT: Limits = Limits { depth_max: WBXML_DEPTH_MAX, unknown: Unknown::Pass };
}

/// What a document consists of. Every [`Event::Start`] has its [`Event::End`], empty elements too.
#[derive(Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// An element begins.
    Start {
        /// Its name.
        tag: Tag,
        /// Whether the content bit is set (content may still be empty).
        has_content: bool,
    },
    /// Text; consecutive pieces belong together. Never empty.
    Text(&'a str),
    /// Opaque data; consecutive pieces belong together. Never empty.
    Opaque(&'a [u8]),
    /// The innermost element ends.
    End,
}

/// The reader. After an error it stays at that error.
#[derive(Debug)]
pub struct Reader {
    limits: Limits,
    state: State,
    page: u8,
    depth: usize,
    /// Bytes consumed.
    offset: u64,
    /// Where the token being read begins.
    token_offset: u64,
    piece: Vec<u8>,
    /// Bytes at the front of `piece` that the last event has delivered.
    delivered: usize,
}

/// What is awaited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Version,
    PublicId(Number),
    Charset(Number),
    StringTable(Number),
    /// A tag, END, text: anything that may stand here.
    Token,
    /// The page byte of SWITCH_PAGE.
    PageNumber,
    /// A tag and nothing else.
    TagAfterSwitch,
    /// The END that an empty element has not in the bytes but has in the events.
    ImpliedEnd,
    /// Text up to its NUL.
    Text,
    OpaqueLength(Number),
    /// Opaque data, this many bytes still to come.
    Opaque(u32),
    Finished,
    Failed(WbxmlError),
}

/// Outcome of one look at the input.
enum Progress {
    Continue,
    Start(Tag, bool),
    End,
    Text,
    Opaque,
    NeedInput,
}

impl Reader {
    /// A reader before the first byte.
    pub fn new(limits: Limits) -> Self {
        Reader { limits, state: State::Version, page: 0, depth: 0, offset: 0, token_offset: 0, piece: Vec::new(), delivered: 0 }
    }

    /// The next event, consuming `input` from the front; `None` when `input` is used up (or the document is over).
    pub fn next<'a, 'i: 'a>(&'a mut self, input: &mut &'i [u8]) -> Result<Option<Event<'a>>, WbxmlError> {
        if self.delivered > 0 {
            self.piece.drain(..self.delivered);
            self.delivered = 0;
        }
        loop {
            if matches!(self.state, State::Text)
                && self.piece.is_empty()
                && let Some(text) = self.whole_text(input).inspect_err(|error| self.state = State::Failed(*error))?
            {
                if text.is_empty() {
                    continue;
                }
                return Ok(Some(Event::Text(text)));
            }
            match self.advance(input).inspect_err(|error| self.state = State::Failed(*error))? {
                Progress::Continue => {}
                Progress::NeedInput => return Ok(None),
                Progress::Start(tag, has_content) => return Ok(Some(Event::Start { tag, has_content })),
                Progress::End => return Ok(Some(Event::End)),
                Progress::Opaque => {
                    self.delivered = self.piece.len();
                    return Ok(Some(Event::Opaque(&self.piece)));
                }
                Progress::Text => {
                    let bytes = self.delivered;
                    let text = std::str::from_utf8(&self.piece[..bytes]).expect("checked when the piece was cut");
                    return Ok(Some(Event::Text(text)));
                }
            }
        }
    }

    /// Whether the root element has been read to its end.
    pub fn is_finished(&self) -> bool {
        self.state == State::Finished
    }

    /// Bytes consumed so far.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Says that no more input comes.
    ///
    /// # Errors
    /// The error met before, or [`Fault::Truncated`].
    pub fn finish(&self) -> Result<(), WbxmlError> {
        let inside = match self.state {
            State::Finished => return Ok(()),
            State::Failed(error) => return Err(error),
            State::Version | State::PublicId(_) | State::Charset(_) | State::StringTable(_) => "the header",
            State::Token | State::PageNumber | State::TagAfterSwitch | State::ImpliedEnd => "an element",
            State::Text => "a text",
            State::OpaqueLength(_) | State::Opaque(_) => "opaque data",
        };
        Err(WbxmlError { offset: self.offset, fault: Fault::Truncated(inside) })
    }

    fn advance(&mut self, input: &mut &[u8]) -> Result<Progress, WbxmlError> {
        match self.state {
            State::ImpliedEnd => {
                self.state = State::Token;
                return Ok(self.close());
            }
            State::Text => return self.read_text(input),
            State::Opaque(left) => return Ok(self.read_opaque(input, left)),
            State::Failed(error) => return Err(error),
            _ => {}
        }
        let Some((&byte, rest)) = input.split_first() else { return Ok(Progress::NeedInput) };
        *input = rest;
        let in_number = matches!(self.state, State::PublicId(_) | State::Charset(_) | State::StringTable(_) | State::OpaqueLength(_));
        if !in_number && !matches!(self.state, State::PageNumber) {
            self.token_offset = self.offset;
        }
        self.offset += 1;
        self.read_byte(byte)
    }

    /// One byte of anything but text and opaque data.
    fn read_byte(&mut self, byte: u8) -> Result<Progress, WbxmlError> {
        match self.state {
            State::Version if !(0x01..=0x03).contains(&byte) => return self.refuse(Fault::Version(byte)),
            State::Version => self.state = State::PublicId(Number::default()),
            State::PublicId(number) => match self.number(number, byte)? {
                Ok(0) => return self.refuse(Fault::PublicId),
                Ok(_) => self.state = State::Charset(Number::default()),
                Err(number) => self.state = State::PublicId(number),
            },
            State::Charset(number) => match self.number(number, byte)? {
                Ok(106) => self.state = State::StringTable(Number::default()),
                Ok(charset) => return self.refuse(Fault::Charset(charset)),
                Err(number) => self.state = State::Charset(number),
            },
            State::StringTable(number) => match self.number(number, byte)? {
                Ok(0) => self.state = State::Token,
                Ok(bytes) => return self.refuse(Fault::StringTable(bytes)),
                Err(number) => self.state = State::StringTable(number),
            },
            State::OpaqueLength(number) => match self.number(number, byte)? {
                Ok(0) => self.state = State::Token,
                Ok(length) => self.state = State::Opaque(length),
                Err(number) => self.state = State::OpaqueLength(number),
            },
            State::PageNumber => {
                if usize::from(byte) >= PAGES.len() && self.limits.unknown == Unknown::Refuse {
                    return self.refuse(Fault::UnknownPage(byte));
                }
                self.page = byte;
                self.state = State::TagAfterSwitch;
            }
            State::TagAfterSwitch if byte & !(global::CONTENT | global::ATTRIBUTES) < global::TAG_FIRST => {
                return self.refuse(Fault::SwitchWithoutTag);
            }
            State::TagAfterSwitch => return self.read_tag(byte),
            State::Token => return self.read_token(byte),
            State::Finished if byte == global::END => return self.refuse(Fault::EndUnderflow),
            State::Finished if byte & !global::CONTENT >= global::TAG_FIRST => return self.refuse(Fault::SecondRoot),
            State::Finished => return self.refuse(Fault::TrailingBytes),
            State::ImpliedEnd | State::Text | State::Opaque(_) | State::Failed(_) => unreachable!("advance() has dealt with it"),
        }
        Ok(Progress::Continue)
    }

    fn read_token(&mut self, byte: u8) -> Result<Progress, WbxmlError> {
        match byte {
            global::SWITCH_PAGE => self.state = State::PageNumber,
            global::END if self.depth == 0 => return self.refuse(Fault::EndUnderflow),
            global::END => return Ok(self.close()),
            global::STR_I | global::OPAQUE if self.depth == 0 => return self.refuse(Fault::RootMissing(byte)),
            global::STR_I => self.state = State::Text,
            global::OPAQUE => self.state = State::OpaqueLength(Number::default()),
            _ => return self.read_tag(byte),
        }
        Ok(Progress::Continue)
    }

    fn read_tag(&mut self, byte: u8) -> Result<Progress, WbxmlError> {
        let tag = Tag { page: self.page, token: byte & !(global::CONTENT | global::ATTRIBUTES) };
        if tag.token < global::TAG_FIRST {
            return self.refuse(Fault::GlobalToken(byte));
        }
        if byte & global::ATTRIBUTES != 0 {
            return self.refuse(Fault::Attributes(byte));
        }
        let is_strict = self.limits.unknown == Unknown::Refuse || is_interpreted(tag.page);
        if is_strict && tag.name().is_none() {
            return self.refuse(Fault::UnknownTag { page: tag.page, token: tag.token });
        }
        if self.depth == self.limits.depth_max {
            return self.refuse(Fault::TooDeep(self.limits.depth_max));
        }
        self.depth += 1;
        let has_content = byte & global::CONTENT != 0;
        self.state = if has_content { State::Token } else { State::ImpliedEnd };
        Ok(Progress::Start(tag, has_content))
    }

    fn close(&mut self) -> Progress {
        self.depth -= 1;
        if self.depth == 0 {
            self.state = State::Finished;
        }
        Progress::End
    }

    /// A text of one piece that is there with its NUL needs no copy.
    fn whole_text<'i>(&mut self, input: &mut &'i [u8]) -> Result<Option<&'i str>, WbxmlError> {
        let window = &input[..input.len().min(PIECE_BYTES_MAX)];
        let Ok(text) = CStr::from_bytes_until_nul(window) else { return Ok(None) };
        let consumed = text.count_bytes() + 1;
        *input = &input[consumed..];
        self.offset += consumed as u64;
        self.state = State::Token;
        match text.to_str() {
            Ok(text) => Ok(Some(text)),
            Err(_) => Err(WbxmlError { offset: self.token_offset, fault: Fault::InvalidUtf8 }),
        }
    }

    /// Takes text up to its NUL or up to a full piece.
    fn read_text(&mut self, input: &mut &[u8]) -> Result<Progress, WbxmlError> {
        let room = PIECE_BYTES_MAX - self.piece.len();
        let window = &input[..input.len().min(room)];
        let end = CStr::from_bytes_until_nul(window).ok().map(CStr::count_bytes);
        let taken = end.unwrap_or(window.len());
        self.piece.extend_from_slice(&window[..taken]);
        let consumed = taken + usize::from(end.is_some());
        *input = &input[consumed..];
        self.offset += consumed as u64;
        if end.is_some() {
            self.state = State::Token;
        } else if self.piece.len() < PIECE_BYTES_MAX {
            return Ok(Progress::NeedInput);
        }
        self.delivered = match std::str::from_utf8(&self.piece) {
            Ok(_) => self.piece.len(),
            // A character cut by the end of the piece; the rest comes with the next one.
            Err(error) if end.is_none() && error.error_len().is_none() => error.valid_up_to(),
            Err(_) => return self.refuse(Fault::InvalidUtf8),
        };
        Ok(if self.delivered == 0 { Progress::Continue } else { Progress::Text })
    }

    fn read_opaque(&mut self, input: &mut &[u8], left: u32) -> Progress {
        let room = PIECE_BYTES_MAX - self.piece.len();
        let taken = input.len().min(room).min(left as usize);
        self.piece.extend_from_slice(&input[..taken]);
        *input = &input[taken..];
        self.offset += taken as u64;
        let left = left - taken as u32;
        self.state = if left == 0 { State::Token } else { State::Opaque(left) };
        if left == 0 || self.piece.len() == PIECE_BYTES_MAX { Progress::Opaque } else { Progress::NeedInput }
    }

    /// The number if this byte completes it, else the number so far.
    fn number(&self, mut number: Number, byte: u8) -> Result<Result<u32, Number>, WbxmlError> {
        match number.push(byte) {
            Ok(Some(value)) => Ok(Ok(value)),
            Ok(None) => Ok(Err(number)),
            Err(_) => Err(WbxmlError { offset: self.token_offset, fault: Fault::NumberTooLong }),
        }
    }

    fn refuse(&self, fault: Fault) -> Result<Progress, WbxmlError> {
        Err(WbxmlError { offset: self.token_offset, fault })
    }
}
