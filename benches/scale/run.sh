#!/usr/bin/env bash
# 200,000 devices against pushgate processes on one port: how each cost grows with their number.
#
#   benches/scale/run.sh [--devices 200000] [--processes 12] [--rate 400] [--hold 300] [--short] [--out FOLDER]
#
# --short: 2,000 devices, 2 processes, two minutes at most. Linux; root sees the kernel's memory as well. Needs python3 and
# openssl. The reports stay in the folder (target/scale by default). Whatever it starts ends with it.
exec "$(dirname "$0")/session.sh" scale.py "$@"
