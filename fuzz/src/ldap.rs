//! A directory's messages, before the library sees them.

use pushgate::logic::directory::message;

/// The most that a message may have here.
const BYTES_MAX: usize = 4_096;

/// `bytes` is what a directory sends.
///
/// # Panics
/// When a message is longer than what came, or its end depends on what follows it.
pub fn play(bytes: &[u8]) {
    let Ok(Some(end)) = message::first(bytes, BYTES_MAX) else { return };
    assert!((1..=bytes.len().min(BYTES_MAX)).contains(&end), "a message of {end} bytes");
    assert_eq!(message::first(&bytes[..end], BYTES_MAX), Ok(Some(end)), "what follows matters");
    for cut in [1, end / 2, end - 1] {
        assert_eq!(message::first(&bytes[..cut], BYTES_MAX), Ok(None), "{cut} of {end} bytes are a message");
    }
    let _ = message::agrees_to_tls(&bytes[..end]);
}
