#!/usr/bin/env bash
# Every ready scenario of the load tool in a short form, against one pushgate process with a stand-in CAS: do they still run, and do
# their thresholds hold?
#
#   benches/scale/scenarios.sh [--only NAME,…] [--out FOLDER]
#
# Six minutes. Linux. Needs python3 and openssl. The reports stay in the folder (target/scenarios by default). Whatever it starts ends with it.
exec "$(dirname "$0")/session.sh" scenarios.py "$@"
