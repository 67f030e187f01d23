//! Reads what was written into typed values, collecting every problem instead of stopping at the first.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use ipnet::IpNet;
use toml::{Table, Value};

use super::definition::{KEYS, Key, Kind};

/// One thing wrong with a configuration: where, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// `section.key`, a file, or an environment variable.
    pub place: String,
    /// One sentence.
    pub message: String,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.place, self.message)
    }
}

/// A key's section and name.
pub(super) type Place = (&'static str, &'static str);

/// Values as they were read: what a reload compares with. Some are secrets.
#[derive(Clone, Default)]
pub(super) struct Settings {
    pub(super) values: BTreeMap<Place, Value>,
    pub(super) written: Vec<Place>,
    pub(super) networks: Vec<Table>,
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Settings")
    }
}

/// Values that have the right type and range, and the problems met on the way.
pub(super) struct Values {
    values: BTreeMap<Place, Value>,
    written: Vec<Place>,
    pub(super) networks: Vec<Table>,
    pub(super) problems: Vec<Problem>,
}

impl Values {
    /// Merges defaults, the file's text and `PUSHGATE_SECTION__KEY` variables, in rising precedence.
    pub(super) fn read(text: &str, environment: impl Iterator<Item = (String, String)>) -> Self {
        let mut values = BTreeMap::new();
        for key in KEYS {
            values.insert((key.section, key.name), default_value(key));
        }
        let mut this = Values { values, written: Vec::new(), networks: Vec::new(), problems: Vec::new() };
        match text.parse::<Table>() {
            Ok(table) => this.take_table("", table),
            Err(error) => this.problem("file", format!("is not TOML: {}", error.to_string().trim().replace('\n', " "))),
        }
        for (name, value) in environment {
            // Without the double underscore it is somebody else's, or meant for a test.
            if let Some(path) = name.strip_prefix("PUSHGATE_").filter(|path| path.contains("__")) {
                this.take_variable(&name, path, &value);
            }
        }
        this
    }

    /// Values that were read before.
    pub(super) fn of(Settings { values, written, networks }: Settings) -> Self {
        Values { values, written, networks, problems: Vec::new() }
    }

    pub(super) fn settings(&self) -> Settings {
        Settings { values: self.values.clone(), written: self.written.clone(), networks: self.networks.clone() }
    }

    pub(super) fn problem(&mut self, place: impl Into<String>, message: impl Into<String>) {
        self.problems.push(Problem { place: place.into(), message: message.into() });
    }

    /// Whether the operator wrote this key (the defaults of `backend.kind` yield to what was written).
    pub(super) fn is_written(&self, section: &str, name: &str) -> bool {
        self.written.iter().any(|&(s, n)| s == section && n == name)
    }

    fn take_table(&mut self, section: &str, table: Table) {
        for (name, value) in table {
            let path = if section.is_empty() { name.clone() } else { format!("{section}.{name}") };
            if let Some(key) = KEYS.iter().find(|key| key.section == section && key.name == name) {
                self.take_value(key, &path, value);
            } else if let Some(base) = name.strip_suffix("_file").and_then(|n| text_key(section, n)) {
                self.take_secret_file(base, &path, &value);
            } else if path == "network" {
                self.take_networks(value);
            } else if let (true, Value::Table(inner)) = (is_section(&path), &value) {
                self.take_table(&path, inner.clone());
            } else {
                let hint = nearest(section, &name).map(|n| format!("; did you mean \"{n}\"?")).unwrap_or_default();
                self.problem(path, format!("is not a setting of pushgate{hint}"));
            }
        }
    }

    fn take_networks(&mut self, value: Value) {
        let Value::Array(entries) = value else {
            return self.problem("network", "is a list of tables: write [[network]]");
        };
        for entry in entries {
            match entry {
                Value::Table(table) => self.networks.push(table),
                _ => self.problem("network", "is a list of tables: write [[network]]"),
            }
        }
    }

    /// `key_file = "path"` stands for `key = "<first line of that file>"`, so that secrets stay out of this file.
    fn take_secret_file(&mut self, key: &'static Key, path: &str, value: &Value) {
        let Some(file) = value.as_str() else { return self.problem(path, "is the path of a file, in quotes") };
        match std::fs::read_to_string(file) {
            Ok(text) => self.take_value(key, path, Value::String(text.lines().next().unwrap_or("").to_owned())),
            Err(error) => self.problem(path, format!("cannot read {file}: {error}")),
        }
    }

