//! A scenario as its report shows it: its text, with what the command line set instead, and without secrets.

/// Keys whose values nobody who reads a report needs to know.
const SECRETS: [&str; 2] = ["password", "token"];

/// `settings`: `KEY=VALUE` each, in the order in which they were given.
pub fn shown(text: &str, settings: &[String]) -> String {
    let mut shown = String::new();
    if !settings.is_empty() {
        shown += "# Set on the command line, instead of what stands below:\n";
        settings.iter().for_each(|setting| shown += &format!("#   --set {}\n", without_secrets(setting)));
        shown.push('\n');
    }
    shown + without_secrets(text).trim_end() + "\n"
}

/// Replaces the values of secrets wherever they are given: in a line, after a dotted key, in an inline table.
fn without_secrets(text: &str) -> String {
    let mut shown = String::new();
    let mut rest = text;
    while let Some((before, value)) = next_secret(rest) {
        shown += before;
        shown += "\"...\"";
        rest = &value[value_length(value)..];
    }
    shown + rest
}

/// What stands before the value of the first secret, and the rest, which begins with that value.
fn next_secret(text: &str) -> Option<(&str, &str)> {
    let ends = SECRETS.iter().flat_map(|key| text.match_indices(key)).filter_map(|(at, key)| {
        let is_part = text[..at].ends_with(|before: char| before.is_alphanumeric() || ['_', '-'].contains(&before));
        let after = &text[at + key.len()..];
        let after = after.strip_prefix(['"', '\'']).unwrap_or(after).trim_start().strip_prefix('=')?;
        (!is_part).then(|| text.len() - after.trim_start_matches([' ', '\t']).len())
    });
    ends.min().map(|at| text.split_at(at))
}

/// Bytes of a TOML text in one of its four quotations, or of what the command line gives without any. One that does not end is
/// secret to the end.
fn value_length(value: &str) -> usize {
    let quotes = ["\"\"\"", "'''", "\"", "'"];
    let Some(quote) = quotes.into_iter().find(|quote| value.starts_with(quote)) else {
        return value.find('\n').unwrap_or(value.len());
    };
    let mut at = quote.len();
    while let Some(rest) = value.get(at..).filter(|rest| !rest.is_empty()) {
        if let Some(after) = rest.strip_prefix(quote) {
            // Three quotes that end a text may have one or two of its own before them.
            let more = after.chars().take_while(|&next| quote.len() == 3 && quote.starts_with(next)).count();
            return at + quote.len() + more;
        }
        let is_escape = rest.starts_with('\\') && quote.starts_with('"');
        at += rest.chars().take(if is_escape { 2 } else { 1 }).map(char::len_utf8).sum::<usize>();
    }
    value.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_left_out_however_they_are_written() {
        let texts = [
            ("password = \"hush\"", "password = \"...\""),
            ("[users]\npassword='hush'\ncount = 1", "[users]\npassword=\"...\"\ncount = 1"),
            ("users.password = \"a\\\"hush\" # all", "users.password = \"...\" # all"),
            ("webhook = { token = \"hush\", batch_max = 7 }", "webhook = { token = \"...\", batch_max = 7 }"),
            ("\"token\" = \"\"\"\nhush\"\"\"\"\nnext = 1", "\"token\" = \"...\"\nnext = 1"),
            ("users.password=hush, or so", "users.password=\"...\""),
            ("token = \"hush", "token = \"...\""),
            ("token_file = \"seen\"\nmy_token = \"seen\"", "token_file = \"seen\"\nmy_token = \"seen\""),
        ];
        for (text, expected) in texts {
            assert_eq!(without_secrets(text), expected);
        }
    }

    #[test]
    fn what_the_command_line_set_stands_above() {
        let settings = ["devices.count=7".to_owned(), "users.password=hush".to_owned()];
        let above =
            "# Set on the command line, instead of what stands below:\n#   --set devices.count=7\n#   --set users.password=\"...\"\n\n";
        assert_eq!(shown("[devices]\ncount = 1\n\n", &settings), format!("{above}[devices]\ncount = 1\n"));
        assert_eq!(shown("[devices]", &[]), "[devices]\n");
    }
}
