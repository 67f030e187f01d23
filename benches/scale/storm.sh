#!/usr/bin/env bash
# All devices lose their network and connect again at once, against one pushgate process with few connections to its backend.
# Then that process is killed and started again: it knows nobody.
#
#   benches/scale/storm.sh [--devices 15000] [--requests 300] [--resolve N] [--connections 32] [--short] [--out FOLDER]
#   benches/scale/storm.sh --draw               # only docs/performance.md anew, from docs/storm.json
#
# Ten minutes. The whole measurement writes docs/storm.json and its part of docs/performance.md; --publish makes others do so.
# --short: 1,000 devices at 100 requests a second, three minutes. Linux. Needs python3 and openssl. report.html and report.json stay in
# the folder (target/storm by default). Whatever it starts ends with it; it ends with 1 when the backend saw more than its rate or
# somebody was not held again.
exec "$(dirname "$0")/session.sh" storm.py "$@"
