#!/usr/bin/env bash
# What deploy/ promises, checked by the programs it is for: systemd, Prometheus, HAProxy, nginx, and an empty Debian 12 into which
# the package is installed, and out of which an image is made. Needs root, and target/release/pushgate. One line a check; ends with how many passed.
#
#   tests/deploy/run.sh ROOT    ROOT: where the Debian is made, and kept for the next run
set -uo pipefail

cd "$(dirname "$0")/../.." || exit 1
root=$1
target=${CARGO_TARGET_DIR:-$PWD/target}
passed=0
failed=0

. tests/deploy/container.sh

check() {
  local what=$1 log
  shift
  if log=$("$@" 2>&1); then
    passed=$((passed + 1))
    echo "$what: ok"
  else
    failed=$((failed + 1))
    printf '%s: FAILED\n%s\n' "$what" "$log"
  fi
}

main() {
  check "unit: systemd-analyze verify" unit_is_valid
  check "unit: exposure at most 2.0" exposure_is_low
  check "prometheus: rules" promtool check rules deploy/prometheus/pushgate.rules.yaml
  check "prometheus: the rules' own cases" promtool test rules deploy/prometheus/tests.yaml
  check "prometheus, grafana: every metric exists" metrics_exist
  check "grafana: well-formed, panels do not overlap" python3 tests/deploy/dashboard.py deploy/grafana/pushgate.json
  for file in deploy/recipes/haproxy-*.cfg; do check "$file" haproxy -c -q -f "$file"; done
  for file in deploy/recipes/nginx-*.conf; do check "$file" nginx -t -q -c "$PWD/$file" -e /dev/null; done
  check "sysctl: every key exists here" sysctl_keys_exist
  check "package: built" build_package
  check "package: an empty Debian 12" make_debian
  container_checks
  check "package: installed there" install_package
  check "package: files, owners, modes" installed_as_promised
  check "package: its configuration is checked" configuration_is_checked
  check "package: removed, configuration and data stay; purged, nothing does" remove_and_purge
  check "package: installed once more" install_package
  check "a new operator: systemd boots it, in front of SOGo, a mail wakes a phone" take_the_operators_path
  echo "test result: $([ "$failed" = 0 ] && echo ok || echo FAILED). $passed passed; $failed failed; what deploy/ promises"
  [ "$failed" = 0 ]
}

# The unit names programs of the package; a copy that has them elsewhere is verified the same.
unit_is_valid() {
  local copy
  copy=$(mktemp -d) && sed 's#/usr/bin/pushgate#/bin/true#' deploy/systemd/pushgate.service >"$copy/pushgate.service" || return 1
  local said
  said=$(systemd-analyze verify --man=no "$copy/pushgate.service" 2>&1 | grep -F pushgate.service)
  rm -r "$copy"
  echo "$said"
  [ -z "$said" ]
}

exposure_is_low() { systemd-analyze security --offline=true --threshold=20 --no-pager deploy/systemd/pushgate.service; }

metrics_exist() {
  local metric missing=1
  for metric in $(grep -ohE '\bpushgate_[a-z_]+' deploy/grafana/pushgate.json deploy/prometheus/*.yaml | sed -E 's/_(bucket|count|sum)$//' | sort -u); do
    grep -qF "\`$metric\`" docs/metrics.md || { echo "$metric is not in docs/metrics.md"; return 1; }
    missing=0
  done
  return $missing
}

# A leading - marks keys that exist only where a module is loaded.
sysctl_keys_exist() {
  local key missing=1
  for key in $(grep -oE '^[a-z][a-z0-9_.-]+' deploy/sysctl/90-pushgate.conf); do
    [ -e "/proc/sys/${key//.//}" ] || { echo "no $key"; return 1; }
    missing=0
  done
  return $missing
}

build_package() {
  rm -f "$target"/debian/pushgate_*.deb
  cargo deb --no-build --strip --fast --output "$target/debian/" && ls "$target"/debian/pushgate_*.deb
}

# From wherever this machine gets its own packages.
make_debian() {
  [ ! -e "$root/.complete" ] || return 0
  rm -rf "$root"
  local mirror
  mirror=$(apt-get indextargets --format '$(SITE)' 'Codename: bookworm' | head -n 1) && [ -n "$mirror" ] || return 1
  debootstrap --variant=minbase --include=ca-certificates bookworm "$root" "$mirror" && touch "$root/.complete"
}

in_debian() { chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive "$@"; }

# apt resolves what the package depends on; nothing may be started in a directory.
install_package() {
  printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d" && chmod 755 "$root/usr/sbin/policy-rc.d"
  cp "$target"/debian/pushgate_*.deb "$root/root/pushgate.deb" || return 1
  in_debian apt-get install -y --no-install-recommends /root/pushgate.deb
}

installed_as_promised() {
  in_debian sh -ec '
    test "$(stat -c "%U:%G %a" /etc/pushgate)" = "root:pushgate 750"
    test "$(stat -c "%U:%G %a" /etc/pushgate/pushgate.toml)" = "root:pushgate 640"
    getent passwd pushgate | grep -q ":/var/lib/pushgate:.*nologin"
    test -f /lib/systemd/system/pushgate.service || test -f /usr/lib/systemd/system/pushgate.service
    test ! -e /etc/systemd/system/multi-user.target.wants/pushgate.service
    zcat -f /usr/share/doc/pushgate/reference.toml* | grep -q "^\[listen\]"
    pushgate --version
  '
}

# The shipped file names a certificate that is not there: said, with exit status 2. With one, it passes.
configuration_is_checked() {
  rm -f "$root"/etc/pushgate/*.pem
  in_debian pushgate check && return 1
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost \
    -keyout "$root/etc/pushgate/key.pem" -out "$root/etc/pushgate/fullchain.pem"
  in_debian pushgate check
}

take_the_operators_path() {
  DEBIAN=$root PYTHONDONTWRITEBYTECODE=1 timeout 300 /usr/bin/python3 -m unittest -f -v tests/deploy/test_operator.py
}

remove_and_purge() {
  mkdir -p "$root/var/lib/pushgate" && touch "$root/var/lib/pushgate/pushgate.db"
  in_debian apt-get remove -y pushgate || return 1
  [ -e "$root/etc/pushgate/pushgate.toml" ] && [ -e "$root/var/lib/pushgate/pushgate.db" ] && [ ! -e "$root/usr/bin/pushgate" ] || return 1
  in_debian apt-get purge -y pushgate || return 1
  [ ! -e "$root/etc/pushgate/pushgate.toml" ] && [ ! -e "$root/var/lib/pushgate" ]
}

main
