#!/bin/sh
# Starts SOGo with what no image may hold: the password of PostgreSQL, in a file that only SOGo reads.
set -eu
: "${POSTGRES_PASSWORD:?}"
secret=${SECRET:-/run/sogo-secret}
template=${TEMPLATE:-/etc/sogo/sogo.conf.in}
umask 077
sed -e "s|sogo:PASSWORD@|sogo:$POSTGRES_PASSWORD@|" -e "s|DOMAIN|${MAIL_DOMAIN:-example.org}|" "$template" >"$secret/sogo.conf"
cd "${HOME:-/var/lib/sogo}"
exec "$@" /usr/sbin/sogod -WONoDetach YES -WOLogFile - -WOPidFile /run/sogo/sogo.pid
