//! The report in a few lines, for a terminal and for the log of a build.

use super::metrics::metrics;
use super::units;
use crate::results::{Ended, Results};

/// What a run measured, then its thresholds.
pub fn summary(run: &Results) -> String {
    let ended = if run.ended == Ended::Interrupted { ", interrupted" } else { "" };
    let mut text = format!(
        "{}: {} devices → {}, {}{ended}\n\n",
        run.scenario.name,
        units::count(run.devices as u64),
        run.target,
        units::duration(run.seconds)
    );
    let known = metrics(run).into_iter().skip(1).filter(|metric| metric.value.is_some());
    text += &aligned(&known.map(|metric| vec![metric.name.clone(), metric.text()]).collect::<Vec<_>>());
    for (kind, count) in &run.totals.errors {
        text += &format!("  {} {kind}\n", units::count(*count));
    }
    if let Some(first) = &run.totals.first_error {
        text += &format!("  the first error: {first}\n");
    }
    if !run.thresholds.is_empty() {
        let rows = run.thresholds.iter().map(|threshold| {
            let mark = if threshold.kept { "✓ kept  " } else { "✗ MISSED" };
            vec![format!("{mark}  {}", threshold.text), threshold.measured.clone()]
        });
        text += &format!("\n{}", aligned(&rows.collect::<Vec<_>>()));
    }
    text
}

/// Columns under each other, two spaces apart: the first to the left, the others to the right.
pub fn aligned(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let cells = row
            .iter()
            .zip(&widths)
            .enumerate()
            .map(|(column, (cell, &width))| if column == 0 { format!("{cell:<width$}") } else { format!("  {cell:>width$}") });
        text += cells.collect::<String>().trim_end();
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::example;
    use super::*;

    #[test]
    fn columns_stand_under_each_other() {
        let rows = [vec!["a".to_owned(), "1".to_owned()], vec!["µ-long".into(), "1,000".into()], vec!["alone".into()]];
        assert_eq!(aligned(&rows), "a           1\nµ-long  1,000\nalone\n");
        assert_eq!(aligned(&[]), "");
    }

    #[test]
    fn the_summary_ends_with_the_thresholds() {
        let text = summary(&example::run());
        let tail: Vec<&str> = text.lines().rev().take(2).collect();
        assert!(tail[0].starts_with("✗ MISSED  errors < 0.01 %") && tail[1].starts_with("✓ kept    wake_p99_ms < 50"), "{text}");
        assert!(text.contains("wake p99.9") && !text.contains('–'), "{text}");
    }
}
