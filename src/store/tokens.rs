//! Tokens of administrators and their scripts: made, listed, revoked, proved right.
//!
//! A token is `pgt_ID_SECRET`. The id is found in memory, so a wrong one costs nothing; the secret is checked against an argon2id hash, at
//! most a few at once; what was proved once is remembered as a keyed hash, so that a script pays for the slow one only the first time.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, PoisonError};

use argon2::{Algorithm, Argon2, Params, Version};
use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::audit::{By, DEVICE, DIRECTORY, Deed};
use super::error::StoreError;
use super::rows::strange;
use super::shared::Shared;
use super::sql::{Sql, SqlError, params};
use super::{Store, now};
use crate::config::limits::TOKENS_MAX;
use crate::logic::policy::Timestamp;

/// What every token begins with, so that scanners for leaked secrets know one.
const PREFIX: &str = "pgt_";
/// Random bytes of an id and of a secret.
const ID_BYTES: usize = 8;
const SECRET_BYTES: usize = 32;
const SALT_BYTES: usize = 16;
/// Memory (KiB) and passes, OWASP's first choice for argon2id.
const COST: (u32, u32) = (19_456, 2);
/// What a stored hash may ask for at most: the database is not to decide how much memory is taken.
const COST_MAX: (u32, u32) = (1 << 18, 16);

/// The actor of what is done with the token of the token file.
pub const TOKEN_FILE: &str = "token file";
/// Whom the audit trail names beside tokens.
const ACTORS: [&str; 3] = [TOKEN_FILE, DEVICE, DIRECTORY];

/// What a token may do; each may all that the ones before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// Look.
    Viewer,
    /// Also help people: block, wipe, cancel. Recovery passwords are for admins.
    Helpdesk,
    /// Everything.
    Admin,
}

/// A token without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// What it is called in lists and by `revoke`.
    pub id: String,
    /// Whose or what for.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// When it was made.
    pub made_at: Timestamp,
    /// By whom.
    pub made_by: String,
    /// When it was last used; up to `store.flush_s` late.
    pub last_used_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// By whom.
    pub revoked_by: Option<String>,
    hash: Hash,
}

/// Not a secret that opens anything, but nobody's business.
#[derive(Clone, PartialEq, Eq)]
struct Hash(String);

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hash(…)")
    }
}

/// A token just made: the only time its secret is shown.
pub struct NewToken {
    /// Its id.
    pub id: String,
    /// All of it.
    pub token: Zeroizing<String>,
}

impl fmt::Debug for NewToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NewToken({}, …)", self.id)
    }
}

/// Who uses a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenUse {
    /// The token's id.
    pub id: String,
    /// The token's name: the actor of the audit trail.
    pub name: String,
    /// What it may do.
    pub role: Role,
}

impl Role {
    /// All, the least first.
    pub const ALL: [Role; 3] = [Role::Viewer, Role::Helpdesk, Role::Admin];

    /// As in commands and answers.
    pub fn name(self) -> &'static str {
        match self {
            Role::Viewer => "viewer",
            Role::Helpdesk => "helpdesk",
            Role::Admin => "admin",
        }
    }
}

impl FromStr for Role {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Role::ALL.into_iter().find(|role| role.name() == text).ok_or(())
    }
}

impl Store {
    /// Makes a token.
    ///
    /// # Errors
    /// See [`StoreError`]; there are too many.
    pub async fn make_token(&self, by: &By, name: &str, role: Role) -> Result<NewToken, StoreError> {
        let name = name.trim().to_owned();
        if name.is_empty() || name.chars().count() > 64 || name.contains(char::is_control) {
            return Err(StoreError::Unsuitable("a token's name has 1 to 64 characters, none of them a control character".into()));
        }
        if ACTORS.iter().any(|actor| actor.eq_ignore_ascii_case(&name)) {
            return Err(StoreError::Unsuitable(format!("the audit trail says {name:?} of something else: give the token another name")));
        }
        let no_randomness = |_| StoreError::Unavailable("the system gave no randomness for a token".into());
        let (mut id, mut secret) = ([0; ID_BYTES], Zeroizing::new([0; SECRET_BYTES]));
        aws_lc_rs::rand::fill(&mut id).and_then(|()| aws_lc_rs::rand::fill(secret.as_mut())).map_err(no_randomness)?;
        let id: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
        let secret = Zeroizing::new(URL_SAFE_NO_PAD.encode(secret.as_ref()));
        let token = Zeroizing::new(format!("{PREFIX}{id}_{}", *secret));
        let hash = tokio::task::spawn_blocking(move || new_hash(&secret)).await;
        let hash = hash.ok().flatten().ok_or_else(|| StoreError::Unavailable("the token could not be hashed".into()))?;
        let deed = Deed::new("token make").subject(&name).detail(format!("{id}, {}", role.name()));
        let (made_by, key) = (by.actor.clone(), id.clone());
        self.act(by, deed, move |tx| {
            if tx.snapshot.tokens.len() >= TOKENS_MAX {
                return Err(StoreError::Full(format!("there are {TOKENS_MAX} tokens, the revoked ones included, which is the limit")));
            }
            // The trail names people by their token's name.
            let in_use = tx.sql.query("SELECT name FROM tokens WHERE revoked_at IS NULL", &[])?;
            for row in &in_use {
                if row.text(0)?.to_lowercase() == name.to_lowercase() {
                    return Err(StoreError::Exists(format!("a token {name} in use")));
                }
            }
            tx.touched.snapshot = true;
            tx.sql.execute(
                "INSERT INTO tokens (id, name, role, hash, made_at, made_by) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                params![key, name, role.name(), hash, tx.now, made_by],
            )?;
            Ok(())
        })
        .await?;
        Ok(NewToken { id, token })
    }