    fn take_variable(&mut self, variable: &str, path: &str, text: &str) {
        let wanted = path.to_ascii_lowercase();
        let found = KEYS.iter().find(|key| format!("{}__{}", key.section.replace('.', "__"), key.name) == wanted);
        let Some(key) = found else {
            return self.problem(variable, "names no setting: it is PUSHGATE_SECTION__KEY, such as PUSHGATE_PING__FOLDERS_MAX");
        };
        let value = match key.kind {
            Kind::Text | Kind::Choice(_) => Value::String(text.to_owned()),
            Kind::TextList | Kind::AddressList | Kind::NetworkList if !text.trim_start().starts_with('[') => {
                Value::Array(text.split(',').filter(|s| !s.is_empty()).map(|s| Value::String(s.trim().to_owned())).collect())
            }
            _ => match format!("x = {text}").parse::<Table>() {
                Ok(mut table) => table.remove("x").unwrap_or(Value::String(String::new())),
                Err(_) => return self.problem(variable, expectation(key.kind)),
            },
        };
        self.take_value(key, variable, value);
    }

    fn take_value(&mut self, key: &'static Key, place: &str, value: Value) {
        if let Err(message) = fits(key.kind, &value) {
            return self.problem(place, message);
        }
        self.written.push((key.section, key.name));
        self.values.insert((key.section, key.name), value);
    }

    fn value(&self, section: &str, name: &str) -> &Value {
        let found = self.values.iter().find(|((s, n), _)| *s == section && *n == name);
        found.map(|(_, value)| value).expect("every key read is in the definition (a test reads them all)")
    }

    pub(super) fn bool(&self, section: &str, name: &str) -> bool {
        self.value(section, name).as_bool().expect("type checked when taken")
    }

    pub(super) fn int<T: TryFrom<i64>>(&self, section: &str, name: &str) -> T {
        let int = self.value(section, name).as_integer().expect("type checked when taken");
        T::try_from(int).ok().expect("ranges in the definition fit the type")
    }

    pub(super) fn text(&self, section: &str, name: &str) -> String {
        self.value(section, name).as_str().expect("type checked when taken").to_owned()
    }

    pub(super) fn texts(&self, section: &str, name: &str) -> Vec<String> {
        let list = self.value(section, name).as_array().expect("type checked when taken");
        list.iter().filter_map(|v| v.as_str().map(str::to_owned)).collect()
    }

    pub(super) fn addresses(&self, section: &str, name: &str) -> Vec<SocketAddr> {
        self.texts(section, name).iter().filter_map(|t| t.parse().ok()).collect()
    }

    pub(super) fn nets(&self, section: &str, name: &str) -> Vec<IpNet> {
        self.texts(section, name).iter().filter_map(|t| parse_net(t)).collect()
    }
}

/// An address range, or a single address standing for itself.
pub(super) fn parse_net(text: &str) -> Option<IpNet> {
    text.parse::<IpNet>().ok().or_else(|| text.parse::<std::net::IpAddr>().ok().map(IpNet::from))
}

fn default_value(key: &Key) -> Value {
    let table: Table = format!("x = {}", key.default).parse().expect("defaults are TOML (a test parses them all)");
    table["x"].clone()
}

fn is_section(path: &str) -> bool {
    KEYS.iter().any(|key| key.section == path || key.section.strip_prefix(path).is_some_and(|rest| rest.starts_with('.')))
}

fn text_key(section: &str, name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.section == section && key.name == name && key.kind == Kind::Text)
}

fn expectation(kind: Kind) -> String {
    match kind {
        Kind::Bool => "is true or false".into(),
        Kind::Int(min, max) => format!("is a whole number from {min} to {max}"),
        Kind::Text => "is a string, in quotes".into(),
        Kind::Choice(choices) => format!("is one of {}", choices.join(", ")),
        Kind::TextList => "is a list of strings".into(),
        Kind::AddressList => "is a list of addresses with port, such as [\"0.0.0.0:443\", \"[::]:443\"]".into(),
        Kind::NetworkList => "is a list of address ranges, such as [\"192.0.2.0/24\"]".into(),
    }
}

fn fits(kind: Kind, value: &Value) -> Result<(), String> {
    let ok = match (kind, value) {
        (Kind::Bool, Value::Boolean(_)) | (Kind::Text, Value::String(_)) => true,
        (Kind::Int(min, max), Value::Integer(int)) => (min..=max).contains(int),
        (Kind::Choice(choices), Value::String(text)) => choices.contains(&text.as_str()),
        (Kind::TextList, Value::Array(list)) => list.iter().all(Value::is_str),
        (Kind::AddressList, Value::Array(list)) => list.iter().all(|v| v.as_str().is_some_and(|t| t.parse::<SocketAddr>().is_ok())),
        (Kind::NetworkList, Value::Array(list)) => list.iter().all(|v| v.as_str().is_some_and(|t| parse_net(t).is_some())),
        _ => false,
    };
    if ok { Ok(()) } else { Err(expectation(kind)) }
}

/// The key of the section that shares the longest beginning with what was written, for "did you mean".
fn nearest(section: &str, name: &str) -> Option<&'static str> {
    let common = |key: &&Key| key.name.bytes().zip(name.bytes()).take_while(|(a, b)| a == b).count();
    KEYS.iter().filter(|key| key.section == section).max_by_key(common).filter(|key| common(key) >= 3).map(|key| key.name)
}
