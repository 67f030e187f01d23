# Checks of deploy/container, for run.sh: no registry is needed, so the base image is the Debian that run.sh makes, and what compiles is what
# was compiled already. Needs root, buildah, docker-compose, and the programs of tests/servers.

containers=$target/containers
image=localhost/pushgate

container_checks() {
  rm -rf "$containers" && mkdir -p "$containers"/{storage,run,certificates}
  check "container: compose.yaml is valid" compose_is_valid
  check "container: nginx.conf is valid" container_nginx_is_valid
  check "container: dovecot.conf is valid, with what dovecot.sh makes" container_dovecot_is_valid
  check "container: sogo.conf is valid, as sogo.sh makes it" container_sogo_is_valid
  check "container: the image is built" image_is_built
  check "container: user, entry, health check and files of the image" image_is_as_promised
  check "container: pushgate.toml is checked inside" image_checks_its_configuration
  check "container: it serves, is healthy and drains" image_serves
  rm -rf "$containers"
}

# What .dockerignore keeps from the build is what the images below it are made of: from a folder without one.
put() { (cd "$containers" && bud "$@"); }
bud() { buildah --storage-driver vfs --root "$containers/storage" --runroot "$containers/run" "$@"; }

# The image's own volumes are left to buildah, which makes them as the image has them: of a mount of ours at the same place and its own, it takes
# now the one, now the other.
inside() { inside_run /usr/bin/pushgate "$@"; }
inside_run() {
  bud run --isolation chroot -v "$containers/pushgate.toml:/etc/pushgate/pushgate.toml:ro" \
    -v "$containers/certificates:/etc/pushgate/tls:ro" pushgate -- "$@"
}

compose_is_valid() {
  local file=deploy/container/compose.yaml
  POSTGRES_PASSWORD=x docker-compose -f "$file" config -q || return 1
  # Without a password it says what to do instead of starting.
  local said
  said=$(docker-compose -f "$file" config -q 2>&1) && return 1
  [[ $said = *"write it to .env"* ]] || { echo "$said"; return 1; }
  # Everything it mounts or builds from is there.
  local path
  for path in $(grep -oE '\./[a-z.]+:' "$file" | grep -v './tls:' | tr -d :) Containerfile Containerfile.mail; do
    [ -e "deploy/container/$path" ] || { echo "no $path"; return 1; }
  done
}

container_nginx_is_valid() {
  sed 's#http://sogo:#http://127.0.0.1:#' deploy/container/nginx.conf >"$containers/nginx.conf" && nginx -t -q -c "$containers/nginx.conf" -e stderr
}

container_dovecot_is_valid() {
  local etc=$containers/dovecot driver
  for driver in lua ox; do
    rm -rf "$etc" && mkdir -p "$etc" && cp deploy/dovecot/pushgate* "$etc" && echo "token_of-this-test" >"$etc/token" || return 1
    sed "s#/run/pushgate#$etc/run#" deploy/container/dovecot.conf >"$etc/dovecot.conf" || return 1
    POSTGRES_PASSWORD=secret NOTIFY=$driver RUN=$etc/run TOKEN_FILE=$etc/token RECIPES=$etc sh deploy/container/dovecot.sh echo || return 1
    [ "$(stat -c %a "$etc/run/sql.conf.ext") $(stat -c %a "$etc/run/notify.conf")" = "600 600" ] || return 1
    grep -q 'password=secret' "$etc/run/sql.conf.ext" || return 1
    doveconf -P -n -c "$etc/dovecot.conf" >"$etc/said" || return 1
    grep -q 'http://dovecot:token_of-this-test@127.0.0.1:9080/v1/dovecot' "$etc/said" || { cat "$etc/said"; return 1; }
  done
}

container_sogo_is_valid() {
  POSTGRES_PASSWORD=secret MAIL_DOMAIN=example.net SECRET=$containers HOME=$containers TEMPLATE=$PWD/deploy/container/sogo.conf \
    sh deploy/container/sogo.sh echo || return 1
  [ "$(stat -c %a "$containers/sogo.conf")" = 600 ] && plparse "$containers/sogo.conf" || return 1
  ! grep -E 'PASSWORD|DOMAIN' "$containers/sogo.conf" && [ "$(grep -c 'sogo:secret@postgres' "$containers/sogo.conf")" = 8 ]
}

