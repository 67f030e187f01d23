#!/usr/bin/env bash
# Sets up and passes every test on a fresh Debian 12 with Rust: the one command that a change must survive.
#
#   tests/run.sh [LAYER…]     all layers, or those named: format lint tests sim fuzz micro demo api servers deploy attacks soak
#   tests/run.sh benches      the budgets in time and memory, for a quiet machine: not among all layers, because a busy one fails them
#
# Missing Debian packages are installed when it runs as root, and named otherwise. A layer that fails does not stop the
# others; nothing is ever skipped. The full output of each layer is kept in target/test-output/.
set -uo pipefail

cd "$(dirname "$0")/.." || exit 1
target=${CARGO_TARGET_DIR:-$PWD/target}
output=$target/test-output
passed=0
failed=0

build_packages=(gcc g++ libc6-dev make libssl-dev pkg-config openssl libwbxml2-utils python3 python3-venv procps valgrind slapd libfaketime)
server_packages=(sogo sogo-activesync dovecot-imapd dovecot-lmtpd lua-socket lua-cjson postgresql memcached nginx-light iproute2
  python3-requests)
deploy_packages=(debootstrap haproxy libnginx-mod-stream prometheus systemd systemd-container buildah docker-compose)
attack_packages=(slowhttptest testssl.sh curl)

