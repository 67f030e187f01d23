//! Reports: what people see of a run.
//!
//! In: [`Results`]. Out: files (`report.json`, `report.html`, `latency.hgrm`, `latency.hlog`) and text for a terminal. Nothing
//! here measures; from the same results the same report is made.
//!
//! `curves` says which plots there are and `metrics` which figures; `axis` and `plot` draw; `page` and `compare` put them
//! together for one run and for two.

mod axis;
mod compare;
mod curves;
#[cfg(test)]
pub mod example;
mod histogram_log;
mod metrics;
mod page;
mod plot;
mod terminal;
mod units;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

pub use self::terminal::summary;
pub use self::units::{bytes, clock, count, duration, figure, milliseconds, share};
use crate::results::Results;

/// What a folder of a run calls its results.
const JSON: &str = "report.json";

/// `report`
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The report.json of a run, or the folder it is in.
    #[arg(value_name = "A")]
    run: PathBuf,
    /// Another run, to be compared with the first.
    #[arg(value_name = "B")]
    other: Option<PathBuf>,
    /// Where the page goes; without it beside A, as report.html or comparison.html.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

/// Makes the page of a run again, or compares two; the figures go to standard output as well.
pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let file = |path: &Path| if path.is_dir() { path.join(JSON) } else { path.to_owned() };
    let a = Results::read(&file(&arguments.run))?;
    let (text, page, name) = match &arguments.other {
        None => (summary(&a), page::page(&a)?, "report.html"),
        Some(other) => {
            let b = Results::read(&file(other))?;
            (compare::text(&a, &b), compare::page(&a, &b)?, "comparison.html")
        }
    };
    let html = arguments.html.clone().unwrap_or_else(|| file(&arguments.run).with_file_name(name));
    save(&html, &page)?;
    println!("{text}\n{}", html.display());
    Ok(())
}

/// Writes all files of a run into a folder, which is made if it is not there; returns where the page is.
///
/// # Errors
/// A file cannot be written.
pub fn write(results: &Results, folder: &Path) -> anyhow::Result<PathBuf> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    // First what cannot be made again.
    results.write(&folder.join(JSON))?;
    save(&folder.join("latency.hgrm"), &histogram_log::percentiles(results)?)?;
    save(&folder.join("latency.hlog"), &histogram_log::intervals(results))?;
    let html = folder.join("report.html");
    save(&html, &page::page(results)?)?;
    Ok(html)
}

fn save(path: &Path, text: &str) -> anyhow::Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_made_again_from_its_results() {
        // Compared without being shown: they are long.
        let folder = tempfile::tempdir().unwrap();
        let results = example::run();
        let html = write(&results, folder.path()).unwrap();
        let first = fs::read_to_string(&html).unwrap();
        assert!(Results::read(&folder.path().join(JSON)).unwrap() == results);
        fs::remove_file(&html).unwrap();
        run(&Arguments { run: folder.path().to_owned(), other: None, html: None }).unwrap();
        assert!(fs::read_to_string(&html).unwrap() == first);
        run(&Arguments { run: folder.path().to_owned(), other: Some(folder.path().to_owned()), html: None }).unwrap();
        assert!(folder.path().join("comparison.html").exists());
    }
}
