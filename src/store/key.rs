//! The key of the recovery passwords: a file made at first start, and AES-256-GCM under it.
//!
//! A sealed password is: version (1 byte), mark of the key (8), nonce (12, random), ciphertext with its tag (16). Whose it is goes in as
//! associated data, so a sealed password that is copied to another device does not open there.

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

use super::error::OpenError;
use crate::logic::eas::{DeviceId, Mailbox};

/// Bytes of the key.
const KEY_BYTES: usize = 32;
/// Bytes that say which key it was; they give nothing of it away.
const MARK_BYTES: usize = 8;
/// The first byte: how the rest is made.
const VERSION: u8 = 1;

/// The key. Never printed.
pub(super) struct SealingKey {
    key: RandomizedNonceKey,
    mark: [u8; MARK_BYTES],
}

/// Sealed under another key, or changed since.
#[derive(Debug)]
pub(super) struct Unreadable;

impl SealingKey {
    /// Reads the file, or makes it with mode 0600 when it is missing.
    pub(super) fn load_or_create(path: &Path) -> Result<Self, OpenError> {
        match load(path)? {
            Some(key) => Ok(key),
            None => create(path),
        }
    }

    fn new(bytes: &[u8]) -> Result<Self, OpenError> {
        let key = RandomizedNonceKey::new(&AES_256_GCM, bytes).map_err(|_| OpenError::Key("does not hold a key".into()))?;
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, bytes), b"pushgate: mark of the recovery key");
        let mut mark = [0; MARK_BYTES];
        mark.copy_from_slice(&tag.as_ref()[..MARK_BYTES]);
        Ok(SealingKey { key, mark })
    }

    /// Which key it is, as text.
    pub(super) fn mark(&self) -> String {
        self.mark.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Seals a device's password.
    pub(super) fn seal(&self, mailbox: &Mailbox, device_id: &DeviceId, password: &str) -> Result<Vec<u8>, Unreadable> {
        let mut inside = Zeroizing::new(Vec::with_capacity(password.len() + AES_256_GCM.tag_len()));
        inside.extend_from_slice(password.as_bytes());
        let nonce = self.key.seal_in_place_append_tag(whose(mailbox, device_id), &mut *inside).map_err(|_| Unreadable)?;
        let mut sealed = Vec::with_capacity(1 + MARK_BYTES + NONCE_LEN + inside.len());
        sealed.push(VERSION);
        sealed.extend_from_slice(&self.mark);
        sealed.extend_from_slice(nonce.as_ref());
        sealed.extend_from_slice(&inside);
        Ok(sealed)
    }

    /// Opens it again.
    pub(super) fn open(&self, mailbox: &Mailbox, device_id: &DeviceId, sealed: &[u8]) -> Result<Zeroizing<String>, Unreadable> {
        let (version, rest) = sealed.split_first().ok_or(Unreadable)?;
        let (mark, rest) = rest.split_at_checked(MARK_BYTES).ok_or(Unreadable)?;
        let (nonce, inside) = rest.split_at_checked(NONCE_LEN).ok_or(Unreadable)?;
        if *version != VERSION || mark != self.mark {
            return Err(Unreadable);
        }
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| Unreadable)?;
        let mut inside = Zeroizing::new(inside.to_vec());
        let password = self.key.open_in_place(nonce, whose(mailbox, device_id), &mut inside).map_err(|_| Unreadable)?;
        std::str::from_utf8(password).map(|password| Zeroizing::new(password.to_owned())).map_err(|_| Unreadable)
    }
}

/// Neither name holds a zero character, so two pairs never read the same.
fn whose(mailbox: &Mailbox, device_id: &DeviceId) -> Aad<Vec<u8>> {
    Aad::from(format!("{}\0{}", mailbox.as_str(), device_id.as_str()).into_bytes())
}

