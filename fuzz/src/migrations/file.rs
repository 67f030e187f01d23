//! A store file, made by the steps of the program up to a version, with a row in each table.

use std::path::PathBuf;
use std::sync::OnceLock;

use rusqlite::Connection;
use rusqlite::types::Value;
use tempfile::TempDir;

use super::super::choices::Choices;

/// A released step, and rows that the tables of its version may have.
pub(super) struct Step {
    tables: &'static [&'static str],
    rows: &'static str,
}

/// All steps, the oldest first. A new one is added here together with its rows.
pub(super) const STEPS: [Step; 4] = [
    Step {
        tables: &[include_str!("../../../src/store/migrations/0001_devices_and_policies.sql")],
        rows: r#"
INSERT INTO policies VALUES ('standard', 'Standard', 2, 1700000000, '{"DevicePasswordEnabled":true,"MinDevicePasswordLength":6}');
INSERT INTO singles VALUES ('default_policy', 1, '"standard"');
INSERT INTO singles VALUES ('access_rules', 1, '{"rules":[],"default":"allow"}');
INSERT INTO mailboxes VALUES ('anna@example.org', 1, 'standard', '{"active_sync_enabled":true}');
INSERT INTO domains VALUES ('example.org', 'standard');
INSERT INTO member_lists (kind, name, rank, revision, policy) VALUES ('list', 'sales', 1, 1, 'standard'), ('group', 'staff', 2, 1, NULL);
INSERT INTO members VALUES ('list', 'sales', 'anna@example.org'), ('group', 'staff', 'ben@example.org');
INSERT INTO devices (mailbox, device_id, generation, revision, device_type, user_agent, version, information, information_words,
  first_sync_at, last_attempt_at, folders_synced, provisioning, access_state, access_why, recovery_password)
  VALUES ('anna@example.org', 'APPL1', 1, 1, 'iPhone', 'Apple-iPhone', '14.1', '{"model":"iPhone"}', 'iphone',
  1700000000, 1700000001, 3, '{}', 'allowed', '{"because":"default"}', x'0102');
INSERT INTO removed_devices VALUES (1, 'ben@example.org', 'GONE1');"#,
    },
    Step {
        tables: &[
            include_str!("../../../src/store/migrations/0002_tokens_and_audit.sql"),
            include_str!("../../../src/store/migrations/0002_sqlite.sql"),
        ],
        rows: r#"
INSERT INTO tokens VALUES ('t1', 'monitoring', 'viewer', '$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaGhhc2g', 1700000000, 'root', NULL, NULL, NULL);
INSERT INTO audit (at, actor, source, act, mailbox, device_id, subject, outcome, detail)
  VALUES (1700000000, 'root', 'shell', 'policy create', NULL, NULL, 'Standard', 'done', '');"#,
    },
    Step {
        tables: &[
            include_str!("../../../src/store/migrations/0003_directory_and_retention.sql"),
            include_str!("../../../src/store/migrations/0003_sqlite.sql"),
        ],
        rows: "UPDATE member_lists SET origin = 'directory' WHERE kind = 'group';",
    },
    Step {
        tables: &[include_str!("../../../src/store/migrations/0004_revisions_and_tokens.sql")],
        rows: "UPDATE domains SET revision = 2;",
    },
];

/// What an administrator or a device said, by table; the rest is the store's own bookkeeping, or decided anew when it opens.
const KEPT: [(&str, &str); 9] = [
    ("policies", "folded, name, revision, changed_at, settings"),
    ("singles", "name, revision, value"),
    ("mailboxes", "mailbox, revision, policy, settings"),
    ("domains", "domain, policy"),
    ("member_lists", "kind, name, rank, revision, policy"),
    ("members", "kind, name, mailbox"),
    ("devices", "id, mailbox, device_id, first_sync_at, recovery_password"),
    ("tokens", "id, name, role, hash, made_at, made_by, revoked_at"),
    ("audit", "id, at, actor, source, act, mailbox, device_id, subject, outcome, detail"),
];

/// Texts that are nearly right somewhere.
const TEXTS: [&str; 12] =
    ["", "{}", "[]", "null", "\"standard\"", "{\"rules\":[{}]}", "allowed", "list", "x@y", "{\"because\":\"rule\"}", "16.1", "\u{0}"];

/// A file in a folder of its own, which goes when it is dropped.
pub(super) struct File(TempDir);

impl File {
    /// A sound one.
    pub(super) fn of_version(version: usize) -> Self {
        static SOUND: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
        let sound = SOUND.get_or_init(|| (1..=STEPS.len()).map(make).collect());
        let file = File::new();
        std::fs::write(file.path(), &sound[version - 1]).expect("there is room");
        file
    }

    fn new() -> Self {
        File(tempfile::tempdir().expect("a place for files"))
    }

    pub(super) fn path(&self) -> PathBuf {
        self.0.path().join("store.db")
    }

    pub(super) fn key_path(&self) -> PathBuf {
        self.0.path().join("store.key")
    }

    fn connect(&self) -> Connection {
        Connection::open(self.path()).expect("it is a file")
    }

