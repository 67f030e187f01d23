//! `[store]`: where partnerships, policies and the audit trail are kept.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use zeroize::Zeroizing;

use super::values::Values;

/// `[store]`
#[derive(Debug, Clone)]
pub struct Store {
    /// Which database.
    pub url: StoreUrl,
    /// Of the PostgreSQL user, if the URL has none.
    pub password: Secret,
    /// CA file to verify PostgreSQL with; `None`: the system's.
    pub ca: Option<PathBuf>,
    /// Key of the recovery passwords, created when missing.
    pub key_file: PathBuf,
    /// How often what was seen of devices is written.
    pub flush: Duration,
    /// How long the audit trail is kept; `None`: for ever.
    pub audit_keep: Option<Duration>,
}

/// Which database.
#[derive(Debug, Clone)]
pub enum StoreUrl {
    /// A file.
    Sqlite(PathBuf),
    /// A server: `postgres://USER@HOST/DATABASE`. May hold a password.
    Postgres(Secret),
}

/// A text that is never printed.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Wraps a text.
    pub fn new(text: impl Into<String>) -> Self {
        Secret(Zeroizing::new(text.into()))
    }

    /// The text.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

pub(super) fn build(v: &mut Values) -> Store {
    let text = v.text("store", "url");
    let url = match text.split_once(':') {
        Some(("sqlite", path)) if !path.is_empty() => StoreUrl::Sqlite(PathBuf::from(path.strip_prefix("//").unwrap_or(path))),
        Some(("postgres" | "postgresql", rest)) if rest.starts_with("//") => StoreUrl::Postgres(Secret::new(text.clone())),
        _ => {
            // Not repeated in the message: it may hold a password.
            v.problem("store.url", "is sqlite:FILE or postgres://USER@HOST/DATABASE");
            StoreUrl::Sqlite(PathBuf::from("pushgate.db"))
        }
    };
    Store {
        url,
        password: Secret::new(v.text("store", "password")),
        ca: Some(v.text("store", "ca")).filter(|path| !path.is_empty()).map(PathBuf::from),
        key_file: PathBuf::from(v.text("store", "key_file")),
        flush: Duration::from_secs(v.int("store", "flush_s")),
        audit_keep: Some(v.int("store", "audit_keep_days")).filter(|days| *days > 0).map(|days: u64| Duration::from_secs(days * 86_400)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Problem};

    fn read(text: &str) -> Result<Store, Vec<Problem>> {
        Config::parse(&format!("[backend]\nurl = [\"http://127.0.0.1\"]\n[store]\n{text}"), std::iter::empty()).map(|config| config.store)
    }

    #[test]
    fn a_database_is_a_file_or_a_server() {
        assert!(matches!(read("").unwrap().url, StoreUrl::Sqlite(path) if path.as_os_str() == "pushgate.db"));
        assert!(
            matches!(read("url = \"sqlite:///var/lib/p.db\"").unwrap().url, StoreUrl::Sqlite(path) if path.as_os_str() == "/var/lib/p.db")
        );
        let store = read("url = \"postgres://u:hush@db.example.org/pushgate\"\npassword = \"hush\"").unwrap();
        assert!(matches!(&store.url, StoreUrl::Postgres(url) if url.reveal().ends_with("/pushgate")));
        assert!(!format!("{store:?}").contains("hush"));
    }

    #[test]
    fn anything_else_is_refused_without_repeating_it() {
        for bad in ["mysql://u:hush@db/p", "pushgate.db", "sqlite:", "postgres:db"] {
            let problems = read(&format!("url = {bad:?}")).unwrap_err();
            assert_eq!(problems[0].place, "store.url");
            assert!(!problems[0].message.contains("hush"));
        }
    }
}