main() {
  mkdir -p "$output"
  install_packages || exit 1
  require_rust || exit 1
  # The demo and the tests hold thousands of sockets in one process.
  ulimit -n "$(ulimit -Hn)"
  local layers=("$@")
  [ ${#layers[@]} -gt 0 ] || layers=(format lint tests sim fuzz micro demo api servers deploy attacks soak)
  for layer in "${layers[@]}"; do
    declare -F "layer_$layer" >/dev/null || { echo "tests/run.sh: there is no layer $layer" >&2; exit 2; }
    run_layer "$layer"
  done
  echo
  echo "$passed passed, $failed failed"
  [ "$failed" = 0 ]
}

# --- layers: each prints what it does, and ends with 0 when it passed

# In one way for all of them: what is built with other packages has other features, and is built anew.
release_binaries() { cargo build --release --locked --package pushgate --package pushgate-loadtest --bins; }

layer_format() { cargo fmt --all --check; }

layer_lint() { cargo clippy --workspace --all-targets --locked -- -D warnings; }

# Without optimisation of our own code: its assertions and overflow checks are on.
layer_tests() { cargo test --workspace --locked --no-fail-fast; }

# Seeded worlds around the lot; stops at the first seed that loses a wake, and says how to play it again.
layer_sim() { cargo run --release --locked --quiet --example sim -- --seeds 10000; }

# Whatever anybody may send, made up by a fuzzer: 10 s for each reader; stops at the first promise that is broken, and keeps the input.
# Made up in the same way each time: a change is judged by what it changes. tests/fuzz.sh looks elsewhere each time.
layer_fuzz() { SEED=1 tests/fuzz.sh 10; }

# Instructions of each part against the stored baseline: the same on a busy machine, so it is among all layers.
layer_micro() { cargo bench --locked --bench micro -- --count; }

# The budgets on this machine, whatever else runs on it: those that are noisy have a tolerance (benches/budgets).
layer_benches() { cargo bench --locked --bench budgets -- --short; }

layer_demo() {
  release_binaries &&
    "$target/release/pushgate" demo --devices 1000 --for 20s --json | python3 tests/demo.py &&
    python3 tests/smoke.py "$target/release/pushgate" "$target/release/pushgate-loadtest"
}

# Every operation of the internal address with data made from its OpenAPI document, as an admin and as nobody: some 80 seconds.
layer_api() {
  local venv=$target/schemathesis
  release_binaries && python3 -m venv "$venv" && "$venv/bin/pip" install --quiet --disable-pip-version-check schemathesis==4.32.5 &&
    PUSHGATE="$target/release/pushgate" SCHEMATHESIS="$venv/bin/schemathesis" PYTHONDONTWRITEBYTECODE=1 python3 tests/api/check.py
}

# One of the devices is somebody else's program, from PyPI.
layer_servers() {
  local venv=$target/test-venv
  release_binaries &&
    /usr/bin/python3 -m venv --system-site-packages "$venv" &&
    "$venv/bin/pip" install --quiet --no-deps --require-hashes --requirement tests/servers/requirements.txt &&
    PUSHGATE="$target/release/pushgate" LOADTEST="$target/release/pushgate-loadtest" PYTHONDONTWRITEBYTECODE=1 \
      "$venv/bin/python" -m unittest discover -f -v -s tests/servers
}

# What deploy/ promises: the unit, the balancers' files, the alerts, and the package in an empty Debian.
layer_deploy() {
  release_binaries &&
    cargo install cargo-deb --quiet --locked --version 3.8.0 --root "$target/tools" &&
    PATH=$target/tools/bin:$PATH tests/deploy/run.sh "$target/debian-root"
}

# slowhttptest against 5,000 held Pings, testssl.sh, client certificates: some five minutes.
layer_attacks() {
  release_binaries &&
    PUSHGATE="$target/release/pushgate" PYTHONDONTWRITEBYTECODE=1 python3 -m unittest discover -f -v -s tests/attacks
}

# 500 devices for three minutes while things around pushgate go wrong, after what judges that was tested itself. The whole: tests/soak.sh.
layer_soak() {
  PYTHONDONTWRITEBYTECODE=1 python3 -m unittest discover -v -s tests/soak && tests/soak.sh --short
}

# --- running and counting

# Seconds after which a layer counts as hung: a first build on two slow cores takes most of it.
layer_s_max=2700

run_layer() {
  local name=$1 started=$SECONDS code=0
  echo
  echo "== $name"
  export -f "layer_$name" release_binaries
  export target
  timeout --kill-after=30 "$layer_s_max" bash -uo pipefail -c "layer_$name" >"$output/$name" 2>&1 </dev/null || code=$?
  [ "$code" = 0 ] || { tail -n 80 "$output/$name"; grep -E -A 6 '^test .*FAILED$|panicked at|^(FAIL|ERROR): ' "$output/$name" | grep -vE '^ +([0-9]+:|at )|^stack backtrace|^test .* ok$' | tail -n 60; }
  [ "$code" != 124 ] || echo "$name: hung; ended after $layer_s_max s"
  summary "$output/$name"
  count "$output/$name" "$code"
  echo "== $name: $([ "$code" = 0 ] && echo passed || echo FAILED) in $((SECONDS - started)) s"
}

# The test runners' own summary lines, and the figures that the demo and the server tests measured.
summary() {
  grep -oE '^(test result: .*|Ran [0-9]+ tests.*|OK$|FAILED.*|demo: .*|api: .*|soak: .*|fuzz: .*|micro: .*|ANOTHER .*|[|] .* [|] (yes|NO|within tolerance) [|])|(^|\.\.\. )    [a-zA-Z0-9][^:]*: .*[0-9].*' "$1" |
    grep -v ' 0 passed; 0 failed' | sed 's/^\.\.\. //'
}

# Adds the tests of a layer. A layer without a test runner of its own, or one that broke beside its tests, counts as one;
# an ignored test counts as failed.
count() {
  local ok bad
  ok=$(sum "$1" '^test result: ' '[0-9]+ passed')
  bad=$(($(sum "$1" '^test result: ' '[0-9]+ failed') + $(sum "$1" '^test result: ' '[0-9]+ ignored')))
  if grep -q '^Ran [0-9]' "$1"; then
    ok=$((ok + $(grep -cE '(^|\.\.\. )ok$' "$1")))
    bad=$((bad + $(sum "$1" '^FAILED ' '(failures|errors)=[0-9]+')))
  fi
  if [ "$2" != 0 ] && [ "$bad" = 0 ]; then bad=1; fi
  if [ "$2" = 0 ] && [ "$ok" = 0 ]; then ok=1; fi
  passed=$((passed + ok))
  failed=$((failed + bad))
}

# sum FILE LINES WHAT: adds the numbers in every match of WHAT on the lines that match LINES.
sum() { grep -E "$2" "$1" | grep -oE "$3" | grep -oE '[0-9]+' | awk '{ n += $1 } END { print n + 0 }'; }

# --- setting up

install_packages() {
  local missing=() package
  for package in "${build_packages[@]}" "${server_packages[@]}" "${deploy_packages[@]}" "${attack_packages[@]}"; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  if [ "$(id -u)" != 0 ]; then
    echo "tests/run.sh: missing Debian packages; as root: apt-get install --no-install-recommends ${missing[*]}" >&2
    return 1
  fi
  echo "installing ${missing[*]}"
  # The tests start servers of their own; those that the packages bring are not to be started at all.
  local policy=/usr/sbin/policy-rc.d ours= code=0
  if [ ! -e $policy ]; then
    printf '#!/bin/sh\nexit 101\n' >$policy && chmod 755 $policy && ours=$policy
  fi
  { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}"; } \
    >"$output/packages" 2>&1 </dev/null || code=$?
  [ -z "$ours" ] || rm -f "$ours"
  [ "$code" = 0 ] || { tail -n 40 "$output/packages"; echo "tests/run.sh: the packages could not be installed" >&2; }
  return "$code"
}

require_rust() {
  local program
  # rustup's own directory is not on the path of every shell.
  [ ! -d "$HOME/.cargo/bin" ] || PATH=$HOME/.cargo/bin:$PATH
  for program in cargo rustfmt cargo-clippy; do
    command -v "$program" >/dev/null || {
      echo "tests/run.sh: $program is missing: install Rust with its default components (rustup.rs)" >&2
      return 1
    }
  done
}

main "$@"
