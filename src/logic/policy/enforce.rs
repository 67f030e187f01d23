//! What no device is trusted with: attachments, and documents on file shares and SharePoint, are refused here as well (GetAttachment,
//! ItemOperations, Search; MS-ASCMD 2.2.3.177.8 and .13).

use super::{Prepared, Setting};
use crate::logic::eas::{BodyError, Command};
use crate::logic::wbxml::{
    Content, Elements, Limits, PAGES, Step, Tag, Writer, air_sync, air_sync_base, document_library, item_operations, search,
};

/// Fetches in one request. Devices send one, seldom a dozen.
const FETCHES_MAX: usize = 200;
/// What an answer has around an attachment: names, types, dates.
const AROUND_ATTACHMENT_BYTES: u64 = 16_384;

/// What to do with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Enforcement {
    /// Forward it.
    Forward {
        /// An answer with more bytes than these carries an attachment that is too large: [`too_large`] is the answer then.
        answer_bytes_max: Option<u64>,
    },
    /// The policy forbids it: answer this.
    Answer(Refused),
}

/// An answer instead of the backend's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// HTTP status.
    pub http: u16,
    /// WBXML, or nothing.
    pub body: Vec<u8>,
}

/// ItemOperations Status of a Fetch.
mod fetch_status {
    pub(super) const SERVER_ERROR: u16 = 3;
    pub(super) const TOO_LARGE: u16 = 11;
    pub(super) const ACCESS_DENIED: u16 = 16;
}

/// Search Response/Store/Status: the policy blocks it.
const SEARCH_ACCESS_BLOCKED: u16 = 13;
/// GetAttachment has HTTP codes only.
const FORBIDDEN: u16 = 403;

/// Decides a request by its command; the body is inflated. Other commands than the three are forwarded.
///
/// A request with several fetches, some of them forbidden, is answered here altogether: the forbidden ones with their status, the others
/// with "server error, try again", which makes the device ask for them alone.
///
/// # Errors
/// The body is not the command's.
pub fn decide(command: Command, body: &[u8], policy: &Prepared) -> Result<Enforcement, BodyError> {
    let forward = |answer_bytes_max| Ok(Enforcement::Forward { answer_bytes_max });
    let size_max = policy.policy().number(Setting::MaxAttachmentSize).map(u64::from);
    match command {
        Command::GetAttachment if !policy.is_on(Setting::AttachmentsEnabled) => Ok(Enforcement::Answer(forbidden())),
        Command::GetAttachment => forward(size_max),
        Command::ItemOperations => {
            let operations = Operations::parse(body)?;
            if operations.fetches.iter().any(|fetch| fetch.is_forbidden(policy)) {
                let status = |fetch: &Fetch| match fetch.is_forbidden(policy) {
                    true => fetch_status::ACCESS_DENIED,
                    false => fetch_status::SERVER_ERROR,
                };
                return Ok(Enforcement::Answer(operations.answer(status)));
            }
            forward(size_max.and_then(|size_max| operations.answer_bytes_max(size_max)))
        }
        Command::Search if searches_forbidden(body, policy)? => Ok(Enforcement::Answer(search_blocked())),
        _ => forward(None),
    }
}

/// The answer to a request whose answer turned out to be too large.
///
/// # Errors
/// The body is not the command's.
pub fn too_large(command: Command, body: &[u8]) -> Result<Refused, BodyError> {
    match command {
        Command::ItemOperations => Ok(Operations::parse(body)?.answer(|_| fetch_status::TOO_LARGE)),
        _ => Ok(forbidden()),
    }
}

fn forbidden() -> Refused {
    Refused { http: FORBIDDEN, body: Vec::new() }
}

/// An ItemOperations request, as far as policies care.
#[derive(Default)]
struct Operations {
    fetches: Vec<Fetch>,
    /// Whether it also empties folders or moves conversations.
    has_other: bool,
}

/// What is to be fetched: the elements that say so, in the order given.
#[derive(Default)]
struct Fetch(Vec<(Tag, String)>);

impl Operations {
    fn parse(body: &[u8]) -> Result<Self, BodyError> {
        use item_operations::{FETCH, ITEM_OPERATIONS};
        let mut operations = Operations::default();
        walk(body, ITEM_OPERATIONS, |step| {
            match step {
                Step::Open([_, FETCH]) if operations.fetches.len() == FETCHES_MAX => {
                    return Err(BodyError::Syntax("more fetches than a device ever sends"));
                }
                Step::Open([_, FETCH]) => operations.fetches.push(Fetch::default()),
                Step::Open([_, _]) => operations.has_other = true,
                Step::Close([_, FETCH, name], content) if Fetch::NAMES.contains(name) => {
                    let text = content.text().ok_or(BodyError::Syntax("what is to be fetched is not text"))?;
                    if let Some(fetch) = operations.fetches.last_mut() {
                        fetch.0.push((*name, text.to_owned()));
                    }
                }
                _ => {}
            }
            Ok(())
        })?;
        Ok(operations)
    }

