//! In instructions: this program again, under valgrind's callgrind, one process a part.
//!
//! Callgrind is driven from here and not by a framework (gungraun, the former iai-callgrind): those need, beside valgrind, a
//! second program of exactly the same version as their library, which somebody has to build and install first, and their
//! baselines live in `target/`, not in the repository. All that is needed of them is one option, `--toggle-collect`, and one
//! number. A process a part, because then nothing that is added, removed or reordered changes another part's figure.
//!
//! What makes the figure repeatable: valgrind stands in for the processor, so that AVX-512 and VAES are not found and every
//! machine that has AES runs the same code for it (without, a record costs fifteen times as much; AVX2 makes a
//! difference of at most 1.3 %); the environment is empty, which also fixes where the stack is; the allocator is the
//! program's own, with the decay that goes by the clock switched off; hash seeds are given.

use std::collections::BTreeMap;
use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::available_parallelism;

use anyhow::{Context as _, ensure};

use super::baseline::{self, Baseline, compare};
use super::parts::{self, Part, Work};

/// Runs before the counted one: the first ones make buffers grow.
const WARM_UPS: usize = 3;

/// Counts and compares; false: something grew. `is_whole`: these are all parts there are.
pub fn count(parts: &[Part], is_whole: bool) -> anyhow::Result<bool> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("micro/callgrind");
    fs::create_dir_all(&folder).with_context(|| format!("{}", folder.display()))?;
    let mut now = Baseline { rustc: rustc()?, valgrind: valgrind()?, processor: processor(), instructions: BTreeMap::new() };
    for (part, run) in parts.iter().zip(side_by_side(parts, &folder)) {
        now.instructions.insert(part.name.to_owned(), run.context(part.name)?.div_ceil(part.steps));
    }
    if std::env::var_os("PUSHGATE_BLESS").is_some_and(|value| value == "1") {
        return bless(now, is_whole).map(|()| true);
    }
    let baseline = Baseline::read()?.context("there is no baseline; PUSHGATE_BLESS=1 makes one")?;
    let comparison = compare(&baseline, &now, is_whole);
    println!("{comparison}");
    println!("where they are spent: callgrind_annotate {}/PART", folder.display());
    Ok(comparison.is_good())
}

/// What was counted becomes the baseline; parts that were not counted keep theirs, unless there are no such parts any more.
fn bless(mut now: Baseline, is_whole: bool) -> anyhow::Result<()> {
    if !is_whole && let Some(before) = Baseline::read()? {
        ensure!((&before.rustc, &before.valgrind) == (&now.rustc, &now.valgrind), "another compiler or valgrind: bless all parts at once");
        let mut instructions = before.instructions;
        instructions.append(&mut now.instructions);
        now.instructions = instructions;
    }
    let file = baseline::file();
    fs::write(&file, serde_json::to_string_pretty(&now)? + "\n").with_context(|| format!("{}", file.display()))?;
    println!("{} parts are the baseline now", now.instructions.len());
    Ok(())
}

/// Instructions of one run of each part. As many at a time as there are processors: they do not feel each other.
fn side_by_side(parts: &[Part], folder: &Path) -> Vec<anyhow::Result<u64>> {
    let next = AtomicUsize::new(0);
    let worker = || {
        let take = || parts.get(next.fetch_add(1, Ordering::Relaxed));
        std::iter::from_fn(take).map(|part| (part.name, under_valgrind(part.name, folder))).collect::<Vec<_>>()
    };
    let mut runs: BTreeMap<&str, anyhow::Result<u64>> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..available_parallelism().map_or(1, usize::from)).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("a worker does not panic")).collect()
    });
    parts.iter().map(|part| runs.remove(part.name).context("two parts have this name").flatten()).collect()
}

/// Instructions of one run of a part.
fn under_valgrind(name: &str, folder: &Path) -> anyhow::Result<u64> {
    let file = folder.join(name);
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--quiet", "--collect-atstart=no", "--toggle-collect=*counted_run*"]);
    valgrind.arg(format!("--callgrind-out-file={}", file.display()));
    valgrind.arg(std::env::current_exe()?).args(["--counted", name]);
    valgrind.env_clear().envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
    // One arena, no thread of its own, and nothing that waits for some time to pass.
    valgrind.env("_RJEM_MALLOC_CONF", "narenas:1,background_thread:false,dirty_decay_ms:-1,muzzy_decay_ms:-1");
    let output = valgrind.output().context("valgrind cannot be run; Debian's package is called valgrind")?;
    ensure!(output.status.success(), "{}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    let text = fs::read_to_string(&file).with_context(|| format!("{}", file.display()))?;
    let totals = text.lines().find_map(|line| line.strip_prefix("totals: ")).context("callgrind wrote no totals")?;
    let instructions = totals.trim().parse().with_context(|| format!("callgrind wrote {totals}"))?;
    ensure!(instructions > 0, "nothing was counted: the function to be counted was not found");
    Ok(instructions)
}

/// Under valgrind: one part, the last run of which is counted.
pub fn run_counted(name: &str) -> anyhow::Result<()> {
    let part = parts::all().into_iter().find(|part| part.name == name).context("there is no such part")?;
    let mut work = (part.prepare)();
    for _ in 0..WARM_UPS {
        work.ready();
        work.run();
    }
    work.ready();
    counted_run(work.as_mut());
    Ok(())
}

/// Callgrind counts from where this is entered to where it is left, and finds it by its name.
#[inline(never)]
fn counted_run(work: &mut dyn Work) {
    work.run();
    // Something after the call, or it would become a jump that is never left.
    black_box(());
}

/// As `1.95.0`.
fn rustc() -> anyhow::Result<String> {
    // Cargo sets it when it was told to use another one.
    let program = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version = version(Command::new(program).arg("--version"))?;
    Ok(version.split_whitespace().nth(1).unwrap_or_default().to_owned())
}

/// As `3.19.0`.
fn valgrind() -> anyhow::Result<String> {
    let version = version(Command::new("valgrind").arg("--version")).context("Debian's package is called valgrind")?;
    Ok(version.trim_start_matches("valgrind-").to_owned())
}

fn version(command: &mut Command) -> anyhow::Result<String> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    ensure!(output.status.success(), "{command:?}: {}", output.status);
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

/// Valgrind's processor has what it knows and the machine's has too: that is as far as machines may differ.
fn processor() -> String {
    #[cfg(target_arch = "x86_64")]
    let extensions = [("avx2", is_x86_feature_detected!("avx2")), ("aes", is_x86_feature_detected!("aes"))];
    #[cfg(not(target_arch = "x86_64"))]
    let extensions = [];
    let has = |(name, is_there): (&'static str, bool)| is_there.then_some(name);
    [std::env::consts::ARCH].into_iter().chain(extensions.into_iter().filter_map(has)).collect::<Vec<_>>().join(" ")
}