    /// All tokens, the revoked ones too, by id.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn tokens(&self) -> Result<Vec<Token>, StoreError> {
        self.read(|sql| Ok(load(sql)?.into_values().collect())).await
    }

    /// Takes a token out of use, at once.
    ///
    /// # Errors
    /// See [`StoreError`]; there is none, or it was revoked before.
    pub async fn revoke_token(&self, by: &By, id: &str) -> Result<(), StoreError> {
        let (id, revoked_by) = (id.to_owned(), by.actor.clone());
        let deed = Deed::new("token revoke").subject(&id);
        self.act(by, deed, move |tx| {
            tx.touched.snapshot = true;
            let statement = "UPDATE tokens SET revoked_at = ?2, revoked_by = ?3 WHERE id = ?1 AND revoked_at IS NULL";
            match tx.sql.execute(statement, params![id.as_str(), tx.now, revoked_by])? {
                0 => Err(StoreError::Missing(format!("token {id} in use"))),
                _ => Ok(()),
            }
        })
        .await
    }

    /// Who a token belongs to; `None` if it is not (any more) a token. Works with the database away; touches only memory.
    pub async fn prove_token(&self, token: &str) -> Option<TokenUse> {
        let (id, secret) = token.strip_prefix(PREFIX)?.split_once('_')?;
        let known = self.snapshot().tokens.get(id).filter(|token| token.revoked_at.is_none()).cloned()?;
        let shared = &self.0.shared;
        if !is_proved(shared, id, token) {
            let _turn = shared.proving.acquire().await.ok()?;
            let (secret, hash) = (Zeroizing::new(secret.to_owned()), known.hash.0.clone());
            let is_right = tokio::task::spawn_blocking(move || is_hash_of(&hash, &secret)).await.unwrap_or(false);
            if !is_right {
                return None;
            }
            let tag = hmac::sign(&shared.proving_key, token.as_bytes());
            shared.proved.lock().unwrap_or_else(PoisonError::into_inner).insert(id.to_owned(), tag);
        }
        shared.inbox.lock().tokens_used.insert(id.to_owned(), now());
        Some(TokenUse { id: known.id, name: known.name, role: known.role })
    }
}

fn is_proved(shared: &Arc<Shared>, id: &str, token: &str) -> bool {
    let proved = shared.proved.lock().unwrap_or_else(PoisonError::into_inner);
    proved.get(id).is_some_and(|tag| hmac::verify(&shared.proving_key, token.as_bytes(), tag.as_ref()).is_ok())
}

/// In the usual form: `$argon2id$v=19$m=…,t=…,p=1$SALT$HASH`.
fn new_hash(secret: &str) -> Option<String> {
    let mut salt = [0; SALT_BYTES];
    aws_lc_rs::rand::fill(&mut salt).ok()?;
    let hash = slow_hash(secret, &salt, COST)?;
    let (salt, hash) = (STANDARD_NO_PAD.encode(salt), STANDARD_NO_PAD.encode(hash));
    Some(format!("$argon2id$v=19$m={},t={},p=1${salt}${hash}", COST.0, COST.1))
}

fn is_hash_of(stored: &str, secret: &str) -> bool {
    let read = || {
        let mut parts = stored.strip_prefix("$argon2id$v=19$m=")?.split('$');
        let (memory, rest) = parts.next()?.split_once(",t=")?;
        let cost = (memory.parse().ok()?, rest.strip_suffix(",p=1")?.parse().ok()?);
        let (salt, hash) = (STANDARD_NO_PAD.decode(parts.next()?).ok()?, STANDARD_NO_PAD.decode(parts.next()?).ok()?);
        (cost.0 <= COST_MAX.0 && cost.1 <= COST_MAX.1).then_some((cost, salt, hash))
    };
    let Some((cost, salt, hash)) = read() else { return false };
    slow_hash(secret, &salt, cost).is_some_and(|computed| computed.ct_eq(hash.as_slice()).into())
}

fn slow_hash(secret: &str, salt: &[u8], (memory, passes): (u32, u32)) -> Option<[u8; 32]> {
    let params = Params::new(memory, passes, 1, Some(32)).ok()?;
    let mut hash = [0; 32];
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params).hash_password_into(secret.as_bytes(), salt, &mut hash).ok()?;
    Some(hash)
}

pub(super) fn load(sql: &mut dyn Sql) -> Result<BTreeMap<String, Token>, SqlError> {
    let columns = "SELECT id, name, role, hash, made_at, made_by, last_used_at, revoked_at, revoked_by FROM tokens";
    let rows = sql.query(columns, &[])?;
    let token = |row: &super::sql::Row| {
        let token = Token {
            id: row.text(0)?.to_owned(),
            name: row.text(1)?.to_owned(),
            role: row.text(2)?.parse().map_err(|()| strange("a role"))?,
            hash: Hash(row.text(3)?.to_owned()),
            made_at: row.time(4)?,
            made_by: row.text(5)?.to_owned(),
            last_used_at: row.some_time(6)?,
            revoked_at: row.some_time(7)?,
            revoked_by: row.some_text(8)?.map(str::to_owned),
        };
        Ok((token.id.clone(), token))
    };
    rows.iter().map(token).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_knows_its_secret_and_no_other() {
        let hash = new_hash("the right one").unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        assert!(is_hash_of(&hash, "the right one"));
        assert!(!is_hash_of(&hash, "the wrong one"));
        assert!(!is_hash_of(&hash.replace("m=19456", "m=99999999"), "the right one"), "it asks for too much");
        for bad in ["", "$argon2id$", "$argon2id$v=19$m=1,t=1,p=1$$", "plain"] {
            assert!(!is_hash_of(bad, ""), "{bad}");
        }
    }
}
