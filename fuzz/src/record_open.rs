//! Records of TLS, from devices that know the keys and from networks that do not.

use pushgate::gateway::tls::fuzzing;

/// `bytes` are records as they are, or contents to be sealed; and then the same contents, sealed and changed on their way.
///
/// # Panics
/// When something comes out that was not sealed, or what was sealed does not come out.
pub fn play(bytes: &[u8]) {
    fuzzing::open(bytes);
    fuzzing::open_changed(bytes);
}
