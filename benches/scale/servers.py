"""What runs beside the load tool: gateways on one port, each with its own internal address, and a stand-in CAS behind them."""

import json
import os
import re
import secrets
import shutil
import subprocess
import time
import urllib.request

PORT = 8443
CAS_PORT = 8090
CONTROL_PORT = 8091
INTERNAL_PORT = 9101

CONFIG = """
[listen]
address = ["127.0.0.1:{port}"]
reuse_port = true
[tls]
certificate = "../cert.pem"
private_key = "../key.pem"
[backend]
url = ["http://127.0.0.1:{cas}"]
kind = "sogo"
connections_max = {connections}
resolve_per_s = {resolve}
requests_per_s = {requests}
[ping]
heartbeat_min_s = {heartbeat_min}
[mailbox]
default_domain = "example.org"
[internal]
address = "127.0.0.1:{internal}"
token_file = "../token"
[notify]
# How long after a Sync that brought nothing the folder is resolved once more.
settle_s = {settle}
[notify.webhook]
covers = ["Email", "Calendar", "Contacts", "Tasks", "Notes"]
[limits]
lots = {lots}
"""


class Servers:
    """All of them; `with` ends them."""

    def __init__(self, folder, programs, gateways, connections, lots, resolve=20, settle=5, requests=100_000, heartbeat_min=60):
        """`folder`: for their files. `programs`: where the programs are. The others are each gateway's: connections to the backend,
        lot threads (0: one a core), `backend.resolve_per_s`, `notify.settle_s`, `backend.requests_per_s`, `ping.heartbeat_min_s`."""
        self.folder, self.programs = folder, programs
        self.settings = {"port": PORT, "cas": CAS_PORT, "connections": connections, "lots": lots, "resolve": resolve, "settle": settle}
        self.settings |= {"requests": requests, "heartbeat_min": heartbeat_min}
        self.token = secrets.token_hex(16)
        self.processes, self.gateways, self.cas = [], [], None
        self.count = gateways

    def __enter__(self):
        os.makedirs(self.folder, exist_ok=True)
        self.clear()
        make_certificate(self.folder)
        with open(f"{self.folder}/token", "w", opener=private) as file:
            file.write(self.token)
        self.cas = self.start_cas()
        self.gateways = [self.start_gateway(index) for index in range(self.count)]
        for index in range(self.count):
            self.wait_ready(index)
        return self

    def __exit__(self, *_):
        for process in reversed(self.processes):
            process.kill()
            process.wait()

    def clear(self):
        """What an earlier run left in the folder is not to be taken for this one's."""
        for name in os.listdir(self.folder):
            path = f"{self.folder}/{name}"
            if re.fullmatch(r"(cas|gateway\d+)\.log", name):
                os.remove(path)
            elif re.fullmatch(r"gateway\d+", name) or os.path.exists(f"{path}/report.json"):
                shutil.rmtree(path)

    def start(self, words, folder, log):
        """A program of ours, with its output in a file."""
        os.makedirs(folder, exist_ok=True)
        with open(f"{self.folder}/{log}", "a") as output:
            process = subprocess.Popen(words, cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        self.processes.append(process)
        return process

    def start_cas(self):
        # As quick as it can be: what is measured is the gateway. It behaves like SOGo, whose folder ids are long.
        words = [f"{self.programs}/pushgate-loadtest", "cas", "--like", "sogo", "--workers", "0", "--heartbeat-max", "3540"]
        words += ["--listen", f"127.0.0.1:{CAS_PORT}", "--control", f"127.0.0.1:{CONTROL_PORT}", "--json", "--every", "1"]
        return self.start(words, self.folder, "cas.log")

    def start_gateway(self, index):
        """Also the same one again after it was killed."""
        folder = f"{self.folder}/gateway{index}"
        os.makedirs(folder, exist_ok=True)
        with open(f"{folder}/pushgate.toml", "w") as file:
            file.write(CONFIG.format(internal=INTERNAL_PORT + index, **self.settings))
        return self.start([f"{self.programs}/pushgate", "serve", "--config", "pushgate.toml"], folder, f"gateway{index}.log")

    def wait_ready(self, index):
        deadline = time.monotonic() + 30
        while True:
            try:
                return self.ask(index, "/readyz")
            except OSError:
                if time.monotonic() > deadline or self.gateways[index].poll() is not None:
                    raise RuntimeError(f"a gateway is not ready; see {self.folder}/gateway{index}.log") from None
                time.sleep(0.1)

    def internal(self):
        """The internal addresses, as URLs."""
        return [f"http://127.0.0.1:{INTERNAL_PORT + index}" for index in range(self.count)]

    def ask(self, index, path):
        """A text from a gateway's internal address."""
        request = urllib.request.Request(self.internal()[index] + path, headers={"Authorization": f"Bearer {self.token}"})
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.read().decode()

    def metric(self, name):
        """A metric, added up over labels and gateways."""
        pattern = re.compile(rf"^{name}(?:\{{.*\}})? ([0-9.e+-]+)", re.M)
        return sum(float(value) for index in range(self.count) for value in pattern.findall(self.ask(index, "/metrics")))

    def cas_lines(self):
        """What the stand-in said, a line a second."""
        with open(f"{self.folder}/cas.log") as file:
            return [json.loads(line) for line in file if line.startswith("{") and "t_s" in line and line.endswith("}\n")]

    def load(self, scenario, settings, out):
        """Starts the load tool."""
        words = [f"{self.programs}/pushgate-loadtest", "run", scenario, "--out", out]
        for key, value in settings.items():
            words += ["--set", f"{key}={value if isinstance(value, str) else json.dumps(value)}"]
        return self.start(words, self.folder, "load.log")


def make_certificate(folder):
    words = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    words += ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    words += ["-keyout", f"{folder}/key.pem", "-out", f"{folder}/cert.pem"]
    subprocess.run(words, check=True, capture_output=True)


def private(path, flags):
    return os.open(path, flags, 0o600)
