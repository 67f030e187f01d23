"""The system under test: the mail servers, and pushgate in front of them."""

import http.client
import json
import os
import pathlib
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
DRAIN_S = 3


class MailServers:
    """SOGo, Dovecot, PostgreSQL, memcached and nginx, by servers.sh."""

    def __init__(self, directory: pathlib.Path, notify_url: str, notify_driver: str):
        self._directory = directory
        self._environment = {"NOTIFY_URL": notify_url, "NOTIFY_DRIVER": notify_driver}
        self.start_missing()
        lines = (directory / "settings").read_text().split()
        self.settings = dict(line.split("=", 1) for line in lines)
        self.address = self.settings["ADDRESS"]
        self.lmtp_port = int(self.settings["LMTP_PORT"])
        self.url = self.settings["BACKEND_URL"]
        self._status_queries = 0

    def requests(self) -> int:
        """Requests that nginx, and so SOGo, has been sent so far, unanswered ones included."""
        connection = http.client.HTTPConnection(self.address, int(self.settings["STATUS_PORT"]), timeout=10)
        connection.request("GET", "/requests")
        # Active connections … server accepts handled requests \n 5 5 9 …
        counters = connection.getresponse().read().split(b"\n")[2].split()
        connection.close()
        self._status_queries += 1
        return int(counters[2]) - self._status_queries

    def start_missing(self) -> None:
        """Starts what is not running."""
        _servers("start", self._directory, self._environment)

    def kill(self, name: str) -> None:
        """SIGKILL to one server with all its processes; its sockets are closed when this returns."""
        pid = int((self._directory / "run" / f"{name}.pid").read_text().split()[0])
        os.killpg(pid, signal.SIGKILL)
        deadline = time.monotonic() + 10
        while _is_running(pid):
            if time.monotonic() > deadline:
                raise AssertionError(f"{name} is still there after 10 s")
            time.sleep(0.01)

    @staticmethod
    def stop(directory: pathlib.Path) -> None:
        """Also stops what a start that failed half-way left."""
        _servers("stop", directory, {})


