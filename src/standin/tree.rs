//! A small WBXML document as a tree. Simple on purpose: the stand-ins read bodies in another way than the gateway does.

use crate::logic::wbxml::{Elements, Limits, Step, Tag, WbxmlError};

/// An element.
#[derive(Debug)]
pub(super) struct Node {
    /// Its name.
    pub(super) tag: Tag,
    /// Its text; `None` if it is too long to keep or not text.
    text: Option<Box<str>>,
    /// What is inside, in order.
    pub(super) children: Vec<Node>,
}

impl Node {
    /// Reads a whole document.
    pub(super) fn parse(body: &[u8]) -> Result<Node, WbxmlError> {
        let mut elements = Elements::new(Limits::LENIENT);
        let mut rest = body;
        let mut open: Vec<Node> = Vec::new();
        let mut root = None;
        while let Some(step) = elements.next(&mut rest)? {
            match step {
                Step::Open(path) => {
                    let tag = *path.last().expect("an open element is on its path");
                    open.push(Node { tag, text: None, children: Vec::new() });
                }
                Step::Close(_, content) => {
                    let mut node = open.pop().expect("steps are balanced");
                    node.text = content.text().map(Into::into);
                    match open.last_mut() {
                        Some(parent) => parent.children.push(node),
                        None => root = Some(node),
                    }
                }
            }
        }
        elements.finish()?;
        Ok(root.expect("a finished document has a root"))
    }

    /// The first child of that name.
    pub(super) fn child(&self, tag: Tag) -> Option<&Node> {
        self.children.iter().find(|child| child.tag == tag)
    }

    /// All children of that name.
    pub(super) fn all(&self, tag: Tag) -> impl Iterator<Item = &Node> {
        self.children.iter().filter(move |child| child.tag == tag)
    }

    /// Its text, if any.
    pub(super) fn text(&self) -> Option<&str> {
        self.text.as_deref().filter(|text| !text.is_empty())
    }

    /// The text of the first child of that name.
    pub(super) fn child_text(&self, tag: Tag) -> Option<&str> {
        self.child(tag)?.text()
    }

    /// The number in the first child of that name.
    pub(super) fn child_number(&self, tag: Tag) -> Option<u32> {
        self.child_text(tag)?.trim().parse().ok()
    }
}
