//! The reference configuration, generated from the definition.

use std::fmt::Write;

use super::definition::{KEYS, Kind};

/// Every key with its default, its range and what it does, as a valid TOML file.
pub fn reference_toml() -> String {
    let mut out = String::from(
        "# Every setting of pushgate with its default. Generated from the program; a file needs only what differs.\n# Environment: PUSHGATE_SECTION__KEY. A text KEY may be given as KEY_file: the first line of that file.\n",
    );
    let mut section = "";
    for key in KEYS {
        if key.section != section {
            section = key.section;
            let _ = write!(out, "\n[{section}]\n");
        }
        let range = match key.kind {
            Kind::Int(min, max) => format!(" ({min} to {max})"),
            Kind::Choice(choices) => format!(" ({})", choices.join(" | ")),
            _ => String::new(),
        };
        // What the kind of backend decides must stay unwritten, or the reference would overrule it.
        let mark = if (key.section, key.name) == ("backend", "check_heartbeat_s") { "# " } else { "" };
        let _ = writeln!(out, "# {}{range}\n{mark}{} = {}", key.doc, key.name, key.default);
    }
    out.push_str("\n# [[network]]\n# name = \"Example Mobile\"\n# cidr = [\"198.51.100.0/24\"]\n");
    out
}
