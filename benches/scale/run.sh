#!/usr/bin/env bash
# Up to 200,000 devices against pushgate processes on one port: held, left alone, all woken, all held again; how each cost grows.
#
#   benches/scale/run.sh [--rows 1000,5000,…] [--processes 12] [--rate 500] [--hold 300] [--folders 5] [--short] [--out FOLDER]
#   benches/scale/run.sh --draw                 # only docs/scale.svg and docs/performance.md anew, from docs/scale.json
#
# Half an hour. It says every ten seconds how far it is, waits until all are held before it measures, and again until all are held after
# the wake. The whole measurement writes docs/scale.json, docs/scale.svg and its part of docs/performance.md; --publish makes others do so.
# --short: 500 and 2,000 devices, 2 processes, two minutes. Linux; root sees the kernel's memory as well. Needs python3 and openssl.
# Reports and logs stay in the folder (target/scale by default). Whatever it starts ends with it; it ends with 1 when anybody was lost
# or left behind.
exec "$(dirname "$0")/session.sh" scale.py "$@"
