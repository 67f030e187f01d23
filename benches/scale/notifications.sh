#!/usr/bin/env bash
# Processor time that a notification costs a gateway that does not know the mailbox, end to end: what several gateways that are all told
# everything pay, and a mail server whose users mostly have no phone.
#
#   benches/scale/notifications.sh [--entries 5000] [--requests 200] [--out FOLDER]
#
# Half a minute. Linux. Needs python3 and openssl.
exec "$(dirname "$0")/session.sh" notifications.py "$@"
