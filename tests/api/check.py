#!/usr/bin/env python3
"""Runs schemathesis against a real pushgate: every operation of /openapi.json, with good and bad data, as an admin and as nobody.

    PUSHGATE=target/release/pushgate SCHEMATHESIS=…/schemathesis tests/api/check.py [more arguments of schemathesis]

The gateway gets a database, a certificate and a token of its own in a temporary folder, and devices that came by (device.py, hooks.py).
Fails if schemathesis does, or if an operation was never seen to succeed."""

import json
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

import device

HERE = pathlib.Path(__file__).parent
# Bounds of a run: examples of each kind an operation, and seconds in all.
EXAMPLES, SECONDS = 15, 75


def main():
    with tempfile.TemporaryDirectory(prefix="pushgate-api-") as folder:
        gateway = Gateway(pathlib.Path(folder))
        try:
            gateway.prepare()
            return schemathesis(gateway)
        finally:
            gateway.stop()


class Gateway:
    """A pushgate in front of a backend that says nothing: devices only come to be known."""

    def __init__(self, folder):
        self.folder = folder
        self.backend = device.Backend()
        self.devices = free_port()
        self.internal = f"127.0.0.1:{free_port()}"
        run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
            "-subj", "/CN=localhost", "-keyout", str(folder / "key.pem"), "-out", str(folder / "certificate.pem"))
        (folder / "pushgate.toml").write_text(f"""
            listen.address = ["127.0.0.1:{self.devices}"]
            tls = {{ certificate = "certificate.pem", private_key = "key.pem" }}
            backend.url = ["http://127.0.0.1:{self.backend.server_port}"]
            provision.devices_max = 10000
            store.flush_s = 1
            mailbox.default_domain = "example.org"
            internal = {{ address = "{self.internal}", token_file = "token" }}
            log.level = "error"
        """)
        program = pathlib.Path(os.environ["PUSHGATE"]).resolve()
        self.process = subprocess.Popen([program, "serve"], cwd=folder, stdin=subprocess.DEVNULL)
        self.token = ""
        self.wait_until_ready()

    def wait_until_ready(self):
        until = time.monotonic() + 30
        while True:
            try:
                self.token = (self.folder / "token").read_text().strip()
                with urllib.request.urlopen(f"http://{self.internal}/healthz", timeout=5):
                    return
            except OSError:
                if time.monotonic() > until or self.process.poll() is not None:
                    raise
                time.sleep(0.05)

    def call(self, method, path, body, **headers):
        headers |= {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://{self.internal}{path}", data, headers, method=method)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.read()

    def prepare(self):
        """Something to find, so that not every answer is 404; the hooks make more."""
        self.call("POST", "/v1/policies", {"name": "Strict", "settings": {"device_password_enabled": True}})
        lax = {"device_password_enabled": True, "password_recovery_enabled": True, "allow_non_provisionable_devices": True}
        self.call("POST", "/v1/policies", {"name": "Lax", "settings": lax})
        # Of the mailbox itself, so that whatever is made of groups, lists and domains, hew's devices get through.
        self.call("PATCH", "/v1/mailboxes/hew", {"policy": "Lax"}, **{"If-Match": '"0"'})
        device.comes(self.devices, "hew", "phone")
        self.call("PUT", "/v1/mailboxes/hew/debug", {})
        self.call("PUT", "/v1/groups/Sales", {"policy": "Lax", "mailboxes": ["hew", "anna"]}, **{"If-Match": '"0"'})
        self.call("PUT", "/v1/domains/example.org", {"policy": "Strict"})

    def stop(self):
        self.process.terminate()
        self.process.wait(timeout=30)


def schemathesis(gateway):
    command = [
        os.environ["SCHEMATHESIS"], "--config-file", str(HERE / "schemathesis.toml"), "run", f"http://{gateway.internal}/openapi.json",
        "--header", f"Authorization: Bearer {gateway.token}", "--workers", "2", "--max-examples", str(EXAMPLES), "--max-time", str(SECONDS),
        "--phases", "examples,coverage,fuzzing", "--request-timeout", "10", "--generation-deterministic", "--continue-on-failure",
        "--no-color", "--warnings", "off",
        # That one is for the end.
        "--exclude-operation-id", "drain",
    ]
    seen = gateway.folder / "seen.json"
    document = json.loads(gateway.call("GET", "/openapi.json", None))
    environment = os.environ | {
        "SCHEMATHESIS_HOOKS": "hooks", "PYTHONPATH": str(HERE), "PUSHGATE_INTERNAL": gateway.internal, "PUSHGATE_TOKEN": gateway.token,
        "PUSHGATE_DEVICES": str(gateway.devices), "PUSHGATE_SEEN": str(seen),
    }
    code = subprocess.run(command + sys.argv[1:], stdin=subprocess.DEVNULL, timeout=SECONDS + 120, env=environment).returncode
    if gateway.process.poll() is not None:
        print("pushgate ended by itself")
        return 1
    seen = json.loads(seen.read_text())
    gateway.call("POST", "/v1/drain", None)
    if gateway.process.wait(timeout=30) == 0:
        seen["drain"] = {"200": 1}
    return max(code, succeeded(document, seen))


def succeeded(document, seen):
    """0 if every operation of the document answered 2xx at least once."""
    # The document itself is what schemathesis reads first, and does not ask for again.
    seen.setdefault("describe", {"200": 1})
    names = [operation["operationId"] for path in document["paths"].values() for operation in path.values()]
    never = [name for name in names if not any(status.startswith("2") for status in seen.get(name, {}))]
    print(f"api: {len(names) - len(never)} of {len(names)} operations were seen to succeed")
    for name in never:
        print(f"never seen to succeed: {name}: {seen.get(name, 'not asked')}")
    return 1 if never else 0


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def run(*command):
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


if __name__ == "__main__":
    sys.exit(main())
