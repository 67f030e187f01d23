#!/usr/bin/env bash
# All devices lose their network and connect again at once, against one pushgate process with few connections to its backend.
# Then that process is killed and started again: it knows nobody.
#
#   benches/scale/storm.sh [--devices 15000] [--connections 32] [--resolve N] [--short] [--out FOLDER]
#
# --short: 2,000 devices, under two minutes. Linux. Needs python3 and openssl. report.html and report.json stay in the folder
# (target/storm by default). Whatever it starts ends with it.
exec "$(dirname "$0")/session.sh" storm.py "$@"
