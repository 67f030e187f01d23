//! Whose devices they are.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::keys::Keys;

/// `[users]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Users {
    /// `{}` stands for the number.
    Pattern { user: String, mailbox: String, password: String, first: usize, count: usize },
    /// `user,password,mailbox` a line; the mailbox may be left out.
    File { path: PathBuf, count: usize },
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    pub name: Box<str>,
    pub password: Box<str>,
    /// As notifications and mail call it.
    pub mailbox: Box<str>,
}

impl Users {
    pub(super) fn of(keys: Option<Keys>) -> Option<Users> {
        let usual = |user: String, mailbox: Option<String>, password: Option<String>, first, count| Users::Pattern {
            mailbox: mailbox.unwrap_or_else(|| if user.contains('@') { user.clone() } else { format!("{user}@example.org") }),
            user,
            password: password.unwrap_or_else(|| "test".into()),
            first,
            count,
        };
        let Some(mut keys) = keys else { return Some(usual("user{}".into(), None, None, 1, usize::MAX)) };
        let (pattern, mailbox, password) = (keys.take::<String>("pattern"), keys.take("mailbox"), keys.take("password"));
        let (first, count) = (keys.take("first").unwrap_or(1), keys.take::<usize>("count"));
        match (keys.take::<PathBuf>("file"), pattern) {
            (None, pattern) => {
                if count == Some(0) {
                    keys.problem("count", "is above 0");
                }
                Some(usual(pattern.unwrap_or_else(|| "user{}".into()), mailbox, password, first, count.unwrap_or(usize::MAX).max(1)))
            }
            (Some(_), Some(_)) => {
                keys.problem("file", "or pattern: one of them");
                None
            }
            (Some(path), None) => {
                let count = rows(&path).map(|rows| rows.len()).map_err(|error| keys.problem("file", &error)).ok()?;
                Some(Users::File { path, count })
            }
        }
    }

    /// The users of these devices, in their order. Several devices share a user where there are fewer users.
    ///
    /// # Errors
    /// The file cannot be read any more.
    pub fn of_devices(&self, first_device: usize, devices: usize) -> Result<Vec<User>, String> {
        match self {
            Users::Pattern { .. } => Ok((first_device..first_device + devices).filter_map(|device| self.by_pattern(device)).collect()),
            Users::File { path, .. } => {
                let rows = rows(path)?;
                Ok((first_device..first_device + devices).map(|device| rows[device % rows.len()].clone()).collect())
            }
        }
    }

    /// The user of a device; `None`: there is no pattern.
    pub fn by_pattern(&self, device: usize) -> Option<User> {
        let Users::Pattern { user, mailbox, password, first, count } = self else { return None };
        let number = (first + device % count).to_string();
        let fill = |pattern: &str| pattern.replace("{}", &number).into_boxed_str();
        Some(User { name: fill(user), password: fill(password), mailbox: fill(mailbox) })
    }
}

fn rows(path: &Path) -> Result<Vec<User>, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let mut users = Vec::new();
    for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#')) {
        let mut fields = line.split(',').map(str::trim);
        let (Some(name), Some(password)) = (fields.next().filter(|name| !name.is_empty()), fields.next()) else {
            return Err(format!("{}:{}: a line is user,password,mailbox", path.display(), index + 1));
        };
        let mailbox = fields.next().filter(|mailbox| !mailbox.is_empty()).unwrap_or(name);
        users.push(User { name: name.into(), password: password.into(), mailbox: mailbox.into() });
    }
    if users.is_empty() { Err(format!("{}: no user", path.display())) } else { Ok(users) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_count_on_and_wrap_around() {
        let users = Users::Pattern { user: "u{}".into(), mailbox: "u{}@x".into(), password: "p".into(), first: 5, count: 2 };
        let names: Vec<_> = users.of_devices(0, 3).unwrap().into_iter().map(|user| user.mailbox).collect();
        assert_eq!(names, ["u5@x".into(), "u6@x".into(), "u5@x".into()] as [Box<str>; 3]);
    }

    #[test]
    fn files_have_a_user_a_line() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("users.csv");
        std::fs::write(&path, "# who\nann,one,ann@x\n\nbob,two\n").unwrap();
        let users = Users::File { path: path.clone(), count: 2 }.of_devices(1, 2).unwrap();
        assert_eq!((&*users[0].mailbox, &*users[1].mailbox, &*users[1].password), ("bob", "ann@x", "one"));
        std::fs::write(&path, "ann\n").unwrap();
        assert!(rows(&path).unwrap_err().contains("users.csv:1"));
    }
}
