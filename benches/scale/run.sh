#!/usr/bin/env bash
# 200,000 devices against pushgate processes on one port: how each cost grows with their number.
#
#   benches/scale/run.sh [--devices 200000] [--processes 12] [--rate 500] [--hold 300] [--folders 5] [--stages 1000,5000,…]
#                        [--short] [--out FOLDER]
#
# A rate that the machine keeps up with: devices that are still logging in are measured as well, and make the figures worthless.
# --short: 2,000 devices, 2 processes, two minutes at most. Linux; root sees the kernel's memory as well. Needs python3 and
# openssl. The reports stay in the folder (target/scale by default). Whatever it starts ends with it.
exec "$(dirname "$0")/session.sh" scale.py "$@"
