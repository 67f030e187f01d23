//! The reference of all settings, generated from the table.

use std::fmt::Write as _;

use super::Setting;

/// `docs/policy-settings.md`: every setting with its names, range, default and first version.
pub fn settings_reference() -> String {
    let mut out = String::from(
        "# Settings of a policy\n\nNamed as in Exchange's cmdlets; the key is the name in JSON, and both are understood everywhere, in any case. Generated from the \
         program.\n\nA setting that is not set has its default. \"Since\" is the first protocol version whose devices are told; the gateway sees to the others \
         itself. Devices that speak 2.5 are told what a password must be like, and nothing else.\n\n\
         | setting | key | may be | default | since | what it does |\n|---|---|---|---|---|---|\n",
    );
    for setting in Setting::ALL {
        let definition = setting.definition();
        let default = match definition.default.to_text(setting) {
            empty if empty.is_empty() => "empty".to_owned(),
            text => text,
        };
        let since = definition.element.map_or("gateway", |element| element.since.name());
        let (name, key, kind, doc) = (definition.name, definition.key, definition.kind, definition.doc);
        let _ = writeln!(out, "| {name} | `{key}` | {kind} | {default} | {since} | {doc} |");
    }
    out
}
