#!/usr/bin/env bash
# Fuzzes every target of fuzz/ for some seconds each, two at a time, with the stable compiler.
#
#   tests/fuzz.sh [SECONDS] [TARGET…]     10 seconds each, all targets
#   SEED=1 tests/fuzz.sh …                the same inputs in the same order each time, from the seeds on
#
# What is found is kept in fuzz/regressions/TARGET, where tests/fuzz.rs plays it from then on: commit it with what corrects it.
# What was interesting is kept in target/fuzz-corpus, so that the next run begins where this one ended (without SEED).
set -uo pipefail

cd "$(dirname "$0")/.." || exit 1
target=${CARGO_TARGET_DIR:-$PWD/target}
logs=$target/test-output/fuzz-targets

main() {
  local seconds=${1:-10} started=$SECONDS file
  [ $# -eq 0 ] || shift
  targets=("$@")
  [ ${#targets[@]} -gt 0 ] || for file in fuzz/fuzz_targets/*.rs; do targets+=("$(basename "$file" .rs)"); done
  build_targets || exit 1
  echo "    built in: $((SECONDS - started)) s"
  mkdir -p "$logs"
  printf '%s\n' "${targets[@]}" | xargs -P 2 -I{} "$PWD/tests/fuzz.sh" --one {} "$seconds"
  report "$seconds"
}

# Only what is ours is compiled for it; the crates of others are those of the tests.
build_targets() {
  RUSTC_WORKSPACE_WRAPPER="$PWD/fuzz/rustc.sh" cargo build --quiet --locked --package pushgate-fuzz --bins
}

# fuzz_one TARGET SECONDS: plays what there is, then what can be made of it.
fuzz_one() {
  local name=$1 found=fuzz/regressions/$1 corpus=$target/fuzz-corpus/$1 log=$logs/$1 seeds=() folder scratch
  [ -z "${SEED:-}" ] || { corpus=$target/fuzz-corpus-seeded/$1 && rm -rf "$corpus"; }
  mkdir -p "$corpus" "$found"
  for folder in "fuzz/seeds/$name" "$found"; do [ ! -d "$folder" ] || seeds+=("$folder"); done
  [ "$name" != wbxml ] || seeds+=(tests/vectors)
  # The store's files, in memory where that is possible: a disk that syncs them would be all that is tried.
  scratch=$(mktemp -d "$([ -d /dev/shm ] && echo /dev/shm || echo "${TMPDIR:-/tmp}")/pushgate-fuzz.XXXXXX")
  TMPDIR=$scratch "$target/debug/$name" "$corpus" "${seeds[@]}" \
    -seed="${SEED:-0}" -max_total_time="$2" -timeout=10 -rss_limit_mb=3000 -artifact_prefix="$found/" -print_final_stats=1 >"$log" 2>&1
  echo "code $?" >>"$log"
  rm -rf "$scratch"
  rmdir --ignore-fail-on-non-empty "$found"
}

# A line for each target, and one for all.
report() {
  local name played total=0 broken=()
  for name in "${targets[@]}"; do
    played=$(sed -n 's/^stat::number_of_executed_units: *//p' "$logs/$name")
    total=$((total + ${played:-0}))
    if grep -qx 'code 0' "$logs/$name"; then
      echo "    $name: ${played:-0} inputs, $(grep -oE 'cov: [0-9]+' "$logs/$name" | tail -n 1)"
    else
      broken+=("$name")
      grep -E -A 3 'panicked at|ERROR: |SUMMARY: |Test unit written' "$logs/$name" | tail -n 30
      echo "    $name: a promise is broken after ${played:-some} inputs, see fuzz/regressions/$name"
    fi
  done
  echo "fuzz: $total inputs to ${#targets[@]} targets in $1 s each, ${#broken[@]} broken ${broken[*]:-}"
  [ ${#broken[@]} -eq 0 ]
}

if [ "${1:-}" = --one ]; then
  fuzz_one "$2" "$3"
else
  main "$@"
fi
