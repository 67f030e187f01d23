"""A demo with its devices, attacked while somebody looks."""

import base64
import http.client
import itertools
import json
import os
import pathlib
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.request

ROOT = pathlib.Path(__file__).parents[2]
FOLDER_SYNC = next((ROOT / "tests" / "vectors").glob("12-*.wbxml")).read_bytes()
EAS = "/Microsoft-Server-ActiveSync"


def figure(name: str, value: str) -> None:
    """What was measured, asserted or not."""
    print(f"    {name}: {value}", file=sys.stderr, flush=True)


class Demo:
    """`pushgate demo`: gateway, stand-in mail server and devices, in a process of its own."""

    def __init__(self, devices: int) -> None:
        self.devices = devices
        command = [os.environ["PUSHGATE"], "demo", "--devices", str(devices), "--json", "--for", "1h"]
        # What to try is said aside; the account comes last, on standard output.
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.lines: list[str] = []
        threading.Thread(target=lambda: self.lines.extend(iter(self.process.stdout.readline, "")), daemon=True).start()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(30)

    def wait_until_ready(self) -> None:
        text = self._wait_for_text("--set server.pid=")
        host, port = re.search(r"target.url=https://(\S+):(\d+)", text).groups()
        self.host, self.port = host, int(port)
        self.internal = re.search(r"changes.webhook.url=(\S+)", text).group(1)
        self.token = re.search(r"Bearer (\S+?)'", text).group(1)
        self.ca = re.search(r"target.ca=(\S+)", text).group(1)

    def _wait_for_text(self, part: str) -> str:
        until = time.monotonic() + 60
        while time.monotonic() < until:
            text = "".join(self.lines)
            if part in text:
                return text
            time.sleep(0.05)
        raise TimeoutError(f"the demo did not say {part}")

    def _ask(self, path: str) -> bytes:
        request = urllib.request.Request(self.internal + path, headers={"Authorization": f"Bearer {self.token}"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.read()

    def status(self) -> dict:
        return json.loads(self._ask("/v1/status"))

    def metric(self, name: str, labels: str = "") -> float:
        lines = self._ask("/metrics").decode().splitlines()
        samples = [line for line in lines if re.split(r"[{ ]", line)[0] == name and labels in line]
        return sum(float(line.rsplit(" ", 1)[1]) for line in samples)

    def wait_until_held(self, seconds: float = 240) -> None:
        until = time.monotonic() + seconds
        while self.status()["held"] < self.devices:
            if time.monotonic() > until:
                raise TimeoutError(f"{self.status()['held']} of {self.devices} held")
            time.sleep(0.2)

    def stop(self) -> dict:
        """Ends it; its own account of what it delivered and what was lost."""
        self.process.send_signal(signal.SIGINT)
        self.process.wait(30)
        time.sleep(0.2)
        return json.loads(next(line for line in reversed(self.lines) if line.startswith("{")))


# Each phone has a number of its own: one that fetches its folders again and again is slowed, as it should be.
NUMBERS = itertools.count(1)


def serve_a_new_phone(demo: Demo) -> float:
    """A phone that was never seen, of another user each time, from an address of its own, gets its folders; the seconds that took."""
    number = next(NUMBERS)
    user = f"user{1 + number % demo.devices}"
    began = time.monotonic()
    trust = ssl.create_default_context(cafile=demo.ca)
    trust.check_hostname = False
    connection = http.client.HTTPSConnection(demo.host, demo.port, timeout=20, context=trust, source_address=("127.0.0.77", 0))
    credentials = base64.b64encode(f"{user}:test".encode()).decode()
    headers = {
        "Authorization": f"Basic {credentials}",
        "MS-ASProtocolVersion": "14.1",
        "Content-Type": "application/vnd.ms-sync.wbxml",
    }
    query = f"?Cmd=FolderSync&User={user}&DeviceId=New{number}&DeviceType=SmartPhone"
    connection.request("OPTIONS", EAS, headers=headers)
    options = connection.getresponse()
    options.read()
    connection.request("POST", EAS + query, body=FOLDER_SYNC, headers=headers)
    folders = connection.getresponse()
    body = folders.read()
    connection.close()
    if (options.status, folders.status) != (200, 200) or len(body) < 50:
        raise AssertionError(f"a new phone got {options.status}, {folders.status} and {len(body)} bytes")
    return time.monotonic() - began


class Alone:
    """`pushgate serve` whose mail server is away: whatever it is asked, the answer is its own."""

    def __init__(self, directory: pathlib.Path) -> None:
        make = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj", "/CN=localhost",
                "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", directory / "key.pem", "-out", directory / "certificate.pem"]
        subprocess.run(make, check=True, capture_output=True)
        self.host, self.port = "127.0.0.1", 8745
        configuration = directory / "pushgate.toml"
        configuration.write_text(
            f"""listen.address = ["{self.host}:{self.port}"]
tls = {{ certificate = "certificate.pem", private_key = "key.pem" }}
backend.url = ["http://127.0.0.1:9"]
store = {{ url = "sqlite:store.db", key_file = "store.key" }}
internal = {{ address = "127.0.0.1:8746", token_file = "token" }}
"""
        )
        self.process = subprocess.Popen([os.environ["PUSHGATE"], "serve", "--config", configuration], cwd=directory, stderr=subprocess.DEVNULL)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(30)

    def wait_until_ready(self) -> None:
        until = time.monotonic() + 20
        while True:
            try:
                return socket.create_connection((self.host, self.port), 1).close()
            except OSError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.1)


class Watch:
    """Looks, twice a second, how many Pings are held, how many connections are active, and whether new phones are served."""

    def __init__(self, demo: Demo) -> None:
        self.demo = demo
        self.held_min = demo.devices
        self.active: list[tuple[float, int]] = []
        self.slowest = 0.0
        self.phones = 0
        self.trouble: list[str] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while not self._over.wait(0.5):
            try:
                status = self.demo.status()
                self.held_min = min(self.held_min, status["held"])
                self.active.append((time.monotonic(), status["connections"] - status["held"]))
                self.phones += 1
                self.slowest = max(self.slowest, serve_a_new_phone(self.demo))
            except Exception as error:  # noqa: BLE001 — whatever it is, it is what a phone would have met
                self.trouble.append(repr(error))

    def closed_after_s(self, attackers: int) -> float | None:
        """From when half of them were connected until less than a twentieth was; `None`: they never were, or still are. Tools that read
        slowly do not notice that they were closed."""
        arrived = next((at for at, active in self.active if active > attackers / 2), None)
        if arrived is None:
            return None
        return next((at - arrived for at, active in self.active if at > arrived and active < attackers / 20), None)

    def wait_until_closed(self, attackers: int, until: float) -> None:
        """As above; `until`: when to stop waiting, by `time.monotonic`."""
        while self.closed_after_s(attackers) is None and time.monotonic() < until:
            time.sleep(0.5)

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
