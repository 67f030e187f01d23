#!/usr/bin/env bash
# Measures pushgate beside nginx with nchan, pushpin, HAProxy, nginx, a plain hyper holder, and SOGo: one run, one machine.
#
#   benches/peers/run.sh [--short] [--only pushgate,nchan,…] [--n 1000,5000,15000] [--repeat N] [--json FILE]
#
# Without options two hours; --short five. Needs root (the kernel's slabs, mail servers with users of their own);
# missing Debian packages are installed, and nothing they bring is started. Whatever it starts ends with it.
set -uo pipefail

cd "$(dirname "$0")/../.." || exit 1
packages=(libnginx-mod-nchan nginx-light haproxy pushpin zurl libjemalloc2 python3
  sogo sogo-activesync dovecot-imapd dovecot-lmtpd lua-socket lua-cjson postgresql memcached)

main() {
  [ "$(id -u)" = 0 ] || { echo "benches/peers/run.sh: needs root" >&2; exit 1; }
  install_packages || exit 1
  cargo bench --locked --bench peers --no-run || exit 1
  scratch=$(mktemp -d /tmp/peers.XXXX)
  trap leave EXIT
  trap 'exit 130' INT TERM
  # A session of its own: everything in it can be ended at once.
  setsid cargo bench --quiet --locked --bench peers -- --scratch "$scratch" "$@" &
  session=$!
  wait "$session"
}

# The mail servers have sessions of their own.
leave() {
  code=$?
  kill -TERM -- "-$session" 2>/dev/null && sleep 1
  kill -KILL -- "-$session" 2>/dev/null
  [ ! -d "$scratch/sogo/run" ] || bash tests/servers/servers.sh stop "$scratch/sogo"
  rm -rf "$scratch"
  exit "$code"
}

install_packages() {
  local missing=() package policy=/usr/sbin/policy-rc.d ours='' code=0
  for package in "${packages[@]}"; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  echo "installing ${missing[*]}"
  if [ ! -e $policy ]; then
    printf '#!/bin/sh\nexit 101\n' >$policy && chmod 755 $policy && ours=$policy
  fi
  { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}"; } >/dev/null || code=$?
  [ -z "$ours" ] || rm -f "$ours"
  return "$code"
}

main "$@"
