//! Names that administrators give to policies.

use std::fmt;

/// Characters of a policy's name; Exchange's maximum.
const CHARS_MAX: usize = 64;

/// A policy's name: 1 to 64 characters, none of them a control character, no spaces around it. Names that differ only in case
/// are one name, spelt as it was given first.
#[derive(Clone)]
pub struct PolicyName {
    given: Box<str>,
    folded: Box<str>,
}

/// Why a text is no name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameError {
    /// Nothing but spaces.
    Empty,
    /// More than 64 characters.
    TooLong,
    /// A control character, or a slash: names stand in addresses.
    Unprintable,
}

impl PolicyName {
    /// From what a person typed.
    ///
    /// # Errors
    /// See [`NameError`].
    pub fn new(text: &str) -> Result<Self, NameError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(NameError::Empty);
        }
        if text.chars().count() > CHARS_MAX {
            return Err(NameError::TooLong);
        }
        if text.contains(|character: char| character.is_control() || character == '/') {
            return Err(NameError::Unprintable);
        }
        Ok(PolicyName { given: text.into(), folded: text.to_lowercase().into() })
    }

    /// The name as it was given.
    pub fn as_str(&self) -> &str {
        &self.given
    }

    /// The name as it is compared: for a unique column.
    pub fn folded(&self) -> &str {
        &self.folded
    }
}

impl PartialEq for PolicyName {
    fn eq(&self, other: &Self) -> bool {
        self.folded == other.folded
    }
}

impl Eq for PolicyName {}

impl PartialOrd for PolicyName {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for PolicyName {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.folded.cmp(&other.folded)
    }
}

impl std::hash::Hash for PolicyName {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.folded.hash(state);
    }
}

impl fmt::Display for PolicyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.given)
    }
}

impl fmt::Debug for PolicyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PolicyName({})", self.given)
    }
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NameError::Empty => f.write_str("a policy needs a name"),
            NameError::TooLong => write!(f, "a policy's name has at most {CHARS_MAX} characters"),
            NameError::Unprintable => f.write_str("a policy's name has no control characters and no slash"),
        }
    }
}

impl std::error::Error for NameError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_differ_in_case_are_one() {
        let name = PolicyName::new(" Strict Policy ").unwrap();
        assert_eq!(name.as_str(), "Strict Policy");
        assert_eq!(name, PolicyName::new("STRICT policy").unwrap());
    }

    #[test]
    fn a_name_is_short_and_printable() {
        assert_eq!(PolicyName::new("  "), Err(NameError::Empty));
        assert_eq!(PolicyName::new(&"ü".repeat(65)), Err(NameError::TooLong));
        assert!(PolicyName::new(&"ü".repeat(64)).is_ok());
        assert_eq!(PolicyName::new("a/b"), Err(NameError::Unprintable));
        assert_eq!(PolicyName::new("a\nb"), Err(NameError::Unprintable));
    }
}
