#!/bin/sh
# Starts Dovecot with what no image may hold: the password of PostgreSQL and pushgate's token, in files that only root reads.
set -eu

run=${RUN:-/run/pushgate}
token=${TOKEN_FILE:-/var/lib/pushgate-token/token}
recipes=${RECIPES:-/etc/dovecot}
: "${POSTGRES_PASSWORD:?}"

# pushgate makes it when it starts for the first time, which is after us: its network is ours.
waited=0
while [ ! -s "$token" ]; do
  [ "$waited" -lt 120 ] || { echo "dovecot.sh: no $token after two minutes: does pushgate run?" >&2; exit 1; }
  sleep 1
  waited=$((waited + 1))
done

umask 077
mkdir -p "$run"
cat >"$run/sql.conf.ext" <<END
driver = pgsql
connect = host=${POSTGRES_HOST:-postgres} dbname=sogo user=sogo password=$POSTGRES_PASSWORD
password_query = SELECT c_uid AS "user", c_password AS password FROM users WHERE c_uid = '%Lu'
default_pass_scheme = SHA512-CRYPT
END
# The token has no character that sed would take for its own: it is base64 for URLs.
sed "s|TOKEN@|$(cat "$token")@|" "$recipes/pushgate-${NOTIFY:-lua}.conf" >"$run/notify.conf"

exec "$@" dovecot -F -c "$recipes/dovecot.conf"