class Pushgate:
    """`pushgate serve` with a throw-away certificate."""

    def __init__(self, directory: pathlib.Path, address: str):
        self.directory = directory
        self.token = secrets.token_urlsafe(32)
        self.listen, self.internal = (f"{address}:{port}" for port in free_ports(address, 2))
        self.url = f"https://{self.listen}"
        self.certificate = str(directory / "certificate.pem")
        self.process: subprocess.Popen | None = None
        _write_private(directory / "token", self.token + "\n")
        _make_certificate(directory, address)

    def notify_url(self, address: str | None = None) -> str:
        """Where Dovecot's ox driver reports; the token is the password."""
        return f"http://dovecot:{self.token}@{address or self.internal}/v1/dovecot"

    def start(self, backend_url: str, **settings: object) -> None:
        """`settings`: SECTION__KEY=value, beside what every test has."""
        program = _program()
        config = self.directory / "pushgate.toml"
        config.write_text(self._config(backend_url))
        command = [program, "serve", "--config", str(config)]
        environment = os.environ | {f"PUSHGATE_{key.upper()}": str(value) for key, value in settings.items()}
        with (self.directory / "pushgate.log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self.directory, env=environment)
        for _ in range(200):
            if self._answers("/readyz"):
                return
            if self.process.poll() is not None:
                break
            time.sleep(0.05)
        raise SystemExit(f"pushgate did not become ready within 10 s:\n{self.log()[-3000:]}")

    def _config(self, backend_url: str) -> str:
        return f"""
            listen.address = ["{self.listen}"]
            tls = {{ certificate = "{self.certificate}", private_key = "{self.directory}/key.pem" }}
            backend = {{ url = ["{backend_url}"], kind = "sogo" }}
            mailbox.default_domain = "example.test"
            internal = {{ address = "{self.internal}", token_file = "{self.directory}/token" }}
            store.url = "sqlite:{self.directory}/pushgate.db"
            drain.drain_s = {DRAIN_S}
            log.level = "info"
        """

    def command(self, *arguments: str) -> str:
        """What an administrator types; what is printed."""
        command = [_program(), *arguments, "--config", str(self.directory / "pushgate.toml")]
        done = subprocess.run(command, capture_output=True, text=True, cwd=self.directory, timeout=60)
        if done.returncode != 0:
            raise AssertionError(f"{' '.join(command[1:])}: {done.returncode}: {done.stdout}{done.stderr}")
        return done.stdout

    def rest(self, method: str, path: str, body: object = None, if_match: str | None = None) -> tuple[int, dict]:
        """What an administrator's program asks of the internal address: the code, and the answer or the problem."""
        connection = http.client.HTTPConnection(self.internal, timeout=30)
        headers = {"Authorization": f"Bearer {self.token}"} | ({"If-Match": if_match} if if_match else {})
        if body is not None:
            headers["Content-Type"] = "application/json"
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        response = connection.getresponse()
        answer = response.status, json.loads(response.read() or b"{}")
        connection.close()
        return answer

    def get(self, path: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(self.internal, timeout=10)
        connection.request("GET", path, headers={"Authorization": f"Bearer {self.token}"})
        response = connection.getresponse()
        answer = response.status, response.read()
        connection.close()
        return answer

    def _answers(self, path: str) -> bool:
        try:
            return self.get(path)[0] == 200
        except OSError:
            return False

    def held(self, mailbox: str | None = None) -> int:
        """Pings held now, as the gateway itself lists them."""
        code, body = self.get("/v1/pings" + (f"?mailbox={mailbox}" if mailbox else ""))
        if code != 200:
            raise AssertionError(f"/v1/pings answered {code}: {body[:200]!r}")
        return len(json.loads(body)["pings"])

    def status(self) -> dict:
        """/v1/status: counters and gauges of the whole process."""
        code, body = self.get("/v1/status")
        if code != 200:
            raise AssertionError(f"/v1/status answered {code}: {body[:200]!r}")
        return json.loads(body)

    def wait_for_held(self, count: int, mailbox: str | None = None, timeout_s: float = 10) -> None:
        deadline = time.monotonic() + timeout_s
        while (held := self.held(mailbox)) != count:
            if time.monotonic() > deadline:
                raise AssertionError(f"{held} Pings are held after {timeout_s} s, not {count}")
            time.sleep(0.01)

    def log(self) -> str:
        return (self.directory / "pushgate.log").read_text(errors="replace")

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def stop(self) -> None:
        """SIGKILL, if it is running."""
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def _program() -> str:
    program = os.environ.get("PUSHGATE", str(ROOT / "target/release/pushgate"))
    if not shutil.which(program):
        raise SystemExit(f"{program} is missing: cargo build --release, or name another with PUSHGATE=…")
    return program


def _is_running(pid: int) -> bool:
    """A zombie is not: it has closed everything."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def _servers(command: str, directory: pathlib.Path, environment: dict[str, str]) -> None:
    # Output is never captured: a server that inherits a pipe would keep it open.
    if subprocess.run([str(HERE / "servers.sh"), command, str(directory)], env=os.environ | environment).returncode != 0:
        raise SystemExit(f"the mail servers did not {command} (see above); they are needed, nothing is skipped")


def scratch_directory() -> pathlib.Path:
    """Short, because Unix sockets live below it; readable for the servers' own users."""
    directory = pathlib.Path(tempfile.mkdtemp(prefix="pushgate-servers-", dir="/tmp"))
    directory.chmod(0o755)
    return directory


def free_ports(address: str, count: int) -> list[int]:
    sockets = [socket.create_server((address, 0)) for _ in range(count)]
    ports = [listener.getsockname()[1] for listener in sockets]
    for listener in sockets:
        listener.close()
    return ports


def _write_private(path: pathlib.Path, text: str) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)


def _make_certificate(directory: pathlib.Path, address: str) -> None:
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    command += ["-subj", "/CN=pushgate test", "-addext", f"subjectAltName=IP:{address}"]
    command += ["-keyout", str(directory / "key.pem"), "-out", str(directory / "certificate.pem")]
    subprocess.run(command, check=True, capture_output=True)
