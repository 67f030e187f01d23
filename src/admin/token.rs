//! The token of the internal address: made at first start, kept in a file that only its owner reads.

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// Random bytes of a token we make; 43 characters.
const RANDOM_BYTES: usize = 32;
/// Shortest and longest token taken from a file: long enough not to be guessed, short enough for a header.
const CHARACTERS: std::ops::RangeInclusive<usize> = 20..=1_024;

/// The secret. Never printed.
#[derive(Clone)]
pub struct Token(Zeroizing<String>);

/// Why there is no token. The sentence says what to do.
#[derive(Debug)]
pub struct TokenError(String);

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for TokenError {}

/// Reads the token, or makes one with mode 0600 when the file is missing.
pub fn load_or_create(path: &Path) -> Result<Token, TokenError> {
    match load(path) {
        Ok(Some(token)) => Ok(token),
        Ok(None) => create(path),
        Err(error) => Err(error),
    }
}

/// Reads the token; `None` when the file is missing.
pub fn load(path: &Path) -> Result<Option<Token>, TokenError> {
    let place = path.display();
    let failed = |error: io::Error| TokenError(format!("cannot read the token file {place}: {error}"));
    let file = match fs::File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(failed)?,
    };
    // The group is the operator's choice: monitoring may share it. The rest of the machine may not.
    if file.metadata().map_err(failed)?.permissions().mode() & 0o007 != 0 {
        return Err(TokenError(format!("the token file {place} is open to everybody on this machine: chmod 600 it, and make a new token")));
    }
    let mut text = Zeroizing::new(String::new());
    file.take(*CHARACTERS.end() as u64 + 2).read_to_string(&mut text).map_err(failed)?;
    let token = text.trim();
    if !CHARACTERS.contains(&token.len()) || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(TokenError(format!(
            "the token file {place} must hold one line of {} to {} printable characters: remove it, and a new one is made",
            CHARACTERS.start(),
            CHARACTERS.end()
        )));
    }
    Ok(Some(Token(Zeroizing::new(token.to_owned()))))
}

/// Written whole beside its place and then linked to it: of several processes that start at once one makes the token,
/// and none reads half of it.
fn create(path: &Path) -> Result<Token, TokenError> {
    let failed = |error: io::Error| TokenError(format!("cannot make the token file {}: {error}", path.display()));
    let mut random = Zeroizing::new([0; RANDOM_BYTES]);
    aws_lc_rs::rand::fill(random.as_mut()).map_err(|_| TokenError("the system gave no randomness for a token".into()))?;
    let token = Zeroizing::new(URL_SAFE_NO_PAD.encode(random.as_ref()));
    let draft = path.with_extension(format!("{}.new", std::process::id()));
    let written = write_new(&draft, &token).and_then(|()| fs::hard_link(&draft, path));
    let removed = fs::remove_file(&draft);
    match written {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => load(path)?.ok_or_else(|| failed(io::ErrorKind::NotFound.into())),
        Err(error) => Err(failed(error)),
        Ok(()) => {
            removed.map_err(failed)?;
            Ok(Token(token))
        }
    }
}

fn write_new(path: &Path, token: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    writeln!(file, "{token}")?;
    file.sync_all()
}

impl Token {
    /// Whether this is the token. Takes the same time wherever the first difference is.
    pub fn is(&self, offered: &[u8]) -> bool {
        self.0.as_bytes().ct_eq(offered).into()
    }

    /// The secret itself, for the commands that call the internal address.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

/// The secret in an `Authorization` header: of `Bearer SECRET`, or the password of Basic.
pub fn in_header(authorization: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let at = authorization.iter().position(|byte| *byte == b' ')?;
    let (scheme, credentials) = (&authorization[..at], authorization[at..].trim_ascii());
    if scheme.eq_ignore_ascii_case(b"Bearer") {
        return Some(Zeroizing::new(credentials.to_vec()));
    }
    if !scheme.eq_ignore_ascii_case(b"Basic") {
        return None;
    }
    let pair = STANDARD.decode(credentials).map(Zeroizing::new).ok()?;
    let colon = pair.iter().position(|byte| *byte == b':')?;
    Some(Zeroizing::new(pair[colon + 1..].to_vec()))
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_start_makes_a_token_that_later_starts_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("pushgate.token");
        let made = load_or_create(&path).expect("made");
        assert_eq!(made.reveal().len(), 43);
        assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
        assert_eq!(load_or_create(&path).expect("read").reveal(), made.reveal());
        assert_eq!(fs::read_dir(folder.path()).expect("listed").count(), 1, "no draft is left");
        assert!(!format!("{made:?}").contains(made.reveal()));
    }

    #[test]
    fn of_many_that_start_at_once_all_get_the_same_token() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("token");
        let first = create(&path).expect("made");
        assert_eq!(create(&path).expect("read").reveal(), first.reveal());
        assert_eq!(fs::read_dir(folder.path()).expect("listed").count(), 1);
    }

    #[test]
    fn a_file_that_others_may_read_or_that_holds_no_token_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("token");
        load_or_create(&path).expect("made");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("changed");
        assert!(load_or_create(&path).expect_err("open to all").to_string().contains("chmod 600"));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("changed");
        load_or_create(&path).expect("the group may");
        for bad in [String::new(), "short\n".into(), "two lines of text\nand more of it".into(), "x".repeat(2_000)] {
            fs::write(&path, &bad).expect("written");
            let error = load_or_create(&path).expect_err(&bad).to_string();
            assert!(bad.trim().is_empty() || !error.contains(bad.trim()), "{error}");
        }
    }

    #[test]
    fn the_token_is_known_as_bearer_and_as_basic_password_only() {
        let token = Token(Zeroizing::new("abcdefghijklmnopqrstuvwxyz".into()));
        let basic = |text: &str| format!("Basic {}", STANDARD.encode(text));
        for good in [
            "Bearer abcdefghijklmnopqrstuvwxyz".into(),
            "bearer  abcdefghijklmnopqrstuvwxyz ".into(),
            basic("dovecot:abcdefghijklmnopqrstuvwxyz"),
            basic(":abcdefghijklmnopqrstuvwxyz"),
        ] {
            assert!(in_header(good.as_bytes()).is_some_and(|secret| token.is(&secret)), "{good}");
        }
        for bad in [
            "".into(),
            "Bearer".into(),
            "Bearer ".into(),
            "Bearer abcdefghijklmnopqrstuvwxy".into(),
            "abcdefghijklmnopqrstuvwxyz".into(),
            "Digest abcdefghijklmnopqrstuvwxyz".into(),
            basic("abcdefghijklmnopqrstuvwxyz:x"),
            basic("abcdefghijklmnopqrstuvwxyz"),
            "Basic %%%".into(),
        ] {
            assert!(!in_header(bad.as_bytes()).is_some_and(|secret| token.is(&secret)), "{bad}");
        }
    }
}
