//! EASProvisionDoc (MS-ASPROV 2.2.2.28): a policy as an ordered list of elements. What they mean is `policy`'s business.

use super::body::{BodyError, text};
use crate::logic::wbxml::{Content, Tag, Writer, provision as tags};

/// Entries of one list in a document; real lists have a handful.
const LIST_MAX: usize = 1_000;

/// The settings in the order in which they stand or shall stand.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProvisionDoc(pub Vec<(Tag, DocValue)>);

/// The value of one setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DocValue {
    /// A number, a flag or a name; empty means "not set".
    Text(String),
    /// UnapprovedInROMApplicationList (names) and ApprovedApplicationList (hashes).
    List(Vec<String>),
}

impl ProvisionDoc {
    /// The text of a setting, if it is there.
    pub fn text(&self, tag: Tag) -> Option<&str> {
        self.0.iter().find_map(|(known, value)| match value {
            DocValue::Text(text) if *known == tag => Some(text.as_str()),
            _ => None,
        })
    }

    /// Takes the end of an element inside the document; `path` begins below `EASProvisionDoc`.
    pub(super) fn take(&mut self, path: &[Tag], content: Content<'_>) -> Result<(), BodyError> {
        match path {
            [list @ (tags::UNAPPROVED_IN_ROM_APPLICATION_LIST | tags::APPROVED_APPLICATION_LIST), tags::APPLICATION_NAME | tags::HASH] => {
                self.list(*list, Some(text(content)?))
            }
            [list @ (tags::UNAPPROVED_IN_ROM_APPLICATION_LIST | tags::APPROVED_APPLICATION_LIST)] => self.list(*list, None),
            [setting] => {
                self.0.push((*setting, DocValue::Text(text(content)?)));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Adds to the list at the end of the document, which the first entry (or the end of an empty list) begins.
    fn list(&mut self, tag: Tag, entry: Option<String>) -> Result<(), BodyError> {
        if !matches!(self.0.last(), Some((last, DocValue::List(_))) if *last == tag) {
            self.0.push((tag, DocValue::List(Vec::new())));
        }
        let Some((_, DocValue::List(entries))) = self.0.last_mut() else { return Ok(()) };
        if entries.len() == LIST_MAX {
            return Err(BodyError::Syntax("an application list is too long"));
        }
        entries.extend(entry);
        Ok(())
    }

    pub(super) fn write(&self, writer: &mut Writer) {
        writer.start(tags::EAS_PROVISION_DOC);
        for (tag, value) in &self.0 {
            match value {
                DocValue::Text(text) => {
                    writer.text(*tag, text);
                }
                DocValue::List(entries) => {
                    let entry_tag = if *tag == tags::APPROVED_APPLICATION_LIST { tags::HASH } else { tags::APPLICATION_NAME };
                    writer.start(*tag);
                    for entry in entries {
                        writer.text(entry_tag, entry);
                    }
                    writer.end();
                }
            }
        }
        writer.end();
    }
}
