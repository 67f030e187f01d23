//! What was measured, against what it may be.

use std::time::Duration;

use serde_json::{Value, json};

/// What a figure may be.
#[derive(Debug, Clone, Copy)]
pub enum Budget {
    /// At most this.
    Most(f64),
    /// At least this.
    Least(f64),
    /// None: shown because another figure rests on it.
    None,
}

/// One measured quantity.
#[derive(Debug)]
struct Figure {
    what: &'static str,
    unit: &'static str,
    budget: Budget,
    /// By how much, as a share of the budget, the median may miss it before the run fails.
    tolerance: f64,
    samples: Vec<f64>,
}

/// All of them, in the order of measuring.
#[derive(Debug, Default)]
pub struct Figures(Vec<Figure>);

impl Figures {
    /// A figure with its budget; `samples` is not empty.
    pub fn add(&mut self, what: &'static str, unit: &'static str, budget: Budget, tolerance: f64, samples: Vec<f64>) {
        self.0.push(Figure { what, unit, budget, tolerance, samples });
    }

    /// A figure that nothing is asked of.
    pub fn show(&mut self, what: &'static str, unit: &'static str, samples: Vec<f64>) {
        self.add(what, unit, Budget::None, 0.0, samples);
    }

    /// Whether every budget is kept, within its tolerance.
    pub fn are_met(&self) -> bool {
        self.0.iter().all(|figure| figure.keeps(figure.tolerance))
    }

    /// The table, or all of it as one JSON value.
    pub fn print(&self, as_json: bool, took: Duration) {
        if as_json {
            let figures: Vec<Value> = self.0.iter().map(Figure::to_json).collect();
            println!("{}", json!({ "figures": figures, "met": self.are_met(), "seconds": took.as_secs_f64().round() }));
            return;
        }
        println!("| what | budget | measured: median (min–max, n) | met |");
        println!("|---|---|---|---|");
        for figure in &self.0 {
            println!("| {} | {} | {} | {} |", figure.what, figure.budget_text(), figure.measured_text(), figure.verdict());
        }
        println!("\nmeasured in {:.0} s; {}", took.as_secs_f64(), if self.are_met() { "budgets kept" } else { "A BUDGET IS BROKEN" });
    }
}

impl Figure {
    /// Median, least, greatest.
    fn summary(&self) -> (f64, f64, f64) {
        let mut sorted = self.samples.clone();
        sorted.sort_by(f64::total_cmp);
        let (low, high) = (sorted[(sorted.len() - 1) / 2], sorted[sorted.len() / 2]);
        ((low + high) / 2.0, sorted[0], sorted[sorted.len() - 1])
    }

    fn keeps(&self, tolerance: f64) -> bool {
        let (median, ..) = self.summary();
        match self.budget {
            Budget::Most(most) => median <= most * (1.0 + tolerance),
            Budget::Least(least) => median >= least * (1.0 - tolerance),
            Budget::None => true,
        }
    }

    fn verdict(&self) -> &'static str {
        match self.budget {
            Budget::None => "",
            _ if self.keeps(0.0) => "yes",
            _ if self.keeps(self.tolerance) => "within tolerance",
            _ => "NO",
        }
    }

    fn budget_text(&self) -> String {
        match self.budget {
            Budget::Most(most) => format!("≤ {} {}", number(most), self.unit),
            Budget::Least(least) => format!("≥ {} {}", number(least), self.unit),
            Budget::None => String::new(),
        }
    }

    fn measured_text(&self) -> String {
        let (median, least, greatest) = self.summary();
        match self.samples.len() {
            1 => format!("{} {}", number(median), self.unit),
            n => format!("{} {} ({}–{}, {n})", number(median), self.unit, number(least), number(greatest)),
        }
    }

    fn to_json(&self) -> Value {
        let (median, min, max) = self.summary();
        let budget = match self.budget {
            Budget::Most(most) => json!({ "most": most }),
            Budget::Least(least) => json!({ "least": least }),
            Budget::None => Value::Null,
        };
        json!({
            "what": self.what, "unit": self.unit, "budget": budget, "tolerance": self.tolerance,
            "median": median, "min": min, "max": max, "n": self.samples.len(), "met": self.keeps(0.0),
        })
    }
}

/// Three digits that say something, thousands apart.
fn number(value: f64) -> String {
    let decimals = match value.abs() {
        0.0 => 0,
        v if v < 1.0 => 3,
        v if v < 10.0 => 2,
        v if v < 100.0 => 1,
        _ => 0,
    };
    let text = format!("{value:.decimals$}");
    let Some((digits, start)) = (decimals == 0 && value.abs() >= 1_000.0).then(|| (text.trim_start_matches('-'), value < 0.0)) else {
        return text;
    };
    let groups: Vec<&str> = digits.as_bytes().rchunks(3).rev().map(|group| std::str::from_utf8(group).expect("digits")).collect();
    format!("{}{}", if start { "-" } else { "" }, groups.join(","))
}
