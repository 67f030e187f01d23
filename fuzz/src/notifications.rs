//! What notification sources send.

/// `bytes` is a body.
///
/// # Panics
/// See `pushgate::notify::fuzzing`.
pub fn play(bytes: &[u8]) {
    pushgate::notify::fuzzing::bodies(bytes);
}