    /// An answer that gives every fetch a status and nothing else.
    fn answer(&self, status: impl Fn(&Fetch) -> u16) -> Refused {
        use item_operations::{FETCH, ITEM_OPERATIONS, STATUS};
        let mut writer = Writer::new();
        writer.start(ITEM_OPERATIONS);
        if self.has_other {
            // There is no way to say that one half was done and the other was not.
            writer.number(STATUS, fetch_status::SERVER_ERROR);
        } else {
            writer.number(STATUS, 1_u8).start(RESPONSE);
            for fetch in &self.fetches {
                writer.start(FETCH).number(STATUS, status(fetch));
                for (tag, text) in &fetch.0 {
                    writer.text(*tag, text);
                }
                writer.end();
            }
            writer.end();
        }
        writer.end();
        Refused { http: 200, body: writer.finish() }
    }

    /// The largest answer that can be right; `None` if it may carry whole messages, whose size no setting limits.
    fn answer_bytes_max(&self, size_max: u64) -> Option<u64> {
        let is_all_attachments = !self.fetches.is_empty() && !self.has_other && self.fetches.iter().all(Fetch::is_attachment);
        // Base64 takes four bytes for three.
        let each = size_max.div_ceil(3).saturating_mul(4).saturating_add(AROUND_ATTACHMENT_BYTES);
        is_all_attachments.then(|| each.saturating_mul(self.fetches.len() as u64))
    }
}

impl Fetch {
    /// What names a thing to fetch.
    const NAMES: [Tag; 5] =
        [air_sync::COLLECTION_ID, air_sync::SERVER_ID, LONG_ID, document_library::LINK_ID, air_sync_base::FILE_REFERENCE];

    fn is_attachment(&self) -> bool {
        self.0.iter().any(|(tag, _)| *tag == air_sync_base::FILE_REFERENCE)
    }

    fn is_forbidden(&self, policy: &Prepared) -> bool {
        let links = self.0.iter().filter(|(tag, _)| *tag == document_library::LINK_ID);
        self.is_attachment() && !policy.is_on(Setting::AttachmentsEnabled) || links.into_iter().any(|(_, link)| is_forbidden(link, policy))
    }
}

const RESPONSE: Tag = item_operations("Response");
const LONG_ID: Tag = searching("LongId");
const STORE: Tag = searching("Store");
const NAME: Tag = searching("Name");
const VALUE: Tag = searching("Value");
const SEARCH_RESPONSE: Tag = searching("Response");

const fn item_operations(name: &str) -> Tag {
    named(20, name)
}

const fn searching(name: &str) -> Tag {
    named(15, name)
}

const fn named(page: u8, name: &str) -> Tag {
    match PAGES[page as usize].token(name) {
        Some(token) => Tag { page, token },
        None => panic!("no such tag on this page"),
    }
}

/// Whether a link leads where the policy lets nobody go. What is not plainly a web address is a file share: `\\server`, `file:`.
fn is_forbidden(link: &str, policy: &Prepared) -> bool {
    let link = link.trim().to_ascii_lowercase();
    let is_web = link.starts_with("http:") || link.starts_with("https:");
    !policy.is_on(if is_web { Setting::WSSAccessEnabled } else { Setting::UNCAccessEnabled })
}

/// Whether a Search looks into a document library that is forbidden.
fn searches_forbidden(body: &[u8], policy: &Prepared) -> Result<bool, BodyError> {
    let (mut is_library, mut links) = (false, Vec::new());
    walk(body, search::SEARCH, |step| {
        match step {
            // Z-Push's spelling has a space.
            Step::Close([_, STORE, NAME], content) => is_library |= is_document_library(content),
            Step::Open([_, STORE, .., document_library::LINK_ID]) => is_library = true,
            Step::Close([_, STORE, .., VALUE], content) if links.len() < FETCHES_MAX => {
                links.push(content.text().ok_or(BodyError::Syntax("what is searched for is too long or not text"))?.to_owned());
            }
            _ => {}
        }
        Ok(())
    })?;
    Ok(is_library && links.iter().any(|link| is_forbidden(link, policy)))
}

fn is_document_library(content: Content<'_>) -> bool {
    let name: String = content.text().unwrap_or_default().chars().filter(|character| !character.is_whitespace()).collect();
    name.eq_ignore_ascii_case("DocumentLibrary")
}

fn search_blocked() -> Refused {
    use search::{SEARCH, STATUS};
    let mut writer = Writer::new();
    writer.start(SEARCH).number(STATUS, 1_u8).start(SEARCH_RESPONSE).start(STORE).number(STATUS, SEARCH_ACCESS_BLOCKED);
    writer.end().end().end();
    Refused { http: 200, body: writer.finish() }
}

/// Walks a whole request with this root.
fn walk(body: &[u8], root: Tag, mut take: impl FnMut(Step<'_>) -> Result<(), BodyError>) -> Result<(), BodyError> {
    let (mut elements, mut rest) = (Elements::new(Limits::STRICT), body);
    while let Some(step) = elements.next(&mut rest)? {
        if matches!(step, Step::Open([first]) if *first != root) {
            return Err(BodyError::WrongRoot);
        }
        take(step)?;
    }
    Ok(elements.finish()?)
}
