//! The six combinations of TLS version and AEAD that devices may negotiate.

use aws_lc_rs::aead;
use rustls::{ConnectionTrafficSecrets, ProtocolVersion};

/// TLS version and AEAD of a connection. The number is stable: it may travel to another process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
#[expect(missing_docs, reason = "names of the standards")]
pub enum Suite {
    Tls12Aes128Gcm = 1,
    Tls12Aes256Gcm = 2,
    Tls12ChaCha20Poly1305 = 3,
    Tls13Aes128Gcm = 4,
    Tls13Aes256Gcm = 5,
    Tls13ChaCha20Poly1305 = 6,
}

impl Suite {
    /// Every suite, oldest first.
    pub const ALL: [Suite; 6] = [
        Suite::Tls12Aes128Gcm,
        Suite::Tls12Aes256Gcm,
        Suite::Tls12ChaCha20Poly1305,
        Suite::Tls13Aes128Gcm,
        Suite::Tls13Aes256Gcm,
        Suite::Tls13ChaCha20Poly1305,
    ];

    /// For metrics and logs: `"1.2"` or `"1.3"`.
    pub fn version(self) -> &'static str {
        if self.is_tls13() { "1.3" } else { "1.2" }
    }

    /// For metrics and logs: the AEAD, in lower case.
    pub fn cipher(self) -> &'static str {
        match self {
            Suite::Tls12Aes128Gcm | Suite::Tls13Aes128Gcm => "aes128-gcm",
            Suite::Tls12Aes256Gcm | Suite::Tls13Aes256Gcm => "aes256-gcm",
            Suite::Tls12ChaCha20Poly1305 | Suite::Tls13ChaCha20Poly1305 => "chacha20-poly1305",
        }
    }

    pub(super) fn is_tls13(self) -> bool {
        matches!(self, Suite::Tls13Aes128Gcm | Suite::Tls13Aes256Gcm | Suite::Tls13ChaCha20Poly1305)
    }

    /// Bytes of nonce in front of each ciphertext: only GCM in TLS 1.2 has them (RFC 5288, section 3).
    pub(super) fn explicit_nonce_bytes(self) -> usize {
        if matches!(self, Suite::Tls12Aes128Gcm | Suite::Tls12Aes256Gcm) { 8 } else { 0 }
    }

    pub(super) fn algorithm(self) -> &'static aead::Algorithm {
        match self {
            Suite::Tls12Aes128Gcm | Suite::Tls13Aes128Gcm => &aead::AES_128_GCM,
            Suite::Tls12Aes256Gcm | Suite::Tls13Aes256Gcm => &aead::AES_256_GCM,
            Suite::Tls12ChaCha20Poly1305 | Suite::Tls13ChaCha20Poly1305 => &aead::CHACHA20_POLY1305,
        }
    }

    /// `None` for a combination that rustls does not offer today.
    pub(super) fn of(version: ProtocolVersion, secrets: &ConnectionTrafficSecrets) -> Option<Self> {
        use ConnectionTrafficSecrets::{Aes128Gcm, Aes256Gcm, Chacha20Poly1305};
        match (version, secrets) {
            (ProtocolVersion::TLSv1_2, Aes128Gcm { .. }) => Some(Suite::Tls12Aes128Gcm),
            (ProtocolVersion::TLSv1_2, Aes256Gcm { .. }) => Some(Suite::Tls12Aes256Gcm),
            (ProtocolVersion::TLSv1_2, Chacha20Poly1305 { .. }) => Some(Suite::Tls12ChaCha20Poly1305),
            (ProtocolVersion::TLSv1_3, Aes128Gcm { .. }) => Some(Suite::Tls13Aes128Gcm),
            (ProtocolVersion::TLSv1_3, Aes256Gcm { .. }) => Some(Suite::Tls13Aes256Gcm),
            (ProtocolVersion::TLSv1_3, Chacha20Poly1305 { .. }) => Some(Suite::Tls13ChaCha20Poly1305),
            _ => None,
        }
    }
}
