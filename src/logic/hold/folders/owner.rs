//! Folders of somebody else's mailbox, recognised by what backends put into their ids and names.
//!
//! Their changes are reported under their owner, never under the device's mailbox: no source covers them. Whoever is taken for
//! somebody else's by mistake is polled as well, and woken by reports as before.

/// SOGo's prefixes of folders that are not mail; the slash comes percent-encoded from some versions.
const SOGO_CLASSES: [&str; 3] = ["vevent", "vtodo", "vcard"];
/// Folders at the root that hold other people's: the usual prefixes of IMAP namespaces (Dovecot, Cyrus, Courier).
const SHARED_ROOTS: [&str; 7] = ["shared", "shared folders", "#shared", "other users", "user", "public", "public folders"];

/// Whether an id says that its folder is in another mailbox than the device's.
pub(super) fn is_anothers(id: &str) -> bool {
    is_of_another_origin(id) || is_sogo_subscription(id)
}

/// Whether all below a folder of this name at the root is other people's.
pub(super) fn is_shared_root(name: &str) -> bool {
    SHARED_ROOTS.iter().any(|root| name.eq_ignore_ascii_case(root))
}

/// Z-Push and grommunio-sync: a letter of origin and five hexadecimal digits. U is the user's own; C is configured for all, S was
/// added by or for the user, G is the global address book, I belongs to a mailbox that the user logged in for.
fn is_of_another_origin(id: &str) -> bool {
    let hash = id.strip_prefix(['C', 'S', 'G', 'I']).unwrap_or_default();
    hash.len() == 5 && hash.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// SOGo: what a user subscribed to is called owner, underscore, name; own ones are called `personal` or by a number with dashes.
fn is_sogo_subscription(id: &str) -> bool {
    let rest = SOGO_CLASSES.iter().find_map(|class| id.strip_prefix(class));
    let name = rest.and_then(|rest| rest.strip_prefix('/').or_else(|| rest.strip_prefix("%2F")).or_else(|| rest.strip_prefix("%2f")));
    name.is_some_and(|name| name.contains('_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_that_name_an_owner_or_an_origin_are_told_from_ones_own() {
        for id in
            ["S7f3a1", "C00b1e", "GFFFFF", "I3c90b", "vevent/anna_personal", "vcard%2Fanna_A_example_D_org_1A2B-5F00-1-7B", "vtodo%2fhew_x"]
        {
            assert!(is_anothers(id), "{id}");
        }
        let own =
            ["U7f3a1", "5", "17", "vevent/personal", "vcard%2Fpersonal", "vevent/1A2B-5F00-1-7B", "mail%2F9d2c1a", "mail/a_b", "F1a2b3c4d"];
        for id in own.into_iter().chain(["C1a2b3c4d", "A00000001", "RI", "", "S", "S7f3a", "Sxyzzy", "vevent", "vevent_a"]) {
            assert!(!is_anothers(id), "{id}");
        }
    }

    #[test]
    fn namespaces_of_other_people_are_known_by_their_usual_names() {
        assert!(["Shared", "Other Users", "user", "#shared"].iter().all(|name| is_shared_root(name)));
        assert!(["Users", "Work", "Shared with me", ""].iter().all(|name| !is_shared_root(name)));
    }
}
