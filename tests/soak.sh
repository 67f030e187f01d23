#!/usr/bin/env bash
# A soak: devices against one pushgate process for minutes, while things around it go wrong at random, by a seed: backend, networks,
# notification source, store, certificate, configuration, strangers, the process itself.
#
#   tests/soak.sh [--devices 15000] [--minutes 15] [--seed N] [--out FOLDER]
#   tests/soak.sh --short          # 500 devices, three minutes, each fault for a few seconds
#   tests/soak.sh --draw           # only docs/soak.md and docs/soak.svg anew, from the folder's soak.json
#
# It ends with 1 when a wake was lost, memory grew, somebody was not held again in time, or anything panicked; soak.json, the load tool's
# report and all logs stay in the folder (target/soak by default). The whole soak (15,000 devices, 15 minutes or more) writes docs/soak.md
# and docs/soak.svg; --publish makes others do so. Linux. Needs python3 and openssl. Whatever it starts ends with it.
set -uo pipefail

cd "$(dirname "$0")/.." || exit 1
# What is only drawn needs no programs.
[[ " $* " == *" --draw "* ]] || cargo build --quiet --release --locked --package pushgate --package pushgate-loadtest || exit 1

leave() {
  code=$?
  kill -TERM -- "-$session" 2>/dev/null && sleep 1
  kill -KILL -- "-$session" 2>/dev/null
  exit "$code"
}

session=
setsid python3 -B tests/soak/soak.py "$@" &
session=$!
trap leave EXIT
trap 'exit 130' INT TERM
wait "$session"
