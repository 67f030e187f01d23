//! The comparison with the baseline can fail, and says why; a program of its own, since a benchmark has no test runner.

mod baseline;

use baseline::{Baseline, compare};

fn counts(rustc: &str, instructions: &[(&str, u64)]) -> Baseline {
    let instructions = instructions.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
    Baseline { rustc: rustc.to_owned(), valgrind: "3.19.0".to_owned(), processor: "x86_64 avx2 aes".to_owned(), instructions }
}

/// Whether it passes, and what it says, `now` being all there is.
fn outcome(baseline: &Baseline, now: &Baseline) -> (bool, String) {
    let comparison = compare(baseline, now, true);
    (comparison.is_good(), comparison.to_string())
}

#[test]
fn eleven_percent_more_are_refused_and_ten_are_not() {
    let stored = Baseline::read().unwrap().expect("the repository has a baseline");
    let with = |change: fn(u64) -> u64| {
        let mut now = stored.clone();
        now.instructions.values_mut().for_each(|count| *count = change(*count));
        outcome(&stored, &now)
    };
    let (is_good, said) = with(|count| (count * 111).div_ceil(100));
    let (is_good_by_ten, _) = with(|count| count * 110 / 100);
    let (is_good_as_it_was, quiet) = with(|count| count);
    assert!(!is_good && is_good_by_ten && is_good_as_it_was);
    assert_eq!(said.matches("GREW").count(), stored.instructions.len());
    assert!(said.contains("1.110") && said.contains("PUSHGATE_BLESS=1"), "{said}");
    assert!(!quiet.contains("GREW") && !quiet.contains("PUSHGATE_BLESS"), "{quiet}");
}

#[test]
fn one_part_that_grew_is_enough() {
    let (before, now) = (counts("1.95.0", &[("a", 1_000), ("b", 1_000)]), counts("1.95.0", &[("a", 1_000), ("b", 1_101)]));
    let (is_good, said) = outcome(&before, &now);
    assert!(!is_good && said.matches("GREW").count() == 1, "{said}");
}

#[test]
fn parts_and_baseline_name_the_same() {
    let (one, two) = (counts("1.95.0", &[("a", 1)]), counts("1.95.0", &[("a", 1), ("b", 1)]));
    let (is_good, said) = outcome(&one, &two);
    assert!(!is_good && said.contains("NOT IN THE BASELINE"), "{said}");
    let (is_good, said) = outcome(&two, &one);
    assert!(!is_good && said.contains("NO SUCH PART"), "{said}");
    assert!(compare(&two, &one, false).is_good(), "whoever counts one part says nothing of others");
}

#[test]
fn another_compiler_is_said_aloud_unless_it_is_a_patch() {
    let before = counts("1.95.0", &[("a", 1_000)]);
    let said = |rustc: &str| outcome(&before, &counts(rustc, &[("a", 1_000)]));
    assert!(said("1.96.0").0 && said("1.96.0").1.contains("ANOTHER rustc: the baseline was counted with 1.95, this with 1.96"));
    assert!(!said("1.95.1").1.contains("ANOTHER"));
}

#[test]
fn what_shrank_passes_and_is_mentioned() {
    let (is_good, said) = outcome(&counts("1.95.0", &[("a", 1_000)]), &counts("1.95.0", &[("a", 800)]));
    assert!(is_good && said.contains("less"), "{said}");
}

#[test]
fn what_is_stored_is_read_back() {
    let stored = counts("1.95.0", &[("a", 1), ("b", 2)]);
    let read: Baseline = serde_json::from_str(&serde_json::to_string(&stored).unwrap()).unwrap();
    assert_eq!(read, stored);
    assert!(serde_json::from_str::<Baseline>("{}").is_err(), "without its circumstances a count says nothing");
    assert!(baseline::file().is_file());
}
