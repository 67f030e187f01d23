//! What a device proves itself with, and whose mailbox that is. The secret itself stays in the header it came in.

use std::fmt;

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use http::header::HeaderValue;
use zeroize::Zeroizing;

use crate::config;
use crate::logic::eas::Mailbox;

/// A Basic or Bearer `Authorization`, understood as far as it must be.
#[derive(Clone)]
pub struct Credentials {
    authorization: HeaderValue,
    who: Who,
}

#[derive(Clone)]
enum Who {
    /// Basic: the part before the first colon.
    User(Box<str>),
    /// Bearer: the token names somebody, perhaps.
    Token,
}

/// Some devices leave the padding out, some tokens come with it.
const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent).with_decode_allow_trailing_bits(true);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);

impl Credentials {
    /// `None` for other schemes, for Basic that is not base64 of `user:password`, for an empty user, and for what is not one token.
    pub fn from_header(value: &HeaderValue) -> Option<Self> {
        let bytes = value.as_bytes().trim_ascii();
        let space = bytes.iter().position(|&byte| byte == b' ')?;
        let (scheme, rest) = (&bytes[..space], bytes[space..].trim_ascii());
        let who = if scheme.eq_ignore_ascii_case(b"basic") {
            Who::User(basic_user(rest)?)
        } else if scheme.eq_ignore_ascii_case(b"bearer") && is_one_token(rest) {
            Who::Token
        } else {
            return None;
        };
        let mut authorization = value.clone();
        authorization.set_sensitive(true);
        Some(Credentials { authorization, who })
    }

    /// The user name as the device wrote it; a token has none.
    pub fn user(&self) -> Option<&str> {
        match &self.who {
            Who::User(user) => Some(user),
            Who::Token => None,
        }
    }

    /// The whole header value, to be sent to the backend and nowhere else.
    pub(crate) fn authorization(&self) -> &HeaderValue {
        &self.authorization
    }

    /// The first of these claims that the token holds as text. We do not verify the token: that this names the user
    /// counts only once the backend has accepted the very same token.
    fn claim(&self, names: &[String]) -> Option<String> {
        let token = self.authorization.as_bytes().trim_ascii().split(|&byte| byte == b' ').next_back()?;
        let payload = URL_SAFE.decode(token.split(|&byte| byte == b'.').nth(1)?).ok()?;
        let claims: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(&payload).ok()?;
        names.iter().find_map(|name| claims.get(name)?.as_str().map(str::to_owned))
    }
}

/// RFC 6750: one token68 and nothing else. Of two, we might read the claims of one while the backend accepts the other.
fn is_one_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(byte))
}

/// Devices write Basic in UTF-8 or, older ones, in Latin-1; every byte is a character of the latter.
fn basic_user(encoded: &[u8]) -> Option<Box<str>> {
    let decoded = Zeroizing::new(STANDARD.decode(encoded).ok()?);
    let user = &decoded[..decoded.iter().position(|&byte| byte == b':')?];
    if user.is_empty() {
        return None;
    }
    Some(match std::str::from_utf8(user) {
        // A Latin-1 password beside an ASCII user makes no difference to the name.
        Ok(user) => user.into(),
        Err(_) => user.iter().map(|&byte| char::from(byte)).collect(),
    })
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.who {
            Who::User(_) => "Credentials(Basic)",
            Who::Token => "Credentials(Bearer)",
        })
    }
}

/// Whose mailbox these credentials open, if the backend accepts them. `None` for a token that does not say (an
/// opaque one): its Pings cannot be held and are forwarded.
pub fn mailbox_of(credentials: &Credentials, mailbox: &config::Mailbox, auth: &config::Auth) -> Option<Mailbox> {
    match &credentials.who {
        Who::User(user) => mailbox.mailbox(user),
        Who::Token => mailbox.mailbox(&credentials.claim(&auth.bearer_claim)?),
    }
}

#[cfg(test)]
mod tests {
    use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};

    use super::*;

    fn of(value: &str) -> Option<Credentials> {
        Credentials::from_header(&HeaderValue::from_str(value).expect("value"))
    }

    fn basic(text: &[u8]) -> Option<Credentials> {
        of(&format!("Basic {}", BASE64_STANDARD.encode(text)))
    }

    fn mailbox(credentials: &Credentials) -> Option<String> {
        let mailbox = config::Mailbox { default_domain: Some("example.org".into()), domains: Vec::new(), lowercase: true };
        let claims = vec!["upn".to_owned(), "email".to_owned()];
        let auth = config::Auth {
            verdict_ttl: std::time::Duration::from_secs(900),
            bearer_claim: claims,
            shield_min: std::time::Duration::ZERO,
            shield_max: std::time::Duration::ZERO,
        };
        mailbox_of(credentials, &mailbox, &auth).map(|mailbox| mailbox.to_string())
    }

    fn token(payload: &str) -> Option<Credentials> {
        of(&format!("Bearer e30.{}.c2ln", BASE64_URL_SAFE_NO_PAD.encode(payload)))
    }

    #[test]
    fn basic_names_a_user_up_to_the_first_colon() {
        let credentials = basic(b"EXAMPLE\\Hew:pass:word").expect("Basic");
        assert_eq!(credentials.user(), Some("EXAMPLE\\Hew"));
        assert_eq!(mailbox(&credentials).as_deref(), Some("hew@example.org"));
        assert_eq!(of("bAsIc   aGV3Ong").expect("no padding, odd case").user(), Some("hew"));
    }

    #[test]
    fn names_are_utf8_or_else_latin1() {
        assert_eq!(basic("jürgen:ü".as_bytes()).expect("UTF-8").user(), Some("jürgen"));
        assert_eq!(basic(b"j\xFCrgen:\xFC").expect("Latin-1").user(), Some("jürgen"));
        assert_eq!(
            basic("jürgen:".as_bytes().iter().chain(b"\xFC").copied().collect::<Vec<_>>().as_slice()).expect("mixed").user(),
            Some("jürgen")
        );
    }

    #[test]
    fn a_token_names_its_user_by_the_first_claim_that_is_there() {
        assert_eq!(mailbox(&token(r#"{"email":"b@example.com","upn":"A@example.com"}"#).expect("token")).as_deref(), Some("a@example.com"));
        assert_eq!(mailbox(&token(r#"{"upn":7,"email":"b@example.com"}"#).expect("token")).as_deref(), Some("b@example.com"));
        for opaque in ["Bearer abc", "Bearer a.b.c", "Bearer ..", "Bearer e30.e30.e30"] {
            assert_eq!(mailbox(&of(opaque).expect("a token all the same")), None, "{opaque}");
        }
    }

    #[test]
    fn what_is_no_credential_is_none() {
        for value in [
            "",
            "Basic",
            "Basic ",
            "Basic !!!",
            "Basic aGV3",
            "Basic Onh4",
            "Bearer",
            "Bearer ",
            "Bearer e30.e30.x e30.e30.y",
            "Bearer a,b",
            "NTLM TlRM",
            "aGV3Ong=",
        ] {
            assert!(of(value).is_none(), "{value}");
        }
    }

    #[test]
    fn secrets_are_never_shown() {
        let credentials = basic(b"hew:hunter2").expect("Basic");
        assert_eq!(format!("{credentials:?} {:?}", credentials.authorization()), "Credentials(Basic) Sensitive");
    }
}
