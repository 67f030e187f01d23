//! The stored counts, and the comparison with them.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

/// More than this share above the baseline is growth. Counts repeat to within a fraction of a percent; the rest is room for what
/// a change elsewhere does to inlining.
const GROWTH_MAX: f64 = 0.10;

/// Counts, and what they were taken with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Baseline {
    /// The compiler's version.
    pub rustc: String,
    /// Valgrind's version.
    pub valgrind: String,
    /// Architecture, and the extensions that decide which code is chosen while it runs.
    pub processor: String,
    /// Instructions of one step, by part.
    pub instructions: BTreeMap<String, u64>,
}

impl Baseline {
    /// The stored one, if there is one.
    pub fn read() -> anyhow::Result<Option<Self>> {
        let file = file();
        match std::fs::read(&file) {
            Ok(text) => serde_json::from_slice(&text).map(Some).with_context(|| format!("{}", file.display())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("{}", file.display())),
        }
    }

    /// What its counts depend on besides the program, each with its name. Of the compiler only major and minor count.
    fn circumstances(&self) -> [(&'static str, &str); 3] {
        let minor = self.rustc.match_indices('.').nth(1).map_or(&self.rustc[..], |(end, _)| &self.rustc[..end]);
        [("rustc", minor), ("valgrind", &self.valgrind), ("processor", &self.processor)]
    }
}

/// Where it is stored.
pub fn file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/micro/baseline.json")
}

/// How a part compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Within bounds.
    Same,
    /// Less than the baseline by more than it may be above: bless it, or it may grow back unseen.
    Shrank,
    /// Too much more than the baseline.
    Grew,
    /// Not in the baseline.
    New,
    /// In the baseline only.
    Gone,
}

/// A line of the table.
#[derive(Debug)]
struct Row {
    name: String,
    baseline: Option<u64>,
    now: Option<u64>,
    verdict: Verdict,
}

/// The table, and what is to be said beside it.
#[derive(Debug)]
pub struct Comparison {
    rows: Vec<Row>,
    /// Name, then and now.
    differences: Vec<(&'static str, String, String)>,
}

/// Compares part by part. `is_whole`: all parts there are have been counted, so that others do not exist any more.
pub fn compare(baseline: &Baseline, now: &Baseline, is_whole: bool) -> Comparison {
    let counted = now.instructions.iter().map(|(name, count)| {
        let before = baseline.instructions.get(name).copied();
        Row { name: name.clone(), baseline: before, now: Some(*count), verdict: judge(before, *count) }
    });
    let gone = baseline.instructions.iter().filter(|(name, _)| is_whole && !now.instructions.contains_key(*name));
    let gone = gone.map(|(name, count)| Row { name: name.clone(), baseline: Some(*count), now: None, verdict: Verdict::Gone });
    let pairs = baseline.circumstances().into_iter().zip(now.circumstances());
    let differences = pairs.filter(|(then, now)| then != now).map(|((name, then), (_, now))| (name, then.to_owned(), now.to_owned()));
    Comparison { rows: counted.chain(gone).collect(), differences: differences.collect() }
}

fn judge(baseline: Option<u64>, now: u64) -> Verdict {
    let Some(before) = baseline.map(|count| count as f64) else { return Verdict::New };
    match now as f64 {
        now if now > before * (1.0 + GROWTH_MAX) => Verdict::Grew,
        now if now < before * (1.0 - GROWTH_MAX) => Verdict::Shrank,
        _ => Verdict::Same,
    }
}

impl Comparison {
    /// Nothing grew, and the baseline names what there is.
    pub fn is_good(&self) -> bool {
        self.rows.iter().all(|row| matches!(row.verdict, Verdict::Same | Verdict::Shrank))
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = |count: Option<u64>| count.map_or_else(|| "–".to_owned(), |count| count.to_string());
        writeln!(f, "{:<20} {:>12} {:>12} {:>7}", "instructions", "baseline", "now", "ratio")?;
        for Row { name, baseline, now, verdict } in &self.rows {
            let ratio = baseline.zip(*now).map_or_else(|| "–".to_owned(), |(then, now)| format!("{:.3}", now as f64 / then as f64));
            let remark = match verdict {
                Verdict::Same => "",
                Verdict::Shrank => "  less: bless it, or it may grow back unseen",
                Verdict::Grew => "  GREW",
                Verdict::New => "  NOT IN THE BASELINE",
                Verdict::Gone => "  NO SUCH PART",
            };
            writeln!(f, "{name:<20} {:>12} {:>12} {ratio:>7}{remark}", number(*baseline), number(*now))?;
        }
        let highest = self.rows.iter().filter_map(|row| Some(row.now? as f64 / row.baseline? as f64)).fold(0.0, f64::max);
        writeln!(f, "micro: {} parts, at most {highest:.3} × the baseline's instructions", self.rows.len())?;
        for (name, then, now) in &self.differences {
            writeln!(f, "ANOTHER {name}: the baseline was counted with {then}, this with {now}; differences may come from that")?;
        }
        if !self.is_good() {
            let bound = GROWTH_MAX * 100.0;
            writeln!(f, "More than {bound} % above the baseline, or not the parts that it names. If that is as it should be:")?;
            writeln!(f, "    PUSHGATE_BLESS=1 cargo bench --bench micro -- --count")?;
        }
        Ok(())
    }
}
