//! Folder classes: what kind of items a folder holds (MS-ASCMD 2.2.3.27).

use std::str::FromStr;

/// The class of a folder, as written in Ping's `Class`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
#[expect(missing_docs, reason = "the protocol's own words")]
pub enum Class {
    Email = 0,
    Calendar = 1,
    Contacts = 2,
    Tasks = 3,
    /// From version 14.0.
    Notes = 4,
}

impl Class {
    /// All classes, in the order of their numbers.
    pub const ALL: [Class; 5] = [Class::Email, Class::Calendar, Class::Contacts, Class::Tasks, Class::Notes];

    /// The protocol's spelling.
    pub fn name(self) -> &'static str {
        match self {
            Class::Email => "Email",
            Class::Calendar => "Calendar",
            Class::Contacts => "Contacts",
            Class::Tasks => "Tasks",
            Class::Notes => "Notes",
        }
    }
}

impl FromStr for Class {
    type Err = ();

    /// Exact spelling only, as the protocol has it.
    fn from_str(text: &str) -> Result<Self, ()> {
        Class::ALL.into_iter().find(|class| class.name() == text).ok_or(())
    }
}

/// A set of classes, in one byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ClassSet(u8);

impl ClassSet {
    /// Every class.
    pub const ALL: ClassSet = ClassSet(0b1_1111);

    /// Adds a class.
    pub fn insert(&mut self, class: Class) {
        self.0 |= 1 << class as u8;
    }

    /// Whether the class is in the set.
    pub fn contains(self, class: Class) -> bool {
        self.0 & (1 << class as u8) != 0
    }

    /// Classes of either set.
    pub fn union(self, other: ClassSet) -> ClassSet {
        ClassSet(self.0 | other.0)
    }
}

impl FromIterator<Class> for ClassSet {
    fn from_iter<I: IntoIterator<Item = Class>>(classes: I) -> Self {
        let mut set = ClassSet::default();
        classes.into_iter().for_each(|class| set.insert(class));
        set
    }
}
