#!/usr/bin/env bash
# A complete throw-away mail system for the tests: SOGo with ActiveSync behind nginx, Dovecot (IMAP, LMTP, the ox
# notification driver), PostgreSQL and memcached, everything under one directory and on one loopback address.
#
#   servers.sh start DIR    start what is not running yet, make the mailboxes, write DIR/settings
#   servers.sh stop  DIR    stop exactly what start started
#
# Users u1 … u60@example.test, password "test". From the environment:
#   NOTIFY_URL  where Dovecot reports new mail, such as http://dovecot:TOKEN@127.0.1.1:9080/v1/dovecot (empty: nowhere)
#   NOTIFY_DRIVER  ox or lua: which recipe of deploy/dovecot/ (ox)
#   WORKERS     SOGo's worker processes (4)
#   ADDRESS     loopback address of every server (127.0.1.1: local programs' own outgoing ports live on 127.0.0.1)
#
# Needs root, because Dovecot and SOGo want users of their own. Nothing in /etc is read or changed: SOGo gets its
# settings as arguments, which win over /etc/sogo/sogo.conf.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
users=60
packages=(sogo sogo-activesync dovecot-imapd dovecot-lmtpd lua-socket lua-cjson postgresql memcached nginx-light)

main() {
  [ $# = 2 ] || { sed -n '2,/^set /s/^# \{0,1\}//p' "$0" >&2; exit 2; }
  mkdir -p "$2"
  dir=$(cd "$2" && pwd)
  case $1 in
    start) start ;;
    stop) stop ;;
    *) echo "servers.sh: $1 is neither start nor stop" >&2; exit 2 ;;
  esac
}