fn load(path: &Path) -> Result<Option<SealingKey>, OpenError> {
    let place = path.display();
    let failed = |error: io::Error| OpenError::Key(format!("cannot read {place}: {error}"));
    let file = match fs::File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(failed)?,
    };
    if file.metadata().map_err(failed)?.permissions().mode() & 0o077 != 0 {
        return Err(OpenError::Key(format!("{place} is open to others than its owner: chmod 600 it")));
    }
    let mut text = Zeroizing::new(String::new());
    file.take(1_024).read_to_string(&mut text).map_err(failed)?;
    let bytes = URL_SAFE_NO_PAD.decode(text.trim()).map(Zeroizing::new).ok().filter(|bytes| bytes.len() == KEY_BYTES);
    let Some(bytes) = bytes else {
        return Err(OpenError::Key(format!(
            "{place} must hold one line of 43 characters, as it was made: restore it, or remove it and lose the recovery passwords stored so far"
        )));
    };
    SealingKey::new(&bytes).map(Some)
}

/// Written whole beside its place and then linked to it, so that of several processes that start at once one makes the key.
fn create(path: &Path) -> Result<SealingKey, OpenError> {
    let failed = |error: io::Error| OpenError::Key(format!("cannot make {}: {error}", path.display()));
    let mut random = Zeroizing::new([0; KEY_BYTES]);
    aws_lc_rs::rand::fill(random.as_mut()).map_err(|_| OpenError::Key("the system gave no randomness for a key".into()))?;
    let draft = path.with_extension(format!("{}.new", std::process::id()));
    let written = write_new(&draft, &Zeroizing::new(URL_SAFE_NO_PAD.encode(random.as_ref()))).and_then(|()| fs::hard_link(&draft, path));
    let removed = fs::remove_file(&draft);
    match written {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => load(path)?.ok_or_else(|| failed(io::ErrorKind::NotFound.into())),
        Err(error) => Err(failed(error)),
        Ok(()) => {
            removed.map_err(failed)?;
            SealingKey::new(random.as_ref())
        }
    }
}

fn write_new(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    writeln!(file, "{text}")?;
    file.sync_all()
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealingKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> (Mailbox, DeviceId) {
        (Mailbox::normalise("hew@example.org", None, true).unwrap(), DeviceId::new(b"abc").unwrap())
    }

    #[test]
    fn what_is_sealed_opens_for_the_same_device_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let key = SealingKey::load_or_create(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let (mailbox, device) = names();
        let sealed = key.seal(&mailbox, &device, "s3cret, lang genug").unwrap();
        assert!(!sealed.windows(6).any(|part| part == b"s3cret"));
        assert_ne!(sealed, key.seal(&mailbox, &device, "s3cret, lang genug").unwrap(), "a nonce is used once");
        let again = SealingKey::load_or_create(&path).unwrap();
        assert_eq!(*again.open(&mailbox, &device, &sealed).unwrap(), "s3cret, lang genug");
        let other = DeviceId::new(b"other").unwrap();
        assert!(again.open(&mailbox, &other, &sealed).is_err());
        for at in 0..sealed.len() {
            let mut bad = sealed.clone();
            bad[at] ^= 1;
            assert!(again.open(&mailbox, &device, &bad).is_err(), "byte {at}");
            assert!(again.open(&mailbox, &device, &sealed[..at]).is_err(), "cut at {at}");
        }
        fs::remove_file(&path).unwrap();
        assert!(SealingKey::load_or_create(&path).unwrap().open(&mailbox, &device, &sealed).is_err(), "another key");
        assert_eq!(format!("{key:?}"), "SealingKey(…)");
    }

    #[test]
    fn a_key_file_that_others_read_or_that_holds_no_key_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        SealingKey::load_or_create(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(SealingKey::load_or_create(&path).unwrap_err().to_string().contains("chmod 600"));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        for bad in ["", "c2hvcnQ", "not base64 at all"] {
            fs::write(&path, bad).unwrap();
            assert!(SealingKey::load_or_create(&path).unwrap_err().to_string().contains("43 characters"), "{bad:?}");
        }
    }
}
