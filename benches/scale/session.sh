#!/usr/bin/env bash
# Builds the programs and runs one of the measurements beside this file in a session of its own: everything in it ends with it.
set -uo pipefail

cd "$(dirname "$0")/../.." || exit 1
program=benches/scale/$1
shift
# What is only drawn needs no programs.
[[ " $* " == *" --draw "* ]] || cargo build --quiet --release --locked --package pushgate --package pushgate-loadtest || exit 1

leave() {
  code=$?
  kill -TERM -- "-$session" 2>/dev/null && sleep 1
  kill -KILL -- "-$session" 2>/dev/null
  exit "$code"
}

session=
setsid python3 -B "$program" "$@" &
session=$!
trap leave EXIT
trap 'exit 130' INT TERM
wait "$session"