start() {
  require_packages
  [ "$(id -u)" = 0 ] || fail "needs root: Dovecot, SOGo and PostgreSQL run as users of their own"
  [ ${#dir} -le 60 ] || fail "$dir is too long a path for Unix sockets below it"
  make_directories
  choose_ports
  . "$dir/settings"
  trap 'code=$?; [ $code = 0 ] || { echo "servers.sh: start failed; logs are in $dir/log" >&2; stop; }' EXIT

  start_memcached
  start_postgresql
  start_dovecot
  wait_for postgresql "$ADDRESS" "$POSTGRESQL_PORT"
  make_database
  start_sogo
  start_nginx
  wait_for memcached "$ADDRESS" "$MEMCACHED_PORT"
  wait_for dovecot "$ADDRESS" "$IMAP_PORT"
  wait_for dovecot "$ADDRESS" "$LMTP_PORT"
  python3 "$here/prepare_mailboxes.py" "$ADDRESS" "$IMAP_PORT" "$users"
  wait_for sogo "$ADDRESS" "$SOGO_PORT"
  wait_for nginx "$ADDRESS" "$BACKEND_PORT"
  echo "servers.sh: ready: $BACKEND_URL for u1 … u$users@example.test, LMTP $ADDRESS:$LMTP_PORT"
}

# The reverse order of start; what holds state last.
stop() {
  for name in nginx sogo dovecot memcached postgresql; do stop_one "$name"; done
}

fail() { echo "servers.sh: $*" >&2; exit 1; }

require_packages() {
  local missing=()
  for package in "${packages[@]}"; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
  done
  [ ${#missing[@]} = 0 ] || fail "missing Debian packages: apt-get install ${missing[*]}"
  postgresql_bin=$(find /usr/lib/postgresql -path '*/bin/initdb' -printf '%h\n' | sort -V | tail -1)
}

make_directories() {
  chmod 755 "$dir"
  mkdir -p "$dir"/{log,run,mail,postgresql,sogo,nginx}
  chown mail:mail "$dir/mail"
  chown postgres:postgres "$dir/postgresql"
  chown sogo:sogo "$dir/sogo"
  chown www-data:www-data "$dir/nginx"
  chmod 700 "$dir/postgresql"
}

# Ports are chosen once and kept in DIR/settings, so that a second start finds the servers of the first. They lie below
# the range from which the kernel takes outgoing ports.
choose_ports() {
  [ -s "$dir/settings" ] && return
  local address=${ADDRESS:-127.0.1.1} base
  while :; do
    base=$((20000 + RANDOM % 1200 * 10))
    for port in $(seq $base $((base + 6))); do answers "$address" "$port" && continue 2; done
    break
  done
  cat >"$dir/settings" <<END
ADDRESS=$address
POSTGRESQL_PORT=$base
MEMCACHED_PORT=$((base + 1))
IMAP_PORT=$((base + 2))
LMTP_PORT=$((base + 3))
SOGO_PORT=$((base + 4))
BACKEND_PORT=$((base + 5))
BACKEND_URL=http://$address:$((base + 5))
STATUS_PORT=$((base + 6))
END
}

start_memcached() {
  start_one memcached memcache memcached -l "$ADDRESS" -p "$MEMCACHED_PORT" -m 64
}

start_postgresql() {
  local data="$dir/postgresql/data"
  [ -d "$data" ] || setpriv --reuid postgres --regid postgres --init-groups "$postgresql_bin/initdb" -D "$data" -A trust -E UTF8 --locale=C.UTF-8 --no-sync >"$dir/log/initdb"
  start_one postgresql postgres "$postgresql_bin/postgres" -D "$data" -p "$POSTGRESQL_PORT" -c listen_addresses="$ADDRESS" \
    -c unix_socket_directories= -c fsync=off -c max_connections=200
}

make_database() {
  local psql=(psql -q -t -A -h "$ADDRESS" -p "$POSTGRESQL_PORT" -v ON_ERROR_STOP=1)
  [ "$("${psql[@]}" -U postgres -c "select count(*) from pg_database where datname = 'sogo'")" = 0 ] || return 0
  "${psql[@]}" -U postgres -c "create role sogo login" -c "create database sogo owner sogo"
  "${psql[@]}" -U sogo -d sogo -v users="$users" <"$here/users.sql"
}

start_dovecot() {
  local recipe="$here/../../deploy/dovecot"
  fill "$here/dovecot.conf.in" >"$dir/dovecot.conf"
  rm -f "$dir/notify.conf"
  if [ -n "${NOTIFY_URL:-}" ]; then
    (umask 077 && sed -e "s|http://dovecot:TOKEN@127.0.0.1:9080/v1/dovecot|$NOTIFY_URL|" -e "s|/etc/dovecot/|$dir/|" \
      "$recipe/pushgate-${NOTIFY_DRIVER:-ox}.conf" >"$dir/notify.conf")
    cp "$recipe/pushgate.lua" "$dir/"
  fi
  is_running dovecot || rm -rf "$dir/run/dovecot"   # its pid file stays after a kill, and the pid may be somebody else's
  start_one dovecot root dovecot -F -c "$dir/dovecot.conf"
}

start_sogo() {
  local settings=() key value
  while IFS='=' read -r key value; do
    settings+=("-$key" "$value")
  done < <(fill "$here/sogo.settings.in" "WORKERS=${WORKERS:-4}" | grep -v -e '^#' -e '^$')
  (cd "$dir/sogo" && start_one sogo sogo env HOME="$dir/sogo" sogod "${settings[@]}")
}

start_nginx() {
  fill "$here/nginx.conf.in" >"$dir/nginx.conf"
  start_one nginx www-data nginx -e stderr -p "$dir/nginx" -c "$dir/nginx.conf"
}

# fill TEMPLATE [NAME=VALUE]…: replaces @NAME@ by the setting of that name.
fill() {
  local template=$1 script="s|@DIR@|$dir|g;" pair
  shift
  for pair in $(cat "$dir/settings"); do script+="s|@${pair%%=*}@|${pair#*=}|g;"; done
  for pair in "$@"; do script+="s|@${pair%%=*}@|${pair#*=}|g;"; done
  sed -e "$script" "$template"
}

# start_one NAME USER COMMAND…: in the foreground of a session of its own, so that stop can end it with all its children.
# The pid file carries the start time too: a pid that now belongs to somebody else is left alone.
start_one() {
  local name=$1 user=$2
  shift 2
  if is_running "$name"; then return; fi
  setsid setpriv --reuid "$user" --regid "$(id -g "$user")" --init-groups "$@" >>"$dir/log/$name" 2>&1 </dev/null &
  echo "$! $(started_at $!)" >"$dir/run/$name.pid"
}

# Empty when there is no such process, or only its zombie (not every container's first process collects them).
started_at() { sed -n 's/.*) //; /^Z/!p' "/proc/$1/stat" 2>/dev/null | cut -d ' ' -f 20; }

is_running() {
  local pid started
  [ -s "$dir/run/$1.pid" ] || return 1
  read -r pid started <"$dir/run/$1.pid"
  [ -n "$started" ] && [ "$(started_at "$pid")" = "$started" ]
}

# Only PostgreSQL leaves in order; the rest keeps nothing worth it, and a SOGo worker that holds a Ping would not leave.
stop_one() {
  local name=$1 pid
  if is_running "$name"; then
    read -r pid _ <"$dir/run/$name.pid"
    if [ "$name" = postgresql ]; then
      kill -INT "$pid" 2>/dev/null || true   # its "fast" shutdown
      for _ in $(seq 50); do is_running "$name" || break; sleep 0.1; done
    fi
    kill -KILL -- "-$pid" 2>/dev/null || true
    while is_running "$name"; do sleep 0.02; done
  fi
  rm -f "$dir/run/$name.pid"
}

answers() { (exec 3<>"/dev/tcp/$1/$2") 2>/dev/null; }

wait_for() {
  for _ in $(seq 150); do
    answers "$2" "$3" && return
    is_running "$1" || { tail -n 20 "$dir/log/$1" >&2; fail "$1 did not start"; }
    sleep 0.1
  done
  fail "$1 does not answer on $2:$3 after 15 s"
}

main "$@"
