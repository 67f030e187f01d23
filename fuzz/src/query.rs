//! Queries, in both forms.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use percent_encoding::{NON_ALPHANUMERIC, percent_encode};
use pushgate::logic::eas::{Form, Request, fuzz};

/// `bytes` is a query, with the version header after a line end; and, in another reading, what is packed into a base64 query.
///
/// # Panics
/// When an id is not as promised, or the same query in another spelling means something else.
pub fn play(bytes: &[u8]) {
    fuzz::query(bytes);
    let packed = STANDARD.encode(bytes);
    fuzz::query(packed.as_bytes());
    let request = Request::parse(&packed, None, None).ok();
    // Devices use either alphabet, with padding or without, and escape what need not be.
    assert_eq!(request, Request::parse(&URL_SAFE_NO_PAD.encode(bytes), None, None).ok(), "the alphabet matters");
    let escaped = percent_encode(packed.as_bytes(), NON_ALPHANUMERIC).to_string();
    assert_eq!(request, Request::parse(&escaped, None, None).ok(), "escapes matter");
    if let Some(request) = request {
        assert_eq!(request.form, Form::Base64);
    }
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Ok(request) = Request::parse(text, Some("14.1"), None)
        && request.form == Form::Plain
    {
        assert_eq!(Request::parse(&plain(&request), Some("14.1"), None).as_ref(), Ok(&request), "what was read is not what is written");
    }
}

/// The plain form, everything escaped.
fn plain(request: &Request) -> String {
    let parameters = &request.parameters;
    let mut query = format!("Cmd={}", request.command);
    let mut put = |name: &str, value: Option<&str>| {
        if let Some(value) = value {
            query.push_str(&format!("&{name}={}", percent_encode(value.as_bytes(), NON_ALPHANUMERIC)));
        }
    };
    put("DeviceId", Some(request.device_id.as_str()));
    put("DeviceType", Some(request.device_type.as_str()));
    put("User", request.user.as_deref());
    put("AttachmentName", parameters.attachment_name.as_deref());
    put("CollectionId", parameters.collection_id.as_deref());
    put("ItemId", parameters.item_id.as_deref());
    put("LongId", parameters.long_id.as_deref());
    put("Occurrence", parameters.occurrence.as_deref());
    put("SaveInSent", parameters.save_in_sent.then_some("T"));
    query
}