image_is_built() {
  # What the package left there would be in the image; its user stays when it is purged, as is usual.
  in_debian sh -c 'dpkg -s pushgate >/dev/null 2>&1 && apt-get purge -y pushgate; rm -rf /etc/pushgate; userdel pushgate; groupdel pushgate' >/dev/null 2>&1 || true
  printf '#!/bin/sh\nmkdir -p target/release && cp /compiled target/release/pushgate\n' >"$containers/cargo"
  printf '#!/bin/sh\n' >"$containers/strip"
  bud from --name debian scratch && put add debian "$root" / && bud commit debian localhost/debian || return 1
  bud from --name cargo --pull-never localhost/debian && put copy --chmod 755 cargo "$containers/cargo" "$containers/strip" /usr/local/bin/ &&
    put copy cargo "$target/release/pushgate" /compiled && bud commit cargo localhost/cargo || return 1
  bud build --isolation chroot --format docker --pull-never --build-arg BUILD=localhost/cargo --build-arg BASE=localhost/debian \
    -t "$image" -f deploy/container/Containerfile . && bud from --name pushgate --pull-never "$image"
}

image_is_as_promised() {
  bud inspect --type image "$image" >"$containers/image.json" || return 1
  python3 - "$containers/image.json" <<'END' || return 1
import json, sys
config = json.load(open(sys.argv[1]))["Docker"]["config"]
assert config["User"] == "10001:10001", config
assert config["Entrypoint"] == ["/usr/bin/pushgate"] and config["Cmd"][0] == "serve", config
assert config["Healthcheck"]["Test"][:3] == ["CMD", "/usr/bin/pushgate", "status"], config
assert set(config["Volumes"]) == {"/var/lib/pushgate", "/var/lib/pushgate-token"}, config
assert not any(word in line for line in config["Env"] for word in ("TOKEN", "PASSWORD", "KEY")), config
END
  local files
  files=$(bud mount pushgate) || return 1
  [ "$(stat -c '%u:%g %a' "$files/var/lib/pushgate")" = "10001:10001 700" ] && [ "$(stat -c '%u %a' "$files/usr/bin/pushgate")" = "0 755" ] || return 1
  # Neither the source nor anything that was made where it was built.
  [ ! -e "$files/src" ] && [ -z "$(ls -A "$files/var/lib/pushgate" "$files/var/lib/pushgate-token" | grep -v ':$')" ] && [ ! -e "$files/etc/pushgate" ]
}

image_checks_its_configuration() {
  local port
  port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.1.1", 0)); print(s.getsockname()[1])') || return 1
  # Two ports that are free here, and a backend that need not exist for this.
  sed -e "s#0.0.0.0:8443#127.0.1.1:$port#" -e "s#^token_file#address = \"127.0.2.1:$port\"\n&#" deploy/container/pushgate.toml >"$containers/pushgate.toml"
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost \
    -keyout "$containers/certificates/key.pem" -out "$containers/certificates/fullchain.pem" || return 1
  chown -R 10001:10001 "$containers/certificates" && chmod 755 "$target" "$containers" && inside check --config /etc/pushgate/pushgate.toml
}

image_serves() {
  inside serve --config /etc/pushgate/pushgate.toml >"$containers/said" 2>&1 &
  local served=$! waited=0
  until inside status --config /etc/pushgate/pushgate.toml; do
    waited=$((waited + 1))
    [ "$waited" -lt 30 ] && kill -0 "$served" || { cat "$containers/said"; return 1; }
    sleep 1
  done
  local files
  files=$(inside_run stat -c '%n %u %a' /var/lib/pushgate/pushgate.db /var/lib/pushgate-token /var/lib/pushgate-token/token) || return 1
  [ "$files" = "/var/lib/pushgate/pushgate.db 10001 600
/var/lib/pushgate-token 10001 700
/var/lib/pushgate-token/token 10001 600" ] || { echo "$files"; return 1; }
  inside drain --config /etc/pushgate/pushgate.toml && wait "$served" || { cat "$containers/said"; return 1; }
}