    /// Every row that is to be kept, with its table; tables and columns that are not there have none.
    pub(super) fn rows(&self) -> Vec<(&'static str, Vec<Value>)> {
        let connection = self.connect();
        let mut all = Vec::new();
        for (table, columns) in KEPT {
            let rows = read(&connection, &format!("SELECT {columns} FROM {table}")).unwrap_or_default();
            all.extend(rows.into_iter().map(|row| (table, row)));
        }
        all
    }

    pub(super) fn version(&self) -> Option<i64> {
        self.connect().query_row("SELECT max(version) FROM schema_version", [], |row| row.get(0)).ok()
    }

    /// Changes rows or tables as somebody with a shell might. What the database refuses is not done.
    pub(super) fn change(&self, choices: &mut Choices<'_>) {
        let connection = self.connect();
        // As the tools do that people repair databases with.
        connection.execute_batch("PRAGMA foreign_keys = OFF; PRAGMA ignore_check_constraints = ON;").expect("it takes settings");
        let tables = names(&connection, "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name");
        if tables.is_empty() {
            return;
        }
        let table = &tables[choices.below(tables.len())];
        let columns = names(&connection, &format!("SELECT name FROM pragma_table_info('{table}')"));
        if columns.is_empty() {
            return;
        }
        let column = &columns[choices.below(columns.len())];
        let done = match choices.below(12) {
            0 => connection.execute(&format!("DELETE FROM {table}"), []),
            1 => connection.execute_batch(&format!("DROP TABLE {table}")).map(|()| 0),
            2 => connection.execute_batch(&format!("ALTER TABLE {table} DROP COLUMN {column}")).map(|()| 0),
            3 => connection.execute_batch(&format!("ALTER TABLE {table} RENAME COLUMN {column} TO renamed")).map(|()| 0),
            4 => connection.execute(&format!("INSERT INTO {table} ({column}) VALUES (?1)"), [value(choices)]),
            5 => {
                let others: Vec<&str> = columns.iter().map(String::as_str).filter(|other| other != column && *other != "id").collect();
                let others = others.join(", ");
                let copy = format!("INSERT OR IGNORE INTO {table} ({column}, {others}) SELECT ?1, {others} FROM {table}");
                connection.execute(&copy, [value(choices)])
            }
            _ => connection.execute(&format!("UPDATE OR IGNORE {table} SET {column} = ?1"), [value(choices)]),
        };
        // Refused, as the trail of what administrators did refuses every change.
        let _ = done;
    }

    /// Overwrites bytes, or cuts the end off.
    pub(super) fn damage(&self, choices: &mut Choices<'_>) {
        let mut bytes = std::fs::read(self.path()).expect("it is a file");
        let place = (usize::from(choices.byte()) << 8 | usize::from(choices.byte())) % bytes.len().max(1);
        match choices.byte() {
            0 => bytes.truncate(place),
            _ => bytes.iter_mut().skip(place).zip(choices.bytes()).for_each(|(byte, damaged)| *byte = *damaged),
        }
        std::fs::write(self.path(), bytes).expect("there is room");
    }
}

/// The bytes of a sound file.
fn make(version: usize) -> Vec<u8> {
    let file = File::new();
    let connection = file.connect();
    let mut all = format!("CREATE TABLE schema_version (version BIGINT NOT NULL); INSERT INTO schema_version VALUES ({version});");
    for step in &STEPS[..version] {
        let tables = step.tables.concat().replace("{identity}", "INTEGER PRIMARY KEY AUTOINCREMENT").replace("{bytes}", "BLOB");
        all += &tables;
        all += step.rows;
    }
    connection.execute_batch(&all).expect("the steps are sound");
    drop(connection);
    std::fs::read(file.path()).expect("it was made")
}

/// Texts of the first column; none if the database does not say.
fn names(connection: &Connection, query: &str) -> Vec<String> {
    let text = |row: Vec<Value>| match row.into_iter().next() {
        Some(Value::Text(text)) => Some(text),
        _ => None,
    };
    read(connection, query).unwrap_or_default().into_iter().filter_map(text).collect()
}

fn read(connection: &Connection, query: &str) -> rusqlite::Result<Vec<Vec<Value>>> {
    let mut statement = connection.prepare(query)?;
    let count = statement.column_count();
    let mut rows = statement.query([])?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        all.push((0..count).map(|column| row.get(column)).collect::<rusqlite::Result<Vec<Value>>>()?);
    }
    Ok(all)
}

fn value(choices: &mut Choices<'_>) -> Value {
    match choices.below(8) {
        0 => Value::Null,
        1 => Value::Integer(choices.byte().into()),
        2 => Value::Integer(choices.pick(&[i64::MAX, i64::MIN, -1, 1 << 32, 1 << 53])),
        3 => Value::Real(choices.pick(&[0.5, -1e300, 1e18])),
        4 => Value::Blob(choices.bytes().to_vec()),
        5 => Value::Text(String::from_utf8_lossy(choices.bytes()).into_owned()),
        _ => Value::Text(choices.pick(&TEXTS).to_owned()),
    }
}
