#!/bin/sh
# A compiler that adds what libFuzzer needs of what it fuzzes: this project, not the crates of others, which stay as the other tests have
# built them. Cargo calls it for members of the workspace only (RUSTC_WORKSPACE_WRAPPER, see tests/fuzz.sh).
rustc=$1
shift
case " $* " in
*" --crate-name pushgate "* | *" --crate-name pushgate_fuzz "*) ;;
*) exec "$rustc" "$@" ;;
esac
# As `cargo fuzz` has them; optimised a little, since without it a tenth as much is played.
exec "$rustc" "$@" -Copt-level=1 -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
  -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
  -Cllvm-args=-sanitizer-coverage-trace-compares -Cllvm-args=-simplifycfg-branch-fold-threshold=0
