//! Tables and lists for people.

use std::fmt::Write as _;

/// Rows under a head, each column as wide as its widest cell.
pub(super) fn table<const N: usize>(head: [&str; N], rows: &[[String; N]]) -> String {
    let rows: Vec<[String; N]> = rows.iter().map(|row| row.each_ref().map(|cell| printable(cell))).collect();
    let mut widths = head.map(|cell| cell.chars().count());
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut out = String::new();
    let mut line = |cells: [&str; N]| {
        let padded: Vec<String> = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        let _ = writeln!(out, "{}", padded.join("  ").trim_end());
    };
    line(head);
    rows.iter().for_each(|row| line(row.each_ref().map(String::as_str)));
    out
}

/// One thing: names and values; what has no value is left out.
pub(super) fn sheet(lines: &[(&str, Option<String>)]) -> String {
    let width = lines.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    let mut out = String::new();
    for (name, value) in lines {
        if let Some(value) = value {
            let _ = writeln!(out, "{name:width$}  {}", printable(value));
        }
    }
    out
}

/// What a device says of itself must not move the cursor of whoever reads it.
pub(super) fn printable(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { char::REPLACEMENT_CHARACTER } else { character }).collect()
}

/// A dash for nothing.
pub(super) fn or_dash(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_they_need_to_be() {
        let rows = [["hew".into(), "ä".into()], ["annabel".into(), "\u{1b}[2J".into()]];
        assert_eq!(table(["MAILBOX", "X"], &rows), "MAILBOX  X\nhew      ä\nannabel  \u{fffd}[2J\n");
    }

    #[test]
    fn what_is_not_known_is_left_out() {
        assert_eq!(sheet(&[("Name", Some("a".into())), ("Other thing", None)]), "Name         a\n");
    }
}
