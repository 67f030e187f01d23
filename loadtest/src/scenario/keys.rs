//! Reads a table key by key and remembers every problem, so that all are reported at once.

use std::cell::RefCell;
use std::rc::Rc;

use serde::de::DeserializeOwned;
use toml::{Table, Value};

/// Problems found so far; shared by all tables of a scenario.
#[derive(Debug, Clone, Default)]
pub struct Problems(Rc<RefCell<Vec<String>>>);

impl Problems {
    /// Adds one.
    pub fn add(&self, problem: impl Into<String>) {
        self.0.borrow_mut().push(problem.into());
    }

    /// All of them, in the order in which they were found.
    pub fn all(&self) -> Vec<String> {
        self.0.borrow().clone()
    }
}

/// A table that is being read. What is left when it is dropped nobody knows: a problem.
#[derive(Debug)]
pub struct Keys {
    path: String,
    table: Table,
    problems: Problems,
}

impl Keys {
    /// The whole scenario.
    pub fn new(table: Table, problems: Problems) -> Self {
        Keys { path: String::new(), table, problems }
    }

    /// The value of a key, if it is there and of the right type.
    pub fn take<T: DeserializeOwned>(&mut self, key: &str) -> Option<T> {
        let value = self.table.remove(key)?;
        value.try_into().map_err(|error: toml::de::Error| self.problem(key, error.message())).ok()
    }

    /// The same for a number above 0.
    pub fn take_positive(&mut self, key: &str) -> Option<f64> {
        self.take_number(key, |value| value > 0.0, "is a number above 0")
    }

    /// A number that may be 0.
    pub fn take_not_negative(&mut self, key: &str) -> Option<f64> {
        self.take_number(key, |value| value >= 0.0, "is 0 or a number above it")
    }

    fn take_number(&mut self, key: &str, is_allowed: impl FnOnce(f64) -> bool, reason: &str) -> Option<f64> {
        let value = match self.table.remove(key)? {
            Value::Integer(whole) => whole as f64,
            Value::Float(number) => number,
            _ => f64::NAN,
        };
        if is_allowed(value) && value.is_finite() {
            return Some(value);
        }
        self.problem(key, reason);
        None
    }

    /// A text parsed by the type it stands for.
    pub fn take_parsed<T>(&mut self, key: &str, parse: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        let text: String = self.take(key)?;
        parse(&text).map_err(|reason| self.problem(key, &reason)).ok()
    }

    /// One text, or a list of at least one, each parsed by the type it stands for.
    pub fn take_list<T>(&mut self, key: &str, parse: impl Fn(&str) -> Result<T, String>) -> Option<Vec<T>> {
        let texts: Vec<String> = match self.table.get(key)? {
            Value::Array(_) => self.take(key)?,
            _ => vec![self.take(key)?],
        };
        if texts.is_empty() {
            self.problem(key, "is an empty list");
            return None;
        }
        let parsed = texts.iter().map(|text| parse(text)).collect::<Result<Vec<T>, String>>();
        parsed.map_err(|reason| self.problem(key, &reason)).ok()
    }

    /// A key that must be there.
    pub fn must<T>(&self, key: &str, value: Option<T>) -> Option<T> {
        // If there are problems already, a wrong value may have been one of them.
        if value.is_none() && !self.problems.all().iter().any(|problem| problem.starts_with(&self.name(key))) {
            self.problem(key, "is missing");
        }
        value
    }

    /// A table inside.
    pub fn table(&mut self, key: &str) -> Option<Keys> {
        match self.table.remove(key)? {
            Value::Table(table) => Some(Keys { path: self.name(key), table, problems: self.problems.clone() }),
            _ => {
                self.problem(key, "is a table");
                None
            }
        }
    }

    /// Tables inside: `[[key]]`.
    pub fn tables(&mut self, key: &str) -> Vec<Keys> {
        match self.table.remove(key) {
            None => Vec::new(),
            Some(Value::Array(values)) if values.iter().all(Value::is_table) => {
                let tables = values.into_iter().enumerate().filter_map(|(index, value)| match value {
                    Value::Table(table) => Some((index, table)),
                    _ => None,
                });
                let path = self.name(key);
                tables.map(|(index, table)| Keys { path: format!("{path}[{index}]"), table, problems: self.problems.clone() }).collect()
            }
            Some(_) => {
                self.problem(key, "is a list of tables");
                Vec::new()
            }
        }
    }

    /// The keys that are left, with their texts.
    pub fn texts(&mut self) -> Vec<(String, String)> {
        let table = std::mem::take(&mut self.table);
        let texts = table.into_iter().filter_map(|(key, value)| match value {
            Value::String(text) => Some((key, text)),
            _ => {
                self.problem(&key, "is a text such as \"< 50\"");
                None
            }
        });
        texts.collect()
    }

    /// Something is wrong with a key.
    pub fn problem(&self, key: &str, reason: &str) {
        self.problems.add(format!("{}: {reason}", self.name(key)));
    }

    fn name(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        for key in self.table.keys() {
            self.problem(key, "is no key of a scenario");
        }
    }
}
